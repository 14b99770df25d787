"""Group-wise, stratified split into train, val and test."""

from typing import Any

import numpy as np
import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import SplitParams
from facemask.data.duplicates.conflicts import CONTRADICTION
from facemask.data.quality import JUNK_FLAGS
from facemask.dataset.manifest import has_flag
from facemask.dataset.split import DROPPED, PARTS


def split(manifest: pd.DataFrame, settings: SplitParams) -> pd.DataFrame:
    """Assign every image of the manifest to a part.

    Groups are dealt out whole, the largest first, each to the part that is furthest below its share of the group's
    class and source.

    Args:
        manifest: as `MANIFEST.read` returns it.
        settings: the shares, the seed, and what becomes of contradictions and junk.

    Returns:
        One row per image, in the order of the manifest, with the columns `COLUMNS`; `reason` says why an image was
        dropped and is empty for the others.
    """
    table = manifest[["id", "source", "label", "group"]].copy()
    table["reason"] = _reasons(manifest, settings)
    table["part"] = DROPPED
    used = table["reason"] == ""
    table.loc[used, "part"] = table.loc[used, "group"].map(_deal(table[used], settings))
    return table


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


def _deal(table: pd.DataFrame, settings: SplitParams) -> dict[str, str]:
    shares = {"train": 1 - settings.val - settings.test, "val": settings.val, "test": settings.test}
    groups = table.groupby("group", sort=True).agg(
        label=("label", "first"), source=("source", "first"), size=("id", "size")
    )
    rng = np.random.default_rng(settings.seed)
    part_of_group: dict[str, str] = {}
    for _, stratum in groups.groupby(["label", "source"], sort=True):
        shuffled = stratum.iloc[rng.permutation(len(stratum))].sort_values("size", ascending=False, kind="stable")
        missing = {part: share * stratum["size"].sum() for part, share in shares.items()}
        for group, size in shuffled["size"].items():
            part = max(PARTS, key=missing.__getitem__)
            part_of_group[str(group)] = part
            missing[part] -= size
    return part_of_group


def check_split(table: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, int]:
    """Check for leaks, and for parts in which a class is missing.

    The check by bytes does not rely on the groups, so it also finds groups that were made wrongly.

    Returns:
        Number of groups, and of files with equal bytes, that stand in more than one part: zeros.

    Raises:
        FacemaskError: there is a leak, or a class is missing in a part.
    """
    used = table[table["part"] != DROPPED].merge(manifest[["id", "sha256"]], on="id")
    leaks = {
        "groups_in_two_parts": int((used.groupby("group")["part"].nunique() > 1).sum()),
        "equal_files_in_two_parts": int((used.groupby("sha256")["part"].nunique() > 1).sum()),
    }
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
