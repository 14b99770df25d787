"""A web server on this machine only, for the page."""

import http.server
import sys
from pathlib import Path
from typing import Any

from facemask.core.errors import FacemaskError

PAGE = "index.html"  # in the folder of the page

HOST = "127.0.0.1"

# Not left to the system's own tables, which may be wrong: browsers refuse scripts of another type.
_TYPES = {".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm", ".css": "text/css"}


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, **_TYPES}  # noqa: RUF012 - as the base has it

    def log_message(self, *_: Any) -> None:
        """Print nothing for each request."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over browsers that close a connection early."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of the page on the loopback interface, not yet running.

    Args:
        folder: as `facemask.web.bundle.write_page` writes it.
        port: 0 for any free one.

    Raises:
        FacemaskError: the page was not written, or the port is taken.
    """
    if not (folder / PAGE).is_file():
        raise FacemaskError(
            f"there is no page in {folder}; set web.enabled: true in params.yaml and run `dvc repro web`, or choose "
            "another folder with --folder"
        )

    def handler(*arguments: Any) -> _Handler:
        return _Handler(*arguments, directory=str(folder))

    try:
        return _Server((HOST, port), handler)
    except OSError as error:
        raise FacemaskError(
            f"port {port} cannot be used ({error.strerror}); choose another one with --port, or 0 for any free one"
        ) from error


def address(server: http.server.ThreadingHTTPServer) -> str:
    """Return the address of the page on a server."""
    return f"http://{HOST}:{server.server_port}/"
