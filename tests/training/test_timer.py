"""The clock says what took how long."""

import time

from facemask.training.timer import Clock


def test_time_and_images_of_a_kind_of_work_add_up() -> None:
    clock = Clock()
    for _ in range(2):
        with clock.time("reading", 10):
            time.sleep(0.05)
    with clock.time("learning", 1):
        time.sleep(0.3)
    reading, learning = clock.report().split("), ")
    assert reading.startswith("reading 0 s (")
    share, rate = (float(part.split()[-1].rstrip("%")) for part in reading.split("(")[1].split(" images")[0].split(","))
    assert 15 < share < 40
    assert 50 < rate <= 200  # 20 images in a tenth of a second, on a busy machine in more
    assert "learning 0 s (" in learning


def test_a_clock_that_was_never_started_reports_nothing() -> None:
    assert Clock().report() == ""
