"""A package index on loopback, for pip to fetch wheels from that the tests make."""

import http.server
import io
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def make_wheel(name: str, version: str, members: Mapping[str, bytes]) -> bytes:
    """Make a wheel with nothing in it but `members`."""
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in members.items():
            archive.writestr(path, content)
        archive.writestr(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{folder}/RECORD", "")
    return buffer.getvalue()


@contextmanager
def package_index(folder: Path, name: str, version: str, wheel: bytes) -> Iterator[str]:
    """Serve an index that offers `wheel` under a name and version; yield its address."""
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    page = folder / "simple" / name / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="/{file}">{file}</a>', encoding="utf-8")
    (folder / file).write_bytes(wheel)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = lambda *arguments: Quiet(*arguments, directory=str(folder))  # noqa: E731
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


NOWHERE = "http://127.0.0.1:9/simple"


def only(index: str) -> dict[str, str]:
    """Environment in which pip knows nothing but `index`."""
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "PIP_FIND_LINKS": "", "PIP_RETRIES": "0"}
