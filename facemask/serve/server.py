"""Run the server: bind its port, answer until a signal, stop without losing a request."""

import errno
import gc
import logging
import math
import os
import signal
import socket
import sys
from asyncio import TimerHandle, Transport
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from facemask.core.errors import FacemaskError
from facemask.core.signals import handle_signals
from facemask.serve.app import create_app
from facemask.serve.engine import Engine
from facemask.serve.settings import Settings

CONNECTIONS = 512  # at the same time
_BACKLOG = 512
_IDLE = 75  # seconds until a connection without requests is closed: longer than proxies keep theirs
_LOCAL = ("127.0.0.1", "::1", "localhost")


def serve(settings: Settings) -> int:
    """Answer requests until SIGINT or SIGTERM, then finish those that have begun.

    Returns:
        The number of the signal.

    Raises:
        FacemaskError: there is no usable model, or the address cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s", stream=sys.stdout)
    for noisy in ("uvicorn", "python_multipart", "asyncio"):  # may quote what a client sent
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    engine = Engine(settings)
    with _listen(settings.host, settings.port) as listening:
        server = _Server(_configure(settings, engine))
        with handle_signals(server.stop, signal.SIGINT, signal.SIGTERM):
            _announce(settings, engine, listening.getsockname()[1])
            # What is there by now stays: looking through it again and again would only delay answers.
            gc.collect()
            gc.freeze()
            server.run(sockets=[listening])
    if engine.busy:
        # A thread is still at an image whose time is over; Python would wait for it.
        print(f"an image was not finished within {settings.limits.seconds:g} s and is given up", flush=True)
        os._exit(128 + server.signal)
    return server.signal


def _announce(settings: Settings, engine: Engine, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"model {engine.model.version} on http://{host}:{port}, documentation on /docs; Ctrl-C stops", flush=True)
    if settings.host not in _LOCAL and not settings.api_key:
        print("warning: everybody who can reach this address can use it; set an API key (--api-key)", flush=True)


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to its caller instead of raising them again at the end.

    Attributes:
        signal: the number of the signal that stopped it; 0 for none.
    """

    signal = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self, number: int, _: FrameType | None) -> None:
        """Signal handler: stop; at the second signal without waiting for requests."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self.signal = number


def _configure(settings: Settings, engine: Engine) -> uvicorn.Config:
    seconds = settings.limits.seconds

    class Connection(H11Protocol):
        """A connection that is closed if the head of a request does not arrive in time: uvicorn waits for ever."""

        _closing: TimerHandle | None = None

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._close_later()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self.cycle or self.cycle.response_complete:
                self._close_later()
            elif self._closing:
                self._closing.cancel()
                self._closing = None

        def _close_later(self) -> None:
            self._closing = self._closing or self.loop.call_later(seconds, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self._closing:
                self._closing.cancel()

    options: dict[str, Any] = {"access_log": False, "log_config": None, "server_header": False, "ws": "none"}
    return uvicorn.Config(
        create_app(settings, engine),
        http=Connection,
        lifespan="on",
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=math.ceil(2 * seconds),  # to arrive and to be answered
        **options,
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise FacemaskError(f"{host} is no address of this computer; choose another with --host") from error
        if error.errno == errno.EADDRINUSE:
            raise FacemaskError(
                f"port {port} of {host} is in use; stop the program that uses it, or choose another with --port"
            ) from error
        raise FacemaskError(f"port {port} of {host} cannot be used ({error}); choose another with --port") from error
