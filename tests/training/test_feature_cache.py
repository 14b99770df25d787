"""Views of training images show what their labels say, differ each time, and are computed once."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from facemask.core.hashing import digest
from facemask.core.params import AugmentationParams, TrainParams
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.batches import one_hot, read_image
from facemask.dataset.split import part_of
from facemask.training.distributed import DistributedContext, connect
from facemask.training.feature_cache import FeatureContext, Views, plain_maps
from facemask.training.folds import assign_folds
from facemask.training.sampler import sample_epoch
from facemask.training.timer import Timer
from tests.training_project import SMALL

pytestmark = pytest.mark.slow  # computes feature maps with TensorFlow

OFF = dict.fromkeys(AugmentationParams.model_fields, 0.0)


class CountingLayers:
    """Frozen layers that hand on the pixels as they are, and count the images."""

    def __init__(self) -> None:
        self.images = 0

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.images += len(pixels)
        return pixels.astype(np.float32)


@dataclass(frozen=True)
class Source:
    """The training images, and where they lie."""

    archives: Archives
    training: pd.DataFrame
    inputs: list[str]
    kept: Path

    def views(self, layers: CountingLayers, distributed: DistributedContext | None = None, **changes: Any) -> Views:
        return Views(self.context(layers, distributed, **changes), self.training, self.inputs, self.kept)

    def context(
        self, layers: CountingLayers, distributed: DistributedContext | None = None, **changes: Any
    ) -> FeatureContext:
        settings = TrainParams.model_validate({**SMALL, "repeats": 0, **changes})
        distributed = distributed or connect("one", settings.batch_size)
        return FeatureContext(self.archives, settings, layers, distributed, Timer())


@pytest.fixture
def source(training_inputs: Path, tmp_path: Path) -> Iterator[Source]:
    path = training_inputs / "data/images.zip"
    training = part_of(pd.read_csv(training_inputs / "data/split.csv", dtype=str), "train")
    with Archive(path) as archive:
        yield Source(Archives(archive), training, [digest(path)], tmp_path / "kept")


def test_views_and_labels_belong_together(source: Source) -> None:
    settings = TrainParams.model_validate({**SMALL, "augmentation": OFF})
    for epoch in range(2):
        seen = source.views(CountingLayers(), augmentation=OFF).of_epoch(epoch)
        maps, labels = seen.maps, seen.labels
        drawn = source.training.iloc[sample_epoch(source.training, settings, epoch)]
        assert maps.dtype == np.float16
        assert np.array_equal(maps, np.stack([read_image(source.archives, name, 32) for name in drawn["id"]]))
        assert np.array_equal(labels, one_hot(list(drawn["label"])))


def test_varied_views_still_show_what_their_labels_say(source: Source) -> None:
    seen = source.views(CountingLayers()).of_epoch(0)
    maps, labels = seen.maps, seen.labels
    middle = maps[:, 8:24, 8:24].astype(np.float32).mean(axis=(1, 2))  # red, green, blue: the classes in their order
    assert (middle.argmax(axis=1) == labels.argmax(axis=1)).mean() > 0.9


def test_an_image_that_comes_again_is_seen_in_another_way(source: Source) -> None:
    alone = Source(source.archives, pd.concat([source.training.iloc[[0]]] * 16), source.inputs, source.kept)
    views = alone.views(CountingLayers(), draws=16)
    seen = np.concatenate([views.of_epoch(epoch).maps for epoch in range(2)])
    assert len(seen) == len(np.unique(seen.reshape(len(seen), -1), axis=0)) == 32


def test_any_epoch_can_be_repeated_by_itself(source: Source) -> None:
    views = source.views(CountingLayers(), kept_views=0.0)
    third = [views.of_epoch(epoch) for epoch in range(3)][2]
    alone = source.views(CountingLayers(), kept_views=0.0).of_epoch(2)
    assert np.array_equal(third.maps, alone.maps)
    assert np.array_equal(third.labels, alone.labels)


def test_what_was_computed_once_is_not_computed_again(source: Source) -> None:
    layers = CountingLayers()
    views = source.views(layers)
    first = views.of_epoch(0)
    assert layers.images == 48
    again = views.of_epoch(0)
    assert layers.images == 48
    assert np.array_equal(first.maps, again.maps)
    assert np.array_equal(first.labels, again.labels)
    # Another training, with settings on which the frozen layers do not depend.
    other = source.views(layers, learning_rate=0.1, dropout=0.5, epochs=9, mixup=1.0, views=9).of_epoch(0)
    assert layers.images == 48
    assert np.array_equal(first.maps, other.maps)


@pytest.mark.parametrize(
    "change",
    [
        {"augmentation": {**OFF, "flip": 0.5}},
        {"seed": 2},
        {"image_size": 64},
        {"from_layer": "block_13_expand"},
        {"draws": 24},
        {"batch_size": 16},
        {"class_balance": False},
        {"source_balance": False},
        {"drawn_masks": 1.0},
        {"engine": "tensorflow"},
        {"repeats": 2},
        {"sampling": "image"},
        {"precision": "mixed_bfloat16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_setting_that_matters_computes_anew(source: Source, change: dict[str, Any]) -> None:
    layers = CountingLayers()
    source.views(layers).of_epoch(0)
    before = layers.images
    maps = source.views(layers, **change).of_epoch(0).maps
    assert layers.images - before == len(maps) > 0


def test_other_images_and_another_backbone_compute_anew(source: Source, tmp_path: Path) -> None:
    layers = CountingLayers()
    source.views(layers).of_epoch(0)
    fewer = Source(source.archives, source.training.iloc[1:], source.inputs, source.kept)
    fewer.views(layers).of_epoch(0)
    assert layers.images == 2 * 48
    (tmp_path / "backbone").write_bytes(b"other weights")
    Source(source.archives, source.training, [digest(tmp_path / "backbone")], source.kept).views(layers).of_epoch(0)
    assert layers.images == 3 * 48


def test_beyond_the_limit_what_was_not_used_for_longest_is_removed(source: Source) -> None:
    of_one = 48 * 32 * 32 * 3 * 2
    layers = CountingLayers()
    views = source.views(layers, kept_views=2.5 * of_one / 1e9)
    for epoch in range(2):
        views.of_epoch(epoch)
    for age, path in enumerate(sorted(source.kept.iterdir(), key=lambda path: path.stat().st_mtime), start=1):
        os.utime(path, (age, age))  # long ago, the first before the second
    views.of_epoch(0)  # used: now the second is the older one
    views.of_epoch(2)
    assert len(list(source.kept.iterdir())) == 2
    assert sum(path.stat().st_size for path in source.kept.iterdir()) <= 2.5 * of_one
    assert layers.images == 3 * 48
    views.of_epoch(0)
    views.of_epoch(2)
    assert layers.images == 3 * 48
    views.of_epoch(1)
    assert layers.images == 4 * 48


def test_with_a_limit_of_nothing_nothing_is_kept(source: Source) -> None:
    layers = CountingLayers()
    views = source.views(layers, kept_views=0.0)
    first, again = views.of_epoch(0), views.of_epoch(0)
    assert np.array_equal(first.maps, again.maps)
    assert layers.images == 96
    assert not source.kept.exists()


def test_with_fewer_passes_than_epochs_passes_come_again(source: Source) -> None:
    layers = CountingLayers()
    views = source.views(layers, views=2)
    first, other, later = (views.of_epoch(epoch) for epoch in (0, 1, 2))
    assert layers.images == 96
    assert np.array_equal(first.maps, later.maps)
    assert not np.array_equal(first.maps, other.maps)


def test_no_photograph_of_a_fold_is_in_the_batches_of_another(source: Source) -> None:
    rows = pd.concat([source.training.assign(label=label) for label in ("with_mask", "without_mask")])
    twice = Source(source.archives, rows.reset_index(drop=True), source.inputs, source.kept)  # a photograph, two labels
    folds = assign_folds(twice.training, 3, seed=1)
    seen = twice.views(CountingLayers(), repeats=3, augmentation=OFF).of_epoch(0)
    assert set(seen.folds) == {0, 1, 2}
    groups_of_fold: dict[int, set[bytes]] = {}
    for batch, fold in enumerate(seen.folds):
        groups_of_fold.setdefault(fold, set()).update(maps.tobytes() for maps in seen.maps[batch * 8 : batch * 8 + 8])
    for fold, group in zip(folds, twice.training["id"], strict=True):
        pixels = read_image(source.archives, group, 32).astype(np.float16).tobytes()
        assert all(pixels not in found for other, found in groups_of_fold.items() if other != fold)


def test_the_views_of_two_workers_are_together_those_of_one_process(source: Source) -> None:
    whole = source.views(CountingLayers(), views=1)
    one = connect("one", 8)
    halves = [
        source.views(CountingLayers(), DistributedContext(one.strategy, 2, worker), views=1) for worker in range(2)
    ]
    for epoch in range(2):
        together = whole.of_epoch(epoch)
        first, second = (half.of_epoch(epoch) for half in halves)
        maps = np.concatenate([first.maps.reshape(6, 4, -1), second.maps.reshape(6, 4, -1)], axis=1)
        assert np.array_equal(maps, together.maps.reshape(6, 8, -1))
        labels = np.concatenate([first.labels.reshape(6, 4, 3), second.labels.reshape(6, 4, 3)], axis=1)
        assert np.array_equal(labels, together.labels.reshape(6, 8, 3))


@pytest.mark.parametrize("count", [1, 31, 32, 33, 48])
def test_images_as_they_are_come_in_order(source: Source, count: int) -> None:
    names = list(source.training["id"])[:count]
    maps = plain_maps(source.context(CountingLayers(), image_size=32), names, "images")
    assert np.array_equal(maps, np.stack([read_image(source.archives, name, 32) for name in names]))
