"""What the frozen layers make of the training images' augmented views: computed once, not once per epoch.

An epoch is trained on feature maps. Those of a pass (all draws of one epoch, each in a view of its own) are kept in the
user's cache folder under a name made of all that they depend on, so that a second training with another learning rate,
or one that goes on after it was killed, does not compute them again.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.files import atomic_path
from facemask.core.params import TrainParams
from facemask.core.progress import track
from facemask.dataset.archive import Archives
from facemask.dataset.batches import one_hot, read_image, stacked
from facemask.models.frozen_layers import Trunk
from facemask.training.augmentation import augment
from facemask.training.checkpoint import fingerprint
from facemask.training.distributed import Crew
from facemask.training.sampler import epoch_order
from facemask.training.timer import Clock

Maps = NDArray[np.float16]

_CHUNK = 32  # images that go through the frozen layers at once: more does not fit the processor's cache
_THREADS = max(2, os.cpu_count() or 2)  # reading and augmenting release Python's lock
_WITHOUT_EFFECT = {  # on a pass; a setting that is not named here makes other views
    "averaging",
    "distribution",
    "dropout",
    "epochs",
    "kept_views",
    "label_smoothing",
    "learning_rate",
    "mixup",
    "patience",
    "views",
    "warmup",
}
_AHEAD = 3  # chunks that are being read and augmented while the frozen layers are at work


def plain_maps(archives: Archives, names: Sequence[str], image_size: int, trunk: Trunk, clock: Clock) -> Maps:
    """Compute the feature maps of images as they are: float16 (n, height, width, channels)."""
    return _maps(lambda place: read_image(archives, names[place], image_size), range(len(names)), trunk, clock, "val")


class Views:
    """Augmented views of what `epoch_order` draws, as feature maps."""

    def __init__(
        self,
        archives: Archives,
        training: pd.DataFrame,
        inputs: Sequence[str],
        settings: TrainParams,
        crew: Crew,
        trunk: Trunk,
        folder: Path,
        clock: Clock,
    ) -> None:
        """Prepare views of the images that `training` names, columns id, source, label and group.

        `inputs` are digests of the files on which feature maps depend. Maps are kept in `folder`.
        """
        self._archives, self._training, self._settings = archives, training, settings
        self._crew, self._trunk, self._clock = crew, trunk, clock
        self._kept = _KeptMaps(folder, settings.kept_views)
        depends_on = settings.model_dump(exclude=_WITHOUT_EFFECT)
        crewed = f"{crew.worker} of {crew.workers}"
        self._name = fingerprint(depends_on, *inputs, training.to_csv(), crewed)

    def of_epoch(self, epoch: int) -> tuple[Maps, NDArray[np.float32]]:
        """Return this process' share of an epoch's views, batch by batch.

        With fewer passes than epochs (`train.views`), passes come again, their batches in another order.

        Returns:
            float16 (n, height, width, channels), perhaps on disk, and one-hot labels, float32 (n, 3).
        """
        number = epoch % self._settings.views
        order = epoch_order(self._training, self._settings, number)
        size = self._settings.batch_size
        places = np.arange(len(order)).reshape(-1, size)[:, self._crew.share(size)]
        maps = self._kept.get(f"{self._name}-{number}", lambda: self._compute(order, places.ravel(), number))
        labels = one_hot(self._training["label"].iloc[order[places.ravel()]].tolist())
        if epoch == number:
            return maps, labels
        batches = np.random.default_rng([self._settings.seed, epoch]).permutation(len(places))
        again = np.arange(places.size).reshape(places.shape)[batches].ravel()
        return maps[again], labels[again]

    def _compute(self, order: NDArray[np.int64], places: NDArray[np.int64], number: int) -> Maps:
        names = self._training["id"].iloc[order].tolist()

        def view(place: int) -> NDArray[np.uint8]:
            # By place, not by image: one that comes twice in a pass is to be seen in two ways.
            rng = np.random.default_rng([self._settings.seed, number, place])
            image = read_image(self._archives, names[place], self._settings.image_size)
            return augment(image, self._settings.augmentation, rng)

        return _maps(view, places.tolist(), self._trunk, self._clock, f"pass {number + 1}")


def _maps(
    make: Callable[[int], NDArray[np.uint8]], places: Sequence[int], trunk: Trunk, clock: Clock, title: str
) -> Maps:
    """Send the images that `make` makes through the frozen layers, while the next ones are being made."""
    result: Maps | None = None
    total = -(-len(places) // _CHUNK)
    chunks = clock.each("waiting for images", stacked(make, places, _CHUNK, _THREADS, _AHEAD))
    for number, pixels in enumerate(track(chunks, total, f"features of {title}", "batches")):
        with clock.time("frozen layers", len(pixels)):
            maps = trunk(pixels)
        if result is None:
            result = np.empty((len(places), *maps.shape[1:]), np.float16)
        result[number * _CHUNK : number * _CHUNK + len(maps)] = maps
    if result is None:
        raise ValueError("there are no images")
    return result


class _KeptMaps:
    """Feature maps on disk, in the user's cache folder; the oldest are removed beyond a limit."""

    def __init__(self, folder: Path, gigabytes: float) -> None:
        """Keep at most `gigabytes` in `folder`; 0 keeps nothing."""
        self._folder, self._limit = folder, gigabytes * 1e9

    def get(self, name: str, compute: Callable[[], Maps]) -> Maps:
        """Return the maps called `name`, computing them if they are not there."""
        path = self._folder / f"{name}.npy"
        if path.is_file():
            os.utime(path)  # used now: the last to be removed
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
