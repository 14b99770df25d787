"""Objects drawn about a face: they leave what tells a bare face from a masked one, and look like the photograph."""

import cv2
import numpy as np
import pytest

from facemask.core.params import ObjectParams, RenderParams, WithObjectParams
from facemask.data.synthetic.draw import draw_mask
from facemask.data.synthetic.fabric import HEIGHT, WIDTH, Fabric
from facemask.data.synthetic.objects import (
    BEFORE_BARE_ONLY,
    BELOW_MASK,
    choose_object,
    draw_before_bare,
    draw_before_mask,
    draw_below_mask,
)
from facemask.data.synthetic.objects_hair import BEARD_FORMS, paint_beard
from facemask.data.synthetic.objects_hand import HAND_POSES, paint_hand
from facemask.data.synthetic.scene import look_at
from facemask.dataset.synthetic import NO_OBJECT, OBJECT_TITLES, OBJECTS
from tests.bare_face import bare_photo, mean_points

NOSE, LIPS, EYES = (1, 4), (0, 13, 14, 17), (33, 159, 133, 362, 386, 263)
POINTS = mean_points(width=0.6, height=0.55)
GREEN = Fabric(np.full((HEIGHT, WIDTH, 3), (0.1, 0.8, 0.1), np.float32), np.zeros((HEIGHT, WIDTH), np.float32))
HELD = [name for name in OBJECTS if name not in (*BELOW_MASK, *BEFORE_BARE_ONLY)]


def drawn(name: str, seed: int, points: np.ndarray = POINTS) -> np.ndarray:
    picture = draw_before_bare(bare_photo(points), points, name, np.random.default_rng(seed))
    assert picture is not None
    return picture


def at(picture: np.ndarray, numbers: tuple[int, ...], points: np.ndarray = POINTS) -> np.ndarray:
    x, y = np.round(points[list(numbers), :2]).astype(int).T
    return picture[y, x].astype(int)


def change(picture: np.ndarray, numbers: tuple[int, ...], points: np.ndarray = POINTS) -> np.ndarray:
    """By how much the points changed, the channel that changed most."""
    return np.abs(at(picture, numbers, points) - at(bare_photo(points), numbers, points)).max(axis=1)


@pytest.mark.parametrize("name", OBJECTS)
def test_the_same_seed_gives_the_same_picture_and_the_object_can_be_seen(name: str) -> None:
    first, again, other = (drawn(name, seed) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert first.shape == bare_photo(POINTS).shape
    moved = np.abs(first.astype(int) - bare_photo(POINTS)).max(axis=2) > 12
    assert moved.mean() > 0.004


@pytest.mark.parametrize("turn", [-25.0, 25.0])
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_are_drawn_on_turned_faces_too(name: str, turn: float) -> None:
    points = mean_points(width=0.6, height=0.55, turn=turn)
    pictures = [draw_before_bare(bare_photo(points), points, name, np.random.default_rng(seed)) for seed in range(4)]
    assert sum(picture is not None for picture in pictures) >= 3


@pytest.mark.parametrize("name", [name for name in OBJECTS if name not in ("hand", "hair", "spectacles")])
def test_the_tip_of_the_nose_or_the_mouth_stays_bare(name: str) -> None:
    for seed in range(3):
        picture = drawn(name, seed)
        assert min(change(picture, NOSE).mean(), change(picture, LIPS).mean()) < 25


@pytest.mark.parametrize("name", ["scarf", "collar", "headwear"])
def test_cloth_ends_below_the_lips_and_above_the_eyes(name: str) -> None:
    for seed in range(4):
        picture = drawn(name, seed)
        assert change(picture, (*NOSE, 13, 14)).max() <= 12
        assert change(picture, EYES).max() <= 12


def test_a_beard_leaves_lips_nose_and_eyes() -> None:
    photo = bare_photo(POINTS)
    for seed, form in enumerate(BEARD_FORMS):
        scene = look_at(photo, POINTS, np.random.default_rng(seed))
        opacity = paint_beard(scene, form, np.random.default_rng(seed)).layer().opacity
        x, y = np.round(POINTS[[*NOSE, *EYES, 13, 14], :2]).astype(int).T
        assert opacity[y, x].max() < 0.35
        assert opacity.max() > 0.3


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (0.45, 0.4, 0.38)])
@pytest.mark.parametrize("pose", HAND_POSES)
def test_a_hand_has_the_colour_of_the_face(pose: str, tint: tuple[float, float, float]) -> None:
    photo = (bare_photo(POINTS) * np.array(tint)).astype(np.uint8)
    scene = look_at(photo, POINTS, np.random.default_rng(3))
    layer = paint_hand(scene, pose, np.random.default_rng(3)).layer()  # type: ignore[arg-type]
    hand = layer.colour[layer.opacity > 0.99]
    face = at(photo, (205, 425, 50, 280)).mean(axis=0) / 255
    # Sleeves have other colours; most of what is seen is skin.
    assert np.abs(np.median(hand, axis=0) - face).max() < 0.2
    assert hand.std() > 0.01


