"""Errors that are shown to the user."""

import errno

_OF_A_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)
_OF_A_NAME = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


class FacemaskError(Exception):
    """Something the user can act on.

    The message says what happened, to which file or parameter, and what to do now. Stages and commands print it
    without a traceback and exit with 1.
    """


def unusable_path(error: OSError) -> str:
    """Say which file could not be read or written, why, and what to do; "" if the error is of another kind."""
    if error.errno in _OF_A_NAME:
        advice = "choose another name or folder"
    elif error.errno in _OF_A_PLACE:
        advice = "free some space or change its permissions, then run again"
    else:
        return ""
    return f"{error.filename or 'the disk'} cannot be used ({error.strerror}): {advice}"
