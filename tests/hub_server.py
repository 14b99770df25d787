"""A stand-in for the Hugging Face Hub on loopback, for the real client.

It keeps repositories of models and Spaces with their branches, and takes large files by Xet, as the Hub does, and by
Git LFS. Whatever is asked has to come with the token, but for the content of large files, which goes to a store with
an address of its own.

Xet cuts files into compressed chunks. Only files that are one chunk each (8 kB or less) and do not compress can be put
together again here, so use LFS for others.

    python tests/hub_server.py -- facemask publish-model somebody/facemask

runs a command against it.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from tests.loopback import LoopbackServer

TOKEN = "hf_the-authors-own"
OWNER = "somebody"
LICENCES = ["apache-2.0", "odbl", "unknown"]  # a few of those that the Hub knows


@dataclass
class Branch:
    """Files by path, and the messages of its commits."""

    files: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def sha(self) -> str:
        return hashlib.sha1("\n".join(self.messages).encode()).hexdigest()


@dataclass
class Repository:
    """A repository; `sdk` is that of a Space."""

    private: bool = False
    sdk: str | None = None
    branches: dict[str, Branch] = field(default_factory=lambda: {"main": Branch()})

    @property
    def main(self) -> Branch:
        return self.branches["main"]


class HubServer(LoopbackServer):
    """Serves repositories; a context manager.

    Attributes:
        repositories: (kind, owner/name) -> what was published.
        requests: (method, path) of every request so far.
        fail: beginning of a path -> (status, message) for every request to it.
        store: contents of large files by SHA-256.
    """

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.requests: list[tuple[str, str]] = []
        self.fail: dict[str, tuple[int, str]] = {}
        self.store: dict[str, bytes] = {}
        super().__init__(_Handler, hub=self)

    def environment(self, home: Path, xet: bool) -> dict[str, str]:
        """A whole environment that leads the client here, with the token and with nothing of the user's own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        own = {"HF_HOME": str(home), "HF_ENDPOINT": self.address, "HF_TOKEN": TOKEN}
        return kept | own | {"HF_HUB_DISABLE_XET": str(int(not xet)), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        failure = next((what for start, what in self.hub.fail.items() if path.startswith(start)), None)
        if failure:
            self._error(*failure)
        elif path.startswith("/store/lfs/"):
            self.hub.store[path.removeprefix("/store/lfs/")] = body
            self._json({})
        elif path.startswith("/store/xet/"):
            self._xet(path.removeprefix("/store/xet"), body)
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._error(401, "Invalid username or password.")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._validate(json.loads(body)["content"])
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._lfs(json.loads(body))
        elif found := re.fullmatch(r"/api/(model|space)s/([^/]+/[^/]+)(?:/([\w-]+)/(.+))?", path):
            repository = self.hub.repositories.get((found[1], found[2]))
            if repository is None:
                self._error(404, "Repository not found", "RepoNotFound")
            else:
                self._repository(repository, found, body)
        else:
            self._error(404, f"no such address: {path}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _create(self, asked: dict[str, Any]) -> None:
        kind, name = asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"
        url = f"{self.hub.address}/{'spaces/' if kind == 'space' else ''}{name}"
        if asked["organization"] != OWNER:
            self._error(403, f"You don't have the rights to create a {kind} under {asked['organization']}")
        elif (kind, name) in self.hub.repositories:
            self._json({"error": f"You already created this {kind} repo", "url": url}, 409)
        else:
            private = asked.get("visibility") == "private"
            self.hub.repositories[kind, name] = Repository(private, asked.get("sdk"))
            self._json({"name": name, "id": name, "url": url})

    def _validate(self, content: str) -> None:
        metadata = yaml.safe_load(content.split("---\n")[1])
        if metadata["license"] in LICENCES:
            self._json({"errors": [], "warnings": []})
        else:
            self._json({"errors": [{"message": f'"license" must be one of {LICENCES}'}], "warnings": []}, 400)

    def _repository(self, repository: Repository, asked: re.Match[str], body: bytes) -> None:
        kind, name, what, revision = asked[1], asked[2], asked[3], asked[4]
        if what == "branch":
            if revision in repository.branches:
                self._error(409, "Reference already exists")
            else:
                repository.branches[revision] = Branch()
                self._json({})
            return
        branch = repository.branches.get(revision or "main")
        if branch is None:
            self._error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        elif what == "preupload":
            self._json({"files": [self._mode(branch, file) for file in json.loads(body)["files"]]})
        elif what == "xet-write-token":
            store = {"casUrl": f"{self.hub.address}/store/xet", "accessToken": "of-the-store"}
            self._json({**store, "exp": int(time.time()) + 3600})
        elif what == "commit":
            self._commit(branch, [json.loads(line) for line in body.splitlines()])
            url = f"{self.hub.address}/{'spaces/' if kind == 'space' else ''}{name}/commit/{branch.sha}"
            self._json({"success": True, "commitOid": branch.sha, "commitUrl": url})
        else:
            self._json({"id": name, "modelId": name, "sha": branch.sha, "private": repository.private})

    def _mode(self, branch: Branch, file: dict[str, Any]) -> dict[str, Any]:
        path, held = file["path"], branch.files.get(file["path"])
        mode = "lfs" if b"\0" in base64.b64decode(file["sample"]) else "regular"
        oid = None
        if held is not None and mode == "lfs":
            oid = hashlib.sha256(held).hexdigest()
        elif held is not None:
            oid = hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _lfs(self, asked: dict[str, Any]) -> None:
        objects = [{"oid": one["oid"], "size": one["size"]} for one in asked["objects"]]
        for one in objects:
            if one["oid"] not in self.hub.store:
                one["actions"] = {"upload": {"href": f"{self.hub.address}/store/lfs/{one['oid']}"}}
        self._json({"transfer": "basic", "objects": objects})

    def _xet(self, path: str, body: bytes) -> None:
        """Take a xorb: chunks, each after 8 bytes of header: version, compressed size, compression, size."""
        if path.startswith("/v1/xorbs/"):
            while body and not body.startswith(b"XETBLOB"):
                size, compression = int.from_bytes(body[1:4], "little"), body[4]
                chunk, body = body[8 : 8 + size], body[8 + size :]
                if compression == 0:
                    self.hub.store[hashlib.sha256(chunk).hexdigest()] = chunk
            self._json({"was_inserted": True})
        elif path.startswith("/v1/shards"):
            self._json({"result": 1})
        else:
            self._error(404, "not here")

    def _commit(self, branch: Branch, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                branch.messages.append(value["summary"])
            elif line["key"] == "file":
                branch.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                content = self.hub.store[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
                branch.files[value["path"]] = content
            else:
                raise AssertionError(line["key"])

    def _json(self, answer: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _error(self, status: int, message: str, code: str = "") -> None:
        self._json({"error": message}, status, {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}))

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    command = sys.argv[sys.argv.index("--") + 1 :]
    with HubServer() as server, tempfile.TemporaryDirectory() as home:
        done = subprocess.run(command, env=server.environment(Path(home), xet=False), check=False)
        for (kind, name), repository in server.repositories.items():
            for branch, held in repository.branches.items():
                print(f"{kind} {name}, branch {branch}: {len(held.files)} files, commits: {held.messages}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
