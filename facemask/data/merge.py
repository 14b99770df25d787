"""Merging of sources: decode every image once, name it by source and class, list unusable files."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import EngineKind, MergeParams
from facemask.core.progress import track
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import UnusableImage, decode, file_format
from facemask.dataset.image_stats import measure
from facemask.dataset.manifest import ATTRIBUTE_PREFIX, PICTURE
from facemask.engine.mapping import map_ordered

CLASS_COUNT_COLUMNS = ("source", "label", "count")
SIDE_COUNT_COLUMNS = ("side", "label", "count")

LeftOut = tuple[str, str, str]  # a row of `dataset.manifest.LEFT_OUT`

# Reasons besides those of `facemask.dataset.decode.REASONS`.
OUTSIDE = "in no folder that stands for a class"
NAME_TOO_LONG = "name too long"
BAD_ATTRIBUTES = "not a table of attributes"

ATTRIBUTES = "attributes.csv"

_MAX_PATH = 1000  # characters; far from what zip and file systems refuse
_MAX_ATTRIBUTES = 50
_MAX_ATTRIBUTES_BYTES = 16 * 2**20
_MAX_WORKERS = 8  # each may hold a picture of the largest size allowed, 350 MB at 50 megapixels

_SIDE_STEPS = tuple(sorted([2**power for power in range(20)] + [3 * 2**power for power in range(18)]))


@dataclass(frozen=True)
class Merged:
    """Result of a merge: a row for each image, and every unusable file with the reason."""

    catalogue: pd.DataFrame
    left_out: list[LeftOut]


@dataclass(frozen=True)
class _Source:
    name: str
    archive: Archive
    folders: dict[tuple[str, ...], str]  # parts of a path -> class
    cut_out: bool  # each file is a face, in a folder named after the picture that it was cut out of
    left_out: list[LeftOut]  # by the stage download


@dataclass(frozen=True, order=True)
class _Candidate:
    id: str
    source: str
    label: str
    path: str


@dataclass(frozen=True)
class _Finding:
    """Result of decoding one file: a reason against it, or the content of its row."""

    candidate: _Candidate
    data: bytes
    reason: str = ""
    width: int = 0
    height: int = 0
    sha256: str = ""
    format: str = ""
    measures: dict[str, float] = field(default_factory=dict)


def remove_unused(raw: Path, names: Sequence[str]) -> None:
    """Delete from `raw` what sources that are not among `names`, and downloads that were killed, left there.

    Raises:
        FacemaskError: something lies there that no stage made; nothing is deleted then.
    """
    drafts = [path for path in raw.glob(".*") if path.is_dir()]  # of `facemask.core.files.atomic_path`
    others = sorted({path.stem for path in raw.glob("*") if not path.name.startswith(".")} - set(names))
    strange = [name for name in others if not _is_made_by_download(raw, name)]
    if strange:
        raise FacemaskError(
            f"{raw} holds {', '.join(strange)}, which the stage download did not make: move it elsewhere; your own "
            "photographs belong into data/own, in a folder per class"
        )
    for name in others:
        (raw / f"{name}.zip").unlink(missing_ok=True)
        (raw / f"{name}.json").unlink()
    for draft in drafts:
        shutil.rmtree(draft)


def _is_made_by_download(raw: Path, name: str) -> bool:
    try:
        return {"kind", "folders", "origin"} <= set(json.loads((raw / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return False


def merge(
    names: Sequence[str],
    raw: Path,
    images: Path,
    settings: MergeParams,
    needed: Sequence[str] = CLASSES,
    engine: EngineKind = "local",
) -> Merged:
    """Write the usable images of all sources into one archive.

    The files keep their bytes. A file is named `<source>/<class>/<path in its archive>`, so no two can collide;
    its class is that of the longest folder of the source's map that it lies in. The order of `names` makes no
    difference. Memory holds the table and a few files at a time, however many there are.

    Args:
        names: the sources; `raw` has `<name>.zip` and the card `<name>.json` of each.
        raw: the folder of downloaded archives.
        images: the archive to write.
        settings: limits on what counts as an image.
        needed: classes without which there is nothing to work with.
        engine: where files are decoded and measured.

    Returns:
        The catalogue, sorted by id, with measures and attributes; what was left out, sorted.

    Raises:
        FacemaskError: an archive or a card is missing or broken, nothing lies in a folder of a map, or a needed
            class, or all of them, have no usable image in any source. `images` is as it was before.
    """
    with ExitStack() as stack:
        sources = [_open_source(raw, name, stack) for name in names]
        archives = {source.name: source.archive for source in sources}
        candidates = sorted(candidate for source in sources for candidate in _candidates(source))
        left_out = [row for source in sources for row in [*source.left_out, *_other_files(source)]]
        attributes = {source.name: _attributes(source.archive) for source in sources}
        left_out += [(name, ATTRIBUTES, BAD_ATTRIBUTES) for name, table in attributes.items() if table is None]
        rows: list[dict[str, Any]] = []

        def usable() -> Iterator[tuple[str, bytes]]:
            findings = _examine_all(archives, candidates, settings, engine)
            for finding in track(findings, total=len(candidates), desc="merging"):
                candidate = finding.candidate
                if finding.reason:
                    left_out.append((candidate.source, candidate.path, finding.reason))
                    continue
                rows.append(_row(finding))
                yield candidate.id, finding.data
            # Before the archive replaces the one of an earlier run.
            _check_classes(rows, left_out, names, needed)

        write_archive(images, usable())
    catalogue = _catalogue(rows, attributes, {source.name for source in sources if source.cut_out})
    return Merged(catalogue, sorted(left_out))


def class_counts(catalogue: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Count images by source and class: rows of `CLASS_COUNT_COLUMNS`, with zeros."""
    return [
        (str(source), label, int((rows["label"] == label).sum()))
        for source, rows in catalogue.groupby("source", sort=True)
        for label in CLASSES
    ]


