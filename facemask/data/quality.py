"""Low-quality images: single-coloured, posterised, too small, or hopelessly blurred."""

import numpy as np
import pandas as pd

from facemask.core.params import JunkParams

NEAR_CONSTANT = "near_constant"
POSTERISED = "posterised"
TOO_SMALL = "too_small"
BLURRED = "blurred"
JUNK_FLAGS: tuple[str, ...] = (NEAR_CONSTANT, POSTERISED, TOO_SMALL, BLURRED)


def flag_junk(table: pd.DataFrame, settings: JunkParams) -> pd.Series:
    """Flag low-quality images with the reason.

    A near-constant picture is not called posterised or blurred as well: there is nothing in it to judge by.

    Args:
        table: one row per picture, with the columns `width`, `height` (pixels) and `contrast`, `posterisation` and
            `sharpness` of `facemask.dataset.image_stats`.
        settings: the limits.

    Returns:
        str, with the index of `table`: words of `JUNK_FLAGS` parted by spaces, "" where nothing is wrong.
    """
    constant = table["contrast"] < settings.near_constant
    reasons = {
        NEAR_CONSTANT: constant,
        POSTERISED: ~constant & (table["posterisation"] > settings.posterised),
        TOO_SMALL: table[["width", "height"]].min(axis=1) < settings.too_small,
        BLURRED: ~constant & (table["sharpness"] < settings.blurred),
    }
    flagged = np.column_stack([reasons[flag] for flag in JUNK_FLAGS])
    words = [" ".join(flag for flag, applies in zip(JUNK_FLAGS, row, strict=True) if applies) for row in flagged]
    return pd.Series(words, index=table.index, dtype="str", name="flags")
