"""Group-wise, stratified split into train, val and test that stays as it is when data comes or goes.

Every file has a place between 0 and 1: a hash of its bytes and the seed. A photograph has the lowest place of its
copies, that of its canonical copy. The photographs of a class in a source stand in the order of their places: the first
are in test, the next in val, the rest in train. (A hash instead of a shuffle: Géron, Hands-On Machine Learning, 2019,
chapter 2.) From this follows:

- A photograph that comes or goes moves the borders by one photograph at most; the others stay where they are.
- The shares hold in every class of every source, to within one photograph; with three photographs or more, each part
  has one.
- If two photographs turn out to be one, their place can only become lower. It is looked up in the classes and sources
  of all its files, and the first of test, val and train counts. So a test photograph does not get into training by
  being merged with another.
- A photograph with many copies has more places to draw from, so its chance to be in test is higher. It counts once in
  the figures all the same.
- Faces that were cut out of one picture go to one part, with the place of one of them: the lowest place of all would
  send crowds to test. For them the shares hold by picture.
"""

import hashlib
from typing import Any

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import SplitParams
from facemask.data.duplicates.conflicts import CONTRADICTION
from facemask.data.quality import JUNK_FLAGS
from facemask.dataset.manifest import PICTURE, clusters, has_flag
from facemask.dataset.split import DROPPED, PARTS


def split(manifest: pd.DataFrame, settings: SplitParams) -> pd.DataFrame:
    """Assign every image of the manifest to a part; the module docstring has the rule.

    Args:
        manifest: as `MANIFEST.read` returns it.
        settings: the shares, the seed, and what becomes of contradictions and junk.

    Returns:
        One row per image, in the order of the manifest, with the columns of `SPLIT`; `reason` says why an image was
        dropped and is empty for the others.
    """
    table = manifest[["id", "source", "label", "group", *([PICTURE] if PICTURE in manifest else [])]].copy()
    cluster = clusters(manifest)
    table["reason"] = _reasons(manifest, settings)
    table["part"] = DROPPED
    used = table["reason"] == ""
    places = manifest.loc[used, "sha256"].map(lambda digest: place_of(digest, settings.seed))
    parts = assign_parts(table[used].assign(cluster=cluster, place=places), settings)
    table.loc[used, "part"] = cluster[used].map(parts)
    return table


def place_of(sha256: str, seed: int) -> float:
    """Return the place of a file in the order of the split, from 0 to 1: a hash of its bytes and the seed."""
    return int.from_bytes(hashlib.sha256(f"{seed} {sha256}".encode()).digest()[:8]) / 2**64


def assign_parts(table: pd.DataFrame, settings: SplitParams) -> pd.Series:
    """Assign clusters (see `facemask.dataset.manifest.clusters`) to parts.

    Args:
        table: columns source, label, group, cluster and place.
        settings: the shares.

    Returns:
        The part of each cluster, indexed by cluster.
    """
    table = table.assign(place=table.groupby("group")["place"].transform("min")).sort_values("group")
    table["place"] = table.groupby("cluster")["place"].transform("first")
    units = table.drop_duplicates(["label", "source", "cluster"]).sort_values(["place", "cluster"])
    strata = units.groupby(["label", "source"])
    rank, size = strata.cumcount(), strata["cluster"].transform("size")
    enough = size >= len(PARTS)
    test = (size * settings.test).round().clip(lower=enough.astype(int))
    val = (size * settings.val).round().clip(lower=enough.astype(int)).clip(upper=(size - test - 1).clip(lower=0))
    # In the order of preference where a photograph has files in several strata.
    order = (rank >= test).astype(int) + (rank >= test + val)
    return order.groupby(units["cluster"]).min().map(dict(enumerate(("test", "val", "train"))))


def _reasons(manifest: pd.DataFrame, settings: SplitParams) -> pd.Series:
    """Return the reason why an image is in no part, "" if it is in one."""
    reasons = pd.Series("", index=manifest.index)
    if settings.junk == "drop":
        words = manifest["flags"].str.split()
        reasons = words.map(lambda flags: " ".join(flag for flag in JUNK_FLAGS if flag in flags))
    contradicting = has_flag(manifest, CONTRADICTION)
    if settings.contradictions == "majority":
        contradicting &= ~_of_majority(manifest)
    return reasons.mask(contradicting, "contradicting labels")


def _of_majority(manifest: pd.DataFrame) -> pd.Series:
    """Check whether an image has the most frequent label of its group; none has if two are equally frequent."""
    counts = manifest.groupby(["group", "label"]).size().rename("count").reset_index()
    most = counts.groupby("group")["count"].transform("max")
    first = counts[counts["count"] == most].drop_duplicates("group", keep=False).set_index("group")["label"]
    return manifest["label"] == manifest["group"].map(first)


def check_split(table: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, int]:
    """Check for leaks, and for parts in which a class is missing.

    The check by bytes does not rely on the groups, so it also finds groups that were made wrongly.

    Returns:
        Number of groups, of files with equal bytes, and of pictures that faces were cut out of, if there are any, that
        stand in more than one part: zeros.

    Raises:
        FacemaskError: there is a leak, or a class is missing in a part.
    """
    used = table[table["part"] != DROPPED].merge(manifest[["id", "sha256"]], on="id")
    leaks = {
        "groups_in_two_parts": int((used.groupby("group")["part"].nunique() > 1).sum()),
        "equal_files_in_two_parts": int((used.groupby("sha256")["part"].nunique() > 1).sum()),
    }
    if PICTURE in table:
        pictures = used[used[PICTURE] != ""]
        leaks["pictures_in_two_parts"] = int((pictures.groupby(PICTURE)["part"].nunique() > 1).sum())
    if any(leaks.values()):
        raise FacemaskError(f"the split leaks: {leaks}; the same picture would be trained on and tested on")
    counts = pd.crosstab(used["label"], used["part"]).reindex(index=list(CLASSES), columns=list(PARTS), fill_value=0)
    for label, row in counts.iterrows():
        for part, count in row.items():
            if count == 0:
                raise FacemaskError(
                    f"no {label} image is left for {part} ({row.sum()} in all); add images of this class, or change "
                    "split.val, split.test, split.contradictions or split.junk in params.yaml"
                )
    return leaks


def count_parts(table: pd.DataFrame) -> dict[str, Any]:
    """Count images by part, class and source, for `metrics/split.json`."""
    parts = [*PARTS, DROPPED]
    dropped = table[table["part"] == DROPPED]
    return {
        "images": {part: int((table["part"] == part).sum()) for part in parts},
        "groups": {part: int(table.loc[table["part"] == part, "group"].nunique()) for part in parts},
        "dropped": {str(reason): int(n) for reason, n in dropped["reason"].value_counts().sort_index().items()},
        "label": _counts_by(table, "label", parts),
        "source": _counts_by(table, "source", parts),
    }


def _counts_by(table: pd.DataFrame, column: str, parts: list[str]) -> dict[str, dict[str, int]]:
    counts = pd.crosstab(table[column], table["part"]).reindex(columns=parts, fill_value=0).sort_index()
    return {str(name): {part: int(row[part]) for part in parts} for name, row in counts.iterrows()}
