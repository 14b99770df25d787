"""Zip archives of images: byte-stable when written, not trusted when read."""

import errno
import hashlib
import re
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Self

from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.dataset.folders import is_leftover

MAX_MEMBER_BYTES = 256 * 2**20
MAX_TOTAL_BYTES = 2**40
MAX_MEMBERS = 4_000_000  # each takes about 1 KB of memory while the archive is open

# ZipFile bounds what a member may grow to for these two only, so a bomb packed in another way is not opened.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Folders and a file, none of which begins with a dot, all of characters that are allowed anywhere in a name.
_PART = r"(?!\.)[^/\\:\x00-\x1f\x7f\ud800-\udfff]+"
_PLAIN = re.compile(f"{_PART}(?:/{_PART})*")
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError)


class BrokenArchiveError(FacemaskError):
    """The archive is cut off, altered or no zip at all: another copy of it may be fine."""


class Archive:
    """The file members of a zip, checked on opening; a context manager.

    Nothing is ever unpacked to disk, so a name can't lead anywhere; names that point outside are refused all the
    same, because whoever made them meant harm or used a broken tool. Hidden files, what systems add (`__MACOSX/`,
    `Thumbs.db` ...; see `facemask.dataset.folders`) and folders are no members.

    One instance may be read from many threads at once. It can't be shared between processes: open one in each.

    Attributes:
        path: where the zip lies.
        names: names of the members, sorted by code point.
    """

    def __init__(self, path: Path) -> None:
        """Open and check the zip at `path`.

        Raises:
            BrokenArchiveError: it is no zip or was cut off.
            FacemaskError: it cannot be read, or has a member that is refused: unsafe name, link or other special
                file, name used twice, encrypted, packed with anything but deflate, or beyond a bound on the size of a
                member (256 MB), of all of them (1 TB) or on their number (4 million).
        """
        self.path = path
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise FacemaskError(
                f"{path} cannot be read ({error.strerror or error}): check its name, its permissions and the disk"
            ) from error
        except _READ_ERRORS as error:
            raise BrokenArchiveError(
                f"{path} is cut off or no zip archive ({error}): make or fetch it again"
            ) from error
        try:
            self._members = _checked_members(path, self._zip.infolist())
        except BaseException:
            self._zip.close()
            raise
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        """Return the content of a member; its check sum has been verified.

        Raises:
            KeyError: no member has this name.
            BrokenArchiveError: the member is cut off or altered.
            FacemaskError: the disk fails.
        """
        info = self._members[name]
        try:
            # ZipFile keeps one file position and one reference count for all its readers, hence the lock. It stops at
            # the size that the member claims only when told how much to read: plain read() unpacks a bomb whole.
            with self._lock, self._zip.open(info) as member:
                return member.read(info.file_size + 1)
        except OSError as error:
            raise FacemaskError(
                f"{self.path} cannot be read ({error.strerror or error}): check its name, its permissions and the disk"
            ) from error
        except _READ_ERRORS as error:
            raise BrokenArchiveError(
                f"{self.path}: member {name!r} is cut off or altered ({error}): make or fetch the archive again"
            ) from error

    def close(self) -> None:
        """Close the file; reading afterwards fails."""
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Archives:
    """Several archives read as one; names are unique across them."""

    def __init__(self, *archives: Archive) -> None:
        """Take open archives; who opened them closes them.

        Raises:
            FacemaskError: a name stands in two of them.
        """
        self._home: dict[str, Archive] = {}
        for archive in archives:
            for name in archive.names:
                if self._home.setdefault(name, archive) is not archive:
                    raise FacemaskError(
                        f"{name} stands in {self._home[name].path} and in {archive.path}; call the source in "
                        "params.yaml something else"
                    )
        self.paths = [archive.path for archive in archives]

    def read(self, name: str) -> bytes:
        """Return the content of a member, as `Archive.read` does."""
        return self._home[name].read(name)


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a zip atomically: stored, in the order of names, without times or owners.

    The same names and contents give the same bytes on every system. Members are taken one at a time, so an archive
    may be larger than memory.

    Args:
        path: the zip to write; its folder is made if need be.
        members: (name, content), in ascending order of names (as `sorted` has it), each name once.

    Raises:
        ValueError: a name comes twice or not in order.
        FacemaskError: a name is unsafe, a member is larger than 256 MB, or there is no room on the disk. What the
            iterable raises comes through. `path` is as it was before.
    """
    previous = ""
    try:
        with atomic_path(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as file:
            for name, content in members:
                if name <= previous:
                    raise ValueError(f"{name!r} comes after {previous!r}: names must ascend, each once")
                if reason := unsafe_name(name):
                    raise FacemaskError(
                        f"{path}: the name {name!r} is not allowed in an archive, it {reason}: rename the file"
                    )
                if len(content) > MAX_MEMBER_BYTES:
                    raise FacemaskError(f"{path}: {name!r} is larger than {_megabytes(MAX_MEMBER_BYTES)}; leave it out")
                file.writestr(_canonical_info(name), content)
                previous = name
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise FacemaskError(f"no space left on the disk for {path}: free some, then run the command again") from error


def content_hash(archive: Archive) -> str:
    """SHA-256, in hex, of what is in the archive: over one line `<sha256 of the content>  <name>` a member.

    The lines are in the order of names and end with a newline. How, when and in which order the zip was packed does
    not change it.
    """
    digest = hashlib.sha256()
    for name in archive.names:
        digest.update(f"{hashlib.sha256(archive.read(name)).hexdigest()}  {name}\n".encode())
    return digest.hexdigest()


def unsafe_name(name: str) -> str:
    """Return what makes a member's name unsafe ("is an absolute path"), or ""."""
    if _PLAIN.fullmatch(name):  # nearly all are, and an archive may hold a million
        return ""
    if not name:
        return "is empty"
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "has control characters"
    if any(0xD800 <= ord(character) < 0xE000 for character in name):
        return "is not valid Unicode"
    if "\\" in name:
        return "has a backslash; folders are parted by '/'"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "is an absolute path"
    if ".." in name.split("/"):
        return "leads out of the archive ('..')"
    if str(PurePosixPath(name)) != name:
        return "is no plain path ('.', '//' or '/' at the end)"
    return ""


