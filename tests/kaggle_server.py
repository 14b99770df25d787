"""A stand-in for Kaggle on loopback, for the real client.

It answers what `python -m kaggle datasets download owner/slug/N` asks: the set's metadata, then the download, which is
a redirect to a store that serves parts of files; and what the client asks to learn a set's newest version. The client
only knows its own hosts and http://localhost, port 80; so that any port will do, the server is given to it as the HTTP
proxy of localhost.

    python tests/kaggle_server.py OWNER/SLUG/VERSION=ZIP ... -- dvc repro

runs a command against it.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from tests.loopback import LoopbackServer

METADATA = "/api/v1/datasets.DatasetApiService/GetDatasetMetadata"
NEWEST = "/api/v1/datasets.DatasetApiService/GetDataset"
DOWNLOAD = "/api/v1/datasets.DatasetApiService/DownloadDataset"
INTROSPECT = "/api/v1/security.OAuthService/IntrospectToken"
STORE = "/store/"


def zipped(content: Mapping[str, bytes], comment: bytes = b"") -> bytes:
    """Pack the files of a set as Kaggle does."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.comment = comment
        for name, data in content.items():
            file.writestr(name, data)
    return buffer.getvalue()


class KaggleServer(LoopbackServer):
    """Serves sets, counts what is asked, and fails on demand; a context manager.

    Attributes:
        sets: what is served: (handle, version) -> the zip.
        requests: (path, Range header or "") of every request so far.
        tokens: the accepted tokens; None accepts whoever comes, also without credentials.
        fail: path -> (status, message) for every request to it. A message is sent as Kaggle's JSON, "" as a bare
            status.
        break_off: one entry is taken for each answer of the store: after how many bytes the connection is cut.
        go_on: while it is not set, the store stops in the middle of an answer.
        damage: changes what the store sends.
        ranges: whether the store serves parts.
        newest_client: the version that the client is told to be the newest.
    """

    def __init__(self) -> None:
        self.sets: dict[tuple[str, int], bytes | Path] = {}
        self.requests: list[tuple[str, str]] = []
        self.tokens: set[str] | None = None
        self.fail: dict[str, tuple[int, str]] = {}
        self.break_off: deque[int] = deque()
        self.go_on = threading.Event()
        self.go_on.set()
        self.damage = bytes
        self.ranges = True
        self.newest_client = "2.2.4"
        super().__init__(_Handler, kaggle=self)

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        super().__exit__()

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that lead the client here."""
        here = {"http_proxy": self.address, "HTTP_PROXY": self.address, "no_proxy": "", "NO_PROXY": ""}
        return here | {"KAGGLE_API_ENVIRONMENT": "LOCALHOST"}

    def environment(self, home: Path) -> dict[str, str]:
        """A whole environment that leads the client here, with no credentials, and with the cache below `home`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE_")}
        own = {"HOME": str(home), "USERPROFILE": str(home), "FACEMASK_CACHE": str(home / "cache")}
        return kept | own | self.variables

    def count(self, path: str) -> int:
        """How many requests there were to a path that starts like this."""
        return sum(asked.startswith(path) for asked, _ in self.requests)


class _Handler(BaseHTTPRequestHandler):
    kaggle: KaggleServer

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.kaggle.requests.append((path, ""))
        if path in self.kaggle.fail:
            self._error(*self.kaggle.fail[path])
        elif path == INTROSPECT:
            known = self.kaggle.tokens is None or body["token"] in self.kaggle.tokens
            self._json({"active": known, "username": "somebody" if known else ""})
        elif not self._welcome():
            self._error(401, "")
        elif path == METADATA:
            self._metadata(f"{body['ownerSlug']}/{body['datasetSlug']}")
        elif path == NEWEST:
            self._newest(f"{body['ownerSlug']}/{body['datasetSlug']}")
        elif path == DOWNLOAD:
            self._redirect(f"{body['ownerSlug']}/{body['datasetSlug']}", body.get("datasetVersionNumber"))
        else:
            self._error(404, "")

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        span = self.headers.get("Range", "")
        self.kaggle.requests.append((path, span))
        if STORE in self.kaggle.fail:
            self._error(*self.kaggle.fail[STORE])
            return
        handle, _, version = path.removeprefix(STORE).rpartition("/")
        found = self.kaggle.sets[handle, int(version)]
        content = self.kaggle.damage(found.read_bytes() if isinstance(found, Path) else found)
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        start = 0
        if self.kaggle.ranges and span and self.headers.get("If-Range", etag) == etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", span)[1])  # type: ignore[index]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", "Sat, 23 May 2020 10:00:00 GMT")
        if self.kaggle.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self._send(content[start:])

    def _send(self, content: bytes) -> None:
        cut = self.kaggle.break_off.popleft() if self.kaggle.break_off else len(content)
        half = len(content) // 2
        try:
            self.wfile.write(content[: min(half, cut)])
            self.kaggle.go_on.wait()
            self.wfile.write(content[half:cut])
        except ConnectionError:
            pass  # the client has gone, as clients under test do
        self.close_connection = True

    def _welcome(self) -> bool:
        given = self.headers.get("Authorization", "")
        return self.kaggle.tokens is None or given.removeprefix("Bearer ") in self.kaggle.tokens

    def _metadata(self, handle: str) -> None:
        if any(handle == known for known, _ in self.kaggle.sets):
            self._json({"info": {"datasetSlug": handle.split("/")[1], "licenses": [{"name": "CC0-1.0"}]}})
        else:
            self._error(404, "")

    def _newest(self, handle: str) -> None:
        versions = [version for known, version in self.kaggle.sets if known == handle]
        if versions:
            owner, slug = handle.split("/")
            self._json({"ref": handle, "ownerRef": owner, "slug": slug, "currentVersionNumber": max(versions)})
        else:
            self._error(404, "")

    def _redirect(self, handle: str, version: int | None) -> None:
        if version is None or (handle, version) not in self.kaggle.sets:
            self._error(404, "")
            return
        self.send_response(302)
        self.send_header("Location", f"http://localhost{STORE}{handle}/{version}?X-Goog-Signature=0123456789abcdef")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, answer: object, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Kaggle-ApiVersion", self.kaggle.newest_client)
        self.end_headers()
        self.wfile.write(content)

    def _error(self, status: int, message: str) -> None:
        if message:
            self._json({"code": status, "message": message}, status)
        else:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    sets, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    with KaggleServer() as server:
        for entry in sets:
            name, _, path = entry.partition("=")
            handle, _, version = name.rpartition("/")
            server.sets[handle, int(version)] = Path(path)
        return subprocess.run(command, env=os.environ | server.variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
