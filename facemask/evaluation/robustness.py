"""What camera troubles and another framing cost: the same test images, troubled in every way and asked about again."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.dataset.archive import Archive
from facemask.dataset.decode import decode, resize
from facemask.evaluation.bootstrap import REPLICATES, figures, percentiles, resample, tally, widest, wilson
from facemask.evaluation.corruptions import CAMERA, FRAMING, LEVELS, TITLES, level_text, strengths
from facemask.models.decision import Decision
from facemask.models.onnx_session import each_image, image_size
from facemask.presentation.contact_sheet import Block

Pixels = NDArray[np.uint8]

CLEAN = "clean"
POINTS = ("trouble", "strength", "level", "images", "accuracy", "low", "high", "balanced_accuracy")
COLUMNS = 6  # tiles in a line of the sheet: the picture as it is, and at most five strengths

_BATCH = 4  # images asked about at a time; more of them leave the processor's cache, and take longer each


def choose_images(test: pd.DataFrame, images: int, seed: int) -> pd.DataFrame:
    """Choose at most `images` rows at random: equally many of each class, and copies of a photograph last.

    Args:
        test: the columns `id`, `group` (the photograph) and `label`.
        images: how many at most.
        seed: of the choice.

    Returns:
        The chosen rows, sorted by id.
    """
    shuffled = test.sort_values("id").iloc[np.random.default_rng(seed).permutation(len(test))]
    copy = shuffled.groupby(["label", "group"]).cumcount()
    ranked = shuffled.assign(copy=copy).sort_values("copy", kind="stable")
    turn = ranked.groupby("label").cumcount()
    chosen = ranked.assign(turn=turn).sort_values(["turn", "label"]).head(images)
    return chosen.drop(columns=["copy", "turn"]).sort_values("id", ignore_index=True)


def variants(image: Pixels, side: int, name: str, seed: int) -> Iterator[Pixels]:
    """Make the picture as the model sees it, then each trouble at each strength, in the order of `variant_names`.

    A camera's troubles befall the picture at the size in which the model sees it, as in ImageNet-C; the framing is
    changed before, in the picture as it is stored.

    Args:
        image: uint8 (height, width, 3) RGB, as stored.
        side: of the model's input, in pixels.
        name: of the image. What is done to it depends on its name and the seed, not on the other images.
        seed: of the random choices.

    Yields:
        uint8 (side, side, 3).
    """
    seen = resize(image, side)
    yield seen
    for trouble, strength in _troubles():
        digest = hashlib.sha256(f"{seed} {trouble} {strength} {name}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest))
        if trouble in CAMERA:
            yield CAMERA[trouble](seen, strength, rng)
        else:
            yield resize(FRAMING[trouble](image, strength, rng), side)


def variant_names() -> list[str]:
    """Name what `variants` makes: `clean`, then `noise_1` to `face_size_4`."""
    return [CLEAN, *(f"{name}_{strength}" for name, strength in _troubles())]


def answer_variants(
    session: Any, decision: Decision, archive: Archive, names: Sequence[str], seed: int
) -> pd.DataFrame:
    """Ask the model about every variant of every image.

    Args:
        session: the exported model, as `facemask.models.onnx_session.open_session` gives it.
        decision: how its probabilities become a class.
        archive: the images.
        names: members of it.
        seed: of the troubles.

    Returns:
        One row per image, in the order of `names`, and one column with the chosen class for each of `variant_names`.
    """
    side = image_size(session)

    def answers(name: str) -> NDArray[np.intp]:
        pixels = np.stack(list(variants(decode(archive.read(name), math.inf), side, name, seed)))
        pieces = np.array_split(pixels, math.ceil(len(pixels) / _BATCH))
        probabilities = [session.run(["probabilities"], {"image": piece})[0] for piece in pieces]
        return decision.choose(np.concatenate(probabilities))

    columns = variant_names()
    chosen = np.array(list(each_image(answers, names, "robustness")), dtype=int).reshape(len(names), len(columns))
    return pd.DataFrame(np.asarray(CLASSES)[chosen], columns=columns)


def summarise(rows: pd.DataFrame, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Turn the answers into figures.

    Args:
        rows: columns `group`, `label` and those of `answer_variants`, one row per image.
        seed: of the bootstrap.

    Returns:
        The content of `metrics/robustness.json`, and a table with the columns `POINTS`: one row for the clean images
        and one for each trouble and strength. Without images there is nothing but their number. Intervals are of 95 %,
        by photograph (see `evaluation.bootstrap`): that of an accuracy is the outer one of bootstrap and Wilson, that
        of the mean corruption accuracy the bootstrap's.
    """
    if rows.empty:
        return {"images": 0}, pd.DataFrame(columns=list(POINTS))
    tallied = tally(rows, variant_names())
    found, drawn = figures(tallied.confusion()), figures(resample(tallied, REPLICATES, seed))["accuracy"]
    photographs = int(tallied.photographs.sum())
    bounds = [
        widest(percentiles(drawn[:, place]), wilson(float(accuracy), photographs))
        for place, accuracy in enumerate(found["accuracy"])
    ]
    points = pd.DataFrame(
        [(CLEAN, 0, 0.0), *((name, strength, LEVELS[name][strength - 1]) for name, strength in _troubles())],
        columns=list(POINTS[:3]),
    ).assign(
        images=len(rows),
        accuracy=found["accuracy"],
        low=[low for low, _ in bounds],
        high=[high for _, high in bounds],
        balanced_accuracy=found["balanced_accuracy"],
    )
    of_camera = points["trouble"].isin(CAMERA).to_numpy()
    low, high = percentiles(drawn[:, of_camera].mean(axis=1))
    by_trouble = {name: float(points.loc[points["trouble"] == name, "accuracy"].mean()) for name in TITLES}
    summary = {
        "images": len(rows),
        "photographs": photographs,
        "clean_accuracy": float(found["accuracy"][0]),
        # All troubles have equally many strengths, so the mean of the means is the mean of all.
        "mean_corruption_accuracy": float(found["accuracy"][of_camera].mean()),
        "interval": {"low": low, "high": high},
        "mean_corruption_balanced_accuracy": float(found["balanced_accuracy"][of_camera].mean()),
        "worst": min(CAMERA, key=by_trouble.__getitem__),
        "accuracy": by_trouble,
    }
    return summary, points


