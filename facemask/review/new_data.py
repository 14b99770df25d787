"""Check of new images before training; nothing in the project is written.

They are fetched and read as the pipeline would do it, in a temporary folder. Copies are found as the stage `group`
finds them, but only pairs with a new image are looked at, and the groups of the images that are there stay together.
"""

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import write_json
from facemask.core.params import (
    FolderMap,
    FolderMapped,
    FolderSource,
    GroupParams,
    KaggleSource,
    Params,
    Source,
    load_params,
)
from facemask.data.duplicates.grouping import LINKS, connect, find_links
from facemask.data.merge import merge
from facemask.data.quality import flag_junk
from facemask.data.sources import card, fetch
from facemask.data.sources.folder import check_watched
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.folders import walk
from facemask.dataset.manifest import MANIFEST, PICTURE
from facemask.dataset.split import SPLIT
from facemask.review.drift import Drift, drift

IMAGES = Path("data/images.zip")
MANIFEST_FILE = Path("data/manifest.csv")
SPLIT_FILE = Path("data/split.csv")
BACKBONE = Path("models/backbone.weights.h5")

# What a new image is.
EXACT = "exact copy"
CHANGED = "changed copy"
NEW = "new"

MEASURES = ("brightness", "side")
FEATURES = "features"

# Photographs of a class that are compared for drift, at most: more take longer and hardly say more. Those of training
# are drawn from its sources in equal numbers, as they are for training.
_MOST_NEW = 300
_MOST_TRAINING = 700
_SEED = 1

_MARK = "+"  # before the names of new sources: no image in data/images.zip can be called like one of theirs
_MANY = 500  # images; for fewer, making the graph for the quicker engine takes longer than it saves


@dataclass(frozen=True)
class Shift:
    """Distance of the new photographs from the training data in one respect.

    Attributes:
        drift: the distance, and what is usual.
        new, training: medians, of each class on its own and then averaged by the number of new photographs of the
            class; None for features.
    """

    drift: Drift
    new: float | None = None
    training: float | None = None


@dataclass(frozen=True)
class NewData:
    """Findings about new images.

    Attributes:
        title: what was looked at, in words.
        there: images that the project has and keeps; columns `id`, `label`, `sha256`, `part` and `group`.
        images: the new ones, sorted by id; columns `id` (the name that the pipeline would give it, or the path in the
            folder or zip), `label`, `sha256`, `width`, `height`, the measures, and
            `group`: the photograph; copies have one in common, also with those in `there`.
            `kind`: `EXACT` or `CHANGED`, copies of an image that is there; or `NEW`.
            `original`, `part`: the image that it is a copy of, and where that is; "" for new ones.
            `contradicts`, `other_label`: an image of the same photograph, there or new, with another label; "" if none.
            `junk`: words of `facemask.data.quality`, or "".
        unchanged: how many images the project has already, from the same source, under the same name.
        went: how many images of the same source the project has that are not among those looked at.
        missing: classes of which there is not one image that can be used.
        left_out: path and reason of each file that cannot be used or lies in no folder of a class.
        shifts: by what was compared: `MEASURES` (`side` is the shorter one, in pixels) and `FEATURES`; empty if no
            class has both new photographs and some to compare them with.
        like: sources, where training has several, in whose photographs the new ones are as usual in every respect.
    """

    title: str
    there: pd.DataFrame
    images: pd.DataFrame
    unchanged: int
    went: int
    missing: Sequence[str]
    left_out: Sequence[tuple[str, str]]
    shifts: Mapping[str, Shift]
    like: Sequence[str]

    @property
    def brought(self) -> pd.DataFrame:
        """Rows of `images` to learn from: no copies of what is there, no junk, no contradictions."""
        return _brought(self.images)


