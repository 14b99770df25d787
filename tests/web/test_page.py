"""The page in a browser: results, downloads, camera, keyboard, offline, and nothing that leaves."""

import csv
import io
import json
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from facemask.core.classes import TITLES
from tests.commands import facemask
from tests.dataset import test_colour as colour
from tests.photos import group
from tests.web.pages import add_photographs, open_page, serve, wait_until

pytestmark = pytest.mark.slow  # runs a browser

HEADS = [(40, 60, 300), (420, 180, 160)]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two people, a wall, one of the people too small to judge, and a broken file."""
    folder = tmp_path_factory.mktemp("photographs")
    Image.fromarray(group(HEADS, width=640, height=480)).save(folder / "two, people.jpg", quality=90)
    Image.fromarray(np.full((300, 400, 3), 90, np.uint8)).save(folder / "wall.png")
    Image.fromarray(group([(20, 20, 46), (90, 30, 150)], width=260, height=200)).save(
        folder / "small.webp", lossless=True
    )
    (folder / "broken.jpg").write_bytes((folder / "two, people.jpg").read_bytes()[:3000])
    return [folder / name for name in ("two, people.jpg", "wall.png", "small.webp", "broken.jpg")]


@pytest.fixture(scope="module")
def filled(browser: Browser, address: str, photographs: list[Path]) -> Iterator[Page]:
    """A page with the results of all photographs; tests leave them there."""
    with browser.new_context() as context:
        page = open_page(context.new_page(), address)
        add_photographs(page, photographs)
        yield page
        page.click("#clear")
        assert page.locator("article").count() == 0


@pytest.fixture(scope="module")
def predicted(photo_export: Path, photographs: list[Path]) -> dict[str, str]:
    """What `facemask predict` prints of the photographs, by format."""
    command = ["predict", "--model", str(photo_export), *(path.name for path in photographs)]
    return {form: facemask(photographs[0].parent, *command, "--format", form).stdout for form in ("csv", "json")}


def saved(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.click(button)
    return Path(waiting.value.path()).read_bytes()


def test_each_file_has_its_faces_in_words_or_says_why_not(filled: Page, predicted: dict[str, str]) -> None:
    articles = filled.locator("article").all()
    assert [article.locator("h3").inner_text() for article in articles] == [
        one["file"] for one in json.loads(predicted["json"])
    ]
    two, wall, small, broken = articles
    lines = [re.sub(r"^\W*", "", line) for line in two.locator("li").all_inner_texts()]
    assert len(lines) == len(HEADS)
    assert all(re.fullmatch(rf"({'|'.join(TITLES.values())}), \d+\.\d%", line) for line in lines)
    assert "No face found." in wall.inner_text()
    assert "Too small to judge" in small.inner_text()
    assert "The file is incomplete" in broken.inner_text()
    assert broken.locator("img").count() == 0
    assert filled.inner_text("#status") == "4 photographs, 4 faces; 1 could not be used."


def test_each_face_has_a_frame_and_a_label_where_it_is(filled: Page, predicted: dict[str, str]) -> None:
    photo = filled.locator("article .photo").first
    frames, area = photo.locator(".mark").all(), photo.bounding_box()
    expected = json.loads(predicted["json"])[0]
    assert area is not None
    scale = area["width"] / expected["width"]
    for frame, face in zip(frames, expected["faces"], strict=True):
        place = frame.bounding_box()
        assert place is not None
        assert place["x"] - area["x"] == pytest.approx(scale * face["box"]["left"], abs=2)
        assert place["y"] - area["y"] == pytest.approx(scale * face["box"]["top"], abs=2)
        assert place["width"] == pytest.approx(scale * (face["box"]["right"] - face["box"]["left"]), abs=2)
    labels = photo.locator(".label").all_text_contents()
    for number, (label, face) in enumerate(zip(labels, expected["faces"], strict=True), start=1):
        probability = face["probabilities"][face["label"]]
        assert re.fullmatch(rf"{number} \W {TITLES[face['label']]} {probability:.0%}", label)


def test_answers_differ_in_shape_and_not_only_in_colour(filled: Page) -> None:
    symbols = filled.locator("#counts .shape").all_inner_texts()
    assert len(symbols) == len(set(symbols)) == len(TITLES) + 2


def test_the_table_counts_the_faces_by_answer(filled: Page, predicted: dict[str, str]) -> None:
    answers = Counter(face["answer"] for one in json.loads(predicted["json"]) for face in one["faces"])
    titles = {**TITLES, "too small": "Too small to judge"}
    expected = {titles[answer]: count for answer, count in answers.items()}
    rows = [
        (row.locator("th").inner_text(), row.locator("td").inner_text()) for row in filled.locator("#counts tr").all()
    ]
    counted = {re.sub(r"^\W*", "", title): int(count) for title, count in rows}
    assert {title: count for title, count in counted.items() if count} == expected
    assert counted["Uncertain"] == 0


def test_csv_and_json_are_those_of_facemask_predict(filled: Page, predicted: dict[str, str]) -> None:
    rows, expected = (
        list(csv.reader(io.StringIO(text))) for text in (saved(filled, "#save-csv").decode(), predicted["csv"])
    )
    assert [[approximately(cell) for cell in row] for row in expected] == rows
    assert json.loads(saved(filled, "#save-json")) == [approximately(one) for one in json.loads(predicted["json"])]


def approximately(value: Any) -> Any:
    """Equal to a value, and to a copy whose numbers differ by rounding."""
    if isinstance(value, dict):
        return {key: approximately(one) for key, one in value.items()}
    if isinstance(value, list):
        return [approximately(one) for one in value]
    if isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value):
        return RoundedText(value)
    return pytest.approx(value, abs=1e-3) if isinstance(value, float) else value


class RoundedText(str):
    """The text of a number, equal to texts of nearly the same number."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(other) and abs(float(self) - float(other)) <= 1e-3


