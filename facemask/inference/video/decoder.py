"""Decoding of video files and streams, with PyAV.

PyAV rather than OpenCV, though both decode with FFmpeg. OpenCV returns pictures: it does not say whether a video ended
or failed to decode, how long a frame is shown, or whether a file is a film or a photograph; and its length and speed
are what the header claims. PyAV gives each frame its own time and duration, and reports each failure. The price is one
more package, with an FFmpeg of its own.
"""

import re
from collections import deque
from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError, InvalidDataError, PatchWelcomeError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from facemask.inference.video.frame import Frame, Picture

PHOTOGRAPH = "is a photograph, not a video: use `facemask predict`"
TEXT_FILE = "is a text file, not a video: name a video file"

_TRIES = 100  # failures in a row after which the rest of a container is given up
_USUAL_RATE = 25.0  # frames per second, of containers that state none
_RESTART = 1.0  # seconds; a longer step back is that of a clock that was set anew
_PAUSE = 10.0  # seconds; where recordings may have been joined, a longer step forward is one, too
_LEAST_STEP = 1e-4  # seconds between two frames with the same time

# Formats as FFmpeg calls them.
_STILL = re.compile(r"image2|ico|(?!yuv4mpeg|image2)\w+pipe")
_ANIMATIONS = frozenset(("gif", "apng"))  # with a single frame, a photograph
_TEXT = "tty"  # would draw the text
_STATE_END = frozenset(("matroska,webm", "flv"))  # state the time of the end instead of the length
_ESTIMATED = frozenset(("gif", "mpegts", "mpeg"))  # state no length; FFmpeg looks for the end itself
_FRAGMENTED = "mov,mp4,m4a,3gp,3g2,mj2"  # states its length, unless it consists of fragments: then, no number of frames
_JOINED = frozenset(("mpegts", "mpeg"))  # parts of recordings can be joined as they are, each with its own clock
_CHECKED = "mpegts"  # numbers its packets; where parts were joined, some count as corrupt, though they decode
_INDEXED = "avi"  # skips what it cannot find, but lists all frames


class NoVideo(Exception):  # noqa: N818 - a finding about a container, not a fault
    """A container has no video; the message says what it is instead, and what to do."""


