"""A browser that has opened the page, and what tests ask of it."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page

PATIENCE = 60.0  # seconds; the machine may be busy with other tests

# What the page itself asks its worker, without rounding.
LOAD = """async () => {
  const { load } = await import("./load.js");
  self.image = await import("./image.js"); // nothing can be imported after loading
  self.decoding = await import("./decode.js");
  self.loaded = await load(() => {});
}"""
PREDICT = """async (encoded) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  try {
    const { shown, ...prediction } = await loaded.worker.ask("photograph", { file: new Blob([bytes]) });
    return prediction;
  } catch (error) {
    return { problem: error.reason || String(error) };
  }
}"""

DECODE = """async (encoded) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  try {
    const { picture, colours } = await decoding.decode(new Blob([bytes]), 50);
    const pixels = btoa(Array.from(picture.data, (level) => String.fromCharCode(level)).join(""));
    return { width: picture.width, height: picture.height, pixels, colours };
  } catch (error) {
    return { problem: error.reason || String(error) };
  }
}"""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_path() -> str:
    """Path of the browser; without one, the test is skipped, or fails where `CI` is set."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found:
        return found
    advice = "the browser tests need Chromium: install it, on Debian with `apt-get install chromium`"
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


def wait_until(what: Callable[[], Any]) -> Any:
    """Wait for something true; Playwright's own waiting is stopped by the page's Content-Security-Policy."""
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
    return found


def open_page(page: Page, address: str) -> Page:
    """Open the page and wait until it can be used."""
    page.goto(address)
    wait_until(lambda: page.evaluate("document.body.dataset.state"))
    assert page.evaluate("document.body.dataset.state") == "ready", page.inner_text("#status")
    return page


def add_photographs(page: Page, paths: Sequence[Path]) -> None:
    """Choose files, and wait until all results are there."""
    before = page.locator("article").count()
    page.set_input_files("#files", [str(path) for path in paths])
    wait_until(lambda: page.locator("article").count() == before + len(paths))
    wait_until(lambda: page.inner_text("#status").endswith("."))


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


def write_y4m(path: Path, image: np.ndarray, frames: int = 5) -> None:
    """Write a video without compression, in which an image (height, width, 3) stays."""
    height, width = image.shape[:2]
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).tobytes()
    head = f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(head + frames * (b"FRAME\n" + planes))