def check_new_data(what: Sequence[str], version: int | None = None, folders_of: str | None = None) -> NewData:
    """Find out what new images would bring to the project in the current folder.

    Args:
        what: entries of `sources` in params.yaml, or one folder or zip with photographs. Of an entry that is in use,
            what the project has already does not count as new.
        version: of the one Kaggle set in `what`, instead of that in params.yaml.
        folders_of: entry of `sources` whose folder map holds for the folder or zip; without it, folders that are called
            as a class is are looked for.

    Raises:
        FacemaskError: something is missing or cannot be used; the message says what to do.
    """
    params = load_params()
    _require(IMAGES, MANIFEST_FILE, SPLIT_FILE, BACKBONE)
    known = (
        MANIFEST.read(MANIFEST_FILE)
        .merge(SPLIT.read(SPLIT_FILE)[["id", "part"]], on="id", how="left")
        .fillna({"part": ""})
    )
    with tempfile.TemporaryDirectory() as folder:
        raw, archive = Path(folder) / "raw", Path(folder) / "images.zip"
        names = _pack(what, version, folders_of, params, raw)
        merged = merge(names, raw, archive, params.merge, needed=())
        found = merged.catalogue
        found["name"] = [_shown(name) for name in found["id"]]
        if PICTURE in found:
            found[PICTURE] = found[PICTURE].str.removeprefix(_MARK)
        in_use = known["source"].isin([name.removeprefix(_MARK) for name in names])
        same = found.merge(known[in_use][["id", "sha256"]], left_on=["name", "sha256"], right_on=["id", "sha256"])[
            "name"
        ]
        went = in_use & ~known["id"].isin(same)
        there = known[~went].reset_index(drop=True)
        came = found[~found["name"].isin(same)].reset_index(drop=True)
        with Archive(IMAGES) as old, Archive(archive) as new:
            archives = Archives(old, new)
            there, came = _with_copies(there, came, archives, params.group)
            came["junk"] = flag_junk(came, params.group.junk)
            shifts, like = _shifts(_brought(came), there[there["part"] == "train"], archives, params.train.image_size)
    return NewData(
        title=" and ".join(what) + (f", version {version}" if version else ""),
        there=there[["id", "label", "sha256", "part", "group"]],
        images=came.assign(id=came["name"]).drop(columns="name").sort_values("id", ignore_index=True),
        unchanged=len(same),
        went=int(went.sum()),
        missing=[label for label in CLASSES if label not in set(found["label"])],
        left_out=[(path, reason) for _, path, reason in merged.left_out],
        shifts=shifts,
        like=like,
    )


def _require(*paths: Path) -> None:
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise FacemaskError(
            f"new data is compared with that of a finished run, and {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing: run `dvc pull` "
            "where there is a DVC remote, else `dvc repro backbone split`"
        )


# --- what is looked at


def _pack(what: Sequence[str], version: int | None, folders_of: str | None, params: Params, raw: Path) -> list[str]:
    """Write each set as the stage `download` does, and return the names under which the stage `merge` finds them."""
    unknown = [name for name in what if name not in params.sources]
    if unknown and len(what) > 1:
        raise FacemaskError(
            f"{unknown[0]!r} is not an entry of `sources` in params.yaml ({', '.join(params.sources)}); check a folder "
            "or zip file on its own"
        )
    if folders_of is not None and not unknown:
        raise FacemaskError(f"{what[0]!r} has a folder map of its own: leave out --folders-of")
    if unknown and version is not None:
        raise FacemaskError("--version is that of a Kaggle set: name its entry of `sources` in params.yaml with it")
    if unknown:
        _pack_path(Path(what[0]).expanduser(), _folder_map(folders_of, params), raw)
        return [_MARK]
    for name in dict.fromkeys(what):
        source = params.sources[name]
        if isinstance(source, FolderSource) and name in params.data.sources:
            check_watched(name, source, params.data.own)
        _pack_source(f"{_MARK}{name}", _of_version(name, source, version, what), raw)
    return [f"{_MARK}{name}" for name in dict.fromkeys(what)]


def _pack_source(name: str, source: Source, raw: Path) -> None:
    left_out = fetch(source, raw / f"{name}.zip")
    write_json(raw / f"{name}.json", card(source, left_out))


def _of_version(name: str, source: Source, version: int | None, what: Sequence[str]) -> Source:
    if version is None:
        return source
    if not isinstance(source, KaggleSource) or len(what) > 1:
        raise FacemaskError(f"--version is for one Kaggle set, which {' and '.join(what)} is not: leave it out")
    if version < 1:
        raise FacemaskError(f"--version {version}: versions of {name} are numbered from 1")
    # What is pinned is the content of another version.
    return source if version == source.version else source.model_copy(update={"version": version, "content": None})


def _folder_map(name: str | None, params: Params) -> FolderMap | None:
    if name is None:
        return None
    having = {
        other: one.folders
        for other, one in params.sources.items()
        if isinstance(one, FolderMapped) and one.boxes is None
    }
    if name not in having:
        raise FacemaskError(
            f"--folders-of {name}: no entry of `sources` of this name has a folder map; name one of {', '.join(having)}"
        )
    return having[name]


