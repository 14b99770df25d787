"""Temporary signal handlers."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextmanager
def handle_signals(handler: Handler, *numbers: int) -> Iterator[None]:
    """Call `handler` for these signals inside the `with` block, and restore the handlers before it afterwards.

    Works in the main thread only, as `signal.signal` does.
    """
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


def exit_on_signal(number: int, _: FrameType | None) -> None:
    """Signal handler: leave the program as Ctrl-C does, so that every `finally` runs, with the exit code of the signal.

    Raises:
        SystemExit: always, with 128 plus the number.
    """
    raise SystemExit(128 + number)
