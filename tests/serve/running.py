"""A running `facemask serve`, as a process of its own."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

PATIENCE = 60.0  # seconds; the machine may be busy with other tests


class Running:
    """The process, its address, and what it prints."""

    def __init__(self, model: Path, folder: Path, *options: str, **environment: str) -> None:
        """Start it in an empty folder, which is also its folder for temporary files."""
        self.folder, self.log = folder / "work", folder / "log.txt"
        self.folder.mkdir()
        command = [sys.executable, "-m", "facemask", "serve", "--port", "0", "--model", str(model.resolve()), *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={"PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(self.folder), **environment},
            )
        wait_until(lambda: "http://" in self.printed() or self.process.poll() is not None)
        found = re.search(r"http://[\d.]+:(\d+)", self.printed())
        assert found, self.printed()
        self.port = int(found[1])
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)

    def printed(self) -> str:
        return self.log.read_text()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def stop(self) -> int:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def wait_until(happened: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def status_of(answer: bytes) -> int:
    """Return the status in the bytes of an HTTP answer; 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def receive_until(connection: socket.socket, end: bytes) -> bytes:
    """Return what comes until `end`; nothing if the server closes the connection before."""
    received = b""
    while not received.endswith(end):
        if not (more := connection.recv(65536)):
            return b""
        received += more
    return received


def receive_all(connection: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    received = b""
    while more := connection.recv(65536):
        received += more
    return received
