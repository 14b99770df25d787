"""Cached feature maps of augmented training images.

Training runs on feature maps of the frozen layers. Those of a pass (all samples of one epoch, each in a view of its
own) are kept in the user's cache folder under a name derived from everything that they depend on, so that a training
with another learning rate, or one that resumes, does not compute them again.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.files import atomic_path
from facemask.core.params import EngineKind, TrainParams
from facemask.core.progress import track
from facemask.dataset.archive import Archives
from facemask.dataset.batches import decode_at, one_hot, stacked
from facemask.engine.mapping import map_ordered
from facemask.models.frozen_layers import FrozenLayers
from facemask.models.onnx_session import OnnxLayers
from facemask.training.augmentation import augment
from facemask.training.checkpoint import fingerprint
from facemask.training.distributed import DistributedContext
from facemask.training.folds import arrange_by_fold, assign_folds
from facemask.training.sampler import sample_epoch
from facemask.training.timer import Timer

Maps = NDArray[np.float16]

_CHUNK = 32  # images that pass the frozen layers at once: more do not fit the processor's cache
_THREADS = max(2, os.cpu_count() or 2)  # reading and augmenting release the GIL
_WITHOUT_EFFECT = {  # settings that do not change the views; any other setting does
    "distribution",
    "dropout",
    "epochs",
    "kept_views",
    "label_smoothing",
    "learning_rate",
    "live",
    "mixup",
    "patience",
    "views",
    "warmup",
}
_AHEAD = 3  # chunks that are read and augmented while the frozen layers run


@dataclass(frozen=True)
class FeatureContext:
    """What feature maps are computed with.

    Attributes:
        archives: the images.
        settings: the group `train` of the params.
        frozen: the frozen layers.
        distributed: the processes that train together.
        timer: counts the time of reading and computing.
        engine: where views are made and ONNX Runtime runs the frozen layers. TensorFlow, which has a GPU, runs here.
    """

    archives: Archives
    settings: TrainParams
    frozen: FrozenLayers
    distributed: DistributedContext
    timer: Timer
    engine: EngineKind = "local"


def plain_maps(context: FeatureContext, names: Sequence[str], title: str) -> Maps:
    """Compute the feature maps of images without augmentation: float16 (n, height, width, channels)."""
    side = context.settings.image_size
    return _compute_maps(lambda content, _: decode_at(content, side), names, range(len(names)), context, title)


@dataclass(frozen=True)
class Pass:
    """One view of each sample of an epoch: this process' share, batch by batch.

    Attributes:
        maps: float16 (n, height, width, channels), possibly memory-mapped.
        labels: float32 (n, 3), one-hot.
        folds: int64 (batches,); all samples of a batch are of one fold.
    """

    maps: Maps
    labels: NDArray[np.float32]
    folds: NDArray[np.int64]


class Views:
    """Feature maps of the augmented views that an epoch samples."""

    def __init__(self, context: FeatureContext, training: pd.DataFrame, inputs: Sequence[str], folder: Path) -> None:
        """Prepare the views.

        Args:
            context: what they are computed with.
            training: the training images, columns id, source, label and group.
            inputs: digests of the files on which feature maps depend.
            folder: for the cached maps.
        """
        self._context, self._training = context, training
        self._folds = assign_folds(training, context.settings.repeats, context.settings.seed)
        self._cache = _MapCache(folder, context.settings.kept_views)
        depends_on = context.settings.model_dump(exclude=_WITHOUT_EFFECT)
        process = f"{context.distributed.worker} of {context.distributed.workers}"
        self._name = fingerprint(depends_on, *inputs, training.to_csv(), process)

    def of_epoch(self, epoch: int) -> Pass:
        """Return the views of an epoch. With fewer passes than epochs (`train.views`), passes are repeated."""
        settings = self._context.settings
        number = epoch % settings.views
        size = settings.batch_size
        order, folds = arrange_by_fold(sample_epoch(self._training, settings, number), self._folds, size)
        places = np.arange(len(order)).reshape(-1, size)[:, self._context.distributed.shard(size)].ravel()
        maps = self._cache.get(f"{self._name}-{number}", lambda: self._compute(order, places, number))
        return Pass(maps, one_hot(self._training["label"].iloc[order[places]].tolist()), folds)

    def _compute(self, order: NDArray[np.int64], places: NDArray[np.int64], number: int) -> Maps:
        settings = self._context.settings
        names = self._training["id"].iloc[order].tolist()

        def view(content: bytes, place: int) -> NDArray[np.uint8]:
            # By place, not by image: an image that is sampled twice in a pass gets two different views.
            rng = np.random.default_rng([settings.seed, number, place])
            return augment(decode_at(content, settings.image_size), settings.augmentation, rng)

        return _compute_maps(view, names, places.tolist(), self._context, f"pass {number + 1}")


def _compute_maps(
    make: Callable[[bytes, int], NDArray[np.uint8]],
    names: Sequence[str],
    places: Sequence[int],
    context: FeatureContext,
    title: str,
) -> Maps:
    """Compute feature maps of what `make` makes of images, given the content and the place of each in `names`."""
    if context.engine != "local" and isinstance(context.frozen, OnnxLayers):
        chunks = _maps_on_engine(make, names, places, context, context.frozen.model)
    else:
        chunks = _maps_here(make, names, places, context)
    result: Maps | None = None
    total = -(-len(places) // _CHUNK)
    for number, maps in enumerate(track(chunks, total, f"features of {title}", "batches")):
        if result is None:
            result = np.empty((len(places), *maps.shape[1:]), np.float16)
        result[number * _CHUNK : number * _CHUNK + len(maps)] = maps
    if result is None:
        raise ValueError("there are no images")
    return result


def _maps_here(
    make: Callable[[bytes, int], NDArray[np.uint8]],
    names: Sequence[str],
    places: Sequence[int],
    context: FeatureContext,
) -> Iterator[Maps]:
    """Run images through the frozen layers, while threads make the next ones."""

    def read(place: int) -> NDArray[np.uint8]:
        return make(context.archives.read(names[place]), place)

    chunks = stacked(read, places, _CHUNK, _THREADS, _AHEAD)
    for pixels in context.timer.each("waiting for images", chunks):
        with context.timer.time("frozen layers", len(pixels)):
            maps = context.frozen(pixels).astype(np.float16)
        yield maps


def _maps_on_engine(
    make: Callable[[bytes, int], NDArray[np.uint8]],
    names: Sequence[str],
    places: Sequence[int],
    context: FeatureContext,
    model: bytes,
) -> Iterator[Maps]:
    """Make images and run them through the frozen layers on the engine, in the same batches."""

    def load() -> Callable[[list[tuple[bytes, int]]], Maps]:
        layers = OnnxLayers(model, threads=1)
        return lambda chunk: layers(np.stack([make(content, place) for content, place in chunk])).astype(np.float16)

    chunks = (
        [(context.archives.read(names[place]), place) for place in places[start : start + _CHUNK]]
        for start in range(0, len(places), _CHUNK)
    )
    maps = map_ordered(context.engine, load, chunks, threads=_THREADS, per_task=1)
    yield from context.timer.each("features from the engine", maps)


class _MapCache:
    """Feature maps on disk; the least recently used are removed beyond a size limit."""

    def __init__(self, folder: Path, gigabytes: float) -> None:
        """Keep at most `gigabytes` in `folder`; 0 keeps nothing."""
        self._folder, self._limit = folder, gigabytes * 1e9

    def get(self, name: str, compute: Callable[[], Maps]) -> Maps:
        """Return the maps called `name`; compute and store them if they are missing."""
        path = self._folder / f"{name}.npy"
        if path.is_file():
            os.utime(path)  # mark as recently used
            return np.load(path, mmap_mode="r", allow_pickle=False)
        maps = compute()
        if maps.nbytes <= self._limit:
            self._make_room(maps.nbytes)
            with atomic_path(path) as draft, draft.open("wb") as file:
                np.save(file, maps)
        return maps

    def _make_room(self, needed: int) -> None:
        kept = sorted(self._folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)
        taken = sum(path.stat().st_size for path in kept)
        for path in kept:
            if taken + needed <= self._limit:
                break
            taken -= path.stat().st_size
            path.unlink(missing_ok=True)
