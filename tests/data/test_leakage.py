"""Copies of training pictures in validation and test are found without the help of the groups."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks.composed import composed
from benchmarks.copies import heavy_copy
from facemask.core.errors import FacemaskError
from facemask.core.params import LeakParams
from facemask.data.leak_candidates import EXACT_UP_TO, FLAT_UP_TO, Search, suitable_search
from facemask.data.leakage import LEAKS, check_leaks, similar_pairs
from facemask.data.sources.sample import draw_sample
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import decode, resize

SETTINGS = LeakParams(shown=3)
ALL = LeakParams(shown=500)


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Drawn portraits of different people, without the copies that the sample plants among them."""
    files = draw_sample(per_class=14, seed=3, workers=1)
    return [decode(data) for name, data in files if name.endswith((".jpg", ".png")) and int(Path(name).stem) < 14]


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def pairs_of(
    folder: Path,
    parts: dict[str, list[np.ndarray]],
    settings: LeakParams = SETTINGS,
    search: Search | None = None,
) -> pd.DataFrame:
    """The most similar pairs of an archive that is made of the pictures of each part."""
    members = {
        f"{part}/{n:02}.png": png(pixels) for part, pictures in parts.items() for n, pixels in enumerate(pictures)
    }
    write_archive(folder / "images.zip", sorted(members.items()))
    table = pd.DataFrame({"id": list(members), "part": [name.split("/")[0] for name in members]})
    with Archive(folder / "images.zip") as archive:
        return similar_pairs(archive, table, settings, search)


def jpeg(pixels: np.ndarray) -> np.ndarray:
    return decode(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])[1].tobytes())


def grey(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def turned(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return cv2.warpAffine(pixels, cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1), (width, height))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nothing": lambda pixels: pixels,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "a quarter turn": np.rot90,
    "mirrored and a quarter turn": lambda pixels: np.rot90(pixels)[:, ::-1],
    "upside down": lambda pixels: np.rot90(pixels, 2),
    "turned by 20 degrees": turned,
    "recompressed": jpeg,
    "half the size": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "stretched": lambda pixels: cv2.resize(pixels, None, fx=1.3, fy=1),
    "cropped": lambda pixels: pixels[pixels.shape[0] // 10 :, : -pixels.shape[1] // 12],
    "grey": grey,
    "dark": lambda pixels: (pixels * 0.3).astype(np.uint8),
    "blurred": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 128),
}