def _pack_path(path: Path, folders: FolderMap | None, raw: Path) -> None:
    """Pack a folder or zip file, with a card that names its class folders."""
    archive = raw / f"{_MARK}.zip"
    if path.is_dir():
        walked = walk(path)
        chosen = _class_folders(path, _folders_of(walked.files), folders, walked.linked)
        fetch(FolderSource(kind="folder", path=str(path), folders=chosen), archive)
    elif path.is_file():
        _check_zip(path)
        raw.mkdir(parents=True)
        shutil.copyfile(path, archive)
    else:
        raise FacemaskError(
            f"{str(path)!r} is neither an entry of `sources` in params.yaml nor a folder or zip: check the name"
        )
    with Archive(archive) as packed:
        filled = _folders_of(packed.names)
    write_json(raw / f"{_MARK}.json", {"folders": _class_folders(path, filled, folders)})


def _check_zip(path: Path) -> None:
    """Read the whole zip, so that what is wrong with it is said of this file instead of its copy."""
    with Archive(path) as packed:
        for name in packed.names:
            packed.read(name)


def _folders_of(files: Iterable[str]) -> list[str]:
    return sorted({str(parent) for name in files for parent in PurePosixPath(name).parents} - {"."})


def _class_folders(
    path: Path, there: Sequence[str], folders: FolderMap | None, linked: Sequence[str] = ()
) -> FolderMap:
    """Choose the class folders: those of a map, or those named after a class.

    Raises:
        FacemaskError: there is none.
    """
    named = {name: PurePosixPath(name).name for name in there}
    chosen = {name: label for name, label in named.items() if label in CLASSES}
    if folders is not None:
        chosen = {name: label for name, label in folders.items() if name in there}
    if not chosen:
        listing = ", ".join(there[:10]) + (" ..." if len(there) > 10 else "") or "no folder with files"
        if linked:
            listing += f", besides links to folders, which are not searched ({', '.join(linked[:10])})"
        raise FacemaskError(
            f"no photograph in {path} lies in a folder of a class ({', '.join(folders or CLASSES)}); there is "
            f"{listing}: name the folders so, or use the folder map of an entry of `sources` with "
            "--folders-of"
        )
    return chosen


def _shown(name: str) -> str:
    """Name a new image for people: as the pipeline would, or by its path in the folder or zip."""
    source, _, path = name.split("/", 2)
    return path if source == _MARK else name.removeprefix(_MARK)


# --- copies


