"""SHA-256 of files and data."""

import hashlib
from pathlib import Path


def digest(file: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
