"""Class activation maps: the evidence for each class by position in the image.

B. Zhou et al., "Learning Deep Features for Discriminative Localization", 2016, https://arxiv.org/abs/1512.04150. The
model averages its last feature maps and applies a dense layer. Applying that layer at each position instead gives a map
whose mean is the logit of the class up to a constant, without approximation.
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
COLUMNS = 6  # tiles per row of the contact sheet: two mistakes of three tiles each, or three correct predictions of two


@dataclass(frozen=True)
class Explainer:
    """The exported model with its last feature maps as an output.

    Attributes:
        session: an ONNX Runtime session with the output `maps`, float32 (batch, channels, height, width).
        kernel: (channels, classes) float32, weights of the dense layer. The mean over classes is subtracted for each
            channel, which does not change the probabilities: a map then shows evidence for a class relative to the
            average class, and maps of different models are comparable.
    """

    session: Any
    kernel: Floats


def read_explainer(model: bytes) -> Explainer:
    """Return an explainer of the exported ONNX model.

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
    """Activation maps of some images.

    Attributes:
        maps: (images, classes, height, width) float32; evidence for (below 0: against) each class.
        lower: (images,) share of the positive evidence for the predicted class in the lower half; NaN without any.
        shuffled: (images, SHUFFLES) the same share for models with shuffled weights of the last layer.
    """

    maps: Floats
    lower: NDArray[np.float64]
    shuffled: NDArray[np.float64]


def explain(explainer: Explainer, archive: Archive, predictions: pd.DataFrame, seed: int) -> Explained:
    """Compute the activation maps of every image.

    The shuffled models are the sanity check of J. Adebayo et al., "Sanity Checks for Saliency Maps", 2018,
    https://arxiv.org/abs/1810.03292: maps that look the same with a randomised last layer say nothing about what that
    layer learned.

    Args:
        explainer: the model.
        archive: the images.
        predictions: the columns `id`, a member of the archive, and `prediction`.
        seed: random seed of the shuffling.
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
    """Return the share of the positive activation in the lower half of the image.

    Args:
        maps: (..., height, width); a middle row counts to both halves by area.

    Returns:
        float64 (...); NaN if nothing is positive.
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
        "images"; "lower_half": mean share of the activation in the lower half, over all images, and over right and
        wrong predictions by predicted class, with their numbers; "shuffled": mean share of the shuffled models, with
        their central 95 % range. None where no map has anything positive, as can be after a training on a few images.
    """
    table = pd.DataFrame({"prediction": predictions["prediction"].to_numpy(), "share": explained.lower})
    right = is_right(predictions)
    of_models = np.nanmean(explained.shuffled[:, ~np.isnan(explained.shuffled).all(axis=0)], axis=0)
    low, high = percentiles(of_models) if len(of_models) else (None, None)
    return {
        "images": len(table),
        "lower_half": {
            "all": _mean(table["share"]),
            "right": _by_class(table[right]),
            "wrong": _by_class(table[~right]),
        },
        "shuffled": {"mean": _mean(pd.Series(of_models)), "low": low, "high": high},
    }


def choose_shown(predictions: pd.DataFrame, wrong: int, right: int, seed: int) -> dict[str, list[int]]:
    """Choose predictions for the contact sheet, at most one per photograph.

    Args:
        predictions: with the columns of `facemask.dataset.predictions.PREDICTIONS` and a default index.
        wrong: maximum number of wrong ones, the most confident first.
        right: maximum number of right ones per class, at random.
        seed: random seed.

    Returns:
        Row numbers: of wrong predictions under "wrong", of right ones under their class.
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
    """Return blocks of a contact sheet with `COLUMNS` columns: each image with the map of its predicted class.

    A wrong prediction also gets the map of the true class, on the same scale. Empty blocks are omitted.
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
        title = "Wrong predictions" if name == "wrong" else f"{TITLES[name]}, classified correctly"
        note = "the picture, what speaks for the answer" + (", what for the truth" if name == "wrong" else "")
        if rows:
            blocks.append(Block(title, note, tiles, captions))
    return blocks


def overlay(image: NDArray[np.uint8], activation: Floats, peak: float) -> NDArray[np.uint8]:
    """Overlay a map on the grey image: black where nothing is positive, then violet, orange and light yellow.

    Args:
        image: uint8 (side, side, 3) RGB.
        activation: float32 (height, width), coarser than the image.
        peak: value of the lightest colour.

    Returns:
        uint8 (side, side, 3).
    """
    side = image.shape[0]
    # Inferno is perceptually uniform, also for colour-blind readers and in greyscale print.
    smooth = cv2.resize(np.maximum(activation, 0), (side, side), interpolation=cv2.INTER_CUBIC)
    levels = np.clip(255 * smooth / max(peak, np.finfo(np.float32).tiny), 0, 255).astype(np.uint8)
    heat = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    return ((grey.astype(np.uint16) + heat) // 2).astype(np.uint8)


def _by_class(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    shares = {label: table.loc[table["prediction"] == label, "share"] for label in CLASSES}
    return {label: {"images": len(values), "share": _mean(values)} for label, values in shares.items()}


def _mean(values: pd.Series) -> float | None:
    return float(values.mean()) if values.notna().any() else None


def _caption(prediction: pd.Series) -> Sequence[str]:
    said = prediction["prediction"]
    answer = f"{TITLES[said]}, {prediction[f'p_{said}']:.1%}"
    if said == prediction["label"]:
        return (answer,)
    return (f"Predicted: {answer}", f"True class:  {TITLES[prediction['label']]}")
