"""The classifier: MobileNetV2 with a new top, from uint8 RGB images to class probabilities."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.models.backbone import build_backbone
from facemask.models.tensorflow import keras

FEATURES_LAYER = "features"
LOGITS_LAYER = "logits"
PROBABILITIES_LAYER = "probabilities"
TOP = "top"


def build_model(image_size: int, dropout: float, seed: int) -> Any:
    """Build the classifier with random weights.

    Its first layer scales to [-1, 1], so that the model and its exports take raw pixels.

    Args:
        image_size: side of the square input, pixels.
        dropout: fraction of the 1,280 features dropped during training.
        seed: for the weights of the new top and for dropout.

    Returns:
        A Keras model from uint8 (batch, image_size, image_size, 3) to float32 (batch, 3), probabilities in the order
        of `CLASSES`. Named layers: `features` (global average pooling), `logits`, `probabilities`.
    """
    image = keras.Input((image_size, image_size, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    maps = build_backbone(scaled).output
    features = keras.layers.GlobalAveragePooling2D(name=FEATURES_LAYER)(maps)
    kept = keras.layers.Dropout(dropout, seed=seed, name="dropout")(features)
    initializer = keras.initializers.GlorotUniform(seed=seed)
    logits = keras.layers.Dense(len(CLASSES), kernel_initializer=initializer, name=LOGITS_LAYER)(kept)
    return keras.Model(image, keras.layers.Softmax(name=PROBABILITIES_LAYER)(logits), name="facemask")


def backbone_layers(model: Any) -> list[Any]:
    """Return the layers of `model` that belong to the backbone, from input to output."""
    names = [layer.name for layer in model.layers]
    return model.layers[names.index("scale") + 1 : names.index(FEATURES_LAYER)]


def backbone_of(model: Any) -> Any:
    """Return the backbone of `model` as a Keras model that shares its layers, for loading weights."""
    return keras.Model(model.input, backbone_layers(model)[-1].output)


def split_model(model: Any, from_layer: str) -> tuple[Any, Any]:
    """Split the classifier into frozen layers and trained layers, and mark which ones are trainable.

    Args:
        model: from `build_model`.
        from_layer: name of the first trained layer of the backbone, one that no shortcut bypasses; or `TOP` to train
            the new top only.

    Returns:
        (lower, upper): Keras models that share their layers with `model`. `lower` goes from uint8 (batch, side, side,
        3) to feature maps, `upper` from these to float32 (batch, 1280), the input of the layer `logits` before
        dropout. In `upper` batch normalisation stays in inference mode, as in
        https://keras.io/guides/transfer_learning: new statistics from small batches would destroy pre-trained features.

    Raises:
        FacemaskError: the backbone has no such layer, or a shortcut bypasses it.
    """
    features = model.get_layer(FEATURES_LAYER).output
    layers = {layer.name: layer for layer in backbone_layers(model)}
    for layer in layers.values():
        layer.trainable = False
    if from_layer == TOP:
        same = keras.Input(features.shape[1:])
        return keras.Model(model.input, features), keras.Model(same, keras.layers.Identity()(same))
    if from_layer not in layers:
        raise FacemaskError(
            f"train.from_layer: the backbone has no layer {from_layer!r}; use for example block_6_expand, "
            f"block_11_expand, block_13_expand, Conv_1, or {TOP} to train the new top only"
        )
    try:
        (maps,) = keras.tree.flatten(layers[from_layer].input)  # two inputs where a shortcut ends
        lower, upper = keras.Model(model.input, maps), keras.Model(maps, features)
    except ValueError as error:
        raise FacemaskError(
            f"train.from_layer: the model cannot be split at {from_layer!r}, because a shortcut bypasses it; use the "
            "first layer of a block, such as block_11_expand"
        ) from error
    for layer in upper.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return lower, upper


def first_trained_layer(model: Any) -> str:
    """Return the `from_layer` with which `split_model` marked the layers of `model`; a saved model keeps the marks."""
    return next((layer.name for layer in backbone_layers(model) if layer.trainable), TOP)


def calibrated(model: Any, temperature: float) -> Any:
    """Return `model` with its logits divided by `temperature`.

    The layers below the logits are shared with `model`. Temperature scaling: Guo et al., 2017,
    https://arxiv.org/abs/1706.04599.
    """
    old, end = model.get_layer(LOGITS_LAYER), model.get_layer(PROBABILITIES_LAYER)
    new = keras.layers.Dense.from_config(old.get_config())
    probabilities = keras.layers.Softmax.from_config(end.get_config())(new(old.input))
    new.set_weights([weights / temperature for weights in old.get_weights()])
    return keras.Model(model.input, probabilities, name=model.name)


def save_model(model: Any, path: Path) -> None:
    """Write `model` as a reproducible `.keras` file: equal models give equal bytes.

    Keras itself adds the date, time stamps of the zip members and, as `shared_object_id`, memory addresses.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.keras"
        # Rebuilt without its optimizer, whose state is twice as large as the weights.
        keras.Model(model.inputs, model.outputs, name=model.name).save(saved)
        with zipfile.ZipFile(saved) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    del metadata["date_saved"]
    members["metadata.json"] = _json(metadata)
    members["config.json"] = _json(_renumber_shared_objects(json.loads(members["config.json"]), {}))
    with atomic_path(path) as draft, zipfile.ZipFile(draft, "w") as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])


def load_model(path: Path) -> Any:
    """Load a model that `save_model` wrote.

    Raises:
        FacemaskError: the file is missing or cannot be loaded.
    """
    if not path.is_file():
        raise FacemaskError(
            f"{path} is missing; run `dvc repro train`, or `dvc pull {path}` if the project has a DVC remote"
        )
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FacemaskError(f"Keras cannot load {path} ({error}); run `dvc repro train`") from error


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _renumber_shared_objects(value: Any, numbers: dict[int, int]) -> Any:
    """Renumber every `shared_object_id` by first appearance; references stay intact."""
    if isinstance(value, dict):
        return {
            key: numbers.setdefault(item, len(numbers))
            if key == "shared_object_id"
            else _renumber_shared_objects(item, numbers)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_renumber_shared_objects(item, numbers) for item in value]
    return value