def side_counts(catalogue: pd.DataFrame) -> list[tuple[int, str, int]]:
    """Count images by their shorter side and class: rows of `SIDE_COUNT_COLUMNS`, with zeros between others.

    `side` is the lower end of a step, in pixels: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32 and so on.
    """
    shorter = catalogue[["width", "height"]].min(axis=1)
    steps = shorter.map(lambda side: max(step for step in _SIDE_STEPS if step <= side))
    counts = Counter(zip(steps, catalogue["label"], strict=True))
    return [
        (step, label, counts[step, label])
        for step in _SIDE_STEPS
        if steps.min() <= step <= steps.max()
        for label in CLASSES
    ]


def _open_source(raw: Path, name: str, stack: ExitStack) -> _Source:
    path, card = raw / f"{name}.zip", raw / f"{name}.json"
    for needed in (path, card):
        if not needed.is_file():
            raise FacemaskError(f"{needed} is missing; run `dvc repro download@{name}`")
    described = _read_card(card, name)
    cut_out, left_out = bool(described.get("cut_out")), described.get("left_out", ())
    source = _Source(
        name,
        stack.enter_context(Archive(path)),
        described["folders"],
        cut_out,
        [(name, where, reason) for where, reason in left_out],
    )
    if not cut_out:  # a class may well have no face in a set
        _check_folders(source)
    return source


def _read_card(path: Path, name: str) -> dict[str, Any]:
    """Read what `facemask.data.sources.card` describes; the keys of `folders` are turned into parts of paths."""
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        folders = described["folders"]
        known = {PurePosixPath(folder).parts: label for folder, label in folders.items() if label in CLASSES}
        if not folders or len(known) < len(folders):
            raise ValueError("folders")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FacemaskError(
            f"{path} does not say which folder is which class; run `dvc repro download@{name}`"
        ) from error
    return {**described, "folders": known}


def _check_folders(source: _Source) -> None:
    there = sorted({PurePosixPath(name).parent for name in source.archive.names})
    for folder in source.folders:
        if not any(path.parts[: len(folder)] == folder for path in there):
            listing = ", ".join(map(str, there[:20])) + (" ..." if len(there) > 20 else "")
            raise FacemaskError(
                f"source {source.name!r}: no file is in the folder {'/'.join(folder)!r}; the archive has "
                f"{listing or 'no files'}: correct `sources.{source.name}.folders` in params.yaml"
            )


def _candidates(source: _Source) -> Iterator[_Candidate]:
    for path in source.archive.names:
        label = _label(path, source.folders)
        if label and len(path) <= _MAX_PATH and path != ATTRIBUTES:
            yield _Candidate(f"{source.name}/{label}/{path}", source.name, label, path)


def _other_files(source: _Source) -> Iterator[LeftOut]:
    """Yield what is no candidate, but for the table of attributes."""
    for path in source.archive.names:
        if not _label(path, source.folders) and path != ATTRIBUTES:
            yield source.name, path, OUTSIDE
        elif len(path) > _MAX_PATH:
            yield source.name, path, NAME_TOO_LONG


