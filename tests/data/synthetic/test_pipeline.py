"""Masks drawn over bare faces: they sit as their label says, look like the photograph, and stay in training."""

import itertools
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import RenderParams
from facemask.data.synthetic.cutting import cut_out
from facemask.data.synthetic.draw import LABELS, draw_mask, make_room
from facemask.data.synthetic.fabric import HEIGHT, STYLES, WIDTH, Fabric, Style, draw_fabric, vary_cut_out
from facemask.data.synthetic.face_prints import print_face
from facemask.data.synthetic.face_shield import draw_shield
from facemask.data.synthetic.pipeline import INSTEAD, Choice, choose, choose_shown, choose_wearing
from facemask.dataset.synthetic import KINDS, PHOTOGRAPH, SYNTHETIC, Kind, count_synthetic
from tests.bare_face import bare_photo, mean_points
from tests.everything_drawn import everything_drawn

NOSTRILS = (2, 97, 326, 98, 327, 1, 4)
TIP_OF_NOSE = (1, 4)
LIPS = (0, 13, 14, 17)
EYES = (33, 159, 133, 362, 386, 263)


def plain(red: float, green: float, blue: float) -> Fabric:
    colour = np.full((HEIGHT, WIDTH, 3), (red, green, blue), np.float32)
    return Fabric(colour, np.zeros((HEIGHT, WIDTH), np.float32))


GREEN = plain(0.1, 0.8, 0.1)


def drawn(kind: Kind, seed: int = 1, style: Style = "cloth", turn: float = 0.0, fabric: Fabric = GREEN) -> np.ndarray:
    points = mean_points(turn=turn)
    picture = draw_mask(bare_photo(points), points, kind, style, fabric, np.random.default_rng(seed))
    assert picture is not None
    return picture


