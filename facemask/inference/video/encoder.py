"""Writing of video files, with PyAV."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import cast

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.inference.video.frame import Picture

# Both are played by browsers. Without B-frames, frames are written in the order in which they are shown.
_H264 = ("libx264", MappingProxyType({"preset": "veryfast", "crf": "20", "bf": "0"}))
# VP8 would take ten times as long.
_VP9 = ("libvpx-vp9", MappingProxyType({"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "30", "b": "0"}))
CODECS = MappingProxyType({".mp4": _H264, ".mov": _H264, ".mkv": _H264, ".webm": _VP9})

_TIME_BASE = Fraction(1, 90_000)  # seconds; holds 24, 25, 30 and 30/1.001 frames per second exactly
_RATES = (0.01, 1000.0)  # mean frames per second that all encoders accept
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_BT709 = 1  # number of this standard for colours in H.264 and VP9 (ITU-T H.273)


class VideoFile:
    """A video file being written; see `write_video`."""

    def __init__(self, path: Path, container: OutputContainer, stream: VideoStream) -> None:
        self._path = path
        self._container = container
        self._stream = stream
        self._reformatter = VideoReformatter()
        self._stamp = -1  # of the last frame, in units of `_TIME_BASE`
        self._end = 0
        self._held: Packet | None = None  # until the time of the next tells how long it is shown

    def write(self, image: Picture, time: float) -> None:
        """Append a frame, which is shown until the time of the next.

        Args:
            image: uint8 (height, width, 3), RGB. A frame of another size, as after rotating a camera, is resized.
            time: seconds since the first frame, later than that of the frame before.

        Raises:
            FacemaskError: the file cannot be written.
        """
        frame = self._reformatter.reformat(
            VideoFrame.from_ndarray(image, format="rgb24"),
            width=self._stream.width,
            height=self._stream.height,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        self._stamp = max(round(time / _TIME_BASE), self._stamp + 1)
        frame.pts, frame.time_base = self._stamp, _TIME_BASE
        with _reporting(self._path):
            self._mux(self._stream.encode(frame))

    def show_last_until(self, time: float) -> None:
        """Set when the last frame ends, in seconds since the first."""
        self._end = round(time / _TIME_BASE)

    def finish(self) -> None:
        """Write what is still held back.

        Raises:
            FacemaskError: the file cannot be written.
        """
        with _reporting(self._path):
            self._mux(self._stream.encode(None))
            self._container.start_encoding()  # writes the header, if there was no frame
            if self._held is not None and self._held.pts is not None:
                self._held.duration = max(self._end - self._held.pts, 1)
                self._container.mux(self._held)
            self._container.close()

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            if self._held is not None:
                if packet.pts is not None and self._held.pts is not None:
                    self._held.duration = packet.pts - self._held.pts
                self._container.mux(self._held)
            self._held = packet


@contextmanager
def write_video(path: Path, rate: float, height: int, width: int) -> Iterator[VideoFile]:
    """Write a video file; it appears, or replaces an older one, when complete.

    Args:
        path: path of the file; its suffix is a key of `CODECS`.
        rate: frames per second on average, for the encoder; each frame is written with its own time.
        height: height of the frames, in pixels.
        width: width of the frames, in pixels. H.264 has even sizes only, so odd ones grow by a pixel.

    Raises:
        FacemaskError: the file cannot be written, or not completely.
    """
    if path.suffix.lower() not in CODECS:
        *most, last = CODECS
        suffixes = f"{', '.join(most)} or {last}"
        raise FacemaskError(f"{path} cannot be written as a video; name a file that ends in {suffixes}")
    codec, options = CODECS[path.suffix.lower()]
    even = 2 if codec == _H264[0] else 1
    with ExitStack() as stack:
        with _reporting(path):
            draft = stack.enter_context(atomic_path(path))
            container = av.open(f"file:{draft}", "w")  # a name with a colon would else be an address
            stack.callback(_abandon, container)
            average = Fraction(min(max(rate, _RATES[0]), _RATES[1])).limit_denominator(1001)
            stream = cast(VideoStream, container.add_stream(codec, rate=average, options=dict(options)))
            stream.width, stream.height = (-(-side // even) * even for side in (width, height))
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.time_base = _TIME_BASE
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = ColorRange.MPEG
        video = VideoFile(path, container, stream)
        yield video
        video.finish()


def _abandon(container: OutputContainer) -> None:
    """Close a file that was closed before, or is not wanted."""
    with suppress(FFmpegError, OSError):
        container.close()


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """Turn failures to write into messages.

    Raises:
        FacemaskError: the body raised an error of FFmpeg's or the system.
    """
    try:
        yield
    except (FFmpegError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise FacemaskError(f"{path} was not written completely; is the disk full?") from error
        raise FacemaskError(f"{path} cannot be written ({error.strerror or error}); choose another file") from error
