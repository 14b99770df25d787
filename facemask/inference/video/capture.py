"""Video in and out through OpenCV: from files, cameras and streams to pictures, from pictures to files and a window."""

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.core.stderr import quiet_stderr

Picture = NDArray[np.uint8]

# OpenCV's wheels have no encoder for H.264. No browser plays the MPEG-4 that they write; VP8 is for those, and takes
# ten times as long.
CODECS = {".mp4": "mp4v", ".webm": "VP80"}

_PATIENCE = 10.0  # seconds, for a source to open, and for its next picture
_TRIES = 100  # pictures in a row that can't be read; after that it is the end
_RATES = (1.0, 240.0)  # frames a second that are believed; some sources say 0, or 90,000
_USUAL_RATE = 25.0
_LARGEST_WINDOW = 1280  # pixels; a person may enlarge it
_MISSED = 1.0  # seconds at the end of a video, from which on it counts as cut off


class SourceLost(FacemaskError):  # noqa: N818 - it tells what happened to the source
    """A source stopped delivering pictures before its end."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        time: in seconds from the first picture; each is later than the one before.
        image: uint8 (height, width, 3), RGB.
    """

    time: float
    image: Picture


class VideoSource:
    """A video file, a camera or a stream, opened; to be gone through once.

    Attributes:
        name: for messages, without what may be secret in an address.
        live: whether its pictures come by themselves, and those that are not taken in time are gone.
        rate: pictures a second, of those that are looked at.
        seconds: length of the video; None if it has none, or does not say.
        height: of its pictures, in pixels.
        width: likewise.
    """

    def __init__(self, source: str, every: int = 1) -> None:
        """Open a source and read its first picture.

        Args:
            source: path of a video file, number of a camera, or address of a stream (`rtsp://`, `http://` ...).
            every: 1 to look at every picture, n to look at every n-th.

        Raises:
            FacemaskError: there is no such source, it can't be opened, or it holds no video.
        """
        _silence_opencv()
        self._source = source
        self.name = _without_secrets(source)
        self._every = every
        self._capture = _open(source)
        first = self._read(skip=0)
        if first is None:
            raise FacemaskError(_why_not(source, self.name))
        self._first = first
        self.height, self.width = first.shape[:2]
        count, said = self._capture.get(cv2.CAP_PROP_FRAME_COUNT), self._capture.get(cv2.CAP_PROP_FPS)
        rate = said if _RATES[0] <= said <= _RATES[1] else _USUAL_RATE
        self.rate = rate / every
        self.seconds = count / rate if count > 0 else None
        self.live = _is_camera(source) or (_is_address(source) and self.seconds is None)

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """Yield the pictures: all, in order, or of a live source the newest each time. At the end the source is closed.

        A picture that can't be read is passed over.

        Args:
            stop: ends this when it is set, by a signal's handler or another thread.

        Raises:
            SourceLost: a live source ended or sent nothing for ten seconds, or a video is shorter than it should be.
            FacemaskError: the file holds a single picture.
        """
        return self._newest(stop) if self.live else self._all(stop)

    def reads(self, path: Path) -> bool:
        """Tell whether this is the file that is read."""
        own = Path(self._source)
        return path.exists() and own.exists() and path.samefile(own)

    def _all(self, stop: threading.Event) -> Iterator[Frame]:
        yield Frame(0.0, self._first)
        last = 0.0
        while not stop.is_set():
            image = self._read(self._every - 1)
            if image is None:
                self._check_end(last)
                break
            stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            last = stamp if stamp > last else last + 1 / self.rate
            yield Frame(last, image)
        self._capture.release()

    def _check_end(self, last: float) -> None:
        """Raise if no more pictures can be had though the last one, at so many seconds, should not be the last."""
        if self.seconds is None and last == 0:
            raise FacemaskError(f"{self.name} is a single picture, not a video")
        if self.seconds is not None and self.seconds - last > _MISSED + 1 / self.rate:
            raise SourceLost(
                f"{self.name} can be read up to second {last:.1f} of {self.seconds:.1f}; the rest is missing or damaged"
            )

    def _newest(self, stop: threading.Event) -> Iterator[Frame]:
        arrived: queue.Queue[Picture | None] = queue.Queue(maxsize=1)
        enough = threading.Event()
        reader = threading.Thread(target=self._deliver, args=(arrived, enough), daemon=True)
        reader.start()
        try:
            start = time.monotonic()
            yield Frame(0.0, self._first)
            while (image := _take(arrived, stop)) is not None:
                yield Frame(time.monotonic() - start, image)
        finally:
            enough.set()
            reader.join(timeout=1.0)
        if not stop.is_set():
            raise SourceLost(f"{self.name} sends no more pictures")

    def _deliver(self, arrived: "queue.Queue[Picture | None]", enough: threading.Event) -> None:
        """Read as fast as pictures come and keep the newest one only: who is slow skips some, and never lags behind."""
        while not enough.is_set():
            image = self._read(self._every - 1)
            if image is None:
                with suppress(queue.Full):
                    arrived.put(None, timeout=_PATIENCE)
                break
            with suppress(queue.Empty):
                arrived.get_nowait()
            arrived.put(image)
        self._capture.release()

    def _read(self, skip: int) -> Picture | None:
        """Read the next picture after `skip` others, passing over broken ones; None at the end."""
        for _ in range(_TRIES):
            for _ in range(skip):
                self._capture.grab()
            good, image = self._capture.read()
            if good:
                return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
        return None


