"""Work in threads gives its results in order, and does not run ahead."""

import threading
from collections.abc import Iterator

import pytest

from facemask.core.threads import in_order


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            first_may_end.set()
        elif number == 0 and workers > 1:
            assert first_may_end.wait(30)  # so the second ends first
        return number * number

    assert list(in_order(work, range(20), workers)) == [number * number for number in range(20)]


def test_only_a_few_items_are_read_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_order(str, items(), workers=2)
    assert next(results) == "0"
    assert len(taken) <= 6
    results.close()


def test_an_error_comes_where_its_result_would_and_ends_the_work() -> None:
    done = []

    def work(number: int) -> int:
        done.append(number)
        if number == 2:
            raise ValueError("no good")
        return number

    results = in_order(work, range(1000), workers=1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="no good"):
        next(results)
    assert len(done) < 10
