"""Distributed training: one device, several GPUs or several machines, all through the same code."""

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
class DistributedContext:
    """Distributed-training context.

    Attributes:
        strategy: a `tf.distribute` strategy; the default one, which does nothing, on one device.
        workers: number of processes.
        worker: number of this process, from 0; 0 is the chief, the only one that writes outputs.
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
        """Whether this process writes the outputs."""
        return self.worker == 0

    def shard(self, batch_size: int) -> slice:
        """Return the positions of a batch that belong to this process."""
        part = batch_size // self.workers
        return slice(self.worker * part, (self.worker + 1) * part)

    def scatter(self, values: np.ndarray) -> Any:
        """Distribute this process' part of a batch over its devices."""
        shares = np.split(values, self.devices)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group % self.devices])
        )

    @contextmanager
    def report_lost_workers(self) -> Iterator[None]:
        """Turn the loss of another worker inside the block into an error with advice.

        Raises:
            FacemaskError: another worker is gone.
        """
        try:
            yield
        except (tf.errors.AbortedError, tf.errors.UnavailableError) as error:
            raise FacemaskError(
                "another worker is unreachable; start all workers again, and they resume after the last epoch"
            ) from error

    def broadcast(self, values: dict[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
        """Return the chief's arrays: the checkpoint to resume from, which the others may not have."""
        if self.workers == 1:
            return values
        packed = np.frombuffer(pack(values) if self.is_chief and values is not None else b"", np.uint8)
        length = int(self._broadcast_array(np.array([len(packed)], np.int64))[0])
        if length == 0:
            return None
        content = packed if self.is_chief else np.zeros(length, np.uint8)
        return unpack(self._broadcast_array(content.astype(np.int32)).astype(np.uint8).tobytes())

    def broadcast_figures(self, figures: Sequence[float]) -> list[float]:
        """Return the chief's figures: machines may round differently, and all have to stop at the same epoch."""
        return [float(figure) for figure in self.gather(np.array(figures))[0]]

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the arrays of all workers, which have one shape: (workers, ...)."""
        if self.workers == 1:
            return values[None]
        places = np.zeros((self.workers, *values.shape), values.dtype)
        places[self.worker] = values
        return self._sum_over_workers(places)

    def merge_shards(self, values: np.ndarray, batch_size: int) -> np.ndarray:
        """Merge the workers' parts of batches, (n, ...) each, in the order of one process: (n * workers, ...)."""
        parts = self.gather(values).reshape(self.workers, -1, batch_size // self.workers, *values.shape[1:])
        return parts.swapaxes(0, 1).reshape(-1, *values.shape[1:])

    def _broadcast_array(self, values: np.ndarray) -> np.ndarray:
        return self._sum_over_workers(values if self.is_chief else np.zeros_like(values))

    def _sum_over_workers(self, values: np.ndarray) -> np.ndarray:
        """Sum the arrays of all workers."""
        # One device of each process contributes its array, the others zeros.
        contributions = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                values if context.replica_id_in_sync_group % self.devices == 0 else np.zeros_like(values)
            )
        )
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, contributions, axis=None).numpy()


def connect(distribution: Distribution, batch_size: int) -> DistributedContext:
    """Set up the devices. Call it before anything else of TensorFlow, as tf.distribute requires.

    Args:
        distribution: `one` device; `mirrored`: all GPUs of this machine; `workers`: the machines that the environment
            variable TF_CONFIG names, https://www.tensorflow.org/guide/distributed_training#TF_CONFIG.
        batch_size: images of a step, over all devices.

    Raises:
        FacemaskError: TF_CONFIG is missing or invalid, or the batch size is no multiple of the number of devices.
    """
    if distribution == "workers":
        workers, worker = _read_tf_config()
        context = DistributedContext(tf.distribute.MultiWorkerMirroredStrategy(), workers, worker)
    elif distribution == "mirrored":
        context = DistributedContext(tf.distribute.MirroredStrategy(_devices()), 1, 0)
    else:
        context = DistributedContext(tf.distribute.get_strategy(), 1, 0)
    devices = int(context.strategy.num_replicas_in_sync)
    if batch_size % devices:
        raise FacemaskError(
            f"train.batch_size: {batch_size} is not a multiple of the {devices} devices; use a multiple of {devices}"
        )
    return context


def _devices() -> list[str]:
    """List this machine's GPUs, or its (logical) CPUs if it has none, so that the code can be tried without a GPU."""
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
            raise ValueError("every task must be a `worker`, and the index that of one of them")
        return len(addresses), int(task["index"])
    except (KeyError, TypeError, ValueError) as error:
        raise FacemaskError(
            "train.distribution is `workers`, so the environment variable TF_CONFIG must list them, as in "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}; '
            f"it is missing or invalid ({type(error).__name__}: {error})"
        ) from error
