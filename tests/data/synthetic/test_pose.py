"""Heads turned in depth: the mesh goes with the picture, and the pose tells nothing about the mask."""

import itertools

import cv2
import numpy as np
import pytest

from facemask.data.synthetic.draw import draw_mask
from facemask.data.synthetic.fabric import HEIGHT, WIDTH, Fabric
from facemask.data.synthetic.pipeline import draw_on
from facemask.data.synthetic.pose import Pose, childlike, draw_pose, measure_pose, turn
from facemask.dataset.synthetic import KINDS, Kind
from facemask.faces.mesh import CHIN, FOREHEAD, LEFT_EYE, NOSE_TIP, RIGHT_EAR, RIGHT_EYE, Face
from tests.bare_face import bare_photo, mean_points
from tests.everything_drawn import everything_drawn

POINTS = mean_points(width=0.6, height=0.52)
PHOTO = bare_photo(POINTS)
POSES = ((25, 0), (-25, 0), (40, 0), (0, 20), (0, -20), (20, 15), (-20, -15))
GREEN = Fabric(
    np.full((HEIGHT, WIDTH, 3), (0.1, 0.8, 0.1), np.float32),
    np.zeros((HEIGHT, WIDTH), np.float32),
)


def with_dot(number: int) -> np.ndarray:
    """The photograph with a blue dot on a point of the mesh."""
    photo = PHOTO.copy()
    cv2.circle(photo, np.round(POINTS[number, :2]).astype(int).tolist(), 3, (0, 0, 255), -1)
    return photo


def dot_in(picture: np.ndarray) -> np.ndarray:
    """The middle of the blue dot, in pixels."""
    colour = picture.astype(int)
    y, x = np.nonzero(colour[..., 2] - colour[..., :2].max(axis=-1) > 100)
    return np.array([x.mean(), y.mean()])


def test_turned_by_nothing_and_childlike_by_nothing_the_picture_is_the_same() -> None:
    for picture, points in (turn(PHOTO, POINTS, 0, 0), childlike(PHOTO, POINTS, 0)):
        assert np.array_equal(picture, PHOTO)
        assert np.array_equal(points, POINTS)


