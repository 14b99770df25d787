"""Images of one photograph fall into one group, those of different photographs into different ones."""

import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks.copies import heavy_copy
from facemask.core.errors import FacemaskError
from facemask.core.params import GroupParams
from facemask.data.duplicates.grouping import LINKS, connect, find_links
from facemask.data.sources.sample import draw_sample
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import decode
from tests.photos import one_face

SETTINGS = GroupParams()
CERTAIN, LIKELY, DOUBTFUL = 0.8, 0.6, 0.5
TRIANGLE = (("a1", "a2", CERTAIN), ("a2", "a3", CERTAIN), ("b1", "b2", CERTAIN), ("b2", "b3", CERTAIN))

Link = tuple[str, str, float]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- groups from links


def images(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"id": names, "sha256": [digest(name.encode()) for name in names]})


def linked(*links: Link) -> pd.DataFrame:
    return pd.DataFrame([(*ends, False, 20, agreement) for *ends, agreement in links], columns=LINKS.columns)


def sets(table: pd.DataFrame, links: pd.DataFrame) -> list[set[str]]:
    """The groups of more than one image, as sets of ids."""
    members = table.groupby(connect(table, links))["id"].agg(set)
    return sorted((group for group in members if len(group) > 1), key=min)


def grouped(*links: Link) -> list[set[str]]:
    return sets(images(*sorted({end for *ends, _ in links for end in ends})), linked(*links))


@pytest.mark.parametrize(
    ("agreement", "joined"), [(0.8, True), (0.65, True), (0.55, True), (0.549, False), (0.45, False)]
)
def test_a_likely_link_joins_two_images_and_a_doubtful_one_does_not(agreement: float, joined: bool) -> None:
    assert grouped(("a", "b", agreement)) == ([{"a", "b"}] if joined else [])


def test_any_number_of_doubtful_links_between_single_images_joins_none_of_them() -> None:
    people = [f"{number}" for number in range(6)]
    assert grouped(*((one, other, DOUBTFUL) for one, other in itertools.combinations(people, 2))) == []


def test_two_doubtful_links_lead_an_image_into_a_group_of_two_and_one_does_not() -> None:
    pair = ("a1", "a2", CERTAIN)
    assert grouped(pair, ("c", "a1", DOUBTFUL)) == [{"a1", "a2"}]
    assert grouped(pair, ("c", "a1", DOUBTFUL), ("c", "a2", DOUBTFUL)) == [{"a1", "a2", "c"}]


def test_a_likely_link_leads_an_image_into_a_group_of_any_size() -> None:
    assert grouped(*TRIANGLE[:2], ("c", "a3", LIKELY)) == [{"a1", "a2", "a3", "c"}]


def test_one_likely_link_does_not_melt_two_groups_of_three_and_two_do() -> None:
    apart = [{"a1", "a2", "a3"}, {"b1", "b2", "b3"}]
    together = [{"a1", "a2", "a3", "b1", "b2", "b3"}]
    assert grouped(*TRIANGLE, ("a1", "b1", LIKELY)) == apart
    assert grouped(*TRIANGLE, ("a1", "b1", LIKELY), ("b3", "a2", LIKELY)) == together


def test_a_certain_link_melts_two_groups_of_three() -> None:
    assert len(grouped(*TRIANGLE, ("a1", "b1", CERTAIN))) == 1


def test_no_number_of_doubtful_links_melts_two_groups_of_three() -> None:
    every = itertools.product(("a1", "a2", "a3"), ("b1", "b2", "b3"))
    assert len(grouped(*TRIANGLE, *((one, other, DOUBTFUL) for one, other in every))) == 2


def test_a_chain_of_chance_likenesses_does_not_melt_everything() -> None:
    heaps = [[f"{heap}{number}" for number in range(4)] for heap in "abcdefgh"]
    within = [(heap[0], other, CERTAIN) for heap in heaps for other in heap[1:]]
    chain = [(one[0], other[0], LIKELY) for one, other in itertools.pairwise(heaps)]
    assert grouped(*within, *chain) == [set(heap) for heap in heaps]


