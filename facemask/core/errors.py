"""Errors that are shown to the user."""


class FacemaskError(Exception):
    """Something the user can act on.

    The message says what happened, to which file or parameter, and what to do now. Stages and commands print it
    without a traceback and exit with 1.
    """
