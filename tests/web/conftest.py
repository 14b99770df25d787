"""One page, one server and one browser for all tests."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from facemask.web.bundle import write_page
from tests.photos import one_face
from tests.web.pages import browser_path, open_page

ROOT = Path(__file__).parents[2]
BELOW = "some/path"


@pytest.fixture(scope="session")
def web(photo_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page with the model of `photo_export`, below other folders; not to be written to."""
    folder = tmp_path_factory.mktemp("host") / BELOW
    write_page(photo_export, ROOT / "LICENSE", folder)
    return folder


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder with Python's own web server; yield its address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            port = re.search(r"port (\d+)", server.stdout.readline())
            assert port is not None
            yield f"http://127.0.0.1:{port[1]}"
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def address(web: Path) -> Iterator[str]:
    """Where the page is."""
    with serve(web.parents[1]) as host:
        yield f"{host}/{BELOW}/"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Headless Chromium, in whose camera is one face."""
    video = tmp_path_factory.mktemp("camera") / "face.y4m"
    write_y4m(video, cv2.resize(one_face(), (480, 480)))
    options = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    ]
    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, ready; tests leave it without results."""
    with browser.new_context() as context:
        yield open_page(context.new_page(), address)


def write_y4m(path: Path, image: np.ndarray, frames: int = 5) -> None:
    """Write a video without compression, in which an image (height, width, 3) stays."""
    height, width = image.shape[:2]
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).tobytes()
    head = f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(head + frames * (b"FRAME\n" + planes))
