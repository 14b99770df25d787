"""Synthetic masks for the training part: choice of faces and textures, drawing in threads."""

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import cv2
import numpy as np
import pandas as pd

from facemask.core.errors import FacemaskError
from facemask.core.params import RenderParams
from facemask.core.progress import track
from facemask.data.synthetic.cutting import cut_out
from facemask.data.synthetic.draw import LABELS, draw_mask, make_room
from facemask.data.synthetic.fabric import STYLES, Fabric, Image, Style, draw_fabric, vary_cut_out
from facemask.data.synthetic.face_shield import draw_shield
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import decode
from facemask.dataset.split import part_of
from facemask.dataset.synthetic import KINDS, SOURCE, SYNTHETIC, Kind
from facemask.faces.mesh import Face, FaceMesh, load_mesh

Item = TypeVar("Item")

# What is drawn, if it is drawn at all, where a picture has no room for a kind, such as a forehead cut off.
INSTEAD: dict[Kind, Kind] = {
    "right_low": "right",
    "nose_just_out": "nose_out",
    "below_chin": "mouth_out",
    "askew": "nose_out",
    "one_ear": "mouth_out",
    "forehead": "mouth_out",
    "over_eyes": "nose_out",
}

_CUT_OUT_TRIES = 400  # photographs of masks; a third give a piece of cloth, which is varied whenever it is used
_ENOUGH_CUT_OUTS = 50  # with fewer the same cloth would be seen too often
_LONGEST_SHORT_SIDE = 256  # pixels; training looks at no more
_QUALITY = 92  # of JPEG
_WORKERS = 2


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
    name: str
    row: dict[str, str | bool]
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


def render(images: Path, table: pd.DataFrame, path: Path, settings: RenderParams) -> Outcome:
    """Draw masks over bare faces of the training part, and write the pictures into one archive.

    A picture depends on the seed, its photograph and the pieces of real cloth, not on what else is drawn.

    Args:
        images: the archive of all images.
        table: the split, as `SPLIT.read` returns it.
        path: the archive to write.
        settings: how many, and the seed.

    Raises:
        FacemaskError: the face mesh cannot be fetched, or an archive cannot be read or written.
    """
    faces = choose(table, "without_mask", settings.faces, settings.seed)
    if faces.empty:
        write_archive(path, [])
        return Outcome(pd.DataFrame(columns=SYNTHETIC.columns), 0, 0, 0)
    fitter = _Fitter()
    with Archive(images) as archive, ThreadPoolExecutor(_WORKERS) as pool:

        def read(name: str) -> Image:
            return _at_most(decode(archive.read(name), math.inf), _LONGEST_SHORT_SIDE)

        def cut(name: str) -> Fabric | None:
            image = read(name)
            fitted = fitter.fit(image)
            return None if fitted is None else cut_out(image, fitted.points)

        def draw(face: dict[str, str]) -> list[_Picture] | None:
            image = read(face["id"])
            fitted = fitter.fit(image)
            return None if fitted is None else _draw_on(image, fitted, face, cut_outs, settings)

        masked = choose(table, "with_mask", _CUT_OUT_TRIES, settings.seed)["id"]
        pieces = track(pool.map(cut, masked), total=len(masked), desc="cutting out masks")
        cut_outs = [piece for piece in pieces if piece is not None]
        drawn = pool.map(draw, faces.to_dict("records"))
        results = list(track(drawn, total=len(faces), desc="drawing masks", unit="faces"))
    pictures = sorted((picture for result in results for picture in result or []), key=lambda item: item.name)
    write_archive(path, ((picture.name, picture.data) for picture in pictures))
    rows = pd.DataFrame([picture.row for picture in pictures], columns=SYNTHETIC.columns)
    return Outcome(rows, len(faces), sum(result is None for result in results), len(cut_outs))


@dataclass(frozen=True)
class Choice:
    """What is drawn on a face: how the mask is worn and made, whether it is dark, and whether a face shield is added.

    Each is drawn independently of the others, so that the make of a mask tells nothing about how it is worn.
    """

    kind: Kind
    style: Style
    dark: bool
    shield: bool


