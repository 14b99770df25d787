"""Apply a function to many items, in order, on the engine that the settings name."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from facemask.core.errors import FacemaskError
from facemask.core.params import EngineKind
from facemask.engine import local

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ordered(
    engine: EngineKind,
    make: Callable[[], Callable[[Item], Result]],
    items: Iterable[Item],
    *,
    threads: int,
    per_task: int = 16,
    weigh: Callable[[Item], int] = lambda _: 0,
) -> Iterator[Result]:
    """Yield the result of each item, in the order of the items; the results are the same on every engine.

    Items are taken a few ahead of the results, so neither needs to fit into memory as a whole.

    Args:
        engine: `local`, threads of this process; `ray`, tasks on the CPUs of a Ray cluster (see
            `facemask.engine.ray`), to which functions, items and results are sent.
        make: returns the function. It is called once for each thread or process, so the function may hold what is
            not thread-safe or takes long to load. For Ray, `make` and the items must be what cloudpickle can send.
        items: what to apply the function to. They carry their data along: a machine of a cluster need not have the
            files of this one.
        threads: of the engine `local`.
        per_task: items that Ray sends at once: the work on them should take longer than sending them, 1 ms.
        weigh: bytes of an item, by which what is held in memory is bounded too.

    Raises:
        FacemaskError: raised by the function, or the engine cannot be used.
    """
    if engine == "local":
        return local.map_ordered(make, items, threads, weigh)
    try:
        from facemask.engine import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise FacemaskError(
            "the engine `ray` needs Ray, which is not installed: run pip install 'facemask-pipeline[ray]', or choose "
            "the engine `local`"
        ) from error
    return ray.map_ordered(make, items, per_task, weigh)