def curves(points: pd.DataFrame) -> pd.DataFrame:
    """Lay the accuracies under a camera's troubles side by side, for `dvc plots`.

    Returns:
        A row for each strength, 0 being clean, with the columns `strength` and one for each trouble.
    """
    of_camera = points[points["trouble"].isin((CLEAN, *CAMERA))]
    wide = {name: list(of_camera.loc[of_camera["trouble"].isin((CLEAN, name)), "accuracy"]) for name in CAMERA}
    return pd.DataFrame({"strength": sorted(set(of_camera["strength"])), **wide})


def example(archive: Archive, names: Sequence[str], side: int, seed: int, points: pd.DataFrame) -> list[Block]:
    """Show the first picture in every trouble at every strength, as the model saw it, for a sheet of `COLUMNS` columns.

    Args:
        archive: the images.
        names: members of it; if there are none, there is nothing to show.
        side: of the model's input, in pixels.
        seed: of the troubles.
        points: as `summarise` gives it; the accuracies are written below the picture.
    """
    if not names:
        return []
    image = decode(archive.read(names[0]), math.inf)
    shown = dict(zip(variant_names(), variants(image, side, names[0], seed), strict=True))
    accuracy = dict(zip(variant_names(), points["accuracy"], strict=True))
    note = f"with the accuracy on {points['images'].iloc[0]:,} images"
    blocks = []
    for name, title in TITLES.items():
        heads = {CLEAN: "as it is"} | {f"{name}_{strength}": level_text(name, strength) for strength in strengths(name)}
        captions = [(f"{head}: {accuracy[variant]:.1%}",) for variant, head in heads.items()]
        blocks.append(Block(title, note, [shown[variant] for variant in heads], captions))
    return blocks


def _troubles() -> list[tuple[str, int]]:
    return [(name, strength) for name in TITLES for strength in strengths(name)]
