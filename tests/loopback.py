"""A real HTTP server on loopback, which stands in for a service that tests can't reach."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class LoopbackServer:
    """Serves requests with a handler class until its `with` block ends.

    Attributes:
        address: of the server, "http://127.0.0.1:PORT".
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], **attributes: Any) -> None:
        """Bind a free port; `attributes` are set on the handler's class, so that it finds what it answers from."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type(handler.__name__, (handler,), attributes))
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