def _label(path: str, folders: dict[tuple[str, ...], str]) -> str:
    """Class of the longest mapped folder that the path lies in, "" if it lies in none."""
    parts = PurePosixPath(path).parent.parts
    lengths = range(len(parts), -1, -1)
    return next((folders[parts[:length]] for length in lengths if parts[:length] in folders), "")


def _attributes(archive: Archive) -> dict[str, dict[str, str]] | None:
    """Read the archive's table of attributes: path -> {attribute: value}; None if it cannot be used.

    It comes with the archive and is not trusted: anything odd, and all of it is left aside.
    """
    if ATTRIBUTES not in archive.names:
        return {}
    content = archive.read(ATTRIBUTES)
    if len(content) > _MAX_ATTRIBUTES_BYTES:
        return None
    try:
        header, *lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    except (ValueError, csv.Error):
        return None
    names = [name for name in header if name != "path"]
    sound = (
        len(header) - 1 == len(names) == len(set(names)) <= _MAX_ATTRIBUTES
        and all(re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) for name in names)
        and all(len(line) == len(header) and all(map(_is_plain, line)) for line in lines)
    )
    if not sound:
        return None
    where = header.index("path")
    table = {line[where]: dict(zip(names, line[:where] + line[where + 1 :], strict=True)) for line in lines}
    return table if len(table) == len(lines) else None


def _is_plain(cell: str) -> bool:
    return len(cell) <= _MAX_PATH and cell.isprintable()


def _examine_all(
    archives: dict[str, Archive], candidates: Iterable[_Candidate], settings: MergeParams, engine: EngineKind
) -> Iterator[_Finding]:
    """Yield findings in the order of `candidates`; the engine `local` decodes on every core.

    Threads, since Pillow decodes without holding the interpreter's lock. Files are read here, one after another, so
    that what is held in memory can be bounded by bytes as well as by number.
    """

    def examine(file: tuple[_Candidate, bytes]) -> _Finding:
        return _examine(*file, settings)

    files = ((candidate, archives[candidate.source].read(candidate.path)) for candidate in candidates)
    threads = min(os.cpu_count() or 1, _MAX_WORKERS)
    return map_ordered(engine, lambda: examine, files, threads=threads, weigh=lambda file: len(file[1]))


def _examine(candidate: _Candidate, data: bytes, settings: MergeParams) -> _Finding:
    try:
        pixels = decode(data, settings.max_megapixels, accept_missing_end=settings.accept_missing_end)
        height, width = pixels.shape[:2]
        if min(height, width) < settings.min_side:
            raise UnusableImage("too small")
    except UnusableImage as refusal:
        return _Finding(candidate, b"", refusal.reason)
    content = hashlib.sha256(data).hexdigest()
    return _Finding(candidate, data, "", width, height, content, file_format(data), measure(pixels))


def _row(finding: _Finding) -> dict[str, Any]:
    return {
        "id": finding.candidate.id,
        "source": finding.candidate.source,
        "label": finding.candidate.label,
        "width": finding.width,
        "height": finding.height,
        "sha256": finding.sha256,
        "format": finding.format,
        **finding.measures,
    }


def _check_classes(
    rows: Sequence[dict[str, Any]], left_out: Sequence[LeftOut], names: Sequence[str], needed: Sequence[str]
) -> None:
    found = {row["label"] for row in rows}
    missing = [label for label in needed if label not in found]
    if missing or not rows:
        reasons = Counter(reason for _, _, reason in left_out)
        listing = ", ".join(f"{reason} ({count})" for reason, count in sorted(reasons.items())) or "nothing"
        raise FacemaskError(
            f"no usable image of {', '.join(missing or CLASSES)} in {', '.join(names)}; left out: {listing}. Add "
            "images, or another source to `data.sources` in params.yaml"
        )


def _catalogue(
    rows: list[dict[str, Any]], attributes: dict[str, dict[str, dict[str, str]] | None], cut_out: Collection[str]
) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    paths = table["id"].str.split("/", n=2).str[2]
    if cut_out:
        places = zip(table["source"], paths, strict=True)
        table[PICTURE] = [_picture(source, path) if source in cut_out else "" for source, path in places]
    known = [(attributes[source] or {}).get(path, {}) for source, path in zip(table["source"], paths, strict=True)]
    for name in sorted({name for values in known for name in values}):
        table[ATTRIBUTE_PREFIX + name] = [values.get(name, "") for values in known]
    return table


def _picture(source: str, path: str) -> str:
    """Name the picture of a face by the folder that it lies in, below that of its class."""
    return "/".join([source, *PurePosixPath(path).parts[1:-1]])
