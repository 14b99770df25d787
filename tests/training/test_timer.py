"""The timer reports what took how long."""

from collections.abc import Iterator

from facemask.training.timer import Timer


class FakeClock:
    """A clock that advances only when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_time_and_images_of_a_kind_of_work_add_up() -> None:
    clock = FakeClock()
    timer = Timer(clock)
    for _ in range(2):
        with timer.time("reading", 10):
            clock.seconds += 1
    with timer.time("learning", 12):
        clock.seconds += 6
    assert timer.report() == "reading 2 s (25%, 10 images a second), learning 6 s (75%, 2 images a second)"


def test_only_the_waiting_for_batches_is_counted() -> None:
    clock = FakeClock()

    def batches() -> Iterator[list[int]]:
        for size in (4, 2):
            clock.seconds += 3
            yield [0] * size

    timer = Timer(clock)
    for batch in timer.each("waiting", batches()):
        assert len(batch) in (4, 2)
        clock.seconds += 10
    assert timer.report() == "waiting 6 s (100%, 1 images a second)"


def test_a_timer_that_was_never_started_reports_nothing() -> None:
    assert Timer().report() == ""
