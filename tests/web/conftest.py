"""One page, one server and one browser for all tests."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from facemask.web.bundle import write_page
from tests.photos import one_face
from tests.web.pages import browser_path, open_page, serve, write_y4m

ROOT = Path(__file__).parents[2]
BELOW = "some/path"


@pytest.fixture(scope="session")
def web(photo_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page with the model of `photo_export`, below other folders; not to be written to."""
    folder = tmp_path_factory.mktemp("host") / BELOW
    write_page(photo_export, ROOT / "LICENSE", folder)
    return folder


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
