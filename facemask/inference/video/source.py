"""Sources of video: files, cameras of this computer, and streams."""

import os
import queue
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from av.error import FFmpegError

from facemask.core.errors import FacemaskError
from facemask.inference.video.camera import Camera
from facemask.inference.video.decoder import PHOTOGRAPH, TEXT_FILE, Decoder, NoVideo
from facemask.inference.video.frame import Frame, FrameReader, Picture, SourceLost
from facemask.inference.video.truncation import Structure, check_structure

_TIMEOUT = 10.0  # seconds, to open a stream, and to wait for its next frame
_HEAD = 4096  # bytes, from which it is told what a file is
_PHOTOGRAPH_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"crx ")  # HEIC, AVIF, Canon's raw format
_NEVER_IN_TEXT = frozenset(range(32)) - frozenset(b"\b\t\n\f\r\x1b")
_NAME_ONE = "name a video file, a camera number, or the address of a stream"


class VideoSource:
    """An open video file, camera or stream; can be read once.

    Attributes:
        name: for messages, without credentials.
        live: whether frames that are not read in time are lost.
        rate: frames per second that are processed, on average.
        seconds: length of the video as stated by it; None if unknown.
        height: height of the frames, in pixels.
        width: width of the frames, in pixels.
        end: when the frames read so far end, in seconds since the start of the first.
    """

    def __init__(self, source: str, every: int = 1) -> None:
        """Open a source and read its first frame.

        Args:
            source: path of a video file, number of a camera, or address of a stream (`rtsp://`, `http://` ...). A file
                whose name is a number comes before the camera of that number.
            every: process every n-th frame only.

        Raises:
            FacemaskError: the source does not exist, cannot be opened, or contains no video.
        """
        self._source = source
        self._skip = every - 1
        self.name = _name(source)
        self._reader: FrameReader
        if _is_address(source):
            self._reader = _open_stream(source, self.name)
        elif _is_camera(source):
            self._reader = Camera(source, self.name)
        else:
            self._reader = _open_file(Path(source))
        self.seconds = self._reader.seconds
        self.live = _is_camera(source) or (_is_address(source) and self.seconds is None)
        self.height, self.width = self._reader.height, self._reader.width
        self.rate = self._reader.rate / every
        self.end = 0.0

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """Yield the frames: all of a file, or the newest each time of a live source; then close the source.

        Frames that cannot be decoded are skipped.

        Args:
            stop: ends the iteration when set, by a signal handler or another thread.

        Raises:
            SourceLost: a live source ended or sent nothing for ten seconds; or parts of a video file are missing or
                damaged, which is raised after all frames that can be read.
        """
        if isinstance(self._reader, Decoder) and not self.live:
            return self._all(self._reader, stop)
        return self._newest(stop)

    def reads(self, path: Path) -> bool:
        """Return whether `path` is the file being read."""
        own = Path(self._source)
        return path.exists() and own.exists() and path.samefile(own)

    def _all(self, decoder: Decoder, stop: threading.Event) -> Iterator[Frame]:
        try:
            while not stop.is_set():
                frame = decoder.read(self._skip)
                self.end = decoder.end
                if frame is None:
                    self._require_whole(decoder)
                    return
                yield frame
        finally:
            decoder.close()

    def _require_whole(self, decoder: Decoder) -> None:
        """Raise if a part of the video is missing or damaged; all frames that can be read have been."""
        structure = _structure(Path(self._source))
        damaged, reaches_end = decoder.damaged_at is not None, decoder.reaches_end()
        # If the film has its full length, what was cut off is sound.
        cut = structure is Structure.CUT and not reaches_end
        if cut or decoder.gave_up or (damaged and reaches_end is False):
            length = f" of {self.seconds:.1f}" if self.seconds and self.seconds > self.end else ""
            raise SourceLost(
                f"{self.name} can be read up to second {self.end:.1f}{length}; the rest is missing or damaged"
            )
        if decoder.damaged_at is not None:
            raise SourceLost(
                f"{self.name} is damaged, first near second {decoder.damaged_at:.1f}; what cannot be read was skipped"
            )
        if structure is Structure.BROKEN:
            raise SourceLost(f"{self.name} is damaged; what cannot be read was skipped")

    def _newest(self, stop: threading.Event) -> Iterator[Frame]:
        arrived: queue.Queue[Picture | None] = queue.Queue(maxsize=1)
        enough = threading.Event()
        first = self._reader.read()
        reader = threading.Thread(target=self._deliver, args=(arrived, enough), daemon=True)
        reader.start()
        try:
            start = time.monotonic()
            image = first.image if first else None
            while image is not None:
                now = time.monotonic() - start
                self.end = now + 1 / self.rate
                yield Frame(now, image)
                image = _take(arrived, stop)
        finally:
            enough.set()
            reader.join(timeout=1.0)
        if not stop.is_set():
            raise SourceLost(f"{self.name} stopped sending frames")

    def _deliver(self, arrived: "queue.Queue[Picture | None]", enough: threading.Event) -> None:
        """Read frames as they arrive and keep only the newest: a slow consumer skips frames and does not lag."""
        while not enough.is_set():
            frame = self._reader.read(self._skip)
            if frame is None:
                with suppress(queue.Full):
                    arrived.put(None, timeout=_TIMEOUT)
                break
            with suppress(queue.Empty):
                arrived.get_nowait()
            arrived.put(frame.image)
        self._reader.close()


