"""Summary statistics of the data set."""

from collections import Counter
from typing import Any

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.data.duplicates.conflicts import CONTRADICTION, DUPLICATE
from facemask.data.quality import JUNK_FLAGS
from facemask.data.shortcuts import shortcuts
from facemask.dataset.manifest import has_flag


def describe(manifest: pd.DataFrame, left_out: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Sum up the data, as numbers only: the content of `metrics/data.json`.

    Args:
        manifest: as `MANIFEST.read` returns it.
        left_out: what no image could be made of, with the column `reason`.
        seed: for the folds and permutations of the shortcuts.

    Raises:
        FacemaskError: every photograph stands under two labels, so there is nothing to learn from.
    """
    words = Counter(word for flags in manifest["flags"] for word in flags.split())
    reasons = Counter(left_out["reason"])
    sound = manifest[~has_flag(manifest, CONTRADICTION)]
    if sound.empty:
        raise FacemaskError(
            "every photograph has two labels, so it is unknown what any of them shows; give each image one "
            "place, in the folder of its class"
        )
    return {
        "images": len(manifest),
        "groups": int(manifest["group"].nunique()),
        DUPLICATE + "s": words[DUPLICATE],
        CONTRADICTION + "s": words[CONTRADICTION],
        "junk": {flag: words[flag] for flag in JUNK_FLAGS},
        "left_out": {"total": len(left_out), **dict(sorted(reasons.items()))},
        "label": _by_label(manifest),
        "groups_by_label": {label: int(_of(manifest, label)["group"].nunique()) for label in CLASSES},
        "source": {str(source): _by_label(rows) for source, rows in manifest.groupby("source", sort=True)},
        "width": _spread(manifest["width"]),
        "height": _spread(manifest["height"]),
        "format": {str(name): int(count) for name, count in manifest["format"].value_counts().sort_index().items()},
        "shortcuts": shortcuts(sound, seed),
    }


def _of(table: pd.DataFrame, label: str) -> pd.DataFrame:
    return table[table["label"] == label]


def _by_label(table: pd.DataFrame) -> dict[str, int]:
    return {label: len(_of(table, label)) for label in CLASSES}


def _spread(lengths: pd.Series) -> dict[str, float]:
    return {"min": int(lengths.min()), "median": float(lengths.median()), "max": int(lengths.max())}