def _with_copies(
    there: pd.DataFrame, came: pd.DataFrame, archives: Archives, settings: GroupParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add `group` to both tables, and to the new images what they are copies of."""
    exact = came["sha256"].isin(there["sha256"])
    links = pd.DataFrame([], columns=LINKS.columns)
    if not exact.all():
        searched = pd.concat([there, came[~exact]]).filter(["id", "sha256", PICTURE])
        links = find_links(archives, searched, settings, scratch=IMAGES.parent, among=set(came.loc[~exact, "id"]))
    both = pd.concat([there, came], ignore_index=True)
    both["group"] = connect(both, pd.concat([_anchors(there), links.astype({"agreement": "float64"})]))
    both["part"] = both["part"].fillna("")
    there, came = both[: len(there)], both[len(there) :].reset_index(drop=True)
    original = _originals(there, came, links)
    came["original"] = original
    came["part"] = original.map(there.set_index("id")["part"]).fillna("")
    came["kind"] = np.select([exact, original != ""], [EXACT, CHANGED], NEW)
    came[["contradicts", "other_label"]] = _contradicted(both, came)
    return there, came


def _anchors(there: pd.DataFrame) -> pd.DataFrame:
    """Link the members of each group, so that groups stay as the stage `group` made them."""
    firsts = there.groupby("group")["id"].transform("first")
    return pd.DataFrame({"first": firsts, "second": there["id"], "agreement": 1.0})[firsts != there["id"]]


def _originals(there: pd.DataFrame, came: pd.DataFrame, links: pd.DataFrame) -> pd.Series:
    """Find the image of which each new one is a copy: the equal one, else the most alike, else one of its group."""
    ends = pd.concat([links, links.rename(columns={"first": "second", "second": "first"})])
    ends = ends[ends["first"].isin(came["id"]) & ends["second"].isin(there["id"])]
    group_of = pd.concat([there, came]).set_index("id")["group"]
    ends = ends[ends["first"].map(group_of) == ends["second"].map(group_of)]
    ends = ends.sort_values(["agreement", "second"], ascending=[False, True])
    equal, first_of_group = (there.drop_duplicates(column).set_index(column)["id"] for column in ("sha256", "group"))
    alike = ends.drop_duplicates("first").set_index("first")["second"]
    found = came["sha256"].map(equal)
    for other in (came["id"].map(alike), came["group"].map(first_of_group)):
        found = found.where(found.notna(), other)
    return found.fillna("").astype(str)


def _contradicted(both: pd.DataFrame, came: pd.DataFrame) -> pd.DataFrame:
    """Find, for each new image, one of the same photograph with another label; those that are there come first."""
    firsts = both[both["group"].isin(came["group"])].drop_duplicates(["group", "label"])
    names = firsts["name"].where(firsts["name"].notna(), firsts["id"])
    pairs = came[["id", "group", "label"]].merge(
        firsts.assign(other=names)[["group", "label", "other"]], on="group", suffixes=("", "_other")
    )
    pairs = pairs[pairs["label"] != pairs["label_other"]].drop_duplicates("id").set_index("id")
    named = pairs.reindex(came["id"])[["other", "label_other"]].astype("object").fillna("").reset_index(drop=True)
    return named.set_axis(["contradicts", "other_label"], axis=1)


def _brought(images: pd.DataFrame) -> pd.DataFrame:
    return images[(images["kind"] == NEW) & (images["junk"] == "") & (images["contradicts"] == "")]


# --- drift


def _shifts(
    brought: pd.DataFrame, training: pd.DataFrame, archives: Archives, image_size: int
) -> tuple[dict[str, Shift], list[str]]:
    """Compare new photographs with those of training: all, and those of each source where there are several.

    Returns:
        What was found of all, nothing if no class has some of both; and the sources in which they are as usual.
    """
    brought = _sample(brought, ["label"], _MOST_NEW)
    training = _sample(training, ["label", "source"], _MOST_TRAINING // max(training["source"].nunique(), 1))
    if not _comparable(brought, training):
        return {}, []
    features = _features(archives, [*brought["id"], *training["id"]], image_size)
    new, old = _with_features(brought, features[: len(brought)]), _with_features(training, features[len(brought) :])
    of_source = {str(source): rows for source, rows in old.groupby("source")} if old["source"].nunique() > 1 else {}
    like = [source for source, rows in of_source.items() if _is_as_usual(new, rows)]
    return _shifts_of(new, old), like


def _shifts_of(new: pd.DataFrame, old: pd.DataFrame) -> dict[str, Shift]:
    found = {}
    for name in (*MEASURES, FEATURES):
        values = _by_class(new, name), _by_class(old, name)
        moved = drift(*values, _SEED)
        found[name] = Shift(moved) if name == FEATURES else Shift(moved, *(_typical(one, moved) for one in values))
    return found


def _is_as_usual(new: pd.DataFrame, old: pd.DataFrame) -> bool:
    every_class = set(_comparable(new, old)) == set(new["label"])
    return every_class and not any(shift.drift.unlike for shift in _shifts_of(new, old).values())


def _comparable(new: pd.DataFrame, old: pd.DataFrame) -> list[str]:
    """Name the classes in which the new photographs can be compared: random parts need two in training."""
    counts = old["label"].value_counts()
    return [label for label in CLASSES if (new["label"] == label).any() and counts.get(label, 0) > 1]


def _sample(images: pd.DataFrame, within: list[str], most: int) -> pd.DataFrame:
    """Draw one image of each photograph, and at most so many within each class, or class and source; adds `side`."""
    drawn = images.sort_values("id").sample(frac=1, random_state=_SEED).drop_duplicates("group")
    return drawn.groupby(within).head(most).assign(side=drawn[["width", "height"]].min(axis=1))


def _with_features(table: pd.DataFrame, features: NDArray[np.float32]) -> pd.DataFrame:
    return table.assign(**{FEATURES: list(features)})


def _by_class(table: pd.DataFrame, name: str) -> dict[str, NDArray[np.floating]]:
    return {str(label): np.array(rows[name].tolist(), float) for label, rows in table.groupby("label")}


def _typical(values: Mapping[str, NDArray[np.floating]], moved: Drift) -> float:
    total = sum(moved.photographs.values())
    return float(sum(number / total * np.median(values[label]) for label, number in moved.photographs.items()))


def _features(archives: Archives, names: Sequence[str], image_size: int) -> NDArray[np.float32]:
    from facemask.models.features import compute_features
    from facemask.models.frozen_layers import choose_backend

    engine = choose_backend() if len(names) > _MANY else "tensorflow"
    return compute_features(archives, names, image_size, BACKBONE, engine)
