"""Detect and classify faces with the exported models, using LiteRT only: TensorFlow is not imported."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import write_bytes
from facemask.core.params import EngineKind
from facemask.dataset.decode import MAX_MEGAPIXELS, UnusableImage, decode, resize
from facemask.engine.mapping import map_ordered
from facemask.export.formats import FORMATS, open_format
from facemask.faces.detector import DETECTOR_FILE, LEVELS, SMALL_FACES, Box, FaceDetector, crop_face
from facemask.inference.annotate import Mark, annotate
from facemask.inference.inputs import SIGNATURE, STANDARD_INPUT, Input
from facemask.inference.object_store import is_address, read_file
from facemask.inference.options import Options
from facemask.models.decision import Decision

TOO_SMALL = "too small"
TOO_MANY_FACES = "too many faces"

_JPEG_QUALITY = 92
_FILES_PER_WORKER = 4  # for fewer, loading the models takes longer than it saves
_MODEL_FILES = ("labels.json", FORMATS["tflite"], DETECTOR_FILE)


@dataclass(frozen=True)
class Face:
    """Prediction for one face.

    Attributes:
        box: position in the image, with the detector score; None with `faces="crop"`.
        answer: a class, `uncertain` or `too small`.
        label: the predicted class, also if `answer` is `uncertain`; empty if the face is too small.
        probabilities: calibrated probability of each class; empty if the face is too small.
    """

    box: Box | None
    answer: str
    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """Predictions for one file.

    Attributes:
        file: its name, as given.
        width: width of the upright image in pixels; 0 if the file could not be used.
        height: its height, likewise.
        faces: from left to right.
        problem: why the file could not be used; empty if it could.
    """

    file: str
    width: int
    height: int
    faces: tuple[Face, ...]
    problem: str


class Classifier:
    """The exported TFLite classifier. Not thread-safe.

    Attributes:
        image_size: side of the model input, in pixels.
        decision: turns probabilities into predictions.
    """

    def __init__(self, folder: Path) -> None:
        """Load `model.tflite` and `labels.json` from an export folder.

        Raises:
            FacemaskError: a file is missing or broken, or the model has other classes.
        """
        advice = (
            "run `dvc repro` (or `dvc pull export` if there is a DVC remote), or choose another folder with --model"
        )
        for file in (folder / "labels.json", folder / FORMATS["tflite"]):
            if not file.is_file():
                raise FacemaskError(f"there is no model in {folder} ({file} is missing): {advice}")
        try:
            labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
            classes = tuple(labels["classes"])
            if classes != CLASSES:
                raise FacemaskError(
                    f"the model in {folder} has the classes {', '.join(map(str, classes))}, not {', '.join(CLASSES)}: "
                    f"{advice}"
                )
            self.image_size = int(labels["input"]["height_width"][0])
            self.decision = Decision.model_validate({key: labels[key] for key in Decision.model_fields})
            self._run = open_format(folder, "tflite", threads=1)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise FacemaskError(f"the model in {folder} is damaged ({error}): {advice}") from error

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Classify face crops.

        Args:
            images: uint8 RGB (n, image_size, image_size, 3), n at least 1.

        Returns:
            float32 (n, 3), in the order of `CLASSES`.
        """
        # One by one: on a CPU that is faster than a batch, and the memory does not grow with the number of faces.
        return np.concatenate([self._run(images[place : place + 1]) for place in range(len(images))])


class TooManyFaces(Exception):  # noqa: N818 - a finding about an image, not a fault of the program
    """An image with more faces than allowed."""


