"""Training on one device, on several GPUs, or on several machines: one way through the code for all."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemask.core.errors import FacemaskError
from facemask.core.params import Distribution
from facemask.models.tensorflow import tf
from facemask.training.checkpoint import pack, unpack


@dataclass(frozen=True)
class Crew:
    """Who trains together.

    Attributes:
        strategy: of `tf.distribute`; with one device it is the one that does nothing.
        workers: number of processes.
        worker: number of this process, from 0; 0 is the chief, who alone writes outs.
    """

    strategy: Any
    workers: int
    worker: int

    @property
    def devices(self) -> int:
        """Number of devices of this process."""
        return int(self.strategy.num_replicas_in_sync) // self.workers

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes outs."""
        return self.worker == 0

    def share(self, batch_size: int) -> slice:
        """Return which places of a batch are this process' part."""
        part = batch_size // self.workers
        return slice(self.worker * part, (self.worker + 1) * part)

    def hand_out(self, values: np.ndarray) -> Any:
        """Give each device of this process its share of this process' part of a batch."""
        shares = np.split(values, self.devices)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group % self.devices])
        )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Say plainly that another worker is gone, where the body needs it.

        Raises:
            FacemaskError: it is.
        """
        try:
            yield
        except (tf.errors.AbortedError, tf.errors.UnavailableError) as error:
            raise FacemaskError(
                "another worker can't be reached any more; start all of them again: they go on from the last epoch"
            ) from error

    def agree(self, values: dict[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
        """Return what the chief has: a state that it goes on from, on the disks of the others or not."""
        if self.workers == 1:
            return values
        packed = np.frombuffer(pack(values) if self.is_chief and values is not None else b"", np.uint8)
        length = int(self._from_chief(np.array([len(packed)], np.int64))[0])
        if length == 0:
            return None
        content = packed if self.is_chief else np.zeros(length, np.uint8)
        return unpack(self._from_chief(content.astype(np.int32)).astype(np.uint8).tobytes())

    def agree_on(self, figures: Sequence[float]) -> list[float]:
        """Return the chief's figures: another machine may round otherwise, and all have to stop at the same time."""
        return [float(figure) for figure in self.gather(np.array(figures))[0]]

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the arrays of all workers, of one shape: (workers, ...)."""
        if self.workers == 1:
            return values[None]
        places = np.zeros((self.workers, *values.shape), values.dtype)
        places[self.worker] = values
        return self._add_up(places)

    def put_together(self, values: np.ndarray, batch_size: int) -> np.ndarray:
        """Put the workers' parts of batches, (n, ...) each, together as one process has them: (n * workers, ...)."""
        parts = self.gather(values).reshape(self.workers, -1, batch_size // self.workers, *values.shape[1:])
        return parts.swapaxes(0, 1).reshape(-1, *values.shape[1:])

    def _from_chief(self, values: np.ndarray) -> np.ndarray:
        return self._add_up(values if self.is_chief else np.zeros_like(values))

    def _add_up(self, values: np.ndarray) -> np.ndarray:
        """Add up the arrays of all workers."""
        # One device of each process brings its array, the others zeros.
        first = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                values if context.replica_id_in_sync_group % self.devices == 0 else np.zeros_like(values)
            )
        )
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, first, axis=None).numpy()


def gather_crew(distribution: Distribution, batch_size: int) -> Crew:
    """Set up the devices; call it before anything else of TensorFlow, as tf.distribute demands.

    Args:
        distribution: `one` device; `mirrored`: all GPUs of this machine; `workers`: the machines that the environment
            variable TF_CONFIG names, https://www.tensorflow.org/guide/distributed_training#TF_CONFIG.
        batch_size: images of a step, of all devices together.

    Raises:
        FacemaskError: TF_CONFIG is missing or makes no sense, or the batch can't be shared out evenly.
    """
    if distribution == "workers":
        workers, worker = _read_tf_config()
        crew = Crew(tf.distribute.MultiWorkerMirroredStrategy(), workers, worker)
    elif distribution == "mirrored":
        crew = Crew(tf.distribute.MirroredStrategy(_devices()), 1, 0)
    else:
        crew = Crew(tf.distribute.get_strategy(), 1, 0)
    devices = int(crew.strategy.num_replicas_in_sync)
    if batch_size % devices:
        raise FacemaskError(
            f"train.batch_size: {batch_size} images can't be shared out evenly among {devices} devices; use a multiple "
            f"of {devices}"
        )
    return crew


def _devices() -> list[str]:
    """Name this machine's GPUs, or where it has none, its (logical) CPUs: so it can be tried without a GPU."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return [device.name for device in tf.config.list_logical_devices(kind)]


def _read_tf_config() -> tuple[int, int]:
    try:
        settings = json.loads(os.environ["TF_CONFIG"])
        addresses, task = settings["cluster"]["worker"], settings["task"]
        if (
            set(settings["cluster"]) != {"worker"}
            or not isinstance(addresses, list)
            or task["type"] != "worker"
            or not 0 <= task["index"] < len(addresses)
        ):
            raise ValueError("only the role `worker` is used, and the index must be that of one of them")
        return len(addresses), int(task["index"])
    except (KeyError, TypeError, ValueError) as error:
        raise FacemaskError(
            "train.distribution is workers, so the environment variable TF_CONFIG must name them, as in "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}; '
            f"it can't be used ({type(error).__name__}: {error})"
        ) from error
