"""Start, stop, and a new model while the server runs."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bad_images import saved
from tests.photos import head
from tests.serve.conftest import Predicted
from tests.serve.running import PATIENCE, Running, receive_all, status_of, wait_until

pytestmark = pytest.mark.slow  # starts servers


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facemask", "serve", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **environment}, check=False
    )


def takes_no_more_requests(running: Running) -> bool:
    """Whether a new connection is refused, reset or closed without an answer."""
    try:
        with running.connect() as late:
            late.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            return not late.recv(1000)
    except OSError:
        return True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_request_that_has_begun_is_answered_before_the_end(
    number: int, code: int, photo_export: Path, tmp_path: Path, files: dict[str, Path], predicted: Predicted
) -> None:
    running = Running(photo_export, tmp_path)
    content = files["three.jpg"].read_bytes()
    with running.connect() as connection, running.connect():
        asked = (
            f"POST /predict?name=three.jpg HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        connection.sendall(asked[:5000])
        running.client.get("/healthz")  # once it is answered, the connections and bytes before it have come
        running.process.send_signal(number)
        wait_until(lambda: takes_no_more_requests(running))
        connection.sendall(asked[5000:])
        answer = receive_all(connection)
    assert (status_of(answer), json.loads(answer.partition(b"\r\n\r\n")[2])) == (200, predicted("three.jpg"))
    assert running.process.wait(PATIENCE) == code
    assert "Traceback" not in running.printed()


def test_a_new_model_replaces_the_old_one_and_no_request_is_lost(photo_export: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    shutil.copytree(photo_export, export)
    running = Running(export, tmp_path, "--revision", "abc1234")
    content, stop = saved(head(64)), threading.Event()

    def ask() -> set[tuple[int, str, str, str]]:
        seen = set()
        while not stop.is_set():
            answer = running.client.post("/predict?faces=crop", content=content)
            headers = answer.headers
            seen.add((answer.status_code, answer.text, headers["x-model-version"], headers.get("x-model-revision", "")))
        return seen

    def version() -> str:
        return str(running.client.get("/healthz").headers["x-model-version"])

    old, model, labels = (
        version(),
        (export / "model.tflite").read_bytes(),
        json.loads((export / "labels.json").read_text()),
    )
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            # In place, as `cp` does: a model that is mapped into memory would end the process here.
            (export / "model.tflite").write_bytes(model[: len(model) // 2])
            wait_until(lambda: "is not used" in running.printed())
            assert version() == old
            (export / "model.tflite").write_bytes(model)
            labels["thresholds"] = dict.fromkeys(labels["thresholds"], 1.0)
            (export / "labels.json").write_text(json.dumps(labels))
            wait_until(lambda: version() != old)
        finally:
            stop.set()
        seen = {answer for one in asking for answer in one.result()}
    assert {status for status, *_ in seen} == {200}
    assert {(text.count('"uncertain"'), found == old, revision) for _, text, found, revision in seen} == {
        (0, True, "abc1234"),
        (1, False, ""),
    }
    assert "facemask_model_reloads_total 1.0" in running.client.get("/metrics").text
    assert running.stop() == 143


def test_a_port_in_use_ends_with_one_sentence(photo_export: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = serve("--model", str(photo_export), "--port", port)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"error: port {port} of 127.0.0.1 is in use;")
    assert "--port" in done.stderr


def test_a_missing_model_ends_with_one_sentence(tmp_path: Path) -> None:
    done = serve("--model", str(tmp_path))
    assert (done.returncode, done.stderr.startswith("error: there is no model in"), "Traceback" in done.stderr) == (
        1,
        True,
        False,
    )


def test_an_address_of_another_computer_is_refused(photo_export: Path) -> None:
    done = serve("--model", str(photo_export), "--host", "192.0.2.1")
    assert (done.returncode, "--host" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_a_model_without_a_detector_answers_face_crops(photo_export: Path, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    for name in ("model.tflite", "labels.json"):
        shutil.copy(photo_export / name, tmp_path / "export")
    running = Running(tmp_path / "export", tmp_path, "--faces", "crop", "--host", "0.0.0.0")
    assert "warning" in running.printed()  # for there is no key
    assert running.client.post("/predict", content=saved(head(64))).status_code == 200
    answer = running.client.post("/predict?faces=find", content=saved(head(64)))
    assert (answer.status_code, "faces=crop" in answer.json()["error"]) == (422, True)
    running.stop()


def test_the_key_is_not_shown_by_the_help() -> None:
    done = serve("--help", FACEMASK_API_KEY="hidden-key")
    assert done.returncode == 0
    assert "hidden-key" not in done.stdout
    assert "127.0.0.1" in done.stdout
