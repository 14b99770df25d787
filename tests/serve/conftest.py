"""Pictures, and a server that most tests share."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_images import cut, saved
from tests.commands import facemask
from tests.photos import group, one_face
from tests.serve.running import Running

HEADS = [(60, 120, 400), (560, 300, 260), (960, 200, 180)]  # from left to right

Predicted = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Image files by name: three people, one person, and a cut one."""
    folder = tmp_path_factory.mktemp("files")
    three = saved(group(HEADS))
    contents = {"three.jpg": three, "one.png": saved(one_face(), "PNG"), "cut.jpg": cut(three, 0.3)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


@pytest.fixture(scope="session")
def predicted(photo_export: Path, files: dict[str, Path]) -> Predicted:
    """What `facemask predict --format json` says of files by name."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def ask(*names: str, faces: str = "find") -> list[dict[str, Any]]:
        command = ["predict", "--format", "json", "--faces", faces, "--model", str(photo_export), *names]
        key = (faces, *names)
        if key not in found:
            found[key] = json.loads(facemask(files["one.png"].parent, *command).stdout)
        return found[key]

    return ask


@pytest.fixture(scope="session")
def server(photo_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the usual limits."""
    running = Running(photo_export, tmp_path_factory.mktemp("server"), "--revision", "abc1234")
    yield running
    running.stop()
