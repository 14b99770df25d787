"""Calls of the `kaggle` package, and the meaning of its failures.

Downloads use its command line, because only that fetches public sets without an account. It resumes an interrupted
download but does not verify the result. Its command for the newest version requires an account, however, and the Python
interface behind it does not; so that is called in a process of its own, which can be stopped.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facemask.core.errors import FacemaskError
from facemask.core.progress import track
from facemask.core.redaction import without_secrets

_MEGABYTE = 2**20
_SECONDS_BETWEEN_LOOKS = 0.1

# The client prints this whenever it finds no credentials, also when it then goes on without.
_LOGIN_HELP = re.compile(r"Authentication required to call the Kaggle API\..*?~/\.kaggle/access_token\n?", re.DOTALL)
_NO_ERROR = re.compile(
    r"\s*$|.*\d%\||License\(s\): |Dataset URL: |Downloading |Warning: Looks like you're using an outdated"
)
# The client looks for credentials when it is imported, and goes on without.
_ASK_FOR_NEWEST = """
import sys, kaggle
print(kaggle.api.dataset_status(sys.argv[1], format="json(current_version_number)"))
"""

_EXCEPTION = re.compile(r"^(?:\w+\.)+\w+: ")  # what a traceback puts before the message

_NO_ROOM = re.compile(r"\[Errno (?:28|122|27)\]|No space left on device")
_WRONG_SIZE = "does not match expected size"
_SET_WAS_FOUND = "Dataset URL: "  # the client prints it before it looks for the version


class PassingError(FacemaskError):
    """A failure that may not occur at the next attempt."""


@dataclass(frozen=True)
class _Failure:
    """A kind of failure.

    Attributes:
        pattern: what the client prints then.
        message: for the user; `{handle}`, `{version}`, `{page}`, `{aim}` and `{shown}` are filled in.
        error: the exception to raise.
    """

    pattern: re.Pattern[str]
    message: str
    error: type[FacemaskError] = FacemaskError


_CREDENTIALS = _Failure(
    re.compile(
        r"401 Client Error|unauthori[sz]ed|unauthenticated|invalid credentials|Invalid header value", re.IGNORECASE
    ),
    "Kaggle requires valid credentials for {handle}: renew those that the kaggle package finds (KAGGLE_API_TOKEN, "
    "KAGGLE_USERNAME and KAGGLE_KEY, or files in ~/.kaggle), create some at https://www.kaggle.com/settings, or, if "
    "the set is public, remove them",
)
_NO_SET = _Failure(
    re.compile(r"404 Client Error|not found|does(?:n't| not) exist", re.IGNORECASE),
    "Kaggle has no data set {handle}: look at {page} and correct `handle` of the source",
)
_NO_VERSION = dataclasses.replace(
    _NO_SET, message="Kaggle has no version {version} of {handle}: look at {page} and correct `version` of the source"
)

# The first kind that matches counts: a message may contain words of several.
_FAILURES = (
    _Failure(
        _NO_ROOM,
        "no space left on the disk to fetch {handle}: free some, or set FACEMASK_CACHE to a folder on another disk, "
        "and run again",
    ),
    _Failure(
        re.compile(r"\bconsent\b|\b(?:must|need to|have to|please)\b.{0,20}\b(?:accept|agree)\b", re.IGNORECASE),
        "Kaggle gives {handle} only to users who have accepted its terms: accept them at {page} and run again with the "
        "credentials of that account",
    ),
    _CREDENTIALS,
    _NO_SET,
    _Failure(
        re.compile(r"403 Client Error|forbidden|permission '", re.IGNORECASE),
        "Kaggle denies access to {handle}: if {page} exists, accept its terms there and run again with the credentials "
        "of an account that may see it; if not, correct `handle` of the source",
    ),
    _Failure(
        re.compile(r"SSLError|CERTIFICATE_VERIFY_FAILED"),
        "the certificate of Kaggle's server could not be verified: behind a proxy that opens connections, set "
        "REQUESTS_CA_BUNDLE to its certificate, and run again",
    ),
    _Failure(
        re.compile(rf"ChunkedEncodingError|IncompleteRead|Retry \d+/\d+|{_WRONG_SIZE}"),
        "the download of {handle} was interrupted: check the network and run again",
        PassingError,
    ),
    _Failure(
        re.compile(r"Max retries exceeded|ProxyError|Timeout|ConnectionError|ConnectionReset|RemoteDisconnected"),
        "Kaggle is unreachable; could not {aim}: check the network (behind a proxy, set HTTPS_PROXY) and run again",
        PassingError,
    ),
    _Failure(
        re.compile(r"\b5\d\d Server Error|\b429 Client Error"),
        "Kaggle is busy or out of order ({shown}): run again later",
        PassingError,
    ),
    _Failure(
        re.compile(""),
        "the kaggle client could not {aim} and said: {shown}; if that does not help, run again later",
        PassingError,
    ),
)


def download(handle: str, version: int, folder: Path, stall: float) -> Path:
    """Run the client once.

    Args:
        handle: `owner/slug` of the set.
        version: its version.
        folder: where the zip is made; what an earlier run left there is resumed.
        stall: seconds without a byte after which the client is stopped.

    Returns:
        The zip in `folder`, as it came.

    Raises:
        PassingError: no network, a connection that broke off or hangs, a server that is busy, an unknown fault.
        FacemaskError: no credentials, no consent, no such set or version, no room on the disk.
    """
    path = folder / f"{handle.split('/')[1]}.zip"
    process = subprocess.Popen(
        # Without -W, which would end the nagging about new versions: the client goes anonymous only when "datasets
        # download" comes first.
        [sys.executable, "-m", "kaggle", "datasets", "download", f"{handle}/{version}", "-p", str(folder)],
        cwd=folder,  # -m puts the current folder first on the path of modules
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    lines: deque[str] = deque(maxlen=200)
    reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        _show_growth(handle, path, _sizes(path, process, lines, stall))
    finally:
        process.kill()
        process.wait()
        reader.join()
    output = "".join(lines)
    if process.returncode == 0 and path.is_file():
        return path
    if _WRONG_SIZE in output or _NO_ROOM.search(output):
        discard(path)
    raise _failure(output, handle, f"fetch {handle} version {version}", version)


def ask_for_newest(handle: str, limit: float) -> int:
    """Return the number of a set's newest version, as Kaggle says it.

    Args:
        handle: `owner/slug` of the set.
        limit: seconds after which the client is stopped.

    Raises:
        PassingError: no network, no answer in time, a server that is busy, an unknown fault.
        FacemaskError: no credentials, no consent, no such set.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _ASK_FOR_NEWEST, handle],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PassingError(f"nothing came from Kaggle for {limit:.0f} s: check the network and run again") from error
    answer = re.search(r'^\{"current_version_number": (\d+)\}$', done.stdout, re.MULTILINE)
    if done.returncode == 0 and answer and int(answer[1]):
        return int(answer[1])
    raise _failure(done.stdout, handle, f"ask for the newest version of {handle}")


