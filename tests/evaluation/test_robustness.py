"""Predictions of corrupted images do not depend on other images, and the figures are those counted by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.dataset.archive import Archive
from facemask.dataset.batches import read_image
from facemask.evaluation.corruptions import CAMERA, FRAMING, strengths
from facemask.evaluation.robustness import (
    POINTS,
    choose_images,
    curves,
    example,
    predict_variants,
    summarise,
    variant_names,
    variants,
)
from facemask.models.onnx_session import open_session
from facemask.presentation.contact_sheet import TILE
from tests.colour_project import SIDE, colour_model, equal_costs, lower_half, write_project

INCORRECT, WITH, WITHOUT = CLASSES


def images(*counts: tuple[str, int, int]) -> pd.DataFrame:
    """Rows for (class, photographs, copies of each)."""
    rows = [
        (f"s/{label}/{number:03}-{copy}", f"{label} {number}", label)
        for label, photographs, copies in counts
        for number in range(photographs)
        for copy in range(copies)
    ]
    return pd.DataFrame(rows, columns=["id", "group", "label"])


def answered(labels: list[str], wrong: dict[str, list[int]]) -> pd.DataFrame:
    """Rows in which all answers are right, but for some of some variants."""
    rows = pd.DataFrame({"group": [f"g{number}" for number in range(len(labels))], "label": labels})
    for name in variant_names():
        rows[name] = rows["label"].where(~rows.index.isin(wrong.get(name, [])), WITHOUT)
    return rows


def test_each_class_gets_the_same_number_of_images_as_far_as_they_last() -> None:
    test = images((INCORRECT, 2, 1), (WITH, 50, 1), (WITHOUT, 90, 1))
    chosen = choose_images(test, 32, seed=1)
    assert chosen["label"].value_counts().to_dict() == {INCORRECT: 2, WITH: 15, WITHOUT: 15}
    assert list(chosen["id"]) == sorted(chosen["id"])
    assert list(chosen.columns) == list(test.columns)


def test_copies_of_a_photograph_come_when_there_is_no_other_one_left() -> None:
    test = images((WITH, 10, 8))
    assert choose_images(test, 10, seed=1)["group"].nunique() == 10
    assert choose_images(test, 12, seed=1)["group"].value_counts().max() == 2
    assert len(choose_images(test, 500, seed=1)) == 80


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    test = images((WITH, 40, 2), (WITHOUT, 40, 1))
    first = choose_images(test, 10, seed=1)
    assert first.equals(choose_images(test[::-1], 10, seed=1))
    assert not first.equals(choose_images(test, 10, seed=2))


def test_every_corruption_at_every_strength_has_the_size_of_the_model_input() -> None:
    picture = lower_half(WITH, seed=1, side=200)
    made = list(variants(picture, SIDE, "a", seed=1))
    assert len(made) == len(variant_names()) == 1 + sum(len(strengths(name)) for name in CAMERA | FRAMING)
    assert {(one.shape, one.dtype) for one in made} == {((SIDE, SIDE, 3), np.dtype(np.uint8))}
    assert len({one.tobytes() for one in made}) >= len(made) - 1  # of 64 pixels it is the clean picture again


def test_the_first_variant_is_what_the_evaluation_sees(tmp_path: Path) -> None:
    with Archive(write_project(tmp_path) / "data/images.zip") as archive:
        clean = read_image(archive, archive.names[0], SIDE)
    assert np.array_equal(next(variants(lower_half(INCORRECT, 0), SIDE, "a", seed=1)), clean)


def test_what_is_done_to_a_picture_depends_on_its_name_and_the_seed() -> None:
    def made(name: str, seed: int) -> list[bytes]:
        return [one.tobytes() for one in variants(lower_half(WITH, seed=1), SIDE, name, seed)]

    first = dict(zip(variant_names(), made("a", 1), strict=True))
    assert made("a", 1) == list(first.values())
    for other in (made("b", 1), made("a", 2)):
        differing = {name for name, one in zip(variant_names(), other, strict=True) if one != first[name]}
        assert {name.rpartition("_")[0] for name in differing} == {"noise", "motion_blur", "low_light"}


def test_an_image_gets_the_same_answers_whichever_others_are_asked_about(tmp_path: Path) -> None:
    session, decision = open_session(colour_model(), threads=1), equal_costs()
    with Archive(write_project(tmp_path) / "data/images.zip") as archive:
        all_at_once = predict_variants(session, decision, archive, archive.names, seed=1)
        some = predict_variants(session, decision, archive, archive.names[5:2:-1], seed=1)
    assert all_at_once["clean"].tolist() == [name.split("/")[1] for name in archive.names]
    pd.testing.assert_frame_equal(some, all_at_once.iloc[5:2:-1].reset_index(drop=True))


def test_the_decision_and_not_the_likeliest_class_is_the_answer(tmp_path: Path) -> None:
    decision = equal_costs()
    dear = {**decision.costs, WITH: {name: 1e6 * (name != WITH) for name in CLASSES}}
    with Archive(write_project(tmp_path) / "data/images.zip") as archive:
        answers = predict_variants(
            open_session(colour_model(), threads=1),
            decision.model_copy(update={"costs": dear}),
            archive,
            archive.names[:1],
            1,
        )
    assert answers["clean"].tolist() == [WITH]


def test_figures_are_those_counted_by_hand() -> None:
    rows = answered([INCORRECT, INCORRECT, WITH, WITH], {"clean": [0], "noise_5": [0, 1], "face_size_1": [2, 3]})
    summary, points = summarise(rows, seed=1)
    assert tuple(points.columns) == POINTS
    assert (summary["images"], summary["photographs"], summary["clean_accuracy"]) == (4, 4, 0.75)
    assert summary["mean_corruption_accuracy"] == pytest.approx((34 + 0.5) / 35)  # framing does not count
    assert summary["accuracy"]["noise"] == pytest.approx(0.9)
    assert summary["accuracy"]["face_size"] == pytest.approx(3.5 / 4)
    assert summary["worst"] == "noise"
    at = points.set_index(["trouble", "strength"])
    assert at.loc[("noise", 5), ["level", "accuracy", "balanced_accuracy"]].tolist() == [0.38, 0.5, 0.5]
    assert at.loc[("face_size", 1), "level"] == 128
    assert (points["low"] <= points["accuracy"]).all()
    assert (points["accuracy"] <= points["high"]).all()


def test_a_class_of_few_images_counts_as_much_in_the_balanced_accuracy() -> None:
    rows = answered([INCORRECT] + [WITH] * 9, {name: [0] for name in variant_names()[1:]})
    summary, points = summarise(rows, seed=1)
    assert summary["mean_corruption_accuracy"] == pytest.approx(0.9)
    assert summary["mean_corruption_balanced_accuracy"] == pytest.approx(0.5)
    assert points["balanced_accuracy"].tolist()[:2] == [1.0, 0.5]


def test_many_photographs_make_the_interval_narrow_and_copies_do_not() -> None:
    def width(rows: pd.DataFrame) -> float:
        interval = summarise(rows, seed=1)[0]["interval"]
        assert interval["low"] < 0.75 < interval["high"]
        return float(interval["high"] - interval["low"])

    few = answered([WITH] * 8, {name: [0, 1] for name in variant_names()})
    copies = pd.concat([few] * 9, ignore_index=True)
    photographs = copies.assign(group=[f"g{number}" for number in range(len(copies))])
    assert width(copies) == pytest.approx(width(few))
    assert width(photographs) < width(few) / 2


def test_the_plot_has_a_column_for_each_camera_corruption_and_begins_clean() -> None:
    wide = curves(summarise(answered([INCORRECT, WITH], {"noise_5": [0, 1]}), seed=1)[1])
    assert list(wide.columns) == ["strength", *CAMERA]
    assert wide["strength"].tolist() == [0, 1, 2, 3, 4, 5]
    assert wide["noise"].tolist() == [1, 1, 1, 1, 1, 0]
    assert (wide["jpeg"] == 1).all()


def test_without_images_there_is_nothing_but_their_number(tmp_path: Path) -> None:
    with Archive(write_project(tmp_path) / "data/images.zip") as archive:
        answers = predict_variants(open_session(colour_model(), threads=1), equal_costs(), archive, [], seed=1)
        rows = pd.concat([images().head(0), answers], axis=1)
        summary, points = summarise(rows, seed=1)
        assert example(archive, [], SIDE, 1, points) == []
    assert summary == {"images": 0}
    assert (len(points), tuple(points.columns)) == (0, POINTS)
    assert (len(curves(points)), list(curves(points))) == (0, ["strength", *CAMERA])


def test_the_example_shows_every_corruption_with_the_accuracy_on_all_images(tmp_path: Path) -> None:
    points = summarise(answered([INCORRECT, WITH], {"jpeg_2": [0, 1]}), seed=1)[1]
    with Archive(write_project(tmp_path) / "data/images.zip") as archive:
        blocks = example(archive, archive.names[:2], SIDE, 1, points)
    by_title = {block.title: block for block in blocks}
    assert len(by_title) == len(CAMERA | FRAMING)
    assert [caption[0] for caption in by_title["JPEG"].captions][:3] == ["as it is: 100.0%", "1: 100.0%", "2: 0.0%"]
    assert [caption[0] for caption in by_title["Smaller face"].captions][-1] == "16 px: 100.0%"
    assert all(len(block.tiles) == len(block.captions) for block in blocks)
    assert max(tile.shape[0] for block in blocks for tile in block.tiles) <= TILE
