"""Watching a video: each face found, classified, followed, drawn where that is asked for, and counted."""

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
from facemask.inference.video.capture import Frame, Picture, SourceLost, VideoFile, VideoSource, Window, write_video
from facemask.inference.video.people import Counts, People, Person
from facemask.models.decision import UNCERTAIN

# Looking takes most of the time, and ten times a second is enough to follow faces by how they move. A little less than
# 0.1, as the times of pictures are rounded.
_SECONDS_TO_LOOK = 0.095

_LEAST_SCORE = 0.5  # the detector is seldom as sure of a face with a mask as of one without


class Watcher:
    """Looks at the pictures of one video.

    Attributes:
        people: who was seen so far.
    """

    def __init__(self, detector: FaceDetector, classifier: Classifier) -> None:
        self._detector = detector
        self._classifier = classifier
        self._looked = -math.inf
        self.people = People(classifier.decision)

    def look(self, frame: Frame) -> None:
        """Look for faces in the next picture, unless the last look was just before it."""
        if frame.time - self._looked < _SECONDS_TO_LOOK:
            return
        self._looked = frame.time
        boxes = [box for box in self._detector.detect(frame.image, _LEAST_SCORE) if box.side >= MIN_FACE]
        self.people.update(frame.time, boxes, self._classify(frame.image, boxes))

    def _classify(self, image: Picture, boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Probabilities of the n faces of a picture, (n, 3)."""
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
    """Watch a video to its end, and count.

    Args:
        source: where the pictures come from.
        watcher: new, for this video.
        stop: ends the watching when it is set.
        interval: seconds of the video from one count to the next.
        output: a video file to write with the faces marked. Of a live source it shows each picture for as long as it
            was the newest.
        show: whether to show the same in a window; a file is then played no faster than it was taken.

    Yields:
        Counts in every interval, and last those at the end.

    Raises:
        FacemaskError: no window can be opened, or `output` can't be written, or is the file that is read.
        SourceLost: the source ended too early; this comes after the last counts, and the video written so far stays.
    """
    if output and source.reads(output):
        raise FacemaskError(f"{output} is the video that is read; name another file with --output")
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
                    video.write(marked, _times(frame, source, video))
                early = 0.0 if source.live else now - (time.monotonic() - started)
                if window and not window.show(marked, early):
                    break
                if now >= due:
                    due = (now // interval + 1) * interval
                    yield watcher.people.counts(now)
        except SourceLost as error:
            lost = error
    yield watcher.people.counts(now)
    if lost:
        raise lost


def mark_people(image: Picture, people: Sequence[Person]) -> Picture:
    """Draw people into a picture, uint8 (height, width, 3), RGB, which is left as it is."""
    marks = [Mark(person.box, person.answer, f"{person.number} {_said(person)}") for person in people]
    return annotate(image, marks)


class StopSignal(threading.Event):
    """Set by Ctrl-C, or by what ends a service (SIGTERM).

    Attributes:
        number: of the signal that came; 0 before.
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
    """Put counts into a line for people; `seconds` is the length of the video, None where it has none."""
    length = "" if seconds is None else f" of {seconds:.1f}"
    return f"{counts.time:.1f}{length} s: in view {_listed(counts.in_view)}; seen {_listed(counts.seen)}"


def _said(person: Person) -> str:
    return UNCERTAIN if person.answer == UNCERTAIN else f"{person.answer} {person.probability:.0%}"


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {answer}" for answer, number in numbers.items() if number) or "nobody"


def _times(frame: Frame, source: VideoSource, video: VideoFile) -> int:
    """How often to write a picture so that a live source, of which pictures are skipped, plays at its own speed."""
    return max(round(frame.time * source.rate) + 1 - video.written, 0) if source.live else 1
