"""Entry point of stage scripts: arguments, errors in one line, exit codes."""

import inspect
import sys
from collections.abc import Callable

from facemask.core.errors import FacemaskError, unwritable


def run(main: Callable[..., None]) -> None:
    """Call `main` with the arguments of the command line.

    A `FacemaskError` is printed and the process ends with 1; with the wrong number of arguments it ends with 2, when
    interrupted from the keyboard with 130.
    """
    try:
        inspect.signature(main).bind(*sys.argv[1:])
    except TypeError:
        names = " ".join(name.upper() for name in inspect.signature(main).parameters)
        print(f"usage: python {sys.argv[0]} {names}", file=sys.stderr)
        sys.exit(2)
    try:
        main(*sys.argv[1:])
    except FacemaskError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if not (said := unwritable(error)):
            raise
        print(f"error: {said}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
