"""Synthetic masks and objects for the training part: choice of faces and textures, drawing."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import EngineKind, RenderParams
from facemask.core.progress import track
from facemask.data.synthetic.cutting import cut_out
from facemask.data.synthetic.draw import LABELS, draw_mask, make_room
from facemask.data.synthetic.fabric import STYLES, Fabric, Image, Style, draw_fabric, vary_cut_out
from facemask.data.synthetic.face_shield import draw_shield
from facemask.data.synthetic.objects import choose_object, draw_before_bare, draw_before_mask, draw_below_mask
from facemask.data.synthetic.pose import Pose, childlike, draw_pose, turn
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import decode
from facemask.dataset.split import part_of
from facemask.dataset.synthetic import KINDS, NO_OBJECT, OBJECTS, PHOTOGRAPH, SOURCE, SYNTHETIC, Kind
from facemask.engine.mapping import map_ordered
from facemask.faces.mesh import Face, FaceMesh, load_mesh

Row = dict[str, str]

Item = TypeVar("Item")
Result = TypeVar("Result")

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
_MOST_COPIES = 8  # of one photograph, turned
_THREADS = 2  # of the engine `local`
# Told to generators of their own: the masks are the same with and without poses and objects.
_POSE, _COPY, _OBJECT = 1, 2, 3


@dataclass(frozen=True)
class Outcome:
    """Result of drawing synthetic masks.

    Attributes:
        table: a row for each picture, with the columns of `data/rendered.csv`, sorted by id.
        faces: how many bare faces were tried.
        without_fit: how many of them the face mesh did not fit.
        cut_outs: how many pieces of real cloth there were to draw with.
        photographs: for each class, how many photographs were to be turned, and how many the face mesh did not fit.
    """

    table: pd.DataFrame
    faces: int
    without_fit: int
    cut_outs: int
    photographs: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Picture:
    """A picture for training: its id, its row in `data/rendered.csv`, and the JPEG file."""

    name: str
    row: dict[str, str | int | bool]
    data: bytes


@dataclass(frozen=True)
class _Drawn:
    """What a picture shows: columns of `data/rendered.csv`."""

    kind: str
    style: str
    object: str = NO_OBJECT
    shield: bool = False


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
    """Draw masks and objects over bare faces of the training part, and write the pictures into one archive.

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
        return Outcome(pd.DataFrame(columns=SYNTHETIC.columns), 0, 0, 0, {})
    model = load_mesh()
    with Archive(images) as archive:

        def mapped(work: Callable[[Image, Face, Row], Result], rows: Iterable[Row]) -> Iterator[Result | None]:
            items = ((row, archive.read(row["id"])) for row in rows)
            make = partial(_on_fitted, model, work)
            return map_ordered(engine, make, items, threads=_THREADS, weigh=lambda item: len(item[1]))

        def cut(image: Image, fitted: Face, _: Row) -> Fabric | None:
            return cut_out(image, fitted.points)

        masked = _rows(choose(table, "with_mask", _CUT_OUT_TRIES, settings.seed))
        pieces = track(mapped(cut, masked), len(masked), "cutting out masks")
        cut_outs = [piece for piece in pieces if piece is not None]

        def draw(image: Image, fitted: Face, face: Row) -> list[Picture]:
            return draw_on(image, fitted, face, cut_outs, settings) + _with_object(image, fitted, face, settings)

        results = list(track(mapped(draw, _rows(faces)), len(faces), "drawing masks", "faces"))

        def pose(image: Image, fitted: Face, photograph: Row) -> list[Picture]:
            return _turned(image, fitted, photograph, settings)

        originals = _to_turn(table, settings)
        tried = list(track(mapped(pose, originals), len(originals), "turning heads"))
    pictures = [picture for result in results for picture in result or []]
    pictures += _in_proportion([picture for result in tried for picture in result or []], pictures)
    pictures.sort(key=lambda picture: picture.name)
    write_archive(path, ((picture.name, picture.data) for picture in pictures))
    rows = pd.DataFrame([picture.row for picture in pictures], columns=SYNTHETIC.columns)
    without_fit = Counter(face["label"] for face, result in zip(originals, tried, strict=True) if result is None)
    photographs = {
        label: {"tried": count, "without_fit": without_fit[label]}
        for label, count in sorted(Counter(face["label"] for face in originals).items())
    }
    return Outcome(rows, len(faces), sum(result is None for result in results), len(cut_outs), photographs)


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
    """Choose pictures for a contact sheet: some of each kind and each object, and turned photographs.

    They are the first by id, whose order is as good as chance. Objects are shown with and without a mask, turned
    photographs of all classes in turn.
    """
    plain = table[table["object"] == NO_OBJECT]
    shown: dict[str, list[str]] = {kind: list(plain[plain["kind"] == kind]["id"][:per_kind]) for kind in KINDS}
    for name in OBJECTS:
        rows = table[table["object"] == name]
        masked = list(rows[rows["kind"] != "bare"]["id"][: per_kind // 2])
        shown[name] = list(rows[rows["kind"] == "bare"]["id"][: per_kind - len(masked)]) + masked
    photographs = table[table["kind"] == PHOTOGRAPH]
    mixed = photographs.iloc[np.argsort(photographs.groupby("label").cumcount(), kind="stable")]
    return {**shown, PHOTOGRAPH: list(mixed["id"][:per_kind])}


def _on_fitted(
    model: bytes, work: Callable[[Image, Face, Row], Result]
) -> Callable[[tuple[Row, bytes]], Result | None]:
    """Make a function of a row and its file: what `work` returns, or None if the face mesh does not fit."""
    mesh = FaceMesh(model)

    def apply(item: tuple[Row, bytes]) -> Result | None:
        row, content = item
        image = _read(content)
        fitted = mesh.fit(image)
        return None if fitted is None else work(image, fitted, row)

    return apply


def _rows(table: pd.DataFrame) -> list[Row]:
    return table.to_dict("records")


def _read(content: bytes) -> Image:
    """Decode a picture and shrink it to what training looks at."""
    return _at_most(decode(content, math.inf), _LONGEST_SHORT_SIDE)


def draw_on(image: Image, fitted: Face, face: Row, cut_outs: list[Fabric], settings: RenderParams) -> list[Picture]:
    """Draw `settings.per_face` masks over a bare face, each in a picture, a pose, and a cloth of its own.

    Args:
        image: uint8 (height, width, 3), RGB.
        fitted: the face's mesh.
        face: its row in the split.
        cut_outs: pieces of real cloth.
        settings: of the drawing.
    """
    name = _name(face)
    pictures = []
    for number in range(settings.per_face):
        seeds = [settings.seed, number, int(name, 16)]
        rng, chance = np.random.default_rng(seeds), np.random.default_rng([*seeds, _OBJECT])
        choice = choose_wearing(settings, len(cut_outs), rng)
        if choice.style == "photographed":
            fabric = vary_cut_out(cut_outs[rng.integers(len(cut_outs))], choice.dark, rng)
        else:
            fabric = draw_fabric(choice.style, choice.dark, rng)
        pose = draw_pose(fitted.points, settings.turned, settings, np.random.default_rng([*seeds, _POSE]))
        view, upright = childlike(*make_room(image, fitted.points, rng), pose.childlike)
        view, points = turn(view, upright, pose.yaw, pose.pitch, pose.roll)
        thing = NO_OBJECT if choice.kind == "bare" else choose_object(settings, masked=True, rng=chance)
        view, below = draw_below_mask(view, points, thing, chance)
        instead = INSTEAD.get(choice.kind)
        for kind in (choice.kind, instead) if instead and settings.kinds.get(instead) else (choice.kind,):
            front = upright if pose.is_turned else None
            picture = draw_mask(view, points, kind, choice.style, fabric, rng, front)
            if picture is not None:
                picture, before = draw_before_mask(view, picture, points, kind, thing, chance)
                picture = draw_shield(picture, points, rng) if choice.shield else picture
                drawn = _Drawn(kind, choice.style, thing if below or before else NO_OBJECT, choice.shield)
                pictures.append(_packed(picture, face, f"{name}-{number}", LABELS[kind], drawn, pose))
                break
    return pictures


def _with_object(image: Image, fitted: Face, face: Row, settings: RenderParams) -> list[Picture]:
    """Draw an object about a bare face, or about none: the share of faces that have one is a setting."""
    name = _name(face)
    seeds = [settings.seed, settings.per_face, int(name, 16)]
    rng = np.random.default_rng([*seeds, _OBJECT])
    thing = choose_object(settings, masked=False, rng=rng)
    if thing == NO_OBJECT:
        return []
    pose = draw_pose(fitted.points, settings.turned, settings, np.random.default_rng([*seeds, _POSE]))
    view, points = childlike(*make_room(image, fitted.points, rng), pose.childlike)
    view, points = turn(view, points, pose.yaw, pose.pitch, pose.roll)
    picture = draw_before_bare(view, points, thing, rng)
    if picture is None:
        return []
    shield = bool(rng.random() < settings.face_shield)
    picture = draw_shield(picture, points, rng) if shield else picture
    drawn = _Drawn("bare", "none", thing, shield)
    return [_packed(picture, face, f"{name}-{settings.per_face}", LABELS["bare"], drawn, pose)]


def _to_turn(table: pd.DataFrame, settings: RenderParams) -> list[Row]:
    """Choose the photographs that are to be turned; `copies` says how often: more than once where a class has few."""
    chosen = []
    for label in CLASSES:
        of_class = choose(table, label, settings.turned_photographs, settings.seed)
        copies = min(math.ceil(settings.turned_photographs / max(len(of_class), 1)), _MOST_COPIES)
        chosen += _rows(of_class.assign(copies=str(copies)))
    return chosen


def _turned(image: Image, fitted: Face, photograph: Row, settings: RenderParams) -> list[Picture]:
    """Turn a photograph's head, each time differently; it keeps its label."""
    name = _name(photograph)
    pictures = []
    for number in range(int(photograph["copies"])):
        rng = np.random.default_rng([settings.seed, number, int(name, 16), _COPY])
        pose = draw_pose(fitted.points, 1, settings, rng)
        view, _ = turn(*childlike(image, fitted.points, pose.childlike), pose.yaw, pose.pitch, pose.roll)
        drawn = _Drawn(PHOTOGRAPH, PHOTOGRAPH)
        pictures.append(_packed(view, photograph, f"{name}-turned-{number}", photograph["label"], drawn, pose))
    return pictures


def _in_proportion(photographs: list[Picture], drawn: list[Picture]) -> list[Picture]:
    """Keep as many turned photographs of each class, relative to its drawn pictures, as the scarcest class has."""
    there = Counter(picture.row["label"] for picture in photographs)
    wanted = Counter(picture.row["label"] for picture in drawn)
    share = min((there[label] / count for label, count in wanted.items()), default=0)
    kept = []
    for label, count in wanted.items():
        of_class = sorted((item for item in photographs if item.row["label"] == label), key=lambda item: item.name)
        kept += of_class[: round(share * count)]
    return kept


def _name(face: Row) -> str:
    return hashlib.sha256(face["id"].encode()).hexdigest()[:16]


def _draw_by_share(shares: dict[Item, float], rng: np.random.Generator) -> Item:
    weights = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(shares), p=weights / weights.sum())]


def _packed(picture: Image, face: Row, name: str, label: str, drawn: _Drawn, pose: Pose) -> Picture:
    name = f"{SOURCE}/{label}/{name}.jpg"
    row: dict[str, str | int | bool] = {
        "id": name,
        "source": SOURCE,
        "label": label,
        "group": face["group"],
        "part": face["part"],
        "photograph": face["id"],
        **asdict(drawn),
        "yaw": pose.yaw,
        "pitch": pose.pitch,
    }
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Picture(name, row, packed.tobytes())


def _at_most(image: Image, side: int) -> Image:
    """Shrink a picture so that its shorter side is at most `side` pixels."""
    height, width = image.shape[:2]
    scale = side / min(height, width)
    if scale >= 1:
        return image
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