def test_a_group_that_has_grown_takes_in_what_belongs_to_its_new_members() -> None:
    links = [("a1", "a2", CERTAIN), ("d", "c", 0.54), ("d", "a1", 0.53), ("c", "a1", 0.47), ("c", "a2", 0.46)]
    assert grouped(*links) == [{"a1", "a2", "c", "d"}]


def test_files_of_equal_bytes_are_one_group_without_any_link() -> None:
    table = images("a", "b", "c")
    table.loc[2, "sha256"] = table.loc[0, "sha256"]
    assert sets(table, linked()) == [{"a", "c"}]
    assert sets(table, linked(("a", "b", LIKELY))) == [{"a", "b", "c"}]


def test_files_of_equal_bytes_are_one_witness() -> None:
    table = images("a", "copy of a", "c")
    table.loc[1, "sha256"] = table.loc[0, "sha256"]
    assert sets(table, linked(("a", "c", DOUBTFUL), ("copy of a", "c", DOUBTFUL))) == [{"a", "copy of a"}]


def test_the_name_of_a_group_depends_on_its_members_alone() -> None:
    table = images("a1", "a2", "b", "c")
    names = connect(table, linked(("a1", "a2", LIKELY), ("b", "c", LIKELY)))
    assert list(names) == ["g" + min(table["sha256"][:2])[:16]] * 2 + ["g" + min(table["sha256"][2:])[:16]] * 2
    alone = connect(table[:2], linked(("a2", "a1", CERTAIN)))
    assert list(alone) == list(names[:2])
    assert names.name == "group"


@pytest.mark.parametrize("seed", range(5))
def test_groups_do_not_depend_on_the_order_of_images_and_links(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"{number:02}" for number in range(40)]
    agreements = (0.46, 0.52, 0.56, 0.6, 0.64, 0.7, 0.9)
    pairs = rng.sample([*itertools.combinations(names, 2)], 45)
    links = [(first, second, rng.choice(agreements)) for first, second in pairs]
    table = images(*names)
    expected = dict(zip(table["id"], connect(table, linked(*links)), strict=True))
    assert 1 < len(set(expected.values())) < len(names)
    shuffled = table.sample(frac=1, random_state=seed)
    again = connect(shuffled, linked(*rng.sample(links, len(links))))
    assert dict(zip(shuffled["id"], again, strict=True)) == expected
    assert list(again.index) == list(shuffled.index)


# --- links from pictures


def jpeg(pixels: np.ndarray, quality: int = 25) -> np.ndarray:
    return decode(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()


def turned(pixels: np.ndarray, angle: float = 25) -> np.ndarray:
    height, width = pixels.shape[:2]
    return cv2.warpAffine(pixels, cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1), (width, height))


