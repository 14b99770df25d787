"""Read video from files, cameras and streams, and write it to files or a window, with OpenCV."""

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

# OpenCV's wheels have no H.264 encoder. Browsers do not play the MPEG-4 that they write; VP8 they do, but encoding it
# takes ten times as long.
CODECS = {".mp4": "mp4v", ".webm": "VP80"}

_TIMEOUT = 10.0  # seconds, to open a source, and to wait for its next frame
_TRIES = 100  # unreadable frames in a row that end the video
_RATES = (1.0, 240.0)  # plausible frames per second; some sources report 0, or 90,000
_USUAL_RATE = 25.0
_LARGEST_WINDOW = 1280  # pixels; the user may enlarge it
_MISSED = 1.0  # seconds missing at the end from which a video counts as truncated


class SourceLost(FacemaskError):  # noqa: N818 - named after the event
    """A source stopped delivering frames before its end."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        time: seconds since the first frame; strictly increasing.
        image: uint8 (height, width, 3), RGB.
    """

    time: float
    image: Picture


class VideoSource:
    """An open video file, camera or stream; can be read once.

    Attributes:
        name: for messages, without credentials.
        live: whether frames that are not read in time are lost.
        rate: frames per second that are processed.
        seconds: length of the video; None if unknown.
        height: height of the frames, in pixels.
        width: width of the frames, in pixels.
    """

    def __init__(self, source: str, every: int = 1) -> None:
        """Open a source and read its first frame.

        Args:
            source: path of a video file, number of a camera, or address of a stream (`rtsp://`, `http://` ...).
            every: process every n-th frame only.

        Raises:
            FacemaskError: the source does not exist, cannot be opened, or contains no video.
        """
        _silence_opencv()
        self._source = source
        self.name = _redacted(source)
        self._every = every
        self._capture = _open(source)
        first = self._read(skip=0)
        if first is None:
            raise FacemaskError(_open_error(source, self.name))
        self._first = first
        self.height, self.width = first.shape[:2]
        count, said = self._capture.get(cv2.CAP_PROP_FRAME_COUNT), self._capture.get(cv2.CAP_PROP_FPS)
        rate = said if _RATES[0] <= said <= _RATES[1] else _USUAL_RATE
        self.rate = rate / every
        self.seconds = count / rate if count > 0 else None
        self.live = _is_camera(source) or (_is_address(source) and self.seconds is None)

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """Yield the frames: all of a file, or the newest each time of a live source; then close the source.

        Unreadable frames are skipped.

        Args:
            stop: ends the iteration when set, by a signal handler or another thread.

        Raises:
            SourceLost: a live source ended or sent nothing for ten seconds, or a video file is truncated.
            FacemaskError: the file contains a single image.
        """
        return self._newest(stop) if self.live else self._all(stop)

    def reads(self, path: Path) -> bool:
        """Return whether `path` is the file being read."""
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
        """Raise if the video is truncated: its last frame, at `last` seconds, is too far from its end."""
        if self.seconds is None and last == 0:
            raise FacemaskError(f"{self.name} is a single image, not a video")
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
            raise SourceLost(f"{self.name} stopped sending frames")

    def _deliver(self, arrived: "queue.Queue[Picture | None]", enough: threading.Event) -> None:
        """Read frames as they arrive and keep only the newest: a slow consumer skips frames and does not lag."""
        while not enough.is_set():
            image = self._read(self._every - 1)
            if image is None:
                with suppress(queue.Full):
                    arrived.put(None, timeout=_TIMEOUT)
                break
            with suppress(queue.Empty):
                arrived.get_nowait()
            arrived.put(image)
        self._capture.release()

    def _read(self, skip: int) -> Picture | None:
        """Read the next frame after skipping `skip`, and broken ones; None at the end."""
        for _ in range(_TRIES):
            for _ in range(skip):
                self._capture.grab()
            good, image = self._capture.read()
            if good:
                return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
        return None


class VideoFile:
    """A video file being written; see `write_video`."""

    def __init__(self, writer: cv2.VideoWriter, height: int, width: int) -> None:
        self._writer = writer
        self._size = (width, height)
        self.written = 0

    def write(self, image: Picture, times: int = 1) -> None:
        """Append a frame, uint8 (height, width, 3), RGB, once or several times.

        A frame of another size, as after rotating a camera, is resized.
        """
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        swapped = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        for _ in range(times):
            self._writer.write(swapped)
        self.written += times


