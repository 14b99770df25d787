"""The classifier: MobileNetV2 with its own top, uint8 RGB in, probabilities out."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from facemask.backbone import build_backbone
from facemask.engine import keras
from facemask.errors import FacemaskError
from facemask.labels import CLASSES
from facemask.outs import atomic_path

FEATURES_LAYER = "features"
LOGITS_LAYER = "logits"


def build_model(image_size: int, dropout: float, seed: int) -> Any:
    """Build the classifier with random weights.

    Scaling to [-1, 1] is its first layer, so that whoever feeds it, here or in an export, hands over plain pixels.

    Args:
        image_size: side of the square input, pixels.
        dropout: share of the 1,280 features dropped while training.
        seed: of the new top's weights and of the dropout.

    Returns:
        A Keras model from uint8 (batch, image_size, image_size, 3) to float32 (batch, 3), probabilities in the order
        of `CLASSES`. Layers of note: `features` (global average pooling), `logits`, `probabilities`.
    """
    image = keras.Input((image_size, image_size, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    maps = build_backbone(scaled).output
    features = keras.layers.GlobalAveragePooling2D(name=FEATURES_LAYER)(maps)
    kept = keras.layers.Dropout(dropout, seed=seed, name="dropout")(features)
    initializer = keras.initializers.GlorotUniform(seed=seed)
    logits = keras.layers.Dense(len(CLASSES), kernel_initializer=initializer, name=LOGITS_LAYER)(kept)
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(logits), name="facemask")


def backbone_layers(model: Any) -> list[Any]:
    """Return the layers of `model` that belong to the backbone, from input to output."""
    names = [layer.name for layer in model.layers]
    return model.layers[names.index("scale") + 1 : names.index(FEATURES_LAYER)]


def unfreeze_from(model: Any, layer_name: str) -> None:
    """Let the backbone learn from `layer_name` on; batch norm stays in inference mode.

    The statistics of ImageNet are kept, as in keras.io/guides/transfer_learning: updating them on small batches would
    destroy what the frozen layers learned.

    Raises:
        FacemaskError: there is no such layer in the backbone.
    """
    layers = backbone_layers(model)
    names = [layer.name for layer in layers]
    if layer_name not in names:
        raise FacemaskError(
            f"train.fine_tuning.from_layer: the backbone has no layer {layer_name!r}; usual ones are block_6_expand, "
            "block_11_expand, block_13_expand and Conv_1"
        )
    for index, layer in enumerate(layers):
        is_batch_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = index >= names.index(layer_name) and not is_batch_norm


def freeze(model: Any) -> None:
    """Keep the whole backbone as it is; only the top learns."""
    for layer in backbone_layers(model):
        layer.trainable = False


def save_model(model: Any, path: Path) -> None:
    """Write `model` as a `.keras` file whose bytes depend on nothing but the model.

    Keras itself writes the date, the zip's time stamps and, as `shared_object_id`, memory addresses.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.keras"
        # A model that was not compiled carries no optimizer, whose state is twice as large as the weights.
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
        FacemaskError: the file is missing or no such model.
    """
    if not path.is_file():
        raise FacemaskError(
            f"{path} is missing; run `dvc repro train`, or `dvc pull {path}` where there is a DVC remote"
        )
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FacemaskError(f"{path} is no model that Keras can load ({error}); run `dvc repro train`") from error


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _renumber_shared_objects(value: Any, numbers: dict[int, int]) -> Any:
    """Replace every `shared_object_id` by its rank of first appearance; references among them stay intact."""
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
