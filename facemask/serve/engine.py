"""The model behind the server: predictors in worker threads, and a new model in place of the old one."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from facemask.core.errors import FacemaskError
from facemask.export.formats import FORMATS
from facemask.faces.detector import DETECTOR_FILE
from facemask.inference.predictor import Prediction, Predictor
from facemask.serve.settings import Settings

FILES = ("labels.json", FORMATS["tflite"], DETECTOR_FILE)  # in the export folder: what the answers depend on

_POLL = 1.0  # seconds between two looks at the files
_ATTEMPTS = 5  # to read files that are being written
_VERSION_DIGITS = 12
_STUCK_AFTER = 10  # time limits of an answer

Given = ParamSpec("Given")
Result = TypeVar("Result")
Fingerprint = tuple[tuple[int, int, int], ...]

logger = logging.getLogger(__name__)


class Busy(Exception):  # noqa: N818 - a state of the server, not a fault of the program
    """As many requests wait as may."""


class Model:
    """An exported model, loaded once for each worker thread.

    Attributes:
        version: the first digits of the SHA-256 of its files, joined in the order of `FILES`.
        revision: git revision; "" if unknown.
        image_size: side of the classifier's input, in pixels.
        finds_faces: whether it has a face detector.
    """

    def __init__(self, settings: Settings, fingerprint: Fingerprint) -> None:
        """Load the model from the export folder.

        Raises:
            FacemaskError: a file is missing or broken.
        """
        self.fingerprint = fingerprint
        self.revision = settings.revision
        self._idle: SimpleQueue[Predictor] = SimpleQueue()
        for _ in range(settings.threads):
            predictor = Predictor(settings.model, settings.options)
            self._idle.put(predictor)
        self.version = _version(settings.model)
        self.image_size = predictor.classifier.image_size
        self.finds_faces = predictor.finds_faces
        self.classify(np.zeros((1, self.image_size, self.image_size, 3), np.uint8))  # a model that cannot run

    def predict(self, name: str, content: bytes, crop: bool) -> Prediction:
        """Predict the content of an image file, as `Predictor.predict_content` does; safe to call from any thread."""
        with self._predictor() as predictor:
            return predictor.predict_content(name, content, crop)

    def classify(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], list[str]]:
        """Classify face crops, uint8 RGB (n, image_size, image_size, 3); safe to call from any thread.

        Returns:
            The probabilities, (n, 3), and the answers, n classes or `uncertain`.
        """
        with self._predictor() as predictor:
            probabilities = predictor.classifier.probabilities(images)
            return probabilities, predictor.classifier.decision.answers(probabilities)

    @contextmanager
    def _predictor(self) -> Iterator[Predictor]:
        predictor = self._idle.get()
        try:
            yield predictor
        finally:
            self._idle.put(predictor)


class Engine:
    """Runs work in threads, a bounded number of requests at a time, and replaces the model when its files change.

    Except for `Model`'s, its methods belong to one event loop.

    Attributes:
        model: the current one. A request keeps to the one that it began with.
    """

    def __init__(self, settings: Settings) -> None:
        """Load the model.

        Raises:
            FacemaskError: a file is missing or broken.
        """
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.threads, "facemask")
        self._running: dict[object, float] = {}  # since when, in seconds of time.monotonic
        self.requests = 0
        self.model = load_model(settings)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request as being worked on or waiting.

        Raises:
            Busy: as many wait as may.
        """
        if self.requests >= self._settings.threads + self._settings.limits.waiting:
            raise Busy
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    async def run(self, work: Callable[Given, Result], *arguments: Given.args, **named: Given.kwargs) -> Result:
        """Run `work` in a worker thread; work that has not begun when the caller is cancelled never does."""

        def timed() -> Result:
            token = object()
            self._running[token] = time.monotonic()
            try:
                return work(*arguments, **named)
            finally:
                del self._running[token]

        return await asyncio.get_running_loop().run_in_executor(self._threads, timed)

    @property
    def busy(self) -> bool:
        """Whether a worker thread is at work."""
        return bool(self._running)

    @property
    def stuck(self) -> bool:
        """Whether a worker thread has been at one image for many times the time limit of an answer."""
        limit = time.monotonic() - _STUCK_AFTER * self._settings.limits.seconds
        return any(start < limit for start in list(self._running.values()))

    async def follow_files(self, loaded: Callable[[], None]) -> None:
        """Replace the model whenever its files have changed, for ever; a broken one is reported and the old one kept.

        Args:
            loaded: called after each replacement.
        """
        seen = tried = self.model.fingerprint
        while True:
            await asyncio.sleep(_POLL)
            before, seen = seen, _fingerprint(self._settings.model)
            # Wait until nothing has changed for a while: the files are written one after the other.
            if seen != before or seen == tried or not seen:
                continue
            tried = seen
            try:
                model = await asyncio.to_thread(load_model, self._settings)
            except FacemaskError as error:
                logger.warning("the model has changed but is not used: %s", error)
                continue
            if model.version != self.model.version:
                model.revision = ""  # the one that was given is that of the first model
            self.model, tried = model, model.fingerprint
            loaded()

    def close(self) -> None:
        """Take no more work; what has begun ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def load_model(settings: Settings) -> Model:
    """Load the exported model, all of its files from the same moment.

    Raises:
        FacemaskError: a file is missing or broken.
    """
    for _ in range(_ATTEMPTS):
        fingerprint = _fingerprint(settings.model)
        try:
            model = Model(settings, fingerprint)
        except (OSError, RuntimeError, ValueError) as error:  # also what LiteRT raises
            raise FacemaskError(
                f"the model in {settings.model} cannot be run ({error}); run `dvc repro export`"
            ) from error
        if _fingerprint(settings.model) == fingerprint:
            return model
    raise FacemaskError(f"the files of {settings.model} change all the time; wait until they are written")


def _fingerprint(folder: Path) -> Fingerprint:
    """Return what shows that the files of a model have changed; () while there is none."""
    found = []
    for name in FILES:
        try:
            status = (folder / name).stat()
        except OSError:
            if name != DETECTOR_FILE:  # which not every export has
                return ()
            found.append((0, 0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def _version(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in FILES:
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:_VERSION_DIGITS]