class Decoder:
    """Decodes the video of a file or stream; can be read once.

    Rotated video, as of phones, is turned upright. Frames that cannot be decoded are skipped.

    Attributes:
        rate: frames per second on average, as stated by the container.
        seconds: length of the video as stated by the container; None if it is not.
        height: height of the frames, in pixels.
        width: width of the frames, in pixels.
        end: when the last frame that was read ends, in seconds since the start of the first.
        damaged_at: when decoding failed first, in the same seconds; None if it did not.
        gave_up: whether reading ended because of failures, before the end of the container.
    """

    def __init__(self, address: str, timeout: float | None = None, seekable: bool = True) -> None:
        """Open a container and decode its first frame.

        Args:
            address: a URL that FFmpeg knows, such as `file:` with a path, or `rtsp://...`.
            timeout: how long to wait for the other side of a network, in seconds; None for ever.
            seekable: False to read a file from its beginning to its end only: an MP4 file of many fragments, whose
                headers FFmpeg would else read before all else, and refuse the whole file for a bad one.

        Raises:
            NoVideo: the container has no video, or none that can be decoded.
            FFmpegError: it cannot be opened.
        """
        options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
        if not seekable:
            options["seekable"] = "0"
        self._container = av.open(address, options=options, timeout=timeout, metadata_errors="ignore")
        try:
            self._format = self._container.format.name
            self._stream = _choose_stream(self._container)
            # Threads that decode a frame each would lose those after a failure at the end.
            self._stream.thread_type = "SLICE"
            self._reformatter = VideoReformatter()
            self.rate = _rate(self._stream)
            self.end = 0.0
            self.damaged_at: float | None = None
            self.gave_up = False
            self._origin: float | None = None  # the container's time at the start of the first frame, in seconds
            self._last: float | None = None  # time of the last frame
            self._decoded = self._decode()
            self._waiting: deque[VideoFrame] = deque()
            if not self._wait_for(1):
                raise NoVideo("has no frame that can be decoded: it is cut off or damaged, so copy or record it again")
            first = self._waiting[0]
            self.height, self.width = (first.width, first.height) if _turns(first) % 2 else (first.height, first.width)
            self.seconds = _stated_length(self._container, self._stream, self._stamp(first) or 0.0)
        except BaseException:
            self._container.close()
            raise

    def check_frames(self) -> None:
        """Check that there is a second frame, by decoding it.

        Raises:
            NoVideo: the only frame is a photograph.
        """
        if self._wait_for(2) or self.damaged_at is not None:
            return
        if self._format in _ANIMATIONS:
            raise NoVideo(PHOTOGRAPH)
        raise NoVideo(
            "has a single frame, in which nobody can be followed: save it as a photograph and use `facemask predict`"
        )

    def read(self, skip: int = 0) -> Frame | None:
        """Return the next frame after leaving out `skip`; None at the end."""
        if self._last is None:
            skip = 0
        for _ in range(skip + 1):
            if not self._wait_for(1):
                return None
            frame = self._waiting.popleft()
            time = self._time(frame)
        return Frame(time, self._picture(frame))

    def reaches_end(self) -> bool | None:
        """Return whether the frames that were read reach the length that the container states; None if it does not."""
        estimated = self._format in _ESTIMATED or (self._format == _FRAGMENTED and not self._stream.frames)
        if self.seconds is None or self._last is None or estimated:
            return None
        return self.seconds - self.end < (self.end - self._last) / 2

    def close(self) -> None:
        """Close the file or connection."""
        self._container.close()

    def _wait_for(self, count: int) -> bool:
        """Decode until `count` frames wait to be read; return whether there are as many."""
        while len(self._waiting) < count and (frame := next(self._decoded, None)):
            self._waiting.append(frame)
        return len(self._waiting) >= count

    def _decode(self) -> Iterator[VideoFrame]:
        """Yield all frames that can be decoded; failures are noted."""
        # Recordings of a broadcast begin anywhere, and cannot be decoded before their first key frame.
        key_arrived = key_decoded = False
        packets = 0
        for packet in self._packets():
            packets += 1
            key_arrived |= packet.is_keyframe
            if packet.is_corrupt and self._format != _CHECKED:
                self._note_damage()
            frames = self._frames_of(packet)
            if frames is None and key_arrived:
                self._note_damage()
            for frame in frames or ():
                key_decoded |= frame.key_frame
                if frame.is_corrupt and key_decoded:
                    self._note_damage()
                yield frame
        yield from self._frames_of(None) or ()
        if self._format == _INDEXED and packets < sum(entry.size > 0 for entry in self._stream.index_entries):
            self._note_damage()

    def _packets(self) -> "Iterator[Packet[VideoStream]]":
        """Yield the packets of the video; failures are noted."""
        failures = 0
        while failures < _TRIES:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    if packet.size:  # empty ones repeat the last frame, or are PyAV's sign of the end
                        yield packet
                return
            except (InvalidDataError, PatchWelcomeError):
                failures += 1
                self._note_damage()
            except FFmpegError:  # of the disk or network
                break
        self.gave_up = True

    def _frames_of(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame] | None:
        """Decode a packet, or what remains after the last; None if that fails."""
        try:
            return self._stream.decode(packet)
        except EndOfFile:
            return []
        except FFmpegError:
            return None

    def _note_damage(self) -> None:
        if self.damaged_at is None:
            self.damaged_at = self.end

    def _stamp(self, frame: VideoFrame) -> float | None:
        """Return the time of a frame in the container, in seconds; None if it has none."""
        stamp = frame.dts if frame.pts is None else frame.pts
        return None if stamp is None or self._stream.time_base is None else float(stamp * self._stream.time_base)

    def _time(self, frame: VideoFrame) -> float:
        """Return the time of the next frame since the first, in seconds, and set `end`."""
        stamp = self._stamp(frame)
        time = self.end
        if stamp is not None:
            if self._origin is None or self._is_other_clock(stamp - self._origin):
                self._origin = stamp - self.end
            time = stamp - self._origin
        if self._last is not None and time <= self._last:
            time = self._last + _LEAST_STEP
        self._last = time
        shown = float(frame.duration * self._stream.time_base) if frame.duration and self._stream.time_base else 0.0
        self.end = time + (shown if shown > _LEAST_STEP else 1 / self.rate)
        return time

    def _is_other_clock(self, time: float) -> bool:
        """Return whether a time is that of a clock that was set anew, in a camera or where recordings were joined."""
        back = 0.0 if self._last is None else self._last - time
        return back > _RESTART or (self._format in _JOINED and time - self.end > _PAUSE)

    def _picture(self, frame: VideoFrame) -> Picture:
        picture = self._reformatter.reformat(frame, format="rgb24").to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, _turns(frame)))


def _choose_stream(container: InputContainer) -> VideoStream:
    """Return the film in a container.

    Raises:
        NoVideo: there is none.
    """
    if container.format.name == _TEXT:
        raise NoVideo(TEXT_FILE)
    if _STILL.fullmatch(container.format.name):
        raise NoVideo(PHOTOGRAPH)
    films = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not films:
        if container.streams.audio:
            raise NoVideo("has sound, but no video: name a file with a video")
        raise NoVideo("has no video: name a video file")
    best = container.streams.best("video")
    # An animated AVIF has a photograph beside it.
    film = next((stream for stream in films if stream is best and best.frames != 1), max(films, key=lambda s: s.frames))
    if film.codec_context is None:
        raise NoVideo("has a video that FFmpeg cannot decode: convert it to H.264 (.mp4)")
    return film


def _rate(stream: VideoStream) -> float:
    return float(stream.guessed_rate or stream.average_rate or _USUAL_RATE)


def _turns(frame: VideoFrame) -> int:
    """Return how many quarter turns counterclockwise make a frame upright: 0 to 3."""
    return round(frame.rotation / 90) % 4


def _stated_length(container: InputContainer, stream: VideoStream, origin: float) -> float | None:
    """Return how long a container says that its video is, in seconds; None if it does not say.

    The sound may be longer, so what is said of the stream goes before what is said of the container.
    """
    end = next((_read_time(text) for key, text in stream.metadata.items() if key.startswith("DURATION")), None)
    if end is None and container.format.name == _INDEXED and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)
    if end is None and stream.duration and stream.time_base:
        end = float(stream.duration * stream.time_base)
    if end is None and container.duration:
        end = container.duration / av.time_base
    if end is None:
        return None
    length = end - origin if container.format.name in _STATE_END else end
    return length if length > 0 else None


def _read_time(text: str) -> float | None:
    """Read a time as Matroska's tags have it, "00:00:02.973000000", in seconds."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", text.strip())
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3]) if match else None
