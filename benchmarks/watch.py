"""How fast `facemask watch --output` is: faces that move in 640x480 pixels, 15 pictures a second, each step on its own.

    python benchmarks/watch.py                  # two faces, with the models in export/
    python benchmarks/watch.py --faces 3 --pictures 900 --model other/export

Prints a Markdown table: for each step, milliseconds a picture by the clock and of the processor, and the same for each
time that the step is taken, as faces are not looked for in every picture. Then pictures a second, and the load of the
machine: where others compute too, the processor's time is the one to go by.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.moving_faces import HEIGHT, WIDTH, moving_faces
from facemask.faces.defaults import MIN_SCORE
from facemask.faces.detector import Box, FaceDetector
from facemask.inference.predictor import Classifier
from facemask.inference.video.encoder import write_video
from facemask.inference.video.source import VideoSource
from facemask.inference.video.watch import Watcher, mark_people

RATE = 15.0


class Clock:
    """Adds up what each step takes.

    Attributes:
        seconds: of each step, (2,): by the clock, and of the processor, all threads together.
        times: how often each step was taken.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, NDArray[np.float64]] = {}
        self.times: dict[str, int] = {}

    @contextmanager
    def time(self, step: str) -> Iterator[None]:
        """Time the body."""
        start = _now()
        yield
        self.seconds[step] = self.seconds.get(step, np.zeros(2)) + _now() - start
        self.times[step] = self.times.get(step, 0) + 1


class TimedDetector(FaceDetector):
    """The detector, with a clock."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(folder)
        self._clock = clock

    def detect(self, image: NDArray[np.uint8], min_score: float = MIN_SCORE) -> list[Box]:
        """Find faces."""
        with self._clock.time("detect"):
            return super().detect(image, min_score)


class TimedClassifier(Classifier):
    """The classifier, with a clock."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(folder)
        self._clock = clock

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Classify faces."""
        with self._clock.time("classify"):
            return super().probabilities(images)


def measure(models: Path, clip: Path, marked: Path) -> tuple[Clock, int, int]:
    """Watch a video; return what each step took, the number of pictures, and how many people were seen."""
    clock = Clock()
    watcher = Watcher(TimedDetector(models, clock), TimedClassifier(models, clock))
    source = VideoSource(str(clip))
    frames = source.frames(threading.Event())
    pictures = 0
    with write_video(marked, source.rate, source.height, source.width) as video:
        while True:
            with clock.time("read"):
                frame = next(frames, None)
            if frame is None:
                break
            with clock.time("look"):
                watcher.look(frame)
            with clock.time("draw"):
                image = mark_people(frame.image, watcher.people.in_view(frame.time))
            with clock.time("write"):
                video.write(image, frame.time)
            pictures += 1
            last = frame
    clock.seconds["crop and follow"] = clock.seconds["look"] - clock.seconds["detect"] - clock.seconds["classify"]
    clock.times["crop and follow"] = clock.times["detect"]
    del clock.seconds["look"]
    return clock, pictures, sum(watcher.people.counts(last.time).seen.values())


def main() -> None:
    """Make the video, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=2, choices=range(1, 4))
    parser.add_argument("--pictures", type=int, default=450)
    parser.add_argument("--model", type=Path, default=Path("export"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip, marked = Path(folder) / "clip.mp4", Path(folder) / "marked.mp4"
        with write_video(clip, RATE, HEIGHT, WIDTH) as video:
            for number, picture in enumerate(moving_faces(given.pictures, given.faces)):
                video.write(picture, number / RATE)
        clock, pictures, people = measure(given.model, clip, marked)
    print("| step | ms a picture, clock | processor | ms each time, clock | processor |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for step, seconds in clock.seconds.items():
        columns = [*(1000 * seconds / pictures), *(1000 * seconds / clock.times[step])]
        print(f"| {step} | {' | '.join(f'{milliseconds:.1f}' for milliseconds in columns)} |")
    wall, processor = np.sum(list(clock.seconds.values()), axis=0)
    print(f"| all | {1000 * wall / pictures:.1f} | {1000 * processor / pictures:.1f} | | |")
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"\n{pictures} pictures with {given.faces} faces; {people} people were counted.")
    print(
        f"{pictures / wall:.1f} pictures a second by the clock, {pictures / processor:.1f} a second of the processor."
    )
    print(f"{os.cpu_count()} cores, load {load}.")


def _now() -> NDArray[np.float64]:
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    main()
