"""Time the browser page in headless Chromium, and weigh it: `python benchmarks/page.py`, after `dvc repro web`.

Prints the table of docs/page.md.
"""

import base64
import gzip
import http.server
import io
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import cv2
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.photos import Picture, drawn_portraits, video_call
from tests.web.pages import LOAD, PREDICT, add_photographs, browser_path, open_page, wait_until, write_y4m

WEB = Path("web")
PEOPLE = 8
REPETITIONS = 40
CAMERA_SECONDS = 5
MEGA = 1e6


def main() -> None:
    """Print load, answer and camera times, and sizes."""
    people = drawn_portraits(per_class=3, seed=20)[:PEOPLE]
    call = video_call(people, columns=4)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, CountingServer() as server:
        photo, video = Path(folder) / "call.jpg", Path(folder) / "camera.y4m"
        photo.write_bytes(packed(call))
        write_y4m(video, cv2.resize(people[0], (480, 480)))
        camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        options = ["--no-sandbox", *camera, f"--use-file-for-fake-video-capture={video}"]
        browser = playwright.chromium.launch(executable_path=browser_path(), args=options)
        start = time.perf_counter()
        page = open_page(browser.new_page(), server.address)
        loaded = time.perf_counter() - start
        add_photographs(page, [photo])
        answered = time.perf_counter() - start
        transferred = server.sent
        detect, classify = photograph_times(browser, server.address, photo.read_bytes())
        rows = [
            ("ready after", f"{loaded:.1f} s"),
            (f"first answer, a photograph with {PEOPLE} faces, after", f"{answered:.1f} s"),
            (f"finding {PEOPLE} faces in {call.shape[1]} x {call.shape[0]} pixels, median", f"{detect:.0f} ms"),
            ("classifying a face, median", f"{classify:.0f} ms"),
            ("camera", f"{camera_rate(page):.0f} pictures per second"),
            ("transferred on the first visit", f"{transferred / MEGA:.1f} MB"),
            ("the same if the server compresses with gzip", f"{compressed() / MEGA:.1f} MB"),
            ("folder", f"{sum(map(len, files())) / MEGA:.1f} MB"),
        ]
        browser.close()
    print("| | |\n| --- | --- |")
    print("\n".join(f"| {name} | {value} |" for name, value in rows))


class CountingServer:
    """The page on loopback, counting the bytes that it sends."""

    def __init__(self) -> None:
        self.sent = 0

    def __enter__(self) -> "CountingServer":
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def copyfile(self, source: Any, outputfile: Any) -> None:
                data = source.read()
                outer.sent += len(data)
                outputfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        def handler(*arguments: Any) -> Handler:
            return Handler(*arguments, directory=str(WEB))

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def photograph_times(browser: Browser, address: str, data: bytes) -> tuple[float, float]:
    """Return the median times, in milliseconds, of finding the faces in a photograph and of classifying one of them."""
    page = browser.new_page()
    page.goto(f"{address}licences.txt")
    page.evaluate(LOAD)
    encoded = base64.b64encode(data).decode()
    predictions = [page.evaluate(PREDICT, encoded) for _ in range(REPETITIONS)]
    detect = statistics.median(one["milliseconds"]["detect"] for one in predictions)
    classify = statistics.median(one["milliseconds"]["classify"] / len(one["faces"]) for one in predictions)
    return detect, classify


def camera_rate(page: Page) -> float:
    """Return how many camera pictures the page looks at per second."""
    page.click("#camera-start")
    pictures = "Number(document.getElementById('camera').dataset.pictures ?? 0)"
    wait_until(lambda: page.evaluate(pictures) > 1)
    first, start = page.evaluate(pictures), time.perf_counter()
    time.sleep(CAMERA_SECONDS)
    return float((page.evaluate(pictures) - first) / (time.perf_counter() - start))


def packed(picture: Picture) -> bytes:
    """Return a picture as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def files() -> list[bytes]:
    """Return the contents of the page's files."""
    return [path.read_bytes() for path in WEB.rglob("*") if path.is_file()]


def compressed() -> int:
    """Return the size of the folder in bytes, each file compressed."""
    return sum(len(gzip.compress(data)) for data in files())


if __name__ == "__main__":
    main()