def cropped(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return pixels[height // 8 :, width // 10 : -width // 12]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "turned": turned,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "darkened": lambda pixels: (pixels * 0.2).astype(np.uint8),
    "brightened": lambda pixels: np.clip(pixels * 1.6, 0, 255).astype(np.uint8),
    "cropped": cropped,
    "recompressed": jpeg,
    "a quarter turn": np.rot90,
    "upside down": lambda pixels: np.rot90(pixels, 2),
    "half the size": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "grey": lambda pixels: np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2),
    "blurred": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 100),
    "mirrored, darkened, turned": lambda pixels: turned((pixels[:, ::-1] * 0.4).astype(np.uint8), -20),
}


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Drawn portraits of 24 people, without the copies that the sample plants among them."""
    files = draw_sample(per_class=8, seed=3, workers=1)
    return [decode(data) for name, data in files if name.endswith((".jpg", ".png")) and int(Path(name).stem) < 8]


def collection(folder: Path, members: dict[str, bytes]) -> pd.DataFrame:
    write_archive(folder / "images.zip", sorted(members.items()))
    return pd.DataFrame({"id": list(members), "sha256": [digest(data) for data in members.values()]})


def links_of(folder: Path, table: pd.DataFrame, settings: GroupParams = SETTINGS) -> pd.DataFrame:
    with Archive(folder / "images.zip") as archive:
        return find_links(archive, table, settings, folder)


def groups_of(folder: Path, pictures: dict[str, np.ndarray]) -> list[set[str]]:
    table = collection(folder, {name: png(pixels) for name, pixels in pictures.items()})
    return sets(table, links_of(folder, table))


def copies(portraits: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """The portraits, and copies of every fourth in all sources and classes; the end of a name tells the portrait."""
    originals = {f"one/with_mask/{number:02}": pixels for number, pixels in enumerate(portraits)}
    places = itertools.cycle(itertools.product(("one", "two"), ("with_mask", "without_mask")))
    changed = {
        f"{'/'.join(next(places))}/{change}/{number:02}": CHANGES[change](originals[f"one/with_mask/{number:02}"])
        for number in range(0, len(originals), 4)
        for change in CHANGES
    }
    return originals | changed


def test_changed_copies_fall_into_one_group_across_sources_and_classes_and_people_stay_apart(
    tmp_path: Path, portraits: list[np.ndarray]
) -> None:
    pictures = copies(portraits)
    expected = [{name for name in pictures if name.endswith(f"{number:02}")} for number in range(0, len(portraits), 4)]
    assert {len(group) for group in expected} == {1 + len(CHANGES)}
    assert sorted(groups_of(tmp_path, pictures), key=lambda group: min(name[-2:] for name in group)) == expected


@pytest.mark.parametrize("change", CHANGES)
def test_a_single_copy_finds_its_photograph_however_it_was_changed(
    tmp_path: Path, portraits: list[np.ndarray], change: str
) -> None:
    pictures = {f"{number:02}": pixels for number, pixels in enumerate(portraits)}
    assert groups_of(tmp_path, pictures | {"copy": CHANGES[change](portraits[5])}) == [{"05", "copy"}]


def test_different_portraits_have_no_links(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    table = collection(tmp_path, {f"{number}.png": png(pixels) for number, pixels in enumerate(portraits)})
    links = links_of(tmp_path, table)
    assert list(links.columns) == [*LINKS.columns]
    assert len(links) == 0


def test_a_mirror_image_is_marked_as_one_and_pairs_name_the_smaller_id_first(
    tmp_path: Path, portraits: list[np.ndarray]
) -> None:
    pictures = {"b": portraits[0], "a": portraits[0][:, ::-1], "c": portraits[1], "d": turned(portraits[1], 10)}
    table = collection(tmp_path, {name: png(pixels) for name, pixels in pictures.items()})
    links = links_of(tmp_path, table)
    assert [(row.first, row.second, bool(row.mirrored)) for row in links.itertuples()] == [
        ("a", "b", True),
        ("c", "d", False),
    ]
    assert links["agreement"].between(0.45, 1).all()
    LINKS.write(tmp_path / "links.csv", links)
    header, first, second = (tmp_path / "links.csv").read_text(encoding="utf-8").splitlines()
    assert header == "first,second,mirrored,matches,agreement"
    assert first.startswith("a,b,1,")
    assert second.startswith("c,d,0,")


def test_where_some_images_are_named_only_pairs_with_one_of_them_are_looked_at(
    tmp_path: Path, portraits: list[np.ndarray]
) -> None:
    pictures = {"a": portraits[0], "b": turned(portraits[0]), "c": portraits[1], "d": turned(portraits[1])}
    table = collection(tmp_path, {name: png(pixels) for name, pixels in pictures.items()})
    with Archive(tmp_path / "images.zip") as archive:
        found = [find_links(archive, table, SETTINGS, tmp_path, among) for among in (None, ["d"], [])]
    assert [list(zip(links["first"], links["second"], strict=True)) for links in found] == [
        [("a", "b"), ("c", "d")],
        [("c", "d")],
        [],
    ]


def test_files_of_equal_bytes_are_looked_at_once(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    members = {"a": png(portraits[0]), "b": png(portraits[0]), "c": png(portraits[1])}
    table = collection(tmp_path, members)
    links = links_of(tmp_path, table)
    assert len(links) == 0
    assert sets(table, links) == [{"a", "b"}]


@pytest.mark.slow
def test_two_runs_write_the_same_bytes_and_the_order_of_rows_makes_no_difference(
    tmp_path: Path, portraits: list[np.ndarray]
) -> None:
    table = collection(tmp_path, {name: png(pixels) for name, pixels in copies(portraits[:9]).items()})
    written = []
    for rows in (table, table, table[::-1], table.sample(frac=1, random_state=1)):
        links = links_of(tmp_path, rows)
        LINKS.write(tmp_path / "links.csv", links)
        written.append((tmp_path / "links.csv").read_bytes())
        pd.testing.assert_series_equal(connect(rows, links).sort_index(), connect(table, links))
    assert written[0].count(b"\n") > len(CHANGES)
    assert set(written) == {written[0]}


def test_most_heavy_copies_find_their_photograph_and_no_other(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    pictures = {f"original/{number:02}": pixels for number, pixels in enumerate(portraits)}
    for number, change in itertools.product(range(6), range(6)):
        pictures[f"copy {change}/{number:02}"] = heavy_copy(portraits[number], rng)
    found = groups_of(tmp_path, pictures)
    assert all(len({name[-2:] for name in group}) == 1 for group in found)
    assert sum(len(group) for group in found) >= 0.9 * 6 * 7


SHAPELESS = {
    "black": np.zeros((64, 64, 3), np.uint8),
    "grey": np.full((64, 48, 3), 128, np.uint8),
    "one pixel": np.full((1, 1, 3), 7, np.uint8),
    "two pixels": np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8),
    "three by three": np.random.default_rng(1).integers(0, 256, (3, 3, 3), np.uint8),
    "one row": np.random.default_rng(2).integers(0, 256, (1, 900, 3), np.uint8),
    "one column": np.random.default_rng(3).integers(0, 256, (900, 1, 3), np.uint8),
    "ramp": np.repeat(np.tile(np.arange(64, dtype=np.uint8), (64, 1))[..., np.newaxis], 3, axis=2),
    "two halves": np.repeat(np.repeat(np.array([[[0], [255]]], np.uint8), 32, axis=1).repeat(64, axis=0), 3, axis=2),
}


def test_pictures_without_texture_or_of_few_pixels_are_groups_of_their_own(
    tmp_path: Path, portraits: list[np.ndarray]
) -> None:
    pictures = SHAPELESS | {"portrait": portraits[0], "portrait, mirrored": portraits[0][:, ::-1]}
    assert groups_of(tmp_path, pictures) == [{"portrait", "portrait, mirrored"}]


@pytest.mark.parametrize("names", [[], ["black"], ["black", "grey"], ["one pixel", "two pixels", "ramp"], [*SHAPELESS]])
def test_a_set_of_nothing_but_such_pictures_has_no_links(tmp_path: Path, names: list[str]) -> None:
    table = collection(tmp_path, {name: png(SHAPELESS[name]) for name in names})
    links = links_of(tmp_path, table)
    assert len(links) == 0
    assert connect(table, links).nunique() == len(names)
    LINKS.write(tmp_path / "links.csv", links)
    assert (tmp_path / "links.csv").read_text(encoding="utf-8") == "first,second,mirrored,matches,agreement\n"


def test_a_set_of_one_portrait_has_no_links(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    table = collection(tmp_path, {"a": png(portraits[0])})
    assert len(links_of(tmp_path, table)) == 0


def test_faces_whose_crops_overlap_in_one_picture_are_no_copies(tmp_path: Path) -> None:
    whole = one_face()[20:280]
    crops = [cv2.imencode(".png", part[..., ::-1])[1].tobytes() for part in (whole[:, :250], whole[:, 150:400])]
    others = [data for name, data in draw_sample(2, 1, workers=1) if name.endswith(("jpg", "png"))][:8]
    files = {f"{number}.png": data for number, data in enumerate([*crops, *others])}
    write_archive(tmp_path / "x.zip", files.items())
    table = pd.DataFrame({"id": list(files), "sha256": list(map(digest, files.values()))})
    both = {"first": "0.png", "second": "1.png"}
    with Archive(tmp_path / "x.zip") as archive:
        for picture, copies in (("s/b", True), ("s/a", False)):
            links = find_links(archive, table.assign(picture=["s/a", picture, *[""] * 8]), SETTINGS, tmp_path)
            assert any(both.items() <= link.items() for link in links.to_dict("records")) == copies
            assert len(links) > copies  # of the others, which belong to no picture


# --- the disk


@pytest.fixture
def many(tmp_path: Path, portraits: list[np.ndarray]) -> pd.DataFrame:
    """The portraits and copies of them in `images.zip`."""
    pictures = [*portraits, *map(turned, portraits)]
    return collection(tmp_path, {f"{number:02}": png(pixels) for number, pixels in enumerate(pictures)})


def test_what_is_kept_on_the_disk_has_no_name_and_is_gone_afterwards(tmp_path: Path, many: pd.DataFrame) -> None:
    (tmp_path / "scratch").mkdir()
    seen: list[Path] = []

    class Watched(Archive):
        def read(self, name: str) -> bytes:
            seen.extend((tmp_path / "scratch").iterdir())
            return super().read(name)

    with Watched(tmp_path / "images.zip") as archive:
        assert len(find_links(archive, many, SETTINGS, tmp_path / "scratch")) > 0
    assert seen == []
    assert [path.name for path in tmp_path.iterdir()] == ["images.zip", "scratch"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_after_a_broken_image_nothing_is_left_on_the_disk(tmp_path: Path, many: pd.DataFrame) -> None:
    (tmp_path / "scratch").mkdir()
    data = bytearray((tmp_path / "images.zip").read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "images.zip").write_bytes(data)
    with Archive(tmp_path / "images.zip") as archive, pytest.raises(FacemaskError, match="cut off or altered"):
        find_links(archive, many, SETTINGS, tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []


SEARCH = """
import os, resource, signal, sys
from pathlib import Path
import pandas as pd
from facemask.core.errors import FacemaskError
from facemask.core.params import GroupParams
from facemask.data.duplicates.grouping import find_links
from facemask.dataset.archive import Archive

class Killing(Archive):
    def read(self, name):
        if name == "40":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(name)

if sys.argv[1] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
with (Killing if sys.argv[1] == "killed" else Archive)(Path("images.zip")) as archive:
    table = pd.DataFrame({"id": archive.names, "sha256": archive.names})
    try:
        find_links(archive, table, GroupParams(), Path("scratch"))
    except FacemaskError as error:
        sys.exit(str(error))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits and signals of Unix")
def test_a_search_that_is_killed_leaves_nothing_behind_and_one_without_room_says_so(
    tmp_path: Path, many: pd.DataFrame
) -> None:
    (tmp_path / "scratch").mkdir()

    def search(how: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        command = [sys.executable, "-c", SEARCH, how]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert search("killed").returncode == -signal.SIGKILL
    assert list((tmp_path / "scratch").iterdir()) == []
    full = search("full")
    assert full.returncode == 1
    assert full.stderr.startswith(f"no space left on the disk of {tmp_path / 'scratch'} for the local features")
    assert len(full.stderr.splitlines()) == 1
    assert list((tmp_path / "scratch").iterdir()) == []
    assert len(links_of(tmp_path, many)) > 0
