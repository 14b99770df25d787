"""Accuracy under corruptions and changed framing, measured on the same test images."""

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
COLUMNS = 6  # tiles in a line of the sheet: the clean image and up to five strengths

_BATCH = 4  # images per run; larger batches fall out of the processor cache and are slower per image


def choose_images(test: pd.DataFrame, images: int, seed: int) -> pd.DataFrame:
    """Sample at most `images` rows, balanced over classes, preferring distinct photographs to copies.

    Args:
        test: the columns `id`, `group` (the photograph) and `label`.
        images: maximum number of rows.
        seed: random seed.

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
    """Yield the clean model input, then each corruption at each strength, in the order of `variant_names`.

    Camera corruptions are applied at the size of the model input, as in ImageNet-C; the framing is changed in the
    stored image, before it is resized.

    Args:
        image: uint8 (height, width, 3) RGB, as stored.
        side: side of the model input, in pixels.
        name: name of the image. The random choices depend on it and on `seed`, not on other images.
        seed: random seed.

    Yields:
        uint8 (side, side, 3).
    """
    seen = resize(image, side)
    yield seen
    for corruption, strength in _levels():
        digest = hashlib.sha256(f"{seed} {corruption} {strength} {name}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest))
        if corruption in CAMERA:
            yield CAMERA[corruption](seen, strength, rng)
        else:
            yield resize(FRAMING[corruption](image, strength, rng), side)


def variant_names() -> list[str]:
    """Return the names of the images that `variants` yields: `clean`, then `noise_1` to `face_size_4`."""
    return [CLEAN, *(f"{name}_{strength}" for name, strength in _levels())]


def predict_variants(
    session: Any, decision: Decision, archive: Archive, names: Sequence[str], seed: int
) -> pd.DataFrame:
    """Predict every variant of every image.

    Args:
        session: the exported model, as returned by `facemask.models.onnx_session.open_session`.
        decision: how probabilities become a class.
        archive: the images.
        names: members of the archive.
        seed: random seed of the corruptions.

    Returns:
        One row per image, in the order of `names`, and one column with the predicted class for each of `variant_names`.
    """
    side = image_size(session)

    def predict(name: str) -> NDArray[np.intp]:
        pixels = np.stack(list(variants(decode(archive.read(name), math.inf), side, name, seed)))
        pieces = np.array_split(pixels, math.ceil(len(pixels) / _BATCH))
        probabilities = [session.run(["probabilities"], {"image": piece})[0] for piece in pieces]
        return decision.choose(np.concatenate(probabilities))

    columns = variant_names()
    chosen = np.array(list(each_image(predict, names, "robustness")), dtype=int).reshape(len(names), len(columns))
    return pd.DataFrame(np.asarray(CLASSES)[chosen], columns=columns)


def summarise(rows: pd.DataFrame, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Compute the figures of a robustness test.

    Args:
        rows: columns `group`, `label` and those of `predict_variants`, one row per image.
        seed: random seed of the bootstrap.

    Returns:
        The content of `metrics/robustness.json`, and a table with the columns `POINTS`: one row for the clean images
        and one for each corruption and strength. Without images, the only figure is their number and the table is
        empty. Intervals are 95 % intervals over photographs (see `evaluation.bootstrap`): for an accuracy the union of
        bootstrap and Wilson interval, for the mean corruption accuracy the bootstrap interval.
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
        [(CLEAN, 0, 0.0), *((name, strength, LEVELS[name][strength - 1]) for name, strength in _levels())],
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
    by_corruption = {name: float(points.loc[points["trouble"] == name, "accuracy"].mean()) for name in TITLES}
    summary = {
        "images": len(rows),
        "photographs": photographs,
        "clean_accuracy": float(found["accuracy"][0]),
        # All camera corruptions have equally many strengths, so the mean of the means is the mean of all.
        "mean_corruption_accuracy": float(found["accuracy"][of_camera].mean()),
        "interval": {"low": low, "high": high},
        "mean_corruption_balanced_accuracy": float(found["balanced_accuracy"][of_camera].mean()),
        "worst": min(CAMERA, key=by_corruption.__getitem__),
        "accuracy": by_corruption,
    }
    return summary, points


def curves(points: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy under each camera corruption by strength, for `dvc plots`.

    Returns:
        One row per strength (0 is clean), with the columns `strength` and one per corruption.
    """
    of_camera = points[points["trouble"].isin((CLEAN, *CAMERA))]
    wide = {name: list(of_camera.loc[of_camera["trouble"].isin((CLEAN, name)), "accuracy"]) for name in CAMERA}
    return pd.DataFrame({"strength": sorted(set(of_camera["strength"])), **wide})


def example(archive: Archive, names: Sequence[str], side: int, seed: int, points: pd.DataFrame) -> list[Block]:
    """Return blocks of a contact sheet: the first image under every corruption at every strength, as the model sees it.

    Args:
        archive: the images.
        names: members of the archive; without any, no block is returned.
        side: side of the model input, in pixels.
        seed: random seed of the corruptions.
        points: as returned by `summarise`; the accuracies become captions.
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


def _levels() -> list[tuple[str, int]]:
    return [(name, strength) for name in TITLES for strength in strengths(name)]
