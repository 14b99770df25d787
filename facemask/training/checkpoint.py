"""Checkpoints: the state after each epoch, from which an interrupted training resumes."""

import hashlib
import io
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from facemask.core.files import write_bytes
from facemask.core.hashing import digest

Arrays = dict[str, np.ndarray]

_LIBRARIES = ("keras", "numpy", "onnxruntime", "opencv-python-headless", "scikit-learn", "tensorflow")


def fingerprint(settings: Mapping[str, Any], *inputs: str) -> str:
    """Hash everything that the outcome of a training depends on: params, inputs, loaded modules, libraries.

    Args:
        settings: the params, JSON-serialisable.
        inputs: digests of files, and other inputs as text.

    Returns:
        Hexadecimal SHA-256.
    """
    versions = [f"{library} {version(library)}" for library in _LIBRARIES]
    modules = [module for name, module in sorted(sys.modules.items()) if name.split(".")[0] == "facemask"]
    code = [digest(Path(str(module.__file__))) for module in modules]
    parts = [json.dumps(settings, sort_keys=True), *inputs, *versions, *code]
    return hashlib.sha256("\n".join(hashlib.sha256(part.encode()).hexdigest() for part in parts).encode()).hexdigest()


def numbered(name: str, arrays: Sequence[np.ndarray]) -> Arrays:
    """Name the arrays of a list, for a checkpoint."""
    return {f"{name}/{number}": array for number, array in enumerate(arrays)}


def listed(name: str, state: Arrays) -> list[np.ndarray]:
    """Return the list that `numbered` named."""
    return [state[f"{name}/{number}"] for number in range(sum(key.startswith(f"{name}/") for key in state))]


def pack(state: Mapping[str, np.ndarray]) -> bytes:
    """Serialise named arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **state)  # type: ignore[arg-type]  # NumPy's stub takes no mapping of arrays
    return buffer.getvalue()


def unpack(content: bytes) -> Arrays:
    """Deserialise what `pack` returned."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return dict(stored)


class Checkpoint:
    """The checkpoint of one training on disk."""

    def __init__(self, folder: Path, name: str) -> None:
        """Use the checkpoint called `name`, and remove those of other trainings in `folder`: they are out of date."""
        self._path = folder / f"{name}.npz"
        for other in folder.glob("*.npz"):
            if other != self._path:
                other.unlink()

    def load(self) -> Arrays | None:
        """Return what was saved last, or None."""
        if not self._path.is_file():
            return None
        return unpack(self._path.read_bytes())

    def save(self, state: Mapping[str, np.ndarray]) -> None:
        """Replace the checkpoint atomically: a process killed meanwhile leaves the previous one."""
        write_bytes(self._path, pack(state))
