"""Going on where a killed training stopped: its state after each epoch, beside the outs and never one of them."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from facemask.outs import atomic_path

Arrays = dict[str, np.ndarray]

_LIBRARIES = ("keras", "numpy", "onnxruntime", "opencv-python-headless", "scikit-learn", "tensorflow")


def fingerprint(settings: Mapping[str, Any], files: Iterable[Path], *tables: str) -> str:
    """Name a training by all that its outcome depends on: params, inputs, this package's modules in use, and libraries.

    Args:
        settings: the params, as JSON can hold them.
        files: inputs, by content.
        tables: inputs that are at hand as text.

    Returns:
        Hexadecimal SHA-256.
    """
    versions = [f"{library} {version(library)}" for library in _LIBRARIES]
    modules = [module for name, module in sorted(sys.modules.items()) if name.split(".")[0] == "facemask"]
    code = [Path(str(module.__file__)) for module in modules]
    parts = [json.dumps(settings, sort_keys=True), *tables, *versions, *(digest(file) for file in [*files, *code])]
    return hashlib.sha256("\n".join(hashlib.sha256(part.encode()).hexdigest() for part in parts).encode()).hexdigest()


def digest(file: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class Resumable:
    """The state of one training on disk."""

    def __init__(self, folder: Path, name: str) -> None:
        """Take the state called `name`; the states of other trainings in `folder` are out of date and removed."""
        self._path = folder / f"{name}.npz"
        for other in folder.glob("*.npz"):
            if other != self._path:
                other.unlink()

    def load(self) -> Arrays | None:
        """Return what was saved last, or None where nothing was."""
        if not self._path.is_file():
            return None
        with np.load(self._path, allow_pickle=False) as stored:
            return dict(stored)

    def save(self, state: Mapping[str, np.ndarray]) -> None:
        """Replace the state in one step, so that a process killed meanwhile leaves the one before."""
        with atomic_path(self._path) as draft, draft.open("wb") as file:
            np.savez(file, **state)  # type: ignore[arg-type]  # NumPy's stub takes no mapping of arrays
