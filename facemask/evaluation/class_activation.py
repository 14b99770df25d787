"""Where in a picture the evidence for the model's answer lies: class activation maps.

B. Zhou et al., "Learning Deep Features for Discriminative Localization", 2016, https://arxiv.org/abs/1512.04150. The
model averages its last feature maps over the picture and weighs the averages into one score for each class. Weighing
the maps themselves, place by place, gives a map of which the score is the mean, but for a constant: nothing is
approximated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES, TITLES
from facemask.core.errors import FacemaskError
from facemask.dataset.archive import Archive
from facemask.dataset.batches import read_image
from facemask.dataset.decode import decode, resize
from facemask.dataset.predictions import chosen_probability, is_right
from facemask.evaluation.bootstrap import percentiles
from facemask.models.onnx_session import each_image, image_size, open_session
from facemask.presentation.contact_sheet import TILE, Block

Floats = NDArray[np.float32]

SHUFFLES = 100
COLUMNS = 6  # tiles in a line of the sheet: two mistakes of three tiles each, or three right answers of two


@dataclass(frozen=True)
class Explainer:
    """The exported model with its last feature maps as an output.

    Attributes:
        session: an ONNX Runtime session with the output `maps`, float32 (batch, channels, height, width).
        kernel: (channels, classes) float32; what the means of the maps are weighed with. Of each channel the mean over
            the classes has been taken off, which changes no probability: a map then shows what speaks for a class more
            than for the classes on average, and maps of different trainings can be compared.
    """

    session: Any
    kernel: Floats


def read_explainer(model: bytes) -> Explainer:
    """Make an explainer of the exported ONNX model.

    Raises:
        FacemaskError: the model does not end with one pooling layer and one dense layer.
    """
    graph = (loaded := onnx.load_from_string(model)).graph
    pools = [node for node in graph.node if node.op_type == "GlobalAveragePool"]
    dense = [node for node in graph.node if node.op_type == "MatMul"]
    weights = {tensor.name: tensor for tensor in graph.initializer}
    if len(pools) != 1 or len(dense) != 1 or dense[0].input[1] not in weights:
        raise FacemaskError(
            "the exported ONNX model does not end with one global average pooling and one dense layer, which class "
            "activation maps need; run `dvc repro export`"
        )
    graph.node.append(onnx.helper.make_node("Identity", [pools[0].input[0]], ["maps"]))
    graph.output.append(onnx.helper.make_tensor_value_info("maps", onnx.TensorProto.FLOAT, None))
    kernel = onnx.numpy_helper.to_array(weights[dense[0].input[1]])
    return Explainer(open_session(loaded.SerializeToString(), threads=1), kernel - kernel.mean(axis=1, keepdims=True))


@dataclass(frozen=True)
class Explained:
    """Maps of some images.

    Attributes:
        maps: (images, classes, height, width) float32; what speaks for each class (or, below 0, against it), by place.
        lower: (images,) share in the lower half of what speaks for the predicted class; NaN where nothing does.
        shuffled: (images, SHUFFLES) the same share of models whose last layer's weights were dealt out anew.
    """

    maps: Floats
    lower: NDArray[np.float64]
    shuffled: NDArray[np.float64]


def explain(explainer: Explainer, archive: Archive, predictions: pd.DataFrame, seed: int) -> Explained:
    """Make the maps of every image.

    The shuffled models are what J. Adebayo et al., "Sanity Checks for Saliency Maps", 2018,
    https://arxiv.org/abs/1810.03292, ask a map to be compared with: where it looks the same for a model that has
    unlearned its last layer, it tells nothing of what that layer learned.

    Args:
        explainer: the model.
        archive: the images.
        predictions: the columns `id`, a member of the archive, and `prediction`.
        seed: of the shuffling.
    """
    side = image_size(explainer.session)
    kernel = explainer.kernel
    rng = np.random.default_rng(seed)
    shuffled = np.stack([kernel[rng.permutation(len(kernel))] for _ in range(SHUFFLES)])

    def maps_of(item: tuple[str, int]) -> tuple[Floats, float, NDArray[np.float64]]:
        name, predicted = item
        (channels,) = explainer.session.run(["maps"], {"image": read_image(archive, name, side)[None]})[0]
        maps = np.tensordot(kernel.T, channels, 1)
        others = np.tensordot(shuffled[..., predicted], channels, 1)
        return maps, float(lower_share(maps[predicted])), lower_share(others)

    items = list(zip(predictions["id"], pd.Index(CLASSES).get_indexer(predictions["prediction"]), strict=True))
    maps, lower, others = zip(*each_image(maps_of, items, "activation maps"), strict=True)
    return Explained(np.stack(maps), np.array(lower), np.stack(others))


def lower_share(maps: Floats) -> NDArray[np.float64]:
    """Return which share of the positive activation lies in the lower half of the picture.

    Args:
        maps: (..., height, width); a row across the middle counts to both halves, by its area.

    Returns:
        float64 (...); NaN where nothing is positive.
    """
    positive = np.maximum(maps, 0, dtype=np.float64)
    rows = np.arange(1, maps.shape[-2] + 1)
    below = np.clip(rows - maps.shape[-2] / 2, 0, 1)
    whole = positive.sum(axis=(-2, -1))
    lower = positive.sum(axis=-1) @ below
    return np.divide(lower, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def summarise(predictions: pd.DataFrame, explained: Explained) -> dict[str, Any]:
    """Compute the content of `metrics/activation.json`.

    Args:
        predictions: the columns `label` and `prediction`.
        explained: the maps of the same images, in the same order.

    Returns:
        "images"; "lower_half": the mean share of the activation that lies in the lower half, over all images, and for
        right and wrong predictions by predicted class (None if there are none), with their numbers; "shuffled": the
        mean share of the shuffled models, with the range of 95 % of them.
    """
    table = pd.DataFrame({"prediction": predictions["prediction"].to_numpy(), "share": explained.lower})
    right = is_right(predictions)
    of_models = np.nanmean(explained.shuffled, axis=0)
    low, high = percentiles(of_models)
    return {
        "images": len(table),
        "lower_half": {
            "all": float(table["share"].mean()),
            "right": _by_class(table[right]),
            "wrong": _by_class(table[~right]),
        },
        "shuffled": {"mean": float(of_models.mean()), "low": low, "high": high},
    }


def choose_shown(predictions: pd.DataFrame, wrong: int, right: int, seed: int) -> dict[str, list[int]]:
    """Choose predictions for the sheet, one of each photograph.

    Args:
        predictions: of `facemask.dataset.predictions.COLUMNS`; a fresh index.
        wrong: how many wrong ones at most, the most confident first.
        right: how many right ones of each class at most, at random.
        seed: of the choice.

    Returns:
        Rows by number: those of the wrong predictions under "wrong", those of the right ones under their class.
    """
    named_right = is_right(predictions)
    mistakes = (
        predictions[~named_right]
        .assign(confidence=chosen_probability(predictions[~named_right]))
        .sort_values(["confidence", "id"], ascending=[False, True])
        .drop_duplicates("group")
    )
    chosen = {"wrong": list(mistakes.index[:wrong])}
    rng = np.random.default_rng(seed)
    for label in CLASSES:
        rows = predictions[named_right & (predictions["label"] == label)].sort_values("id").drop_duplicates("group")
        chosen[label] = list(rows.index[rng.permutation(len(rows))[:right]])
    return chosen


def draw_blocks(
    predictions: pd.DataFrame, explained: Explained, chosen: dict[str, list[int]], archive: Archive
) -> list[Block]:
    """Draw the chosen predictions for a sheet of `COLUMNS` columns: the picture and what speaks for the answer.

    Where the answer is wrong, what speaks for the true class as well, on the same scale. Blocks without pictures are
    left out.
    """
    blocks = []
    for name, rows in chosen.items():
        tiles: list[NDArray[np.uint8]] = []
        captions: list[Sequence[str]] = []
        for row in rows:
            prediction = predictions.loc[row]
            shown = [prediction["prediction"]] if name != "wrong" else [prediction["prediction"], prediction["label"]]
            maps = explained.maps[row][[CLASSES.index(label) for label in shown]]
            image = resize(decode(archive.read(prediction["id"]), math.inf), TILE)
            tiles += [image, *(overlay(image, one, maps.max()) for one in maps)]
            captions += [_caption(prediction), *[()] * len(shown)]
        title = "Wrong predictions" if name == "wrong" else f"{TITLES[name]}, named right"
        note = "the picture, what speaks for the answer" + (", what for the truth" if name == "wrong" else "")
        if rows:
            blocks.append(Block(title, note, tiles, captions))
    return blocks


def overlay(image: NDArray[np.uint8], activation: Floats, peak: float) -> NDArray[np.uint8]:
    """Lay a map over the picture in grey: black where nothing is positive, then violet, orange and light yellow.

    Args:
        image: uint8 (side, side, 3) RGB.
        activation: float32 (height, width), coarser than the picture.
        peak: the value that is drawn in the lightest colour.

    Returns:
        uint8 (side, side, 3).
    """
    side = image.shape[0]
    # Inferno's lightness grows evenly with the value, for every kind of colour vision and in print without colour.
    smooth = cv2.resize(np.maximum(activation, 0), (side, side), interpolation=cv2.INTER_CUBIC)
    levels = np.clip(255 * smooth / max(peak, np.finfo(np.float32).tiny), 0, 255).astype(np.uint8)
    heat = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    return ((grey.astype(np.uint16) + heat) // 2).astype(np.uint8)


def _by_class(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    shares = {label: table.loc[table["prediction"] == label, "share"] for label in CLASSES}
    return {
        label: {"images": len(values), "share": float(values.mean()) if values.notna().any() else None}
        for label, values in shares.items()
    }


def _caption(prediction: pd.Series) -> Sequence[str]:
    said = prediction["prediction"]
    answer = f"{TITLES[said]}, {prediction[f'p_{said}']:.1%}"
    if said == prediction["label"]:
        return (answer,)
    return (f"The model says: {answer}", f"It is: {TITLES[prediction['label']]}")