def test_different_portraits_are_not_suspicious(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    pairs = pairs_of(tmp_path, {"train": portraits[:30], "val": portraits[30:35], "test": portraits[35:]})
    assert not pairs["suspicious"].any()
    assert check_leaks(pairs, SETTINGS) == 0


def test_a_copy_in_test_is_found_however_it_was_changed(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    train = portraits[:30]
    copies = [np.ascontiguousarray(change(train[n])) for n, change in enumerate(CHANGES.values())]
    pairs = pairs_of(tmp_path, {"train": train, "test": [*copies, *portraits[30:]]})
    found = pairs[pairs["suspicious"]].set_index("id")["train_id"]
    assert {list(CHANGES)[int(Path(name).stem)] for name in found.index} == set(CHANGES)
    assert all(Path(name).stem == Path(train_id).stem for name, train_id in found.items())


def test_most_heavy_copies_are_found(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    copies = [heavy_copy(pixels, rng) for pixels in portraits]
    pairs = pairs_of(tmp_path, {"train": portraits, "val": copies})
    found = pairs[pairs["suspicious"]]
    assert len(found) >= len(copies) / 2
    assert all(Path(pair.id).stem == Path(pair.train_id).stem for pair in found.itertuples())


def test_copies_within_training_or_between_validation_and_test_are_no_leak(
    tmp_path: Path, portraits: list[np.ndarray]
) -> None:
    other = portraits[30]
    pairs = pairs_of(tmp_path, {"train": [*portraits[:9], portraits[0]], "val": [other], "test": [other]})
    assert not pairs["suspicious"].any()


def test_dropped_images_are_passed_over(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    pairs = pairs_of(tmp_path, {"train": portraits[:9], "test": portraits[9:12], "dropped": portraits[:5]}, ALL)
    assert set(pairs["part"]) == {"test"}
    assert len(pairs) == 3


def test_the_most_similar_pairs_come_first_and_as_many_are_shown_as_asked_for(
    tmp_path: Path, portraits: list[np.ndarray]
) -> None:
    parts = {"train": portraits[:20], "val": portraits[20:25], "test": [portraits[3], *portraits[25:]]}
    shown, everything = pairs_of(tmp_path, parts, SETTINGS), pairs_of(tmp_path, parts, ALL)
    assert list(shown.columns) == [*LEAKS.columns]
    assert len(shown) == 3
    assert len(everything) == len(parts["val"]) + len(parts["test"])
    pd.testing.assert_frame_equal(shown, everything[:3])
    assert everything["similarity"].is_monotonic_decreasing
    assert tuple(shown.loc[0, ["id", "part", "train_id", "similarity"]]) == ("test/00.png", "test", "train/03.png", 1.0)
    assert list(shown["suspicious"]) == [True, False, False]


def test_the_order_of_the_table_does_not_matter(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    members = [(f"{n:02}.png", png(pixels)) for n, pixels in enumerate([*portraits[:15], portraits[2][:, ::-1].copy()])]
    write_archive(tmp_path / "images.zip", members)
    table = pd.DataFrame({"id": [name for name, _ in members], "part": ["train"] * 10 + ["val"] * 3 + ["test"] * 3})
    with Archive(tmp_path / "images.zip") as archive:
        first = similar_pairs(archive, table, ALL)
        second = similar_pairs(archive, table[::-1], ALL)
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_split_without_training_or_test_images_has_no_pairs(
    tmp_path: Path, portraits: list[np.ndarray], missing: str
) -> None:
    pairs = pairs_of(tmp_path, {"train": portraits[:2], "test": portraits[2:4]} | {missing: []})
    assert list(pairs.columns) == [*LEAKS.columns]
    assert pairs.empty
    assert check_leaks(pairs, SETTINGS) == 0


def test_flat_pictures_are_like_nothing(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    pairs = pairs_of(tmp_path, {"train": [black, portraits[0]], "test": [black, white, portraits[1]]}, ALL)
    assert not pairs["suspicious"].any()


def test_more_leaks_than_allowed_stop_the_stage_and_the_message_says_where_to_look(
    tmp_path: Path, portraits: list[np.ndarray]
) -> None:
    pairs = pairs_of(tmp_path, {"train": portraits[:8], "val": [portraits[7]], "test": [portraits[5], portraits[20]]})
    with pytest.raises(
        FacemaskError, match=r"^2 validation or test .* first test/00.png like train/05.png .*leaks.csv"
    ):
        check_leaks(pairs, SETTINGS)
    with pytest.raises(FacemaskError, match="limit is 1"):
        check_leaks(pairs, LeakParams(limit=1))
    assert check_leaks(pairs, LeakParams(limit=2)) == 2


def test_the_list_is_read_back_as_it_was_written(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    pairs = pairs_of(tmp_path, {"train": portraits[:8], "test": [portraits[5], portraits[20]]})
    LEAKS.write(tmp_path / "leaks.csv", pairs)
    assert (tmp_path / "leaks.csv").read_text().splitlines()[1] == "test/00.png,test,train/05.png,1.0,1"
    pd.testing.assert_frame_equal(LEAKS.read(tmp_path / "leaks.csv"), pairs)


# --- many training images ---------------------------------------------------------------------------------------------

INDEXED: tuple[Search, ...] = ("flat", "graph")
LEAKS_AMONG_MANY = 100


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, portraits: list[np.ndarray]) -> tuple[Path, pd.DataFrame]:
    """An archive of 800 different training pictures and heavy copies of the first of them, and its table."""
    base = [resize(pixels, 128) for pixels in portraits]
    pictures = {f"train/{n:03}.png": composed(base, n, seed=1) for n in range(800)}
    rng = np.random.default_rng(2)
    copies = {f"test/{n:03}.png": heavy_copy(composed(base, n, seed=1), rng) for n in range(LEAKS_AMONG_MANY)}
    path = tmp_path_factory.mktemp("many") / "images.zip"
    write_archive(path, [(name, png(pixels)) for name, pixels in sorted({**pictures, **copies}.items())])
    names = [*pictures, *copies]
    return path, pd.DataFrame({"id": names, "part": [name.split("/")[0] for name in names]})


def pairs_among(many: tuple[Path, pd.DataFrame], search: Search, step: int = 1) -> pd.DataFrame:
    """All pairs of the archive; with step -1, from the rows of the table in reverse."""
    path, table = many
    with Archive(path) as archive:
        return similar_pairs(archive, table[::step], ALL, search)


def leaks_found(pairs: pd.DataFrame) -> set[str]:
    suspicious = pairs[pairs["suspicious"]]
    return {pair.id for pair in suspicious.itertuples() if Path(pair.id).stem == Path(pair.train_id).stem}


@pytest.mark.slow
def test_the_index_finds_what_the_exact_search_finds(many: tuple[Path, pd.DataFrame]) -> None:
    exact = leaks_found(pairs_among(many, "exact"))
    assert len(exact) >= LEAKS_AMONG_MANY / 3
    for search in INDEXED:
        pairs = pairs_among(many, search)
        assert len(pairs) == LEAKS_AMONG_MANY
        assert len(leaks_found(pairs) & exact) >= 0.99 * len(exact), search


@pytest.mark.slow
def test_the_graph_finds_the_same_each_time_whatever_the_order_of_the_table(many: tuple[Path, pd.DataFrame]) -> None:
    pd.testing.assert_frame_equal(pairs_among(many, "graph"), pairs_among(many, "graph", step=-1))


@pytest.mark.parametrize("search", INDEXED)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_index_of_few_training_images_finds_a_copy(
    tmp_path: Path, portraits: list[np.ndarray], search: Search, count: int
) -> None:
    copy = np.ascontiguousarray(portraits[0][:, ::-1])
    pairs = pairs_of(tmp_path, {"train": portraits[:count], "test": [copy]}, search=search)
    assert list(pairs["train_id"]) == ["train/00.png"]
    assert pairs["suspicious"].all()


@pytest.mark.parametrize("search", INDEXED)
@pytest.mark.parametrize("missing", ["train", "test"])
def test_an_index_without_training_or_test_images_has_no_pairs(
    tmp_path: Path, portraits: list[np.ndarray], search: Search, missing: str
) -> None:
    parts = {"train": portraits[:2], "test": portraits[2:4]} | {missing: []}
    assert pairs_of(tmp_path, parts, search=search).empty


@pytest.mark.parametrize("search", INDEXED)
def test_in_an_index_flat_pictures_are_like_nothing(
    tmp_path: Path, portraits: list[np.ndarray], search: Search
) -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    for train in ([black, portraits[0]], [black, black]):
        pairs = pairs_of(tmp_path, {"train": train, "test": [black, portraits[1]]}, ALL, search)
        assert len(pairs) == 2
        assert not pairs["suspicious"].any()


@pytest.mark.parametrize(
    ("count", "search"),
    [(1, "exact"), (EXACT_UP_TO, "exact"), (EXACT_UP_TO + 1, "flat"), (FLAT_UP_TO, "flat"), (FLAT_UP_TO + 1, "graph")],
)
def test_the_search_follows_from_the_number_of_training_images(count: int, search: Search) -> None:
    assert suitable_search(count) == search
