"""Classifying face crops with the exported model: LiteRT only, so that it starts without TensorFlow."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facemask.errors import FacemaskError
from facemask.images import UnusableImage, decode, resize
from facemask.labels import CLASSES
from facemask.progress import track
from facemask.quiet import quiet_stderr


@dataclass(frozen=True)
class Prediction:
    """What the model says of one file.

    Attributes:
        file: as it was given.
        label: the likeliest class; empty where the file could not be used.
        probabilities: of each class; empty where the file could not be used.
        problem: why the file could not be used; empty where it could.
    """

    file: str
    label: str
    probabilities: dict[str, float]
    problem: str


class Classifier:
    """An exported TFLite model, ready to use."""

    def __init__(self, folder: Path) -> None:
        """Load `model.tflite` and `labels.json` from an export folder.

        Raises:
            FacemaskError: a file is missing or broken, or the model was made for other classes.
        """
        try:
            labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
            classes = tuple(labels["classes"])
            with quiet_stderr():
                self._interpreter = Interpreter(model_path=str(folder / "model.tflite"))
                self._interpreter.allocate_tensors()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FacemaskError(
                f"no usable model in {folder}: {error}; run `dvc repro` (or `dvc pull export` where there is a "
                "DVC remote), or name another folder with --model"
            ) from error
        if classes != CLASSES:
            raise FacemaskError(f"the model in {folder} tells {', '.join(classes)} apart, not {', '.join(CLASSES)}")
        details: dict[str, Any] = self._interpreter.get_input_details()[0]
        self._input = details["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self.image_size = int(details["shape"][1])

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Classify face crops.

        Args:
            images: uint8 RGB (n, image_size, image_size, 3), n at least 1.

        Returns:
            float32 (n, 3), in the order of `CLASSES`.
        """
        self._interpreter.resize_tensor_input(self._input, images.shape)
        self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)

    def predict(self, files: Sequence[str]) -> list[Prediction]:
        """Classify files, one face crop each; a file that can't be used gets a `problem` and stops nothing."""
        return [self._predict_file(file) for file in track(files, len(files), "predict")]

    def _predict_file(self, file: str) -> Prediction:
        try:
            image = resize(decode(Path(file).read_bytes()), self.image_size)
        except UnusableImage as error:
            return Prediction(file, "", {}, error.reason)
        except OSError as error:
            return Prediction(file, "", {}, error.strerror or str(error))
        probabilities = self.probabilities(image[None])[0]
        named = {name: round(float(p), 6) for name, p in zip(CLASSES, probabilities, strict=True)}
        return Prediction(file, CLASSES[int(probabilities.argmax())], named, "")