def _canonical_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=_EARLIEST)
    info.create_system = 3  # Unix: the default depends on the system that writes
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _checked_members(path: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    if len(infos) > MAX_MEMBERS:
        raise FacemaskError(f"{path} has {len(infos)} members, more than {MAX_MEMBERS}: it is not used; split it")
    for info in infos:
        # `filename` has been cut at a NUL and, on Windows, has its backslashes turned: judge what stands in the file.
        name = info.orig_filename
        if is_leftover(name) and not unsafe_name(name.rstrip("\r/")):  # macOS' file of a folder's icon ends in \r
            continue
        if reason := _refusal(info):
            raise FacemaskError(
                f"{path}: member {name!r} {reason}: the archive is not used; pack it again without that"
            )
        if name in members:
            raise FacemaskError(f"{path}: two members are named {name!r}: the archive is not used; pack it again")
        if not name.endswith("/"):
            members[name] = info
    total = sum(info.file_size for info in members.values())
    if total > MAX_TOTAL_BYTES:
        raise FacemaskError(
            f"{path} holds {_megabytes(total)}, more than {_megabytes(MAX_TOTAL_BYTES)}: it is not used; split it"
        )
    return members


def _refusal(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    folder = name.endswith("/")
    if reason := unsafe_name(name[:-1] if folder else name):
        return reason
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        return "is a link or another special file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return "is packed in a way other than deflate"
    if info.file_size > MAX_MEMBER_BYTES:
        return f"is {_megabytes(info.file_size)} large, more than {_megabytes(MAX_MEMBER_BYTES)}"
    return ""


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