def test_the_same_pose_gives_the_same_bytes_and_the_photograph_stays_as_it_is() -> None:
    before = PHOTO.copy(), POINTS.copy()
    (first, mesh), (again, same) = (turn(PHOTO, POINTS, 30, -10, 4) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert mesh.tobytes() == same.tobytes()
    assert np.array_equal(PHOTO, before[0])
    assert np.array_equal(POINTS, before[1])


@pytest.mark.parametrize(("yaw", "pitch"), POSES)
def test_what_is_on_a_landmark_is_found_on_the_landmark_of_the_turned_face(yaw: int, pitch: int) -> None:
    near_cheek = 280 if yaw < 0 else 50
    for number in (9, 200, near_cheek):
        picture, points = turn(with_dot(number), POINTS, yaw, pitch)
        assert picture.shape == PHOTO.shape
        assert np.abs(dot_in(picture) - points[number, :2]).max() < 2


def test_a_childs_proportions_move_the_picture_with_the_landmarks() -> None:
    for number in (9, 50, 200):
        picture, points = childlike(with_dot(number), POINTS, 1)
        assert np.abs(dot_in(picture) - points[number, :2]).max() < 2


def test_a_child_has_larger_eyes_a_higher_forehead_and_a_shorter_narrower_jaw() -> None:
    _, child = childlike(PHOTO, POINTS, 1)

    def ratio(one: int, other: int) -> float:
        return float(np.linalg.norm(child[one] - child[other]) / np.linalg.norm(POINTS[one] - POINTS[other]))

    assert ratio(33, 133) > 1.1  # corners of an eye
    assert ratio(6, FOREHEAD) > 1.05
    assert ratio(6, CHIN) < 0.9
    assert ratio(172, 397) < 0.97


def test_turned_to_the_side_a_face_shows_less_of_the_far_cheek_and_more_of_the_near_one() -> None:
    for yaw, far, near in ((30, RIGHT_EYE, LEFT_EYE), (-30, LEFT_EYE, RIGHT_EYE)):
        _, points = turn(PHOTO, POINTS, yaw, 0)
        before, after = (np.abs(mesh[[far, near], 0] - mesh[NOSE_TIP, 0]) for mesh in (POINTS, points))
        assert after[0] < 0.6 * before[0]
        assert after[1] > before[1]
    # A white far cheek all but disappears.
    cheeks = PHOTO.copy()
    cheeks[:, round(float(POINTS[RIGHT_EYE, 0])) : round(float(POINTS[RIGHT_EAR, 0])) + 1] = 255
    shown = [(turn(cheeks, POINTS, yaw, 0)[0][60:120, 20:140] > 250).all(axis=-1).sum() for yaw in (0, 30)]
    assert shown[1] < 0.7 * shown[0]


def test_a_bowed_head_shows_less_of_the_chin_and_the_measured_pose_is_the_one_it_was_turned_by() -> None:
    own = np.array(measure_pose(POINTS))
    lengths = {}
    for yaw, pitch in ((20, 0), (0, 20), (0, -20), (-35, 0)):
        _, points = turn(PHOTO, POINTS, yaw, pitch)
        assert np.array(measure_pose(points)) - own == pytest.approx((yaw, pitch), abs=6)
        lengths[pitch] = points[CHIN, 1] - points[NOSE_TIP, 1]
    assert lengths[20] < lengths[0] < lengths[-20]


def test_far_from_the_head_the_background_hardly_moves() -> None:
    lines = PHOTO.copy()
    lines[:, 5:9] = lines[:, -9:-5] = (0, 0, 255)
    picture, _ = turn(lines, mean_points(width=0.3, height=0.55), 35, 10)
    blue = picture[..., 2].astype(int) - picture[..., 0] > 100
    assert blue[:, :15].any(axis=1).all()
    assert blue[:, -15:].any(axis=1).all()
    assert not blue[:, 20:-20].any()


def poses(count: int, points: np.ndarray = POINTS, turned: float = 0.5, **settings: float) -> list[Pose]:
    params = everything_drawn(**settings)
    return [draw_pose(points, turned, params, np.random.default_rng([number, 1])) for number in range(count)]


def test_heads_are_turned_to_both_sides_up_and_down_as_often_and_as_far_as_wanted() -> None:
    drawn = poses(600, yaw=35, pitch=20)
    turned = [pose for pose in drawn if pose.is_turned]
    assert 0.44 < len(turned) / len(drawn) < 0.56
    yaws, pitches = np.array([(pose.yaw, pose.pitch) for pose in turned]).T
    assert (yaws.min(), yaws.max()) == pytest.approx((-35, 35), abs=3)
    assert np.abs(pitches).max() <= 20
    assert 0.4 < (yaws > 0).mean() < 0.6
    assert 0.4 < (pitches > 0).mean() < 0.6
    assert 0.1 < np.mean([pose.childlike > 0 for pose in drawn]) < 0.2


def test_a_share_of_zero_turns_no_head_and_makes_no_child() -> None:
    assert set(poses(50, turned=0, childlike=0)) == {Pose()}


def test_a_face_that_looks_aside_is_turned_no_other_way_and_not_beyond_what_one_picture_shows() -> None:
    for turned in (-30, 30):
        points = mean_points(turn=turned)
        own, _ = measure_pose(points)
        assert abs(own) == pytest.approx(30, abs=3)
        assert all(pose.yaw * own >= 0 and abs(own + pose.yaw) < 56 for pose in poses(60, points))


@pytest.mark.parametrize(("yaw", "pitch"), POSES)
def test_every_way_to_wear_a_mask_can_be_drawn_in_every_pose(yaw: int, pitch: int) -> None:
    view, points = turn(PHOTO, POINTS, yaw, pitch)
    kinds: list[Kind] = ["right", "nose_out", "mouth_out"]
    for kind, seed in itertools.product(kinds, range(3)):
        picture = draw_mask(view, points, kind, "cloth", GREEN, np.random.default_rng(seed), POINTS)
        assert picture is not None
        x, y = np.round(points[[FOREHEAD, NOSE_TIP, 14], :2]).astype(int).T
        green = picture[y, x, 1].astype(int) > picture[y, x, 0].astype(int) + 40
        assert list(green) == {"right": [0, 1, 1], "nose_out": [0, 0, 1], "mouth_out": [0, 0, 0]}[kind]


def rows(faces: int, **settings: float) -> list[dict[str, str | int]]:
    params = everything_drawn(per_face=10, **settings)
    small = cv2.resize(PHOTO, (64, 64), interpolation=cv2.INTER_AREA)
    fitted = Face((POINTS * 0.4).astype(np.float32), 1.0)
    drawn = [
        draw_on(small, fitted, {"id": f"{number}.png", "group": "g", "part": "train"}, [], params)
        for number in range(faces)
    ]
    return [picture.row for pictures in drawn for picture in pictures]


def test_the_pose_tells_nothing_about_how_and_with_what_a_mask_is_drawn() -> None:
    turned, front = rows(16, turned=1), rows(16, turned=0)
    assert {row["yaw"] for row in front} == {row["pitch"] for row in front} == {0}
    # The same masks: only a head turned so far that hardly any cloth is seen may lack its picture.
    known = {(row["photograph"], str(row["id"])[-5]): (row["kind"], row["style"]) for row in front}
    same = [known.get((row["photograph"], str(row["id"])[-5])) == (row["kind"], row["style"]) for row in turned]
    assert np.mean(same) > 0.97
    assert abs(len(turned) - len(front)) <= 3
    assert {row["kind"] for row in turned} <= set(KINDS)


def test_the_same_face_gets_the_same_pictures_in_any_company() -> None:
    assert rows(1) == rows(2)[: len(rows(1))]