def _take(arrived: "queue.Queue[Picture | None]", stop: threading.Event) -> Picture | None:
    """Return the next frame; None on timeout, at the end, or if `stop` is set."""
    deadline = time.monotonic() + _TIMEOUT
    while not stop.is_set() and time.monotonic() < deadline:
        with suppress(queue.Empty):
            # Short waits, since a signal handler can set `stop` but not wake this thread.
            return arrived.get(timeout=0.1)
    return None


def _is_address(source: str) -> bool:
    return "://" in source


def _is_camera(source: str) -> bool:
    path = Path(source)
    return path.is_char_device() or (source.isdecimal() and (path.is_dir() or not path.exists()))


def _name(source: str) -> str:
    """Return a source as it is called in messages: an address without user, password and query."""
    if _is_address(source):
        return re.sub(r"://[^/]*@", "://", source.partition("?")[0])
    return f"camera {source}" if _is_camera(source) and source.isdecimal() else source


def _open_stream(address: str, name: str) -> Decoder:
    try:
        decoder = Decoder(address, _TIMEOUT)
        if decoder.seconds is not None:
            decoder.check_frames()
        return decoder
    except NoVideo as error:
        raise FacemaskError(f"{name} {error}") from error
    except FFmpegError as error:
        raise FacemaskError(
            f"{name} cannot be reached or sends no video; check the address, the network, and user and password if "
            "needed"
        ) from error


def _open_file(path: Path) -> Decoder:
    if problem := _why_no_video(path):
        raise FacemaskError(f"{path} {problem}")
    try:
        return _decode_file(path)
    except NoVideo as error:
        text = str(error) != PHOTOGRAPH and path.is_file() and _is_text(_head(path))
        raise FacemaskError(f"{path} {TEXT_FILE if text else error}") from error
    except FFmpegError as error:
        raise FacemaskError(f"{path} {_why_unreadable(path)}") from error


def _decode_file(path: Path) -> Decoder:
    """Open a file, also one that was cut off."""
    address = f"file:{path}"  # a name with a colon would else be an address
    try:
        decoder = Decoder(address)
    except FFmpegError:
        if _structure(path) is Structure.WHOLE:
            raise
        return Decoder(address, seekable=False)
    try:
        decoder.check_frames()
    except NoVideo:
        if _structure(path) is Structure.WHOLE:
            decoder.close()
            raise
    return decoder


def _why_no_video(path: Path) -> str:
    """Return what a file is that is certainly no video, and what to do; empty if it may be one."""
    if not path.exists():
        return f"is missing: {_NAME_ONE}"
    if path.is_dir():
        return "is a folder: name one video file in it, or use `facemask predict` for a folder of photographs"
    if not os.access(path, os.R_OK):
        return "cannot be read, for lack of permission: change its permissions"
    if not path.is_file():
        return ""  # a pipe
    head = _head(path)
    if not head:
        return "is empty: copy or record it again"
    if head[4:8] == b"ftyp" and head[8:12] in _PHOTOGRAPH_BRANDS:
        return PHOTOGRAPH
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20] & 2:
        return "is an animated WebP, which FFmpeg cannot decode: convert it to .gif or .mp4"
    return ""


def _why_unreadable(path: Path) -> str:
    """Return why FFmpeg may not know a file, and what to do."""
    if not path.is_file():
        return f"sends no video: {_NAME_ONE}"
    if _is_text(_head(path)):
        return TEXT_FILE
    if _structure(path) is not Structure.WHOLE:
        return "is cut off or damaged, and what is missing is needed to read the rest: copy or record it again"
    return f"is not a video, or its beginning is damaged: {_NAME_ONE}"


def _structure(path: Path) -> Structure:
    return check_structure(path) if path.is_file() else Structure.WHOLE  # a pipe is gone once it is read


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _is_text(head: bytes) -> bool:
    utf_16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return utf_16 or not any(byte in _NEVER_IN_TEXT for byte in head)