def at(picture: np.ndarray, points: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
    x, y = np.round(points[list(numbers), :2]).astype(int).T
    return picture[y, x].astype(int)


def is_green(pixels: np.ndarray) -> np.ndarray:
    return pixels[:, 1] > pixels[:, 0] + 40


def change(picture: np.ndarray, points: np.ndarray, numbers: tuple[int, ...]) -> int:
    before = bare_photo(points)
    return int(np.abs(at(picture, points, numbers) - at(before, points, numbers)).max())


CUT_STYLES: tuple[Style, ...] = ("surgical", "cloth", "cup", "bandana")  # the others are cut like cloth
CASES = list(itertools.product(CUT_STYLES, (-25.0, 0.0, 25.0)))


def test_the_same_seed_gives_the_same_picture() -> None:
    first, again, other = (drawn("right", seed) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("style", [style for style in STYLES if style != "photographed"])
def test_the_same_seed_gives_the_same_cloth_and_another_seed_another(style: Style) -> None:
    first, again, other = (draw_fabric(style, False, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.colour, again.colour)
    assert np.array_equal(first.relief, again.relief)
    assert not np.array_equal(first.colour, other.colour)
    assert first.colour.min() >= 0
    assert first.colour.max() <= 1


@pytest.mark.parametrize(("style", "turn"), CASES)
def test_a_mask_worn_right_covers_nose_and_mouth_and_leaves_the_eyes(style: Style, turn: float) -> None:
    points = mean_points(turn=turn)
    for seed in range(4):
        picture = drawn("right", seed, style, turn)
        assert is_green(at(picture, points, (4, *LIPS))).all()
        assert change(picture, points, EYES) <= 3


@pytest.mark.parametrize(("style", "turn"), CASES)
def test_with_the_nose_out_the_nostrils_keep_their_pixels_and_the_mouth_is_covered(style: Style, turn: float) -> None:
    points = mean_points(turn=turn)
    for seed in range(4):
        picture = drawn("nose_out", seed, style, turn)
        assert change(picture, points, TIP_OF_NOSE) <= 3
        assert is_green(at(picture, points, (13, 14, 17))).all()


@pytest.mark.parametrize(("style", "turn"), CASES)
def test_on_the_chin_the_mask_leaves_nose_and_mouth_bare(style: Style, turn: float) -> None:
    points = mean_points(turn=turn)
    for seed in range(4):
        picture = drawn("mouth_out", seed, style, turn)
        assert change(picture, points, (*NOSTRILS, *LIPS)) <= 3
        assert is_green(picture.reshape(-1, 3).astype(int)).mean() > 0.04


@pytest.mark.parametrize(("style", "turn"), CASES)
def test_worn_right_but_low_the_mask_still_covers_tip_of_nose_nostrils_and_mouth(style: Style, turn: float) -> None:
    points = mean_points(turn=turn)
    for seed in range(4):
        picture = drawn("right_low", seed, style, turn)
        assert is_green(at(picture, points, (4, 2, *LIPS))).all()
        assert change(picture, points, (6, 197)) <= 3, "the bridge of the nose shows"


@pytest.mark.parametrize(("style", "turn"), CASES)
def test_with_the_nose_just_out_its_tip_shows_and_the_mask_is_spread_as_if_worn_right(
    style: Style, turn: float
) -> None:
    points = mean_points(turn=turn)
    for seed in range(4):
        picture = drawn("nose_just_out", seed, style, turn)
        assert change(picture, points, (*TIP_OF_NOSE, 5)) <= 3
        assert is_green(at(picture, points, (*LIPS, 61, 291, 199))).all()


def test_askew_the_mask_leaves_the_nose_or_half_of_the_mouth_bare() -> None:
    points = mean_points()
    nose, left, right = (1, 4, 2), (61, 91, 84), (291, 321, 314)
    for seed in range(12):
        picture = drawn("askew", seed)
        assert min(change(picture, points, part) for part in (nose, left, right)) <= 3
        green = is_green(picture.astype(int).reshape(-1, 3)).reshape(picture.shape[:2])
        rows, columns = np.nonzero(green)
        assert green.mean() > 0.07
        assert abs(np.corrcoef(columns, rows)[0, 1]) > 0.1, "it hangs obliquely"


@pytest.mark.parametrize("turn", [-25.0, 0.0, 25.0])
def test_hanging_from_one_ear_the_mask_lies_beside_nose_and_mouth_on_one_side(turn: float) -> None:
    points = mean_points(turn=turn)
    sides = set()
    for seed in range(8):
        picture = drawn("one_ear", seed, turn=turn)
        assert change(picture, points, (*NOSTRILS, *LIPS, *EYES)) <= 3
        columns = np.nonzero(is_green(picture.astype(int).reshape(-1, 3)).reshape(picture.shape[:2]))[1]
        middle = float(points[4, 0])
        right = float((columns > middle).mean())
        assert right < 0.1 or right > 0.9
        sides.add(right > 0.5)
    assert sides == ({True, False} if turn == 0 else {turn > 0}), "the ear that is seen"


def test_on_the_forehead_and_over_the_eyes_nose_and_mouth_stay_bare() -> None:
    points = mean_points()
    for seed in range(4):
        forehead, eyes = drawn("forehead", seed), drawn("over_eyes", seed)
        assert change(forehead, points, (*EYES, *NOSTRILS, *LIPS)) <= 15  # the shadow of the mask
        assert is_green(at(forehead, points, (151,))).all()
        assert is_green(at(eyes, points, (159, 145, 386, 374))).all()
        assert change(eyes, points, (2, *LIPS)) <= 3


def test_a_face_that_is_to_stay_bare_stays_as_it_is() -> None:
    assert np.array_equal(drawn("bare"), bare_photo(mean_points()))


def test_sitting_too_high_the_mask_covers_the_nose_and_leaves_the_chin_bare() -> None:
    points = mean_points()
    for seed in range(4):
        picture = drawn("chin_out", seed, "surgical")
        assert is_green(at(picture, points, (4, 2, 0))).all()
        assert change(picture, points, EYES) <= 3
        assert not is_green(at(picture, points, (175, 199))).any()


def test_a_mask_hangs_below_the_chin_only_where_the_picture_shows_what_is_below() -> None:
    roomy, tight = mean_points(width=0.5, height=0.6), mean_points(width=0.8, height=0.5)
    pictures = [
        draw_mask(bare_photo(points), points, "below_chin", "cloth", GREEN, np.random.default_rng(3))
        for points in (roomy, tight)
    ]
    assert pictures[1] is None
    assert pictures[0] is not None
    assert change(pictures[0], roomy, (*NOSTRILS, *LIPS, 200)) <= 3
    below = pictures[0][int(roomy[152, 1]) + 6 :].reshape(-1, 3).astype(int)
    assert is_green(below).mean() > 0.1


def test_a_picture_that_ends_at_the_chin_gets_room_below_without_a_second_mouth() -> None:
    points = mean_points(width=0.78, height=0.49)
    photo = bare_photo(points)
    moved = [make_room(photo, points, np.random.default_rng(seed)) for seed in range(40)]
    shifts = [round(float(points[0, 1] - mesh[0, 1])) for _, mesh in moved]
    assert 0 < shifts.count(0) < 25
    assert 10 < max(shifts) < photo.shape[0] - points[17, 1]
    for (picture, mesh), shift in zip(moved, shifts, strict=True):
        assert picture.shape == photo.shape
        assert np.array_equal(mesh[:, 0], points[:, 0])
        assert np.array_equal(picture[: photo.shape[0] - shift], photo[shift:])


def test_a_picture_that_shows_the_neck_stays_as_it_is() -> None:
    points = mean_points(width=0.5, height=0.6)
    for seed in range(5):
        picture, mesh = make_room(bare_photo(points), points, np.random.default_rng(seed))
        assert np.array_equal(picture, bare_photo(points))
        assert np.array_equal(mesh, points)


def test_nothing_changes_above_the_eyes() -> None:
    points = mean_points()
    height = int(points[[159, 386], 1].min()) - 8
    for kind in ("right", "nose_out", "mouth_out", "chin_out"):
        assert np.array_equal(drawn(kind)[:height], bare_photo(points)[:height])


def test_in_a_dark_photograph_the_mask_is_dark_too() -> None:
    points = mean_points()
    bright = bare_photo(points)
    dark = (bright * 0.3).astype(np.uint8)
    white = plain(0.95, 0.95, 0.95)
    levels = []
    for photo in (bright, dark):
        picture = draw_mask(photo, points, "right", "cloth", white, np.random.default_rng(1))
        assert picture is not None
        levels.append(at(picture, points, (13, 205, 425)).mean())
    assert levels[0] > 160
    assert levels[1] < 110


def test_in_a_blurred_photograph_the_edge_of_the_mask_is_blurred_too() -> None:
    points = mean_points()
    sharp = bare_photo(points)
    steepest = []
    for photo in (sharp, cv2.GaussianBlur(sharp, (0, 0), 3)):
        picture = draw_mask(photo, points, "right", "cloth", plain(0.02, 0.02, 0.02), np.random.default_rng(1))
        assert picture is not None
        column = picture[:, int(points[4, 0]), 0].astype(int)[int(points[168, 1]) : int(points[4, 1])]
        steepest.append(-np.diff(column).min())
    assert steepest[1] < 0.5 * steepest[0]


def test_cloth_is_cut_out_of_a_photograph_and_keeps_its_colours() -> None:
    points = mean_points()
    stripes = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    stripes[:, : WIDTH // 2] = (0.1, 0.2, 0.8)
    stripes[:, WIDTH // 2 :] = (0.1, 0.7, 0.2)
    picture = drawn("right", 1, "cloth", fabric=Fabric(stripes, np.zeros((HEIGHT, WIDTH), np.float32)))
    cloth = cut_out(picture, points)
    assert cloth is not None
    left, right = cloth.colour[:, : WIDTH // 3].mean(axis=(0, 1)), cloth.colour[:, -WIDTH // 3 :].mean(axis=(0, 1))
    assert left.argmax() == 2
    assert right.argmax() == 1


def test_no_cloth_is_cut_out_of_a_face_seen_from_the_side() -> None:
    points = mean_points(turn=45)
    assert cut_out(bare_photo(points), points) is None


def test_cut_out_cloth_is_varied_by_the_seed_alone() -> None:
    cloth = plain(0.5, 0.6, 0.7)
    first, again, other = (vary_cut_out(cloth, False, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.colour, again.colour)
    assert not np.array_equal(first.colour, other.colour)


def test_every_kind_has_a_class_and_right_and_wrong_are_both_drawn_often() -> None:
    assert set(LABELS) == set(KINDS)
    assert set(LABELS.values()) == set(CLASSES)
    kinds = RenderParams().kinds
    share = {label: sum(kinds.get(kind, 0) for kind in KINDS if LABELS[kind] == label) for label in CLASSES}
    assert sum(share.values()) == pytest.approx(1)
    assert 0.3 <= share["with_mask"] <= 0.4
    assert 0.05 <= share["without_mask"] <= 0.15


def test_what_is_drawn_instead_of_a_kind_without_room_has_its_class() -> None:
    assert all(LABELS[kind] == LABELS[instead] for kind, instead in INSTEAD.items())


def choices(settings: RenderParams, count: int = 4000) -> list[Choice]:
    rng = np.random.default_rng(1)
    return [choose_wearing(settings, 100, rng) for _ in range(count)]


def test_how_a_mask_is_worn_tells_nothing_about_how_it_is_made() -> None:
    table = pd.DataFrame(choices(everything_drawn()))
    for column in ("style", "dark", "shield"):
        counts = pd.crosstab(table["kind"].map(LABELS), table[column])
        assert counts.shape == (len(CLASSES), table[column].nunique())
        assert chi2_contingency(counts).pvalue > 0.01, counts


def test_shares_are_relative_and_a_share_of_0_turns_a_kind_or_style_off() -> None:
    drawn = choices(RenderParams(kinds={"right": 30, "askew": 10, "bare": 0}, styles={"cup": 1}, dark=0, face_shield=1))
    assert {choice.kind for choice in drawn} == {"right", "askew"}
    assert 0.72 < sum(choice.kind == "right" for choice in drawn) / len(drawn) < 0.78
    assert {(choice.style, choice.dark, choice.shield) for choice in drawn} == {("cup", False, True)}


def test_without_real_cloth_other_styles_are_drawn_or_missed_in_words() -> None:
    rng = np.random.default_rng(1)
    styles = {choose_wearing(everything_drawn(), 0, rng).style for _ in range(200)}
    assert "photographed" not in styles
    assert len(styles) > 4
    with pytest.raises(FacemaskError, match=r"render\.styles allows photographed masks only"):
        choose_wearing(RenderParams(styles={"photographed": 1}), 0, rng)


@pytest.mark.parametrize("style", [style for style in STYLES if style not in ("photographed", "printed", "bandana")])
def test_dark_cloth_is_dark_whatever_the_style(style: Style) -> None:
    for seed in range(6):
        fabric = draw_fabric(style, True, np.random.default_rng(seed))
        cloth = fabric.colour if fabric.opacity is None else fabric.colour[fabric.opacity > 0.99]
        assert np.median(cloth) < 0.2
    photographed = vary_cut_out(plain(0.5, 0.9, 0.7), True, np.random.default_rng(1))
    assert photographed.colour.mean() < 0.2


def test_a_printed_face_shows_where_the_mouth_is_and_leaves_the_upper_edge_plain() -> None:
    for seed in range(20):
        cloth = np.full((HEIGHT, WIDTH, 3), (0.2, 0.5, 0.8), np.float32)
        change = np.abs(print_face(cloth, np.random.default_rng(seed)) - cloth).max(axis=2)
        assert (change > 0.05).mean() > 0.003
        assert change[: HEIGHT // 12].max() < 0.01


def test_through_a_clear_window_the_mouth_shows_and_around_it_the_mask_covers() -> None:
    points = mean_points()
    fabric = draw_fabric("window", False, np.random.default_rng(3))
    assert fabric.opacity is not None
    window = Fabric(GREEN.colour, GREEN.relief, fabric.opacity)
    picture, opaque = drawn("right", 1, "window", fabric=window), drawn("right", 1, "window")
    mouth = at(picture, points, (13, 14))
    assert (
        np.abs(mouth - at(bare_photo(points), points, (13, 14))).mean()
        < np.abs(mouth - at(opaque, points, (13, 14))).mean()
    )
    assert is_green(at(picture, points, (4, 205, 425))).all()


def test_a_face_shield_leaves_what_is_behind_it_visible() -> None:
    points = mean_points()
    below = slice(int(points[105, 1]), None)  # the brows: the band may lie above
    kinds: tuple[Kind, ...] = ("right", "mouth_out", "bare")
    for seed, kind in itertools.product(range(6), kinds):
        worn = drawn(kind)
        shielded = draw_shield(worn, points, np.random.default_rng(seed))
        assert shielded.shape == worn.shape
        assert not np.array_equal(shielded, worn)
        assert np.corrcoef(shielded[below].ravel(), worn[below].ravel())[0, 1] > 0.8, (kind, seed)


def split_table() -> pd.DataFrame:
    """Ten photographs of each of two sources, every tenth with a copy; most in train; half of them bare."""
    rows = [
        (f"{source}/{label}/{number}{copy}.png", source, label, f"{source}{label}{number}", part, "")
        for source, label, number in itertools.product(("a", "b"), ("without_mask", "with_mask"), range(10))
        for copy in ("", "copy")
        for part in [("val", "test")[number] if number < 2 else "train"]
    ]
    return pd.DataFrame(rows, columns=["id", "source", "label", "group", "part", "reason"])


def test_faces_are_chosen_from_training_only_one_of_each_photograph_and_from_all_sources() -> None:
    table = split_table()
    chosen = choose(table, "without_mask", 6, seed=1)
    assert set(chosen["part"]) == {"train"}
    assert set(chosen["label"]) == {"without_mask"}
    assert chosen["group"].is_unique
    assert dict(chosen["source"].value_counts()) == {"a": 3, "b": 3}
    assert len(choose(table, "without_mask", 100, seed=1)) == 16
    assert not choose(table, "without_mask", 6, seed=2)["id"].equals(chosen["id"])


def test_the_table_is_read_back_as_it_was_written_with_or_without_rows(tmp_path: Path) -> None:
    row: dict[str, Any] = dict.fromkeys(SYNTHETIC.columns, "x")
    row |= {"label": "with_mask", "kind": "right", "object": "none", "shield": True, "yaw": -20, "pitch": 0}
    for rows in ([], [row]):
        table = pd.DataFrame(rows, columns=SYNTHETIC.columns)
        SYNTHETIC.write(tmp_path / "rendered.csv", table)
        assert SYNTHETIC.read(tmp_path / "rendered.csv").to_dict("records") == rows
    counts = count_synthetic(table)
    assert counts["label"] == {"mask_weared_incorrect": 0, "with_mask": 1, "without_mask": 0}
    assert counts["turned"] == counts["label"]
    assert list(counts["kind"]) == [*KINDS, PHOTOGRAPH]
    assert counts["object"]["none"] == 1
    assert counts["shield"] == 1
    assert json.dumps(counts)
    assert choose_shown(table, 3)["right"] == ["x"]


def test_the_contact_sheet_shows_each_object_bare_and_with_a_mask() -> None:
    rows = [
        dict.fromkeys(SYNTHETIC.columns, "x") | {"id": f"{kind}{number}", "kind": kind, "object": name}
        for kind, name in (("bare", "hand"), ("right", "hand"), ("bare", "none"), ("right", "none"))
        for number in range(9)
    ]
    shown = choose_shown(pd.DataFrame(rows, columns=SYNTHETIC.columns).drop_duplicates(), 4)
    assert shown["hand"] == ["bare0", "bare1", "right0", "right1"]
    assert shown["right"] == ["right0", "right1", "right2", "right3"]
    assert shown["beard"] == []
