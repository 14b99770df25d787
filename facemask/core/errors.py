"""The error that is meant for a person to read."""


class FacemaskError(Exception):
    """Something the user can act on.

    The message says what happened, to which file or parameter, and what to do now. Stages and commands print it
    without a traceback and exit with 1.
    """
