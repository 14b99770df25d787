"""Synthetic masks for the training part: choice of faces and textures, drawing."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pandas as pd

from facemask.core.params import EngineKind, RenderParams
from facemask.core.progress import track
from facemask.data.synthetic.cutting import cut_out
from facemask.data.synthetic.draw import LABELS, draw_mask, make_room
from facemask.data.synthetic.fabric import Fabric, Image, Style, draw_fabric, vary_cut_out
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import decode
from facemask.dataset.split import part_of
from facemask.dataset.synthetic import KINDS, SOURCE, SYNTHETIC, Kind
from facemask.engine.mapping import map_ordered
from facemask.faces.mesh import Face, FaceMesh, load_mesh

Item = TypeVar("Item")

# Worn badly in every way, and worn right often enough that a drawn mask tells little about the label. The style is
# drawn independently of the kind, so that it tells nothing.
KIND_SHARES: dict[Kind, float] = {
    "right": 0.35,
    "nose_out": 0.41,
    "mouth_out": 0.1,
    "below_chin": 0.02,
    "chin_out": 0.02,
    "bare": 0.1,  # the picture moved as for a mask: so that the moving tells nothing either
}
STYLE_SHARES: dict[Style, float] = {
    "photographed": 0.42,
    "surgical": 0.2,
    "cloth": 0.16,
    "printed": 0.09,
    "cup": 0.08,
    "bandana": 0.05,
}

# Where the picture ends at the chin, a mask that should hang below it is drawn on it.
INSTEAD: dict[Kind, tuple[Kind, ...]] = {"below_chin": ("mouth_out",)}

_CUT_OUT_TRIES = 400  # photographs of masks; a third give a piece of cloth, which is varied whenever it is used
_ENOUGH_CUT_OUTS = 50  # with fewer the same cloth would be seen too often
_LONGEST_SHORT_SIDE = 256  # pixels; training looks at no more
_QUALITY = 92  # of JPEG
_THREADS = 2  # of the engine `local`


@dataclass(frozen=True)
class Outcome:
    """Result of drawing synthetic masks.

    Attributes:
        table: a row for each picture, with the columns of `data/rendered.csv`, sorted by id.
        faces: how many bare faces were tried.
        without_fit: how many of them the face mesh did not fit.
        cut_outs: how many pieces of real cloth there were to draw with.
    """

    table: pd.DataFrame
    faces: int
    without_fit: int
    cut_outs: int


@dataclass(frozen=True)
class _Picture:
    row: dict[str, str]
    data: bytes


def choose(table: pd.DataFrame, label: str, count: int, seed: int) -> pd.DataFrame:
    """Choose images of a class from the training part: one of each photograph, as many from each source as they last.

    Args:
        table: as `SPLIT.read` returns it.
        label: the class.
        count: how many at most.
        seed: of the choice.

    Returns:
        Rows of `table`, sorted by id.
    """
    train = part_of(table, "train")
    rows = train[train["label"] == label].sort_values("id")
    shuffled = rows.iloc[np.random.default_rng(seed).permutation(len(rows))].drop_duplicates("group")
    turn = shuffled.groupby("source").cumcount()
    chosen = shuffled.assign(turn=turn).sort_values(["turn", "source"], kind="stable")[:count]
    return chosen.drop(columns="turn").sort_values("id", ignore_index=True)


def render(
    images: Path, table: pd.DataFrame, path: Path, settings: RenderParams, engine: EngineKind = "local"
) -> Outcome:
    """Draw masks over bare faces of the training part, and write the pictures into one archive.

    A picture depends on the seed, its photograph and the pieces of real cloth, not on what else is drawn.

    Args:
        images: the archive of all images.
        table: the split, as `SPLIT.read` returns it.
        path: the archive to write.
        settings: how many, and the seed.
        engine: where masks are cut out and drawn.

    Raises:
        FacemaskError: the face mesh cannot be fetched, or an archive cannot be read or written.
    """
    faces = choose(table, "without_mask", settings.faces, settings.seed)
    if faces.empty:
        write_archive(path, [])
        return Outcome(pd.DataFrame(columns=SYNTHETIC.columns), 0, 0, 0)
    model = load_mesh()

    def cutter() -> Callable[[bytes], Fabric | None]:
        mesh = FaceMesh(model)

        def cut(content: bytes) -> Fabric | None:
            image = _read(content)
            fitted = mesh.fit(image)
            return None if fitted is None else cut_out(image, fitted.points)

        return cut

    def drawer() -> Callable[[tuple[dict[str, str], bytes]], list[_Picture] | None]:
        mesh = FaceMesh(model)

        def draw(item: tuple[dict[str, str], bytes]) -> list[_Picture] | None:
            face, content = item
            image = _read(content)
            fitted = mesh.fit(image)
            return None if fitted is None else _draw_on(image, fitted, face, cut_outs, settings)

        return draw

    with Archive(images) as archive:
        masked = choose(table, "with_mask", _CUT_OUT_TRIES, settings.seed)["id"]
        pieces = map_ordered(engine, cutter, map(archive.read, masked), threads=_THREADS, weigh=len)
        cut_outs = [piece for piece in track(pieces, len(masked), "cutting out masks") if piece is not None]
        bare = ((face, archive.read(face["id"])) for face in faces.to_dict("records"))
        drawn = map_ordered(engine, drawer, bare, threads=_THREADS, weigh=lambda item: len(item[1]))
        results = list(track(drawn, total=len(faces), desc="drawing masks", unit="faces"))
    pictures = sorted((picture for result in results for picture in result or []), key=lambda item: item.row["id"])
    write_archive(path, ((picture.row["id"], picture.data) for picture in pictures))
    rows = pd.DataFrame([picture.row for picture in pictures], columns=SYNTHETIC.columns)
    return Outcome(rows, len(faces), sum(result is None for result in results), len(cut_outs))


def choose_shown(table: pd.DataFrame, per_kind: int) -> dict[str, list[str]]:
    """Choose pictures for a contact sheet: the first of each kind by id, whose order is as good as chance."""
    return {kind: list(table[table["kind"] == kind]["id"][:per_kind]) for kind in KINDS}


def _read(content: bytes) -> Image:
    """Decode a picture and shrink it to what training looks at."""
    return _at_most(decode(content, math.inf), _LONGEST_SHORT_SIDE)


def _draw_on(
    image: Image, fitted: Face, face: dict[str, str], cut_outs: list[Fabric], settings: RenderParams
) -> list[_Picture]:
    name = hashlib.sha256(face["id"].encode()).hexdigest()[:16]
    pictures = []
    for number in range(settings.per_face):
        rng = np.random.default_rng([settings.seed, number, int(name, 16)])
        first = _draw_by_share(KIND_SHARES, rng)
        style, fabric = _draw_cloth(cut_outs, rng)
        view, points = make_room(image, fitted.points, rng)
        for kind in (first, *INSTEAD.get(first, ())):
            picture = draw_mask(view, points, kind, style, fabric, rng)
            if picture is not None:
                pictures.append(_packed(picture, face, f"{name}-{number}", kind, style))
                break
    return pictures


def _draw_cloth(cut_outs: list[Fabric], rng: np.random.Generator) -> tuple[Style, Fabric]:
    photographed = STYLE_SHARES["photographed"] * min(len(cut_outs) / _ENOUGH_CUT_OUTS, 1)
    style = _draw_by_share({**STYLE_SHARES, "photographed": photographed}, rng)
    if style == "photographed":
        return style, vary_cut_out(cut_outs[rng.integers(len(cut_outs))], rng)
    return style, draw_fabric(style, rng)


def _draw_by_share(shares: dict[Item, float], rng: np.random.Generator) -> Item:
    weights = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(shares), p=weights / weights.sum())]


def _packed(picture: Image, face: dict[str, str], name: str, kind: Kind, style: Style) -> _Picture:
    label = LABELS[kind]
    row = {
        "id": f"{SOURCE}/{label}/{name}.jpg",
        "source": SOURCE,
        "label": label,
        "group": face["group"],
        "part": face["part"],
        "photograph": face["id"],
        "kind": kind,
        "style": style,
    }
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return _Picture(row, packed.tobytes())


def _at_most(image: Image, side: int) -> Image:
    """Shrink a picture so that its shorter side is at most `side` pixels."""
    height, width = image.shape[:2]
    scale = side / min(height, width)
    if scale >= 1:
        return image
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
