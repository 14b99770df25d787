"""Small videos, and a server on loopback that sends them as cameras on a network do."""

import http.server
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

RATE = 15
HEIGHT, WIDTH = 240, 320


def numbered(number: int, height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """A grey picture whose brightness is its number: `number_of` reads it back from what a codec left of it."""
    return np.full((height, width, 3), 8 * number, np.uint8)


def number_of(image: Picture) -> int:
    """The number of a picture that `numbered` made."""
    return round(float(image.mean()) / 8)


def save_video(path: Path, pictures: Sequence[Picture], rate: float = RATE) -> Path:
    """Write RGB pictures as a video, MJPEG in an AVI file, MPEG-4 in any other."""
    height, width = pictures[0].shape[:2]
    codec = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), codec, rate, (width, height))
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def read_video(path: Path) -> list[Picture]:
    """Read all pictures of a video, RGB."""
    capture = cv2.VideoCapture(str(path))
    pictures = []
    while (read := capture.read())[0]:
        pictures.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    return pictures


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
