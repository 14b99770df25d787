"""Work on the engine `local`: in order, a few items ahead, one function for each thread."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.engine.mapping import map_ordered


def squares(items: list[int], threads: int) -> list[int]:
    return list(map_ordered("local", lambda: lambda item: item**2, items, threads=threads))


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_every_item_has_its_result_in_order(count: int, threads: int) -> None:
    assert squares(list(range(count)), threads) == [item**2 for item in range(count)]


def test_a_slow_item_does_not_change_the_order() -> None:
    def wait(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item

    assert list(map_ordered("local", lambda: wait, range(10), threads=2)) == list(range(10))


def test_items_are_taken_a_few_ahead_of_the_results() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = map_ordered("local", lambda: lambda item: item, items(), threads=2)
    assert next(results) == 0
    assert len(taken) < 20


def test_heavy_items_are_taken_one_at_a_time() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    results = map_ordered("local", lambda: lambda item: item, items(), threads=4, weigh=lambda _: 60 * 2**20)
    assert next(results) == 0
    assert len(taken) <= 2


def test_no_two_threads_use_a_function_at_once() -> None:
    def make() -> Callable[[int], bool]:
        lock = threading.Lock()

        def work(_: int) -> bool:
            alone = lock.acquire(blocking=False)
            time.sleep(0.002)
            if alone:
                lock.release()
            return alone

        return work

    assert all(map_ordered("local", make, range(40), threads=4))


def test_an_error_ends_the_work() -> None:
    def refuse(item: int) -> int:
        raise FacemaskError(f"{item} cannot be used")

    with pytest.raises(FacemaskError, match="0 cannot be used"):
        list(map_ordered("local", lambda: refuse, range(100), threads=2))


@pytest.mark.slow  # starts a process
def test_without_ray_the_message_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('No module named ray', name='ray')")
    program = "from facemask.engine.mapping import map_ordered; map_ordered('ray', list, [], threads=1)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.splitlines()[-1] == (
        "facemask.core.errors.FacemaskError: the engine `ray` needs Ray, which is not installed: run pip install "
        "'facemask-pipeline[ray]', or choose the engine `local`"
    )
