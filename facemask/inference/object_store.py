"""Photographs in object stores and other places that fsspec reaches: s3://bucket/prefix, gs://bucket/prefix.

Credentials and endpoints come from where the client of each store looks for them, such as AWS_PROFILE and
AWS_ENDPOINT_URL for s3:// (https://filesystem-spec.readthedocs.io).
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from facemask.core.errors import FacemaskError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)", re.DOTALL)


@dataclass(frozen=True)
class StoredFile:
    """A file of an object store.

    Attributes:
        address: such as s3://bucket/prefix/a.jpg.
        below: its path from the prefix; the last part of the address if the address itself was listed.
        version: changes with the content: size, and checksum or time as far as the store has them.
    """

    address: str
    below: str
    version: str


def is_address(name: str) -> bool:
    """Return whether a name is an address such as s3://bucket/prefix, not a path."""
    return bool(_ADDRESS.fullmatch(name))


def list_files(address: str) -> Iterator[StoredFile]:
    """Yield the files below a prefix, sorted; an address of a single file yields that file.

    Raises:
        FacemaskError: the store does not answer, or its client is not installed.
    """
    with _named(address):
        system, root = _open(address)
        try:
            found: dict[str, Any] = system.find(root, detail=True)
        except FileNotFoundError:  # of a bucket
            found = {}
    scheme = address.partition("://")[0]
    for path in sorted(found):
        below = path[len(root) :].strip("/") or path.rpartition("/")[2]
        yield StoredFile(f"{scheme}://{path}", below, _version(found[path]))


def read_file(address: str) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: it does not exist.
        FacemaskError: the store does not answer, or its client is not installed.
    """
    with _named(address):
        system, path = _open(address)
        try:
            return system.cat_file(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), address) from error


def _open(address: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    return url_to_fs(address)


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Name the address in errors of a store's client; these have no common class of their own."""
    try:
        yield
    except (FileNotFoundError, ModuleNotFoundError):
        raise
    except ImportError as error:  # fsspec says which package is missing
        raise FacemaskError(f"{address} cannot be read: {error}; install it with pip") from error
    except Exception as error:
        raise FacemaskError(
            f"{address} cannot be read ({error}): check the address, the credentials, and the endpoint in the "
            "environment, then run again"
        ) from error


def _version(described: dict[str, Any]) -> str:
    stamps = (described[key] for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified") if key in described)
    return f"{described.get('size')} {next(stamps, '')}"
