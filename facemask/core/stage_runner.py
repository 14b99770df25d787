"""Entry point of stage scripts: arguments, errors in one line, exit codes.

A stage imports what takes time inside its `main`, so that Ctrl-C during the imports is handled as at any other moment.
"""

import atexit
import inspect
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from facemask.core.errors import FacemaskError, unusable_path
from facemask.core.signals import handle_signals

_INTERRUPTED = 128 + signal.SIGINT


def run(main: Callable[..., None]) -> None:
    """Call `main` with the arguments of the command line.

    A `FacemaskError` is printed and the process ends with 1; with the wrong number of arguments it ends with 2, when
    interrupted from the keyboard with 130.
    """
    interrupt = _Interrupt()
    try:
        with handle_signals(interrupt, signal.SIGINT):
            code = _call(main)
    except BaseException:
        if not interrupt.received:
            raise
    if interrupt.received:
        # Without the usual end of the interpreter: threads that were interrupted would print tracebacks there.
        sys.stdout.flush()
        os._exit(_INTERRUPTED)
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # everything is written
    if code:
        sys.exit(code)


class _Interrupt:
    """Signal handler that raises KeyboardInterrupt and remembers it: libraries may turn it into another exception."""

    def __init__(self) -> None:
        self.received = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True
        sys.unraisablehook = lambda _: None  # an interrupt in a destructor or a callback is printed otherwise
        raise KeyboardInterrupt


def _call(main: Callable[..., None]) -> int:
    """Call `main`, print the errors that a person can mend, and return the exit code."""
    try:
        inspect.signature(main).bind(*sys.argv[1:])
    except TypeError:
        names = " ".join(name.upper() for name in inspect.signature(main).parameters)
        print(f"usage: python {sys.argv[0]} {names}", file=sys.stderr)
        return 2
    try:
        main(*sys.argv[1:])
    except FacemaskError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if not (said := unusable_path(error)):
            raise
        print(f"error: {said}", file=sys.stderr)
        return 1
    return 0
