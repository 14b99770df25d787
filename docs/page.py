"""Draw the page's icons, and photograph the page for the documents: `python docs/page.py`.

It needs Chromium, and the outs of a run with `web.enabled: true`.
"""

import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.photos import drawn_portraits, video_call
from facemask.web.server import address, make_server
from tests.web.pages import add_photographs, browser_path, open_page

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "facemask" / "web" / "static"
ICONS = (192, 512)
UNSEEN_SEED = 20  # the drawn people of this seed are not those of the data
WIDTH, HEIGHT = 800, 800


def main() -> None:
    """Write the icons into the package, and `docs/images/page.jpg`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        draw_icons(browser)
        photograph_page(browser, ROOT / "web", ROOT / "docs" / "images" / "page.jpg")


def draw_icons(browser: Browser) -> None:
    """Draw `icon.svg` as PNG in each size."""
    for side in ICONS:
        page = browser.new_page(viewport={"width": side, "height": side})
        page.set_content(f'<body style="margin:0">{(STATIC / "icon.svg").read_text(encoding="utf-8")}')
        page.screenshot(path=STATIC / f"icon-{side}.png", omit_background=True)


def photograph_page(browser: Browser, web: Path, target: Path) -> None:
    """Photograph the page with a drawn video call."""
    with tempfile.TemporaryDirectory() as folder, make_server(web, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        photo = Path(folder) / "video call.jpg"
        Image.fromarray(video_call(drawn_portraits(per_class=2, seed=UNSEEN_SEED), columns=3)).save(photo, quality=95)
        page = open_page(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), address(server))
        add_photographs(page, [photo])
        page.locator("main").screenshot(path=target, type="jpeg", quality=80)
        server.shutdown()


if __name__ == "__main__":
    main()