def test_marked_photographs_come_in_one_archive_and_in_full_size(filled: Page) -> None:
    with zipfile.ZipFile(io.BytesIO(saved(filled, "#save-pictures"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["two, people-marked.jpg", "wall-marked.jpg", "small-marked.jpg"]
        with Image.open(archive.open("two, people-marked.jpg")) as picture:
            marked = np.asarray(picture.convert("RGB")).astype(int)
        with Image.open(archive.open("wall-marked.jpg")) as picture:
            wall = np.asarray(picture.convert("RGB")).astype(int)
    assert marked.shape == (480, 640, 3)
    assert (np.abs(marked - group(HEADS, width=640, height=480)).max(axis=2) > 60).mean() > 0.01
    assert np.abs(wall - 90).max() <= 3


def test_one_marked_photograph_can_be_saved(filled: Page) -> None:
    with filled.expect_download() as waiting:
        filled.get_by_role("button", name="Save two, people.jpg with marked faces").click()
    assert waiting.value.suggested_filename == "two, people-marked.jpg"


def test_a_photograph_whose_colours_browsers_convert_otherwise_says_so(page: Page, tmp_path: Path) -> None:
    people = colour.image(group(HEADS, width=640, height=480))
    for space in ("cmyk", "p3"):
        managed = people.icc_transform(space, input_profile="srgb", **colour.MANAGED)
        (tmp_path / f"{space}.jpg").write_bytes(colour.encoded(managed, "jpeg"))
    add_photographs(page, [tmp_path / "cmyk.jpg", tmp_path / "p3.jpg"])
    inks, wide = (article.inner_text() for article in page.locator("article").all())
    assert "the answers of facemask predict may differ" in inks
    assert "may differ" not in wide
    page.click("#clear")


def test_a_photograph_without_its_end_is_shown_and_saved(page: Page, photographs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(photographs[0].read_bytes()[:-2])
    add_photographs(page, [tmp_path / "cut.jpg"])
    image = "document.querySelector('article img')"
    wait_until(lambda: page.evaluate(f"{image}.complete && {image}.naturalWidth") == 640)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save cut.jpg with marked faces").click()
    with Image.open(waiting.value.path()) as marked:
        assert marked.size == (640, 480)
    page.click("#clear")


def test_what_is_cleared_while_photographs_are_waiting_stays_away(page: Page, photographs: list[Path]) -> None:
    page.set_input_files("#files", [str(photographs[0])] * 20)
    wait_until(lambda: page.locator("article").count())
    page.click("#clear")
    add_photographs(page, photographs[1:2])  # done after the one that was being looked at
    assert page.inner_text("#status") == "1 photograph, no face."
    assert page.locator("h3").all_inner_texts() == ["wall.png"]
    page.click("#clear")


def test_photographs_can_be_dropped_and_pasted(page: Page) -> None:
    for kind, key in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """([kind, key]) => {
              const files = new DataTransfer();
              files.items.add(new File(["no picture"], `${kind}.jpg`));
              const event = Object.assign(new Event(kind, { cancelable: true }), { [key]: files });
              document.dispatchEvent(event);
            }""",
            [kind, key],
        )
    wait_until(lambda: page.inner_text("#results").count("The file is not an image.") == 2)
    assert page.locator("h3").all_inner_texts() == ["drop.jpg", "paste.jpg"]
    page.click("#clear")


def test_a_small_screen_needs_no_sideways_scrolling(filled: Page) -> None:
    before = filled.viewport_size
    assert before is not None
    filled.set_viewport_size({"width": 320, "height": 640})
    assert filled.evaluate("document.documentElement.scrollWidth") == 320
    filled.set_viewport_size(before)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(scheme: Any, filled: Page) -> None:
    filled.emulate_media(color_scheme=scheme)
    for selector in ("body", "footer", "a", ".hint", ".problem", "button", "article li", ".shape", ".label"):
        shown = filled.evaluate(
            """(selector) => {
              const visible = [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
              return visible.map((one) => {
                let behind = one;
                while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
                return [getComputedStyle(one).color, getComputedStyle(behind).backgroundColor];
              });
            }""",
            selector,
        )
        assert shown, selector
        assert min(contrast(text, ground) for text, ground in shown) >= 4.5, selector


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours as in WCAG 2.2."""
    lights = []
    for shade in (one, other):
        channels = np.array([float(value) for value in re.findall(r"[\d.]+", shade)[:3]]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ (0.2126, 0.7152, 0.0722)) + 0.05)
    return max(lights) / min(lights)


def test_everything_can_be_done_by_keyboard(filled: Page) -> None:
    filled.click("h1")
    reached = []
    for _ in range(20):
        filled.keyboard.press("Tab")
        reached.append(filled.evaluate("document.activeElement.id || document.activeElement.textContent"))
        if reached[-1] == "Licences":
            break
    wanted = ["choose", "camera-start", "save-csv", "save-json", "save-pictures", "clear"]
    assert reached == [*wanted, *["Save marked photograph"] * 3, "Licences"]
    with filled.expect_file_chooser():
        filled.focus("#choose")  # in here: Enter alone can overtake the command to watch for choosers
        filled.keyboard.press("Enter")


def test_a_screen_reader_is_told_what_there_is(filled: Page) -> None:
    tree = filled.locator("body").aria_snapshot()
    for line in (
        'heading "Face masks" [level=1]',
        'button "Choose photographs"',
        "status: 4 photographs, 4 faces; 1 could not be used.",
        'img "two, people.jpg, 2 faces"',
        'rowheader "Mask worn correctly"',
        'columnheader "Faces"',
    ):
        assert line in tree, tree
    assert not re.search("[●▲■]", tree)  # the words say it


def test_the_page_says_what_the_model_is_not_for(page: Page) -> None:
    assert "Nothing leaves this browser." in page.inner_text("header")
    assert "must not decide about people" in page.inner_text("footer")
    assert "missed more often" in page.inner_text("footer")


def test_the_camera_is_followed_and_can_be_stopped(page: Page) -> None:
    page.focus("#camera-start")
    page.keyboard.press("Enter")
    wait_until(lambda: page.locator("#camera-marks .mark").count() == 1)
    assert page.evaluate("document.activeElement.id") == "camera-stop"
    assert page.locator("#camera-text li").count() == 1
    pictures = "Number(document.getElementById('camera').dataset.pictures)"
    first = page.evaluate(pictures)
    wait_until(lambda: page.evaluate(pictures) >= first + 8)  # how fast, benchmarks/page.py measures
    page.keyboard.press("Enter")
    assert page.locator("#camera").is_hidden()
    assert page.evaluate("document.activeElement.id") == "camera-start"
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_loading_asks_only_the_own_server_and_using_it_asks_nobody(
    browser: Browser, address: str, photographs: list[Path]
) -> None:
    with browser.new_context() as context:
        requests: list[str] = []
        context.on("request", lambda request: requests.append(request.url))
        page = open_page(context.new_page(), address)
        assert requests
        assert all(url.startswith((address, "blob:")) for url in requests)
        requests.clear()
        add_photographs(page, photographs)
        page.click("#camera-start")
        wait_until(lambda: page.locator("#camera-marks .mark").count() == 1)
        page.click("#camera-stop")
        saved(page, "#save-json")
        assert [url for url in requests if not url.startswith("blob:")] == []


def test_the_page_cannot_connect_even_if_it_tried(page: Page, address: str) -> None:
    for attempt in (
        "fetch(url)",
        "new Promise((done, failed) => { const i = new Image(); i.onload = done; i.onerror = failed; i.src = url; })",
        "import(url + 'worker.js')",
        "Promise.reject(navigator.sendBeacon(url, 'photograph'))",
    ):
        refused = page.evaluate(
            f"""async (url) => {{
              const violations = [];
              document.addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));
              try {{ await {attempt}; return "connected"; }} catch {{ await new Promise((go) => setTimeout(go, 50)); }}
              return violations.length ? "forbidden" : "failed";
            }}""",
            address,
        )
        assert refused == "forbidden", attempt


def test_its_worker_cannot_connect_either(page: Page, address: str) -> None:
    (worker,) = page.workers
    for attempt in (
        "fetch(url)",
        "new Promise((done, failed) => { const r = new XMLHttpRequest(); r.onload = done; r.onerror = failed; "
        "r.open('GET', url); r.send(); })",
        "new Promise((done, failed) => { const s = new WebSocket(url.replace('http', 'ws')); s.onerror = failed; })",
    ):
        refused = worker.evaluate(
            f"""async (url) => {{
              const violations = [];
              self.addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));
              try {{ await {attempt}; return "connected"; }} catch {{ await new Promise((go) => setTimeout(go, 50)); }}
              return violations.length ? "forbidden" : "failed";
            }}""",
            address,
        )
        assert refused == "forbidden", attempt


def test_once_loaded_it_works_without_the_server(browser: Browser, web: Path, photographs: list[Path]) -> None:
    with browser.new_context() as context:
        with serve(web) as host:
            page = open_page(context.new_page(), f"{host}/")
        open_page(page, f"{host}/?from=a-link")
        add_photographs(page, photographs[:1])
        assert page.locator("article li").count() == len(HEADS)


def test_it_can_be_installed(browser: Browser, address: str, web: Path) -> None:
    manifest = json.loads((web / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["start_url"] == "./"
    assert all((web / icon["src"]).is_file() for icon in manifest["icons"])
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        # Browsers look while a page loads, too.
        errors = context.new_cdp_session(page).send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [error["errorId"] for error in errors] == ["in-incognito"]  # as every window of these tests is


def test_a_new_version_replaces_the_old_one(browser: Browser, web: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(web, tmp_path / "web")
    with browser.new_context() as context, serve(folder) as host:
        page = open_page(context.new_page(), f"{host}/")
        publish_news(folder)
        open_page(page, f"{host}/")  # still the old one, while the new one is fetched
        wait_until(lambda: re.fullmatch(r"\S* \S* new\w+", page.evaluate("caches.keys().then(String)")))
        open_page(page, f"{host}/")
        assert page.inner_text("h1") == "News"


def test_a_page_that_is_loading_gets_no_parts_of_a_new_version(browser: Browser, web: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(web, tmp_path / "web")
    with browser.new_context() as context, serve(folder) as host:
        page = open_page(context.new_page(), f"{host}/")
        publish_news(folder)
        page.goto(f"{host}/licences.txt")  # kept as well, and never done with loading models
        page.evaluate(
            "async () => { self.kept = await navigator.serviceWorker.getRegistration(); await kept.update(); }"
        )
        wait_until(lambda: page.evaluate("Boolean(kept.waiting)"))
        assert "<h1>Face masks</h1>" in page.evaluate("fetch('index.html').then((answer) => answer.text())")
        open_page(page, f"{host}/")
        wait_until(lambda: re.fullmatch(r"\S* \S* new\w+", page.evaluate("caches.keys().then(String)")))


def publish_news(folder: Path) -> None:
    """Change the page in a folder, and the version with it."""
    for name in ("index.html", "sw.js"):
        text = (folder / name).read_text(encoding="utf-8")
        changed = text.replace("<h1>Face masks</h1>", "<h1>News</h1>").replace('"version": "', '"version": "new')
        (folder / name).write_text(changed, encoding="utf-8")


def test_a_missing_file_is_named(browser: Browser, web: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(web, tmp_path / "web")
    (folder / "model" / "model.tflite").unlink()
    with browser.new_context() as context, serve(folder) as host:
        page = context.new_page()
        page.goto(f"{host}/")
        wait_until(lambda: page.evaluate("document.body.dataset.state"))
        assert (
            page.inner_text("#status") == "The page could not load: model/model.tflite is missing on the server (404)"
        )


def test_a_page_opened_from_disk_says_what_it_needs(browser: Browser, web: Path) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto((web / "index.html").as_uri())
        assert "facemask page" in page.inner_text("#unstarted")
