"""Signals are handled inside the block only."""

import os
import signal

import pytest

from facemask.core.signals import exit_on_signal, handle_signals


def test_the_handler_is_called_inside_the_block_and_the_one_before_it_is_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    received: list[int] = []
    with handle_signals(lambda number, _: received.append(number), signal.SIGTERM, signal.SIGUSR1):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
    assert received == [signal.SIGTERM, signal.SIGUSR1]
    assert signal.getsignal(signal.SIGTERM) is before


def test_leaving_on_a_signal_cleans_up_and_ends_with_128_plus_its_number() -> None:
    cleaned = []

    def interrupted_work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            cleaned.append(True)

    with handle_signals(exit_on_signal, signal.SIGTERM), pytest.raises(SystemExit) as left:
        interrupted_work()
    assert cleaned
    assert left.value.code == 143
