"""Results of long runs in a JSON file: each is kept as soon as it is there, and is not run again."""

import json
from pathlib import Path
from typing import Any

from facemask.core.files import write_text


def read_kept(path: Path) -> list[dict[str, Any]]:
    """Return the entries that `keep` wrote; each has `run`, which says what was run."""
    return json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else []


def find_kept(path: Path, run: dict[str, Any]) -> dict[str, Any] | None:
    """Return the entry of `run`, None if there is none."""
    return next((entry for entry in read_kept(path) if entry["run"] == run), None)


def keep(path: Path, entry: dict[str, Any]) -> None:
    """Add an entry to the file, to what another process may have added in the meantime."""
    write_text(path, json.dumps({"results": [*read_kept(path), entry]}) + "\n")
