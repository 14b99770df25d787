"""Newer versions of Kaggle sets: look for them, and enter them into `params.yaml`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from facemask.core.errors import FacemaskError
from facemask.core.params import KaggleSource
from facemask.data.sources.kaggle import PAUSES, cached, retry
from facemask.data.sources.kaggle_client import ask_for_newest
from facemask.dataset.archive import Archive, content_hash

LIMIT = 120.0  # seconds that Kaggle may take to name a version


@dataclass(frozen=True)
class Finding:
    """Result of the check of one source.

    Attributes:
        sentence: the same in words.
        settings: what to set in the entry of the source, such as {"version": "2"}; empty if there is nothing new.
    """

    sentence: str
    settings: dict[str, str]


def look_for_newer(name: str, source: KaggleSource, pauses: Sequence[float] = PAUSES, limit: float = LIMIT) -> Finding:
    """Query Kaggle for the newest version of a set, and compare its files if it is newer.

    Owners also make versions that change the description only. Such a version is no news.

    Args:
        name: of the entry of `sources`.
        source: the entry.
        pauses: seconds to wait before each further attempt.
        limit: seconds after which Kaggle's answer is not waited for any longer.

    Raises:
        FacemaskError: Kaggle can't be asked, or a version can't be had.
    """
    handle, version = source.handle, source.version
    newest = retry(lambda: ask_for_newest(handle, limit), pauses)
    if newest <= version:
        return Finding(f"{name}: version {version} of {handle} is the newest", {})
    content = _content(handle, newest)
    if content == (source.content or _content(handle, version)):
        return Finding(f"{name}: version {newest} of {handle} has the same files as version {version}", {})
    pin = {"content": content} if source.content else {}
    return Finding(f"{name}: {handle} has a newer version, {newest} after {version}", {"version": str(newest), **pin})


def with_settings(text: str, name: str, settings: dict[str, str]) -> str:
    """Return `params.yaml` with other values in one entry of `sources` and every other byte unchanged.

    Args:
        text: the file.
        name: of the entry.
        settings: the values by key. Every key has to be there already.

    Raises:
        FacemaskError: the entry does not spell out one of the keys.
    """
    for key, value in settings.items():
        node: Any = yaml.compose(text)
        for step in ("sources", name, key):
            node = next((child for said, child in node.value if said.value == step), None)
            if node is None:
                raise FacemaskError(
                    f"params.yaml: {key!r} of the source {name} is not written in the entry itself: write it there"
                )
        text = text[: node.start_mark.index] + value + text[node.end_mark.index :]
    return text


def _content(handle: str, version: int) -> str:
    with Archive(cached(handle, version)) as archive:
        return content_hash(archive)