def test_in_a_dark_photograph_objects_are_dark_too() -> None:
    photo = bare_photo(POINTS)
    dark = (photo * 0.3).astype(np.uint8)
    for name in ("scarf", "hand", "cup"):
        levels = [draw_before_bare(one, POINTS, name, np.random.default_rng(5)) for one in (photo, dark)]
        assert levels[0] is not None
        assert levels[1] is not None
        changed = np.abs(levels[0].astype(int) - photo).max(axis=2) > 40
        assert levels[1][changed].mean() < 0.6 * levels[0][changed].mean()


def test_in_a_blurred_photograph_spectacles_are_blurred_too() -> None:
    sharp = bare_photo(POINTS)
    steepest = []
    for photo in (sharp, cv2.GaussianBlur(sharp, (0, 0), 3)):
        picture = draw_before_bare(photo, POINTS, "spectacles", np.random.default_rng(2))
        assert picture is not None
        added = picture.astype(float) - photo
        steepest.append(np.percentile(np.abs(np.diff(added.mean(axis=2), axis=0)), 99.5))
    assert steepest[1] < 0.6 * steepest[0]


def masked(kind: str, ground: np.ndarray) -> np.ndarray:
    picture = draw_mask(ground, POINTS, kind, "cloth", GREEN, np.random.default_rng(1))  # type: ignore[arg-type]
    assert picture is not None
    return picture


def greens(picture: np.ndarray) -> int:
    pixels = picture.astype(int)
    return int((pixels[..., 1] > pixels[..., 0] + 40).sum())


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("kind", ["right", "nose_out"])
def test_before_a_mask_an_object_leaves_most_of_it_and_what_is_bare(kind: str, name: str) -> None:
    bare = bare_photo(POINTS)
    mask = masked(kind, bare)
    for seed in range(2):
        picture, done = draw_before_mask(bare, mask, POINTS, kind, name, np.random.default_rng(seed))  # type: ignore[arg-type]
        if not done:
            assert np.array_equal(picture, mask)
            continue
        assert greens(picture) > 0.55 * greens(mask)
        if kind == "nose_out":
            assert change(picture, NOSE).mean() < 60


@pytest.mark.parametrize("name", BELOW_MASK)
def test_a_mask_is_worn_over_beards_and_scarves(name: str) -> None:
    ground, done = draw_below_mask(bare_photo(POINTS), POINTS, name, np.random.default_rng(1))
    assert done
    pixels = at(masked("right", ground), (4, *LIPS))
    assert (pixels[:, 1] > pixels[:, 0] + 40).all()


def test_nobody_eats_or_drinks_through_a_mask() -> None:
    bare = bare_photo(POINTS)
    mask = masked("right", bare)
    picture, done = draw_before_mask(bare, mask, POINTS, "right", "cup", np.random.default_rng(1))
    assert not done
    assert np.array_equal(picture, mask)
    settings = RenderParams(with_object=WithObjectParams(masked=1.0))
    rng = np.random.default_rng(1)
    assert not {choose_object(settings, True, rng) for _ in range(300)} & {NO_OBJECT, *BEFORE_BARE_ONLY}


def test_objects_are_chosen_by_their_weights_and_zero_turns_one_off() -> None:
    off = dict.fromkeys(OBJECTS, 0.0)
    settings = RenderParams(
        with_object=WithObjectParams(bare=0.5), objects=ObjectParams(**{**off, "hand": 3.0, "beard": 1.0})
    )
    rng = np.random.default_rng(1)
    chosen = [choose_object(settings, False, rng) for _ in range(2000)]
    shares = {name: chosen.count(name) / len(chosen) for name in set(chosen)}
    assert shares == pytest.approx({NO_OBJECT: 0.5, "hand": 0.375, "beard": 0.125}, abs=0.04)
    nothing = settings.model_copy(update={"objects": ObjectParams(**off)})
    assert {choose_object(nothing, False, rng) for _ in range(20)} == {NO_OBJECT}


def test_every_object_has_a_title_and_an_unknown_one_is_refused() -> None:
    assert tuple(OBJECT_TITLES) == OBJECTS
    with pytest.raises(ValueError, match="balloon"):
        ObjectParams.model_validate({"balloon": 1.0})