def discard(path: Path) -> None:
    """Remove a download and the client's note beside it, so that the next run starts from nothing."""
    path.unlink(missing_ok=True)
    _note(path).unlink(missing_ok=True)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.kaggle-partial")


def _environment() -> dict[str, str]:
    # With VERBOSE set the client prints every request, credentials included.
    kept = {name: value for name, value in os.environ.items() if name not in ("VERBOSE", "VERBOSE_OUTPUT")}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def _sizes(path: Path, process: subprocess.Popen[str], lines: deque[str], stall: float) -> Iterator[int]:
    """Yield how many bytes of `path` are there, again and again while the client runs."""
    size, last = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        # The client would try to write to a full disk for another minute.
        if any(_NO_ROOM.search(line) for line in lines.copy()):
            return
        now = path.stat().st_size if path.exists() else 0
        if now != size:
            size, last = now, time.monotonic()
        elif time.monotonic() - last > stall:
            raise PassingError(f"nothing came from Kaggle for {stall:.0f} s: check the network and run again")
        yield size


def _show_growth(handle: str, path: Path, sizes: Iterator[int]) -> None:
    if not next((size for size in sizes if size), 0):
        return
    megabytes = _megabytes(sizes)
    total = _announced_size(path) // _MEGABYTE
    for _ in track(megabytes, total=total, desc=f"fetching {handle}", unit="MB") if total else megabytes:
        pass


def _megabytes(sizes: Iterable[int]) -> Iterator[int]:
    done = 0
    for size in sizes:
        yield from range(done, size // _MEGABYTE)
        done = max(done, size // _MEGABYTE)


def _announced_size(path: Path) -> int:
    """Bytes that the whole file will have, from the client's note; 0 if the server did not say."""
    try:
        return int(json.loads(_note(path).read_text(encoding="utf-8"))["size"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _failure(output: str, handle: str, aim: str, version: int | None = None) -> FacemaskError:
    """Turn the output of the client, which failed to do `aim`, into an error for the user."""
    lines = _LOGIN_HELP.sub("", output).splitlines()
    errors = [line for line in lines if not _NO_ERROR.match(line)]
    if not errors and _LOGIN_HELP.search(output):
        failure = _CREDENTIALS
    else:
        failure = next(failure for failure in _FAILURES if failure.pattern.search("\n".join(errors)))
    if failure is _NO_SET and any(line.startswith(_SET_WAS_FOUND) for line in lines):
        failure = _NO_VERSION
    page = f"https://www.kaggle.com/datasets/{handle}"
    message = failure.message.format(handle=handle, version=version, page=page, aim=aim, shown=_shown(errors))
    return failure.error(message)


def _shown(errors: list[str]) -> str:
    """Pick the last lines that are fit for people: no code out of a traceback, no secrets."""
    kept = [_EXCEPTION.sub("", line) for line in errors if not line.startswith((" ", "Traceback "))]
    lines = [without_secrets(line) for line in kept]
    return " / ".join(lines[-2:]) or "nothing"