class VideoFile:
    """A video that is being written; see `write_video`."""

    def __init__(self, writer: cv2.VideoWriter, height: int, width: int) -> None:
        self._writer = writer
        self._size = (width, height)
        self.written = 0

    def write(self, image: Picture, times: int = 1) -> None:
        """Append a picture, uint8 (height, width, 3), RGB, once or several times.

        It is stretched if it has not the size of the video, as when a camera is turned.
        """
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        swapped = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        for _ in range(times):
            self._writer.write(swapped)
        self.written += times


@contextmanager
def write_video(path: Path, rate: float, height: int, width: int) -> Iterator[VideoFile]:
    """Write a video file; it appears, or replaces another, when it is whole.

    Args:
        path: of the file; its ending is one of `CODECS`.
        rate: pictures a second.
        height: of the pictures, in pixels.
        width: likewise.

    Raises:
        FacemaskError: it can't be written, or not to its end.
    """
    if path.suffix.lower() not in CODECS:
        raise FacemaskError(f"{path} can't be written as a video; name a file that ends in {' or '.join(CODECS)}")
    try:
        with atomic_path(path) as draft:
            with quiet_stderr():
                codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
                # MPEG-4 counts time in at most 65,535ths of a second; two decimals always fit.
                writer = cv2.VideoWriter(str(draft), codec, round(rate, 2), (width, height))
            try:
                if not writer.isOpened():
                    raise FacemaskError(f"{path} can't be written; OpenCV has no encoder here, or may not write there")
                video = VideoFile(writer, height, width)
                yield video
            finally:
                writer.release()
            # OpenCV does not tell when a picture could not be written.
            found = cv2.VideoCapture(str(draft)).get(cv2.CAP_PROP_FRAME_COUNT)
            if abs(found - video.written) > 1:
                raise FacemaskError(f"{path} could not be written to its end; is the disk full?")
    except OSError as error:
        raise FacemaskError(f"{path} can't be written: {error.strerror or error}") from error


class Window:
    """A window that shows pictures."""

    def __init__(self, title: str, height: int, width: int) -> None:
        """Open the window, for pictures of this size in pixels.

        Raises:
            FacemaskError: this OpenCV has no windows, or there is no screen.
        """
        _require_windows()
        self._title = title
        scale = min(1.0, _LARGEST_WINDOW / max(height, width))
        with quiet_stderr():
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, round(width * scale), round(height * scale))

    def show(self, image: Picture, seconds: float) -> bool:
        """Show a picture, uint8 (height, width, 3), RGB, for at least so long; tell whether the person wants more.

        Who has seen enough closes the window or presses q or Escape.
        """
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(max(round(1000 * seconds), 1))
        try:
            return key not in (ord("q"), 27) and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            return False  # with its last window closed, Qt has nothing left to ask


def _silence_opencv() -> None:
    """Have OpenCV and FFmpeg inside it log nothing: what matters of it is said here, in other words."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _is_camera(source: str) -> bool:
    return source.isdecimal() or Path(source).is_char_device()


def _is_address(source: str) -> bool:
    return "://" in source


def _without_secrets(source: str) -> str:
    """Name a source without the password before the host of an address, and without its query."""
    if not _is_address(source):
        return f"camera {source}" if source.isdecimal() else source
    return re.sub(r"://[^/]*@", "://", source.partition("?")[0])


def _open(source: str) -> cv2.VideoCapture:
    if not _is_address(source):
        return cv2.VideoCapture(int(source) if source.isdecimal() else source)
    patience = round(1000 * _PATIENCE)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, patience, cv2.CAP_PROP_READ_TIMEOUT_MSEC, patience]
    return cv2.VideoCapture(source, cv2.CAP_ANY, limits)


def _why_not(source: str, name: str) -> str:
    """Say why a source could not be opened or read, and what to do, as far as that can be told from outside."""
    if _is_address(source):
        return (
            f"{name} can't be reached or sends no video; check the address, the network, and the name and password if "
            "it needs them"
        )
    if _is_camera(source):
        device = Path(f"/dev/video{source}") if source.isdecimal() else Path(source)
        if sys.platform == "linux" and not device.exists():
            return f"there is no {name} ({device}); `ls /dev/video*` lists those that there are"
        if sys.platform == "linux" and not os.access(device, os.R_OK | os.W_OK):
            return f"{name} ({device}) may not be used by you; become a member of the group that owns it, often `video`"
        return f"{name} can't be opened; is it plugged in, allowed in the system's settings, and not used elsewhere?"
    path = Path(source)
    if not path.exists():
        return f"{name} is missing; name a video file, the number of a camera, or the address of a stream"
    if not path.is_file():
        return f"{name} is not a file; name a video file, the number of a camera, or the address of a stream"
    if not os.access(path, os.R_OK):
        return f"{name} may not be read by you"
    return f"{name} is not a video that OpenCV can read, or it is cut off or damaged"


def _take(arrived: "queue.Queue[Picture | None]", stop: threading.Event) -> Picture | None:
    """Wait for the next picture; None if there is none in time, no more at all, or if `stop` is set."""
    deadline = time.monotonic() + _PATIENCE
    while not stop.is_set() and time.monotonic() < deadline:
        with suppress(queue.Empty):
            # In short waits, since a signal's handler can set `stop` but wake nobody.
            return arrived.get(timeout=0.1)
    return None


def _require_windows() -> None:
    """Try to open a window in a process of its own: with no screen, Qt does not raise, it ends the process."""
    attempt = [sys.executable, "-c", "import cv2; cv2.namedWindow('facemask')"]
    if subprocess.run(attempt, capture_output=True, check=False).returncode == 0:
        return
    if cv2.currentUIFramework():
        raise FacemaskError("no window can be opened here: there is no screen; leave out --show, or use --output")
    raise FacemaskError(
        "this OpenCV can't open windows; leave out --show, or run `pip uninstall opencv-python-headless` and "
        "`pip install opencv-python`"
    )
