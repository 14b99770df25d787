"""Activation maps are exact, at the right position, and compared with shuffled models."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.dataset.archive import Archive
from facemask.dataset.predictions import PREDICTIONS
from facemask.dataset.split import part_of
from facemask.evaluation.class_activation import (
    SHUFFLES,
    Explained,
    choose_shown,
    draw_blocks,
    explain,
    lower_share,
    overlay,
    read_explainer,
    summarise,
)
from facemask.presentation.contact_sheet import TILE
from tests.colour_project import CELL, SIDE, colour_model, lower_half, write_project

pytestmark = pytest.mark.slow  # explains exported models

INCORRECT, WITH, WITHOUT = CLASSES


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path, per_class=6, wrong=3)


def predictions_of(project: Path) -> pd.DataFrame:
    return part_of(PREDICTIONS.read(project / "data/predictions.csv"), "test")


def explained(project: Path, seed: int = 1) -> Explained:
    with Archive(project / "data/images.zip") as archive:
        return explain(read_explainer(colour_model()), archive, predictions_of(project), seed)


def test_the_mean_of_a_map_is_the_classs_score_but_for_what_all_classes_have_in_common() -> None:
    explainer = read_explainer(colour_model())
    image = lower_half(WITH, seed=5)[None]
    maps, probabilities = explainer.session.run(["maps", "probabilities"], {"image": image})
    scores = np.tensordot(explainer.kernel.T, maps[0], 1).mean(axis=(1, 2))
    shares = np.exp(scores) / np.exp(scores).sum()
    assert shares == pytest.approx(probabilities[0], abs=1e-5)
    assert explainer.kernel.sum(axis=1) == pytest.approx(0, abs=1e-5)


def test_the_projects_own_export_can_be_explained(small_export: Path) -> None:
    content = (small_export / "model.onnx").read_bytes()
    explainer = read_explainer(content)
    image = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    maps, probabilities = explainer.session.run(["maps", "probabilities"], {"image": image})
    assert maps.shape == (2, 1280, 1, 1)
    assert explainer.kernel.shape == (1280, len(CLASSES))
    scores = np.einsum("nkhw,kc->nc", maps, explainer.kernel)  # the untrained top has no bias
    assert np.log(probabilities) - np.log(probabilities).mean(axis=1, keepdims=True) == pytest.approx(scores, abs=1e-4)


def test_the_evidence_lies_where_the_colour_of_the_answer_is(project: Path) -> None:
    predictions, found = predictions_of(project), explained(project)
    right = (predictions["prediction"] == predictions["label"]).to_numpy()
    assert found.maps.shape == (18, len(CLASSES), SIDE // CELL, SIDE // CELL)
    assert found.lower[right] == pytest.approx(1, abs=0.02)
    lower_rows = found.maps[0, CLASSES.index(INCORRECT), SIDE // CELL // 2 :]
    assert lower_rows.min() > 5 > 1 > np.abs(found.maps[0, :, : SIDE // CELL // 2]).max()


def test_what_speaks_for_another_class_is_not_mistaken_for_the_answers_evidence(project: Path) -> None:
    predictions, found = predictions_of(project), explained(project)
    wrong = (predictions["prediction"] != predictions["label"]).to_numpy()
    assert wrong.sum() == 3
    # The colour in the lower half speaks against the answer, so what is left for it lies in the dark upper half.
    assert found.lower[wrong].max() < 0.1


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        ([[1, 1], [1, 1]], 0.5),
        ([[1, 0], [0, 3]], 0.75),
        ([[-9, 1], [3, -9]], 0.75),
        ([[1, 1], [1, 1], [1, 1]], 0.5),  # the middle row counts half
        ([[0, 0], [4, 0], [0, 0]], 0.5),
        ([[2, 0], [0, 0], [1, 1], [0, 0]], 0.5),
        ([[5]], 0.5),
    ],
)
def test_the_share_in_the_lower_half_is_by_area_and_of_what_is_positive(rows: list[list[int]], share: float) -> None:
    assert lower_share(np.array(rows, np.float32)) == pytest.approx(share)


def test_a_map_without_anything_positive_has_no_share_and_is_left_out_of_the_mean() -> None:
    assert np.isnan(lower_share(np.array([[-1, -2], [0, -3]], np.float32)))
    table = pd.DataFrame({"label": [WITH, WITH], "prediction": [WITH, WITH]})
    maps = np.zeros((2, 3, 2, 2), np.float32)
    figures = summarise(table, Explained(maps, np.array([np.nan, 0.6]), np.full((2, SHUFFLES), 0.5)))
    assert figures["lower_half"]["all"] == figures["lower_half"]["right"][WITH]["share"] == 0.6


def test_a_shuffled_model_for_whose_answers_nothing_speaks_is_left_out() -> None:
    table = pd.DataFrame({"label": [WITH, WITH], "prediction": [WITH, WITH]})
    models = np.full((2, SHUFFLES), 0.5)
    models[:, 1:] = np.nan
    figures = summarise(table, Explained(np.zeros((2, 3, 2, 2), np.float32), np.array([0.6, 0.6]), models))
    assert figures["shuffled"] == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_where_nothing_speaks_for_any_answer_there_are_no_shares() -> None:
    table = pd.DataFrame({"label": [WITH, WITH], "prediction": [WITH, WITH]})
    nothing = Explained(np.zeros((2, 3, 2, 2), np.float32), np.full(2, np.nan), np.full((2, SHUFFLES), np.nan))
    figures = summarise(table, nothing)
    assert figures["lower_half"]["all"] is None
    assert figures["lower_half"]["right"][WITH] == {"images": 2, "share": None}
    assert figures["shuffled"] == {"mean": None, "low": None, "high": None}


def test_shares_are_averaged_by_answer_for_right_and_wrong_ones() -> None:
    table = pd.DataFrame({"label": [WITH, WITH, WITH, INCORRECT], "prediction": [WITH, WITH, WITHOUT, WITHOUT]})
    shares = np.array([0.2, 0.4, 0.6, 1.0])
    models = np.tile(np.linspace(0.3, 0.7, SHUFFLES), (4, 1))
    figures = summarise(table, Explained(np.zeros((4, 3, 2, 2), np.float32), shares, models))
    assert figures["images"] == 4
    assert figures["lower_half"]["all"] == pytest.approx(0.55)
    assert figures["lower_half"]["right"][WITH] == {"images": 2, "share": pytest.approx(0.3)}
    assert figures["lower_half"]["wrong"][WITHOUT] == {"images": 2, "share": pytest.approx(0.8)}
    assert figures["lower_half"]["wrong"][WITH] == {"images": 0, "share": None}
    assert figures["shuffled"] == pytest.approx({"mean": 0.5, "low": 0.31, "high": 0.69})


def test_a_model_that_has_unlearned_its_last_layer_is_compared_with(project: Path) -> None:
    found = explained(project)
    assert found.shuffled.shape == (18, SHUFFLES)
    assert not np.array_equal(found.shuffled, explained(project, seed=2).shuffled, equal_nan=True)
    # Of six ways to deal out three colours, two leave the answer's own where it was.
    right = found.shuffled[17]
    assert 0.1 < np.mean(right[~np.isnan(right)] > 0.9) < 0.6


def test_explaining_twice_gives_the_same(project: Path) -> None:
    one, two = explained(project), explained(project)
    assert np.array_equal(one.maps, two.maps)
    assert np.array_equal(one.shuffled, two.shuffled, equal_nan=True)


def test_the_surest_mistakes_are_shown_one_of_each_photograph(project: Path) -> None:
    predictions = predictions_of(project)
    shown = choose_shown(predictions, wrong=5, right=2, seed=1)
    mistakes = predictions.loc[shown["wrong"]]
    assert list(mistakes["id"]) == [f"s/{INCORRECT}/00.png", f"s/{INCORRECT}/02.png"]  # 01 is a copy of 00
    assert mistakes["p_without_mask"].is_monotonic_decreasing
    for label in CLASSES:
        rows = predictions.loc[shown[label]]
        assert (rows["label"] == label).all()
        assert (rows["prediction"] == label).all()
        assert rows["group"].is_unique
    assert [len(shown[label]) for label in CLASSES] == [2, 2, 2]


def test_right_answers_are_shown_by_the_seed(project: Path) -> None:
    predictions = predictions_of(project)
    chosen = [choose_shown(predictions, wrong=0, right=1, seed=seed) for seed in range(12)]
    assert len({chosen[seed][WITH][0] for seed in range(12)}) > 1
    assert chosen[3] == choose_shown(predictions, wrong=0, right=1, seed=3)


def test_a_mistake_is_shown_with_the_evidence_for_the_answer_and_for_the_truth(project: Path) -> None:
    predictions, found = predictions_of(project), explained(project)
    with Archive(project / "data/images.zip") as archive:
        chosen = choose_shown(predictions, wrong=1, right=1, seed=1)
        blocks = draw_blocks(predictions, found, chosen, archive)
    assert [block.title for block in blocks][:2] == ["Wrong predictions", "Mask worn incorrectly, classified correctly"]
    wrong, right = blocks[:2]
    assert [len(block.tiles) for block in (wrong, right)] == [3, 2]
    assert wrong.captions[0] == ("Predicted: No mask, 90.0%", "True class:  Mask worn incorrectly")
    assert {tile.shape for tile in wrong.tiles} == {(TILE, TILE, 3)}
    upper, lower = slice(0, TILE // 2 - 9), slice(TILE // 2 + 9, TILE)
    _, answer, truth = (tile.astype(int) for tile in wrong.tiles)
    assert truth[lower].mean() > truth[upper].mean() + 50
    assert truth[lower].mean() > answer[lower].mean() + 50  # on one scale


def test_nothing_is_shown_of_what_there_is_none(project: Path) -> None:
    predictions, found = predictions_of(project), explained(project)
    with Archive(project / "data/images.zip") as archive:
        assert draw_blocks(predictions, found, choose_shown(predictions, 0, 0, 1), archive) == []


def test_an_overlay_is_the_grey_picture_where_nothing_speaks_for_the_answer_and_light_where_most_does() -> None:
    image = np.random.default_rng(1).integers(0, 256, (TILE, TILE, 3), dtype=np.uint8)
    activation = np.array([[4.0, -4.0], [-4.0, -4.0]], np.float32)
    drawn = overlay(image, activation, peak=4.0)
    assert np.ptp(drawn[-30:, -30:].astype(int), axis=2).max() <= 6
    assert drawn[:20, :20].mean() > drawn[-20:, -20:].mean() + 60
    assert np.array_equal(overlay(image, -np.ones((2, 2), np.float32), peak=-1.0), overlay(image, activation * 0, 4.0))


def without_pooling(model: Any) -> None:
    model.graph.node[3].op_type = "GlobalMaxPool"


def with_another_dense_layer(model: Any) -> None:
    model.graph.node.append(onnx.helper.make_node("MatMul", ["features", "kernel"], ["more"]))


@pytest.mark.parametrize("change", [without_pooling, with_another_dense_layer])
def test_a_model_of_another_shape_is_refused(change: Any) -> None:
    model = onnx.load_from_string(colour_model())
    change(model)
    with pytest.raises(FacemaskError, match="does not end with one global average pooling and one dense layer"):
        read_explainer(model.SerializeToString())
