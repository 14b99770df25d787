"""Small videos, and a server on loopback that sends them as cameras on a network do."""

import http.server
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

RATE = 15
HEIGHT, WIDTH = 240, 320


def numbered(number: int, height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """A grey picture whose brightness is its number: `number_of` reads it back from what a codec left of it."""
    return np.full((height, width, 3), 8 * number, np.uint8)


def number_of(image: Picture) -> int:
    """The number of a picture that `numbered` made."""
    return round(float(image.mean()) / 8)


def save_video(
    path: Path,
    pictures: Sequence[Picture],
    rate: float = RATE,
    times: Sequence[float] = (),
    codec: str = "",
    sound: float = 0.0,
    rotation: int = 0,
    keyframes: int = 250,
    options: dict[str, str] | None = None,
) -> Path:
    """Write RGB pictures as a video.

    Args:
        path: of the video; its suffix is the container.
        pictures: of one size.
        rate: pictures a second.
        times: in seconds, of each picture, instead of the rate.
        codec: FFmpeg's name; by default MJPEG in .avi, VP8 in .webm, H.264 elsewhere.
        sound: seconds of silence beside the pictures.
        rotation: degrees counterclockwise, by which a player turns the pictures.
        keyframes: pictures from one key frame to the next.
        options: of the container.
    """
    codec = codec or {".avi": "mjpeg", ".webm": "libvpx"}.get(path.suffix, "libx264")
    layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clock = Fraction(1, 90_000) if times else 1 / Fraction(rate).limit_denominator(1000)
    quality = {
        "libx264": {"preset": "veryfast", "crf": "18"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "2M"},
    }.get(codec, {"qscale": "2"})
    with av.open(str(path), "w", options=options or {}) as container:
        stream = cast(
            VideoStream, container.add_stream(codec, 1 / clock, {"g": str(keyframes), **quality}, time_base=clock)
        )
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = layout
        if rotation:
            stream.set_display_rotation(rotation)
        speaker = container.add_stream("aac" if path.suffix == ".mp4" else "libopus") if sound else None
        for number, picture in enumerate(pictures):
            frame = VideoFrame.from_ndarray(picture).reformat(format=layout)
            frame.pts, frame.time_base = (round(times[number] / clock) if times else number), clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if speaker:
            for packets in _silence(speaker, sound):
                container.mux(packets)
    return path


def save_animation(path: Path, pictures: Sequence[Picture], seconds: float = 0.1, last: float = 0.1) -> Path:
    """Write RGB pictures, in shades of grey, as an animated GIF, PNG, AVIF or WebP.

    Args:
        path: of the animation; its suffix is the format.
        pictures: of one size.
        seconds: for which each picture is shown.
        last: seconds for which the last one is.
    """
    first, *rest = [Image.fromarray(picture[..., 0]) for picture in pictures]
    durations = [*(round(1000 * seconds) for _ in rest), round(1000 * last)]
    first.save(path, save_all=True, append_images=rest, duration=durations)
    return path


def save_sound(path: Path, seconds: float = 1.0) -> Path:
    """Write silence, without pictures."""
    with av.open(str(path), "w") as container:
        for packets in _silence(container.add_stream("aac"), seconds):
            container.mux(packets)
    return path


def _silence(stream: AudioStream, seconds: float) -> Iterator[list[Packet]]:
    for start in range(0, round(48_000 * seconds), 960):
        frame = AudioFrame(stream.format.name, "stereo", 960)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        yield stream.encode(frame)
    yield stream.encode(None)


def read_video(path: Path) -> list[Picture]:
    """Read all pictures of a video, RGB."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def shown(path: Path) -> tuple[list[float], float]:
    """The time of each picture of a video, and when the last one ends, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.time_base
        return [frame.time for frame in frames], frames[-1].time + float(frames[-1].duration * stream.time_base)


def damage(path: Path, share: float = 0.5, length: int = 1000) -> Path:
    """Overwrite a part of a file that begins at a share of it, with noise."""
    content = bytearray(path.read_bytes())
    start = round(len(content) * share)
    content[start : start + length] = np.random.default_rng(1).bytes(length)
    path.write_bytes(content)
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    """Keep only the first part of a file."""
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    return path


def textured(count: int, height: int = 48, width: int = 64) -> list[Picture]:
    """Pictures of noise, so small and yet of so many bytes that parts of a file can be damaged."""
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


@contextmanager
def network_camera(
    pictures: Sequence[Picture | bytes], rate: float = RATE, then_hang: bool = False, video: bytes = b""
) -> Iterator[str]:
    """Serve `/camera`, which sends each picture as a JPEG (bytes as they are) and ends or hangs; and `/clip.mp4`.

    Yields:
        The address of the server, without a path.
    """
    closing = threading.Event()

    class Camera(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/camera"):
                self._send_stream()
            elif self.path == "/clip.mp4":
                self._send("video/mp4", video)
            else:
                self.send_error(404)

        def _send(self, kind: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _send_stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            try:
                for picture in pictures:
                    part = picture if isinstance(picture, bytes) else _jpeg(picture)
                    head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
                    self.wfile.write(head.encode() + part + b"\r\n")
                    time.sleep(1 / rate)
                if then_hang:
                    closing.wait()
            except OSError:
                return  # the other side has seen enough

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            closing.set()
            server.shutdown()


def _jpeg(picture: Picture) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
