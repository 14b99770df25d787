"""The engine `ray`: tasks on a Ray cluster (https://docs.ray.io).

The environment variable RAY_ADDRESS names the cluster, such as `auto` for the one that this machine belongs to. Without
it a cluster of this machine's processors is started, which ends with this process. Every machine of a cluster needs
this package, in the version and with the dependencies that this machine has.

Tasks, not actors: a task whose process or machine is gone runs again wherever a processor is free, while an actor waits
for one that can hold it.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

# Read when Ray is imported or started.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # without it a warning about GPUs in each run

import ray
from ray.exceptions import RayError, RayTaskError

from facemask.core.errors import FacemaskError
from facemask.core.stderr import quiet_stderr

Item = TypeVar("Item")
Result = TypeVar("Result")

_TASKS_AHEAD = 4  # for each CPU; while the first is waited for, the others go on
_BYTES_PER_TASK = 8 * 2**20
_NOT_IMPORTED = "failed to import on the worker"  # in the RuntimeError that Ray raises then
_RETRIES = 5  # of a task whose process or machine is gone


def map_ordered(
    make: Callable[[], Callable[[Item], Result]], items: Iterable[Item], per_task: int, weigh: Callable[[Item], int]
) -> Iterator[Result]:
    """Apply a function in tasks of Ray; see `facemask.engine.mapping.map_ordered`.

    Raises:
        FacemaskError: there is no cluster at RAY_ADDRESS, or a task was lost six times.
    """
    connect()
    ahead = _TASKS_AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
    return _in_order(ray.put(make), _batches(items, per_task, weigh), ahead)


def connect() -> None:
    """Connect to the cluster at RAY_ADDRESS, or start one on this machine; once for each process.

    Raises:
        FacemaskError: no cluster answers, or none can be started.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {} if address else {"include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (RayError, RuntimeError, OSError, ValueError) as error:
        advice = (
            f"no Ray cluster can be reached at RAY_ADDRESS={address} ({_first_line(error)}): start one with `ray start "
            "--head`, or unset RAY_ADDRESS to use this machine alone"
            if address
            else f"Ray cannot be started ({_first_line(error)}): choose the engine `local`"
        )
        raise FacemaskError(advice) from error


def _in_order(make: "ray.ObjectRef[Any]", batches: Iterable[list[Item]], ahead: int) -> Iterator[Any]:
    begun: deque[ray.ObjectRef[list[Any]]] = deque()
    try:
        for batch in batches:
            if len(begun) >= ahead:
                yield from _result(begun.popleft())
            # In a list: an argument that is a reference would be replaced by what it refers to, for every task.
            begun.append(_apply.remote([make], batch))
        while begun:
            yield from _result(begun.popleft())
    except (KeyboardInterrupt, GeneratorExit) as end:
        if begun or isinstance(end, KeyboardInterrupt):
            # Here, since a process that is interrupted may end without what else would end a cluster that it started.
            with quiet_stderr():  # Ray reports each task that does not end there
                ray.shutdown()
        raise
    except BaseException:
        for task in begun:
            ray.cancel(task)
        raise


@ray.remote(max_retries=_RETRIES)
def _apply(make: "list[ray.ObjectRef[Any]]", batch: list[Any]) -> list[Any]:
    function = _prepared(make[0])
    return [function(item) for item in batch]


@lru_cache(maxsize=1)  # in each process of the cluster, for the tasks of the same call that follow
def _prepared(make: "ray.ObjectRef[Any]") -> Callable[[Any], Any]:
    import cv2

    cv2.setNumThreads(1)  # one task for each CPU is enough
    return ray.get(make)()


def _result(task: "ray.ObjectRef[list[Any]]") -> list[Any]:
    try:
        return ray.get(task)
    except RayTaskError as error:  # raised by the function, or on the way to it
        if isinstance(error.cause, ImportError) or _NOT_IMPORTED in str(error.cause):
            raise FacemaskError(
                f"a machine of the Ray cluster cannot run the work ({_last_line(error.cause)}): install this package "
                "there, with the versions in constraints.txt"
            ) from error
        raise error.cause from error
    except RayError as error:
        raise FacemaskError(
            f"a piece of work was lost {_RETRIES + 1} times, with the process or machine that it ran on "
            f"({_first_line(error)}): look into Ray's logs there, in /tmp/ray/session_latest/logs; too little memory "
            "is the most frequent reason"
        ) from error


def _batches(items: Iterable[Item], most: int, weigh: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Gather items, at most `most` and, but for a single one, at most 8 MB."""
    batch: list[Item] = []
    held = 0
    for item in items:
        weight = weigh(item)
        if batch and (len(batch) == most or held + weight > _BYTES_PER_TASK):
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += weight
    if batch:
        yield batch


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