class Predictor:
    """Face detector and classifier. Not thread-safe.

    Attributes:
        classifier: the classifier.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        """Load the models from an export folder.

        Raises:
            FacemaskError: a model is missing or broken.
        """
        self.classifier = Classifier(folder)
        levels = SMALL_FACES if options.small_faces else LEVELS
        self._detector = FaceDetector(folder, levels) if options.faces == "find" else None
        self._options = options

    @property
    def finds_faces(self) -> bool:
        """Whether there is a face detector; if not, every image is treated as one cropped face."""
        return self._detector is not None

    def predict(self, image: NDArray[np.uint8], crop: bool = False) -> tuple[Face, ...]:
        """Return the classified faces of an image, from left to right.

        Args:
            image: uint8 RGB (height, width, 3).
            crop: treat the image as one cropped face, whatever the options say.

        Raises:
            TooManyFaces: more faces were found than the options allow.
        """
        if crop or self._detector is None:
            return tuple(self._classify([image], [None]))
        boxes = self._detector.detect(image, self._options.min_score)
        if self._options.max_faces is not None and len(boxes) > self._options.max_faces:
            raise TooManyFaces
        boxes.sort(key=lambda box: (box.left, box.top))
        large = [box for box in boxes if box.side >= self._options.min_face]
        crops = [crop_face(image, box, self._options.margin) for box in large]
        known = dict(zip(large, self._classify(crops, large), strict=True))
        return tuple(known.get(box, Face(box, TOO_SMALL, "", {})) for box in boxes)

    def predict_content(self, name: str, content: bytes, crop: bool = False) -> Prediction:
        """Predict the content of an image file; an unusable one gets a `problem`.

        Args:
            name: what to call it in the prediction.
            content: of the whole file.
            crop: treat the image as one cropped face, whatever the options say.
        """
        return self._predict_content(name, content, crop)[0]

    def predict_file(self, file: Input) -> Prediction:
        """Predict one file and write its annotated image; an unusable file gets a `problem`.

        Raises:
            FacemaskError: the annotated image cannot be written.
        """
        if file.problem:
            return Prediction(file.name, 0, 0, (), file.problem)
        try:
            content = _content(file.name)
        except OSError as error:
            return Prediction(file.name, 0, 0, (), error.strerror or str(error))
        prediction, image = self._predict_content(file.name, content)
        if self._options.pictures and image is not None:
            marks = [_mark(face, image) for face in prediction.faces]
            _write_picture(self._options.pictures / file.mirrored, annotate(image, marks))
        return prediction

    def _predict_content(
        self, name: str, content: bytes, crop: bool = False
    ) -> tuple[Prediction, NDArray[np.uint8] | None]:
        """Return the prediction and the decoded image; None instead of an image that cannot be used."""
        try:
            image = decode(content, self._options.max_megapixels or MAX_MEGAPIXELS)
            faces = self.predict(image, crop)
        except UnusableImage as error:
            return Prediction(name, 0, 0, (), error.reason), None
        except TooManyFaces:
            return Prediction(name, 0, 0, (), TOO_MANY_FACES), None
        return Prediction(name, image.shape[1], image.shape[0], faces, ""), image

    def _classify(self, crops: Sequence[NDArray[np.uint8]], boxes: Sequence[Box | None]) -> list[Face]:
        if not crops:
            return []
        size, decision = self.classifier.image_size, self.classifier.decision
        probabilities = self.classifier.probabilities(np.stack([resize(crop, size) for crop in crops]))
        chosen, results = decision.choose(probabilities), decision.answers(probabilities)
        return [
            Face(box, result, CLASSES[place], {name: round(float(p), 6) for name, p in zip(CLASSES, row, strict=True)})
            for box, result, place, row in zip(boxes, results, chosen, probabilities, strict=True)
        ]


def predict_files(
    folder: Path, files: Iterable[Input], count: int, options: Options, engine: EngineKind = "local"
) -> Iterator[Prediction]:
    """Predict files in order, in parallel, with only a few images in memory at a time.

    Args:
        folder: the export folder. On a cluster only this machine needs it.
        files: what to predict. On a cluster every machine must reach them under the same paths or addresses, and the
            folder of annotated images too.
        count: how many files there are, at most.
        options: how to predict them.
        engine: `local`, threads on all cores, or `ray`, a Ray cluster.

    Raises:
        FacemaskError: a model is missing or broken, or the engine cannot be used; raised before the first prediction.
    """
    threads = min(available_cores(), -(-count // _FILES_PER_WORKER))
    if engine == "local":
        return map_ordered(engine, lambda: Predictor(folder, options).predict_file, files, threads=threads)
    Predictor(folder, options)  # whether the model can be used is better found out here
    model = read_model_files(folder)
    # A process of the cluster may have another working directory.
    options = replace(options, pictures=options.pictures and options.pictures.absolute())

    def load() -> Callable[[tuple[Input, str]], Prediction]:
        with TemporaryDirectory() as place:
            for name, content in model.items():
                Path(place, name).write_bytes(content)
            predictor = Predictor(Path(place), options)
        return lambda file: replace(predictor.predict_file(replace(file[0], name=file[1])), file=file[0].name)

    located = ((file, file.name if is_address(file.name) else str(Path(file.name).absolute())) for file in files)
    return map_ordered(engine, load, located, threads=threads)


def read_model_files(folder: Path) -> dict[str, bytes]:
    """Read what a `Predictor` needs of an export folder: name -> content; a face detector only if there is one.

    Raises:
        FacemaskError: a file cannot be read.
    """
    try:
        return {name: (folder / name).read_bytes() for name in _MODEL_FILES if (folder / name).exists()}
    except OSError as error:
        raise FacemaskError(
            f"the model in {folder} cannot be read ({error.strerror}): check its permissions"
        ) from error


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(face: Face) -> str:
    """Return a short label: `with_mask 98.3%`, `uncertain: with_mask 52.0%`, `too small`."""
    if face.answer == TOO_SMALL:
        return face.answer
    likeliest = f"{face.label} {face.probabilities[face.label]:.1%}"
    return likeliest if face.answer == face.label else f"{face.answer}: {likeliest}"


def _content(name: str) -> bytes:
    if is_address(name):
        return read_file(name)
    return sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()


def _mark(face: Face, image: NDArray[np.uint8]) -> Mark:
    height, width = image.shape[:2]
    return Mark(face.box or Box(0, 0, width - 1, height - 1, 1), face.answer, describe(face))


def _write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    packed = io.BytesIO()
    if path.suffix.lower() == ".png":
        text = PngInfo()
        text.add_text("Software", SIGNATURE)
        Image.fromarray(image).save(packed, "PNG", pnginfo=text)
    else:
        Image.fromarray(image).save(packed, "JPEG", quality=_JPEG_QUALITY, comment=SIGNATURE)
    try:
        write_bytes(path, packed.getvalue())
    except OSError as error:
        raise FacemaskError(
            f"{path} cannot be written ({error.strerror}); choose another folder with --pictures"
        ) from error