def choose_wearing(settings: RenderParams, cut_outs: int, rng: np.random.Generator) -> Choice:
    """Choose what is drawn, by the shares in the settings.

    Args:
        settings: the shares and probabilities.
        cut_outs: how many pieces of real cloth there are; with few, less is drawn with them.
        rng: source of chance.

    Raises:
        FacemaskError: only masks of real cloth are wanted, and there is none.
    """
    styles = {style: settings.styles.get(style, 0) for style in STYLES}
    styles["photographed"] *= min(cut_outs / _ENOUGH_CUT_OUTS, 1)
    if not any(styles.values()):
        raise FacemaskError(
            "render.styles allows photographed masks only, but none could be cut out of the photographs of the "
            "training part: give another style a share above 0"
        )
    return Choice(
        kind=_draw_by_share({kind: settings.kinds.get(kind, 0) for kind in KINDS}, rng),
        style=_draw_by_share(styles, rng),
        dark=bool(rng.random() < settings.dark),
        shield=bool(rng.random() < settings.face_shield),
    )


def choose_shown(table: pd.DataFrame, per_kind: int) -> dict[str, list[str]]:
    """Choose pictures for a contact sheet: the first of each kind by id, whose order is as good as chance."""
    return {kind: list(table[table["kind"] == kind]["id"][:per_kind]) for kind in KINDS}


class _Fitter:
    """As many face meshes as there are threads, lent to whoever asks."""

    def __init__(self) -> None:
        model = load_mesh()
        self._free: SimpleQueue[FaceMesh] = SimpleQueue()
        for _ in range(_WORKERS):
            self._free.put(FaceMesh(model))

    def fit(self, image: Image) -> Face | None:
        mesh = self._free.get()
        try:
            return mesh.fit(image)
        finally:
            self._free.put(mesh)


def _draw_on(
    image: Image, fitted: Face, face: dict[str, str], cut_outs: list[Fabric], settings: RenderParams
) -> list[_Picture]:
    name = hashlib.sha256(face["id"].encode()).hexdigest()[:16]
    pictures = []
    for number in range(settings.per_face):
        rng = np.random.default_rng([settings.seed, number, int(name, 16)])
        choice = choose_wearing(settings, len(cut_outs), rng)
        if choice.style == "photographed":
            fabric = vary_cut_out(cut_outs[rng.integers(len(cut_outs))], choice.dark, rng)
        else:
            fabric = draw_fabric(choice.style, choice.dark, rng)
        view, points = make_room(image, fitted.points, rng)
        instead = INSTEAD.get(choice.kind)
        for kind in (choice.kind, instead) if instead and settings.kinds.get(instead) else (choice.kind,):
            picture = draw_mask(view, points, kind, choice.style, fabric, rng)
            if picture is not None:
                picture = draw_shield(picture, points, rng) if choice.shield else picture
                pictures.append(_packed(picture, face, f"{name}-{number}", replace(choice, kind=kind)))
                break
    return pictures


def _draw_by_share(shares: dict[Item, float], rng: np.random.Generator) -> Item:
    weights = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(shares), p=weights / weights.sum())]


def _packed(picture: Image, face: dict[str, str], name: str, choice: Choice) -> _Picture:
    label = LABELS[choice.kind]
    path = f"{SOURCE}/{label}/{name}.jpg"
    row: dict[str, str | bool] = {
        "id": path,
        "source": SOURCE,
        "label": label,
        "group": face["group"],
        "part": face["part"],
        "photograph": face["id"],
        "kind": choice.kind,
        "style": choice.style,
        "shield": choice.shield,
    }
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return _Picture(path, row, packed.tobytes())


def _at_most(image: Image, side: int) -> Image:
    """Shrink a picture so that its shorter side is at most `side` pixels."""
    height, width = image.shape[:2]
    scale = side / min(height, width)
    if scale >= 1:
        return image
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
