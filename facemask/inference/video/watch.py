"""Detect, classify, track and count the faces in a video, and draw them."""

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.signals import handle_signals
from facemask.dataset.decode import resize
from facemask.faces.defaults import MIN_FACE
from facemask.faces.detector import Box, FaceDetector, crop_face
from facemask.inference.annotate import Mark, annotate
from facemask.inference.predictor import Classifier
from facemask.inference.video.encoder import write_video
from facemask.inference.video.frame import Frame, Picture, SourceLost
from facemask.inference.video.people import Counts, People, Person
from facemask.inference.video.source import VideoSource
from facemask.inference.video.window import Window
from facemask.models.decision import UNCERTAIN

# Detection takes most of the time, and ten times per second are enough for tracking. Slightly less than 0.1, since
# timestamps are rounded.
_DETECTION_INTERVAL = 0.095

_MIN_SCORE = 0.5  # masked faces have lower scores than bare ones


class Watcher:
    """Detects and classifies the faces of one video.

    Attributes:
        people: the people seen so far.
    """

    def __init__(self, detector: FaceDetector, classifier: Classifier) -> None:
        self._detector = detector
        self._classifier = classifier
        self._detected_at = -math.inf
        self.people = People(classifier.decision)

    def look(self, frame: Frame) -> None:
        """Detect faces in the next frame, unless the last detection was less than 0.1 seconds ago."""
        if frame.time - self._detected_at < _DETECTION_INTERVAL:
            return
        self._detected_at = frame.time
        boxes = [box for box in self._detector.detect(frame.image, _MIN_SCORE) if box.side >= MIN_FACE]
        self.people.update(frame.time, boxes, self._classify(frame.image, boxes))

    def _classify(self, image: Picture, boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Return the probabilities of n faces, (n, 3)."""
        if not boxes:
            return np.zeros((0, len(CLASSES)), np.float32)
        crops = [resize(crop_face(image, box), self._classifier.image_size) for box in boxes]
        return self._classifier.probabilities(np.stack(crops))


def watch_video(
    source: VideoSource,
    watcher: Watcher,
    stop: threading.Event,
    interval: float = 1.0,
    output: Path | None = None,
    show: bool = False,
) -> Iterator[Counts]:
    """Process a video to its end, and count faces.

    Args:
        source: the video.
        watcher: a new one for this video.
        stop: ends the processing when set.
        interval: seconds of video between two counts.
        output: video file to write with marked faces; each frame keeps its time.
        show: also show the frames in a window; a file then plays at its own speed at most.

    Yields:
        Counts after every interval, then the final ones.

    Raises:
        FacemaskError: no window can be opened, or `output` cannot be written, or is the input.
        SourceLost: the source ended too early; raised after the final counts, and the video written so far is kept.
    """
    if output and source.reads(output):
        raise FacemaskError(f"{output} is the input; choose another file with --output")
    lost = None
    with ExitStack() as stack:
        video = stack.enter_context(write_video(output, source.rate, source.height, source.width)) if output else None
        window = Window(source.name, source.height, source.width) if show else None
        started, now, due = time.monotonic(), 0.0, interval
        try:
            for frame in source.frames(stop):
                now = frame.time
                watcher.look(frame)
                marked = mark_people(frame.image, watcher.people.in_view(now)) if video or window else frame.image
                if video:
                    video.write(marked, now)
                early = 0.0 if source.live else now - (time.monotonic() - started)
                if window and not window.show(marked, early):
                    break
                if now >= due:
                    due = (now // interval + 1) * interval
                    yield watcher.people.counts(now)
        except SourceLost as error:
            lost = error
        if video:
            video.show_last_until(source.end)
    yield watcher.people.counts(now)
    if lost:
        raise lost


def mark_people(image: Picture, people: Sequence[Person]) -> Picture:
    """Return a copy of an image, uint8 (height, width, 3), RGB, with people marked."""
    marks = [Mark(person.box, person.answer, f"{person.number} {_label(person)}") for person in people]
    return annotate(image, marks)


class StopSignal(threading.Event):
    """Event that is set by Ctrl-C (SIGINT) or SIGTERM.

    Attributes:
        number: of the received signal; 0 if none.
    """

    number = 0

    def receive(self, number: int, _: FrameType | None) -> None:
        """Handle a signal; the next one ends the process at once."""
        self.number = number
        self.set()
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_on_signal() -> Iterator[StopSignal]:
    """Catch Ctrl-C and SIGTERM: the current frame is finished first."""
    stop = StopSignal()
    with handle_signals(stop.receive, signal.SIGINT, signal.SIGTERM):
        yield stop


def describe(counts: Counts, seconds: float | None) -> str:
    """Return counts as a line of text; `seconds` is the length of the video, None if unknown.

    A length that the video has passed is left out: what a file says of itself may be wrong.
    """
    length = "" if seconds is None or seconds < counts.time else f" of {seconds:.1f}"
    return f"{counts.time:.1f}{length} s: in view {_listed(counts.in_view)}; seen {_listed(counts.seen)}"


def _label(person: Person) -> str:
    return UNCERTAIN if person.answer == UNCERTAIN else f"{person.answer} {person.probability:.0%}"


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {answer}" for answer, number in numbers.items() if number) or "nobody"
