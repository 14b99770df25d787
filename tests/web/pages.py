"""A browser that has opened the page, and what tests ask of it."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

PATIENCE = 60.0  # seconds; the machine may be busy with other tests

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
