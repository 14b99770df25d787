"""A stand-in for GitHub on loopback, for the real PyGithub and the real git.

It knows one repository: its pull requests, issues and comments, and the repository itself, which git pushes to over
HTTP (by `git http-backend`, as CGI). Whatever is asked has to come with the token.
"""

import base64
import json
import os
import re
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback import LoopbackServer

NAME = "somebody/masks"
TOKEN = "ghp_the-bots-own"


class GitHubServer(LoopbackServer):
    """Serves one repository; a context manager.

    Attributes:
        bare: folder with the bare repository.
        issues: by number, those that are pull requests included, as the REST API gives them.
        comments: (number of the issue, text).
        requests: (method, path, body) of every request of the API so far.
        fail: beginning of a path -> (status, message) for every request to it.
    """

    def __init__(self, bare: Path) -> None:
        self.bare = bare
        self.issues: dict[int, dict[str, Any]] = {}
        self.comments: list[tuple[int, str]] = []
        self.requests: list[tuple[str, str, str]] = []
        self.fail: dict[str, tuple[int, str]] = {}
        super().__init__(_Handler, github=self)

    @property
    def clone_url(self) -> str:
        """The address that git pushes to."""
        return f"{self.address}/{NAME}.git"

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables as in a workflow, the token included."""
        here = {"GITHUB_API_URL": self.address, "GITHUB_SERVER_URL": self.address, "GITHUB_REPOSITORY": NAME}
        return here | {"RETRAIN_TOKEN": TOKEN}

    @property
    def pulls(self) -> list[dict[str, Any]]:
        """The pull requests in the order in which they were opened."""
        return [issue for issue in self.issues.values() if "pull_request" in issue]

    def add(self, content: dict[str, Any], head: str | None = None) -> dict[str, Any]:
        """Open an issue, or a pull request of the branch `head`."""
        number = len(self.issues) + 1
        api = f"{self.address}/repos/{NAME}"
        page = f"https://github.com/{NAME}/{'issues' if head is None else 'pull'}/{number}"
        issue = {"number": number, "state": "open", "html_url": page, "url": f"{api}/issues/{number}", **content}
        if head is not None:
            issue |= {"url": f"{api}/pulls/{number}", "issue_url": f"{api}/issues/{number}", "merged_at": None}
            issue |= {"pull_request": {}, "head": {"ref": head, "repo": {"full_name": NAME}}}
        self.issues[number] = issue
        return issue


class _Handler(BaseHTTPRequestHandler):
    github: GitHubServer

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        address = urlsplit(self.path)
        if address.path.startswith(f"/{NAME}.git/"):
            self._git(address.path, address.query, body)
            return
        self.github.requests.append((self.command, address.path, body.decode()))
        failure = next((what for path, what in self.github.fail.items() if address.path.startswith(path)), None)
        if failure:
            self._json({"message": failure[1]}, failure[0])
        elif self.headers.get("Authorization") != f"token {TOKEN}":
            self._json({"message": "Bad credentials"}, 401)
        else:
            asked = {key: values[0] for key, values in parse_qs(address.query).items()}
            self._api(address.path.removeprefix(f"/repos/{NAME}"), asked, json.loads(body or b"{}"))

    def _api(self, path: str, asked: dict[str, str], content: dict[str, Any]) -> None:
        github, listing = self.github, self.command == "GET"
        number = int(found[1]) if (found := re.search(r"/(\d+)", path)) else 0
        if path == "":
            self._json({"full_name": NAME, "url": f"{github.address}/repos/{NAME}", "default_branch": "main"})
        elif path == "/pulls" and listing:
            head = asked.get("head", "").removeprefix("somebody:")
            found_pulls = [pull for pull in github.pulls if not head or pull["head"]["ref"] == head]
            self._json([pull for pull in found_pulls if asked["state"] in ("all", pull["state"])])
        elif path == "/issues" and listing:
            self._json([issue for issue in github.issues.values() if issue["state"] == asked["state"]])
        elif path in ("/pulls", "/issues"):
            head = content.pop("head", None)
            self._json(github.add(content, head), 201)
        elif path.endswith("/comments"):
            github.comments.append((number, content["body"]))
            self._json({"body": content["body"]}, 201)
        else:
            github.issues[number] |= content
            self._json(github.issues[number])

    def _git(self, path: str, query: str, body: bytes) -> None:
        expected = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        variables = {
            "GIT_PROJECT_ROOT": str(self.github.bare),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "bot",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path.removeprefix(f"/{NAME}.git"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        said = subprocess.run(
            ["git", "http-backend"], input=body, env=os.environ | variables, capture_output=True, check=True
        ).stdout
        head, _, content = said.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _json(self, answer: object, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