@contextmanager
def write_video(path: Path, rate: float, height: int, width: int) -> Iterator[VideoFile]:
    """Write a video file; it appears, or replaces an older one, when complete.

    Args:
        path: path of the file; its suffix is a key of `CODECS`.
        rate: frames per second.
        height: height of the frames, in pixels.
        width: width of the frames, in pixels.

    Raises:
        FacemaskError: the file cannot be written, or not completely.
    """
    if path.suffix.lower() not in CODECS:
        raise FacemaskError(f"{path} cannot be written as a video; name a file that ends in {' or '.join(CODECS)}")
    try:
        with atomic_path(path) as draft:
            with quiet_stderr():
                codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
                # MPEG-4 stores time in at most 1/65,535 s; two decimals always fit.
                writer = cv2.VideoWriter(str(draft), codec, round(rate, 2), (width, height))
            try:
                if not writer.isOpened():
                    raise FacemaskError(
                        f"{path} cannot be written: OpenCV has no encoder, or no permission; choose another file"
                    )
                video = VideoFile(writer, height, width)
                yield video
            finally:
                writer.release()
            # OpenCV does not report failed writes.
            found = cv2.VideoCapture(str(draft)).get(cv2.CAP_PROP_FRAME_COUNT)
            if abs(found - video.written) > 1:
                raise FacemaskError(f"{path} was not written completely; is the disk full?")
    except OSError as error:
        raise FacemaskError(f"{path} cannot be written ({error.strerror or error}); choose another file") from error


class Window:
    """A window that shows frames."""

    def __init__(self, title: str, height: int, width: int) -> None:
        """Open a window for frames of this size in pixels.

        Raises:
            FacemaskError: this OpenCV build has no windows, or there is no display.
        """
        _require_windows()
        self._title = title
        scale = min(1.0, _LARGEST_WINDOW / max(height, width))
        with quiet_stderr():
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, round(width * scale), round(height * scale))

    def show(self, image: Picture, seconds: float) -> bool:
        """Show a frame, uint8 (height, width, 3), RGB, for at least `seconds`; return whether to go on.

        Closing the window, q and Escape end the video.
        """
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(max(round(1000 * seconds), 1))
        try:
            return key not in (ord("q"), 27) and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            return False  # raised by Qt after its last window is closed


def _silence_opencv() -> None:
    """Turn off the logs of OpenCV and FFmpeg; errors are reported by this module."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _is_camera(source: str) -> bool:
    return source.isdecimal() or Path(source).is_char_device()


def _is_address(source: str) -> bool:
    return "://" in source


def _redacted(source: str) -> str:
    """Return a source without the user and password of an address, and without its query."""
    if not _is_address(source):
        return f"camera {source}" if source.isdecimal() else source
    return re.sub(r"://[^/]*@", "://", source.partition("?")[0])


def _open(source: str) -> cv2.VideoCapture:
    if not _is_address(source):
        return cv2.VideoCapture(int(source) if source.isdecimal() else source)
    timeout = round(1000 * _TIMEOUT)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout]
    return cv2.VideoCapture(source, cv2.CAP_ANY, limits)


def _open_error(source: str, name: str) -> str:
    """Return a message that says why a source could not be opened, as far as can be told, and what to do."""
    if _is_address(source):
        return (
            f"{name} cannot be reached or sends no video; check the address, the network, and user and password if "
            "needed"
        )
    if _is_camera(source):
        device = Path(f"/dev/video{source}") if source.isdecimal() else Path(source)
        if sys.platform == "linux" and not device.exists():
            return f"{name} ({device}) does not exist; `ls /dev/video*` lists the cameras"
        if sys.platform == "linux" and not os.access(device, os.R_OK | os.W_OK):
            return f"no permission to use {name} ({device}); join the group that owns it, often `video`"
        return f"{name} cannot be opened; check that it is connected, allowed in the system settings, and not in use"
    path = Path(source)
    if not path.exists():
        return f"{name} is missing; name a video file, a camera number, or the address of a stream"
    if not path.is_file():
        return f"{name} is not a file; name a video file, a camera number, or the address of a stream"
    if not os.access(path, os.R_OK):
        return f"no permission to read {name}; change its permissions"
    return f"{name} is not a video that OpenCV can read, or it is truncated or damaged"


def _take(arrived: "queue.Queue[Picture | None]", stop: threading.Event) -> Picture | None:
    """Return the next frame; None on timeout, at the end, or if `stop` is set."""
    deadline = time.monotonic() + _TIMEOUT
    while not stop.is_set() and time.monotonic() < deadline:
        with suppress(queue.Empty):
            # Short waits, since a signal handler can set `stop` but not wake this thread.
            return arrived.get(timeout=0.1)
    return None


def _require_windows() -> None:
    """Open a window in another process first: without a display, Qt does not raise but aborts the process."""
    attempt = [sys.executable, "-c", "import cv2; cv2.namedWindow('facemask')"]
    if subprocess.run(attempt, capture_output=True, check=False).returncode == 0:
        return
    if cv2.currentUIFramework():
        raise FacemaskError("no window can be opened: there is no display here; use --output instead of --show")
    raise FacemaskError(
        "this OpenCV build has no windows; leave out --show, or run `pip uninstall opencv-python-headless` and "
        "`pip install opencv-python`"
    )
