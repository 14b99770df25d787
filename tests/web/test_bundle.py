"""The folder of the page: complete, small, the same bytes each time, and served on this machine only."""

import gzip
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests
from ai_edge_litert.interpreter import Interpreter

from facemask.core.errors import FacemaskError
from facemask.export.metadata import read_labels
from facemask.web.bundle import write_notice, write_page
from facemask.web.model import one_at_a_time

ROOT = Path(__file__).parents[2]
MEGA = 1e6

pytestmark = pytest.mark.slow  # converts a model, and starts servers


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_export_gives_the_same_bytes(photo_export: Path, web: Path, tmp_path: Path) -> None:
    write_page(photo_export, ROOT / "LICENSE", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(web)


def test_the_service_worker_keeps_every_file(web: Path) -> None:
    script = (web / "sw.js").read_text(encoding="utf-8")
    about = json.loads(re.search(r"const ABOUT = (\{.*?\n\});", script, re.DOTALL)[1])  # type: ignore[index]
    files = contents(web)
    assert about["files"] == {name: len(data) for name, data in sorted(files.items()) if name != "sw.js"}


def test_another_model_is_another_version(photo_export: Path, web: Path, tmp_path: Path) -> None:
    export = shutil.copytree(photo_export, tmp_path / "export")
    labels = json.loads((export / "labels.json").read_text(encoding="utf-8"))
    (export / "labels.json").write_text(json.dumps({**labels, "temperature": 1.5}), encoding="utf-8")
    write_page(export, ROOT / "LICENSE", tmp_path / "web")
    scripts = [(folder / "sw.js").read_text(encoding="utf-8") for folder in (web, tmp_path / "web")]
    first, second = (re.search(r'"version": "(\w+)"', script) for script in scripts)
    assert first is not None
    assert second is not None
    assert first[1] != second[1]


def test_no_own_file_names_an_address_outside(web: Path) -> None:
    for name, data in contents(web).items():
        if not name.startswith(("runtime/", "model/", "licences")) and not name.endswith(".png"):
            text = data.decode().replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"(https?:)?//[\w-]+\.\w", text), name


def test_the_licences_of_all_parts_are_there(web: Path) -> None:
    text = (web / "licences.txt").read_text(encoding="utf-8")
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").strip() in text
    assert "LiteRT.js" in text
    assert "Patrick Levin" in text


def test_the_page_is_small_enough(web: Path) -> None:
    files = contents(web)
    model, packed = 8.9, 8.3  # MB, of the real one; that of these tests is tiny
    assert sum(map(len, files.values())) / MEGA + model < 20
    assert sum(len(gzip.compress(data)) for data in files.values()) / MEGA + packed < 12


def test_the_model_takes_one_face_at_a_time_and_answers_as_before(small_export: Path, tmp_path: Path) -> None:
    data = (small_export / "model.tflite").read_bytes()
    labels = json.loads((small_export / "labels.json").read_text(encoding="utf-8"))
    fixed = tmp_path / "fixed.tflite"
    fixed.write_bytes(one_at_a_time(data, labels))
    assert read_labels(fixed) == labels
    faces = np.random.default_rng(1).integers(0, 256, (3, 1, 32, 32, 3), dtype=np.uint8)
    answers = []
    for content in (data, fixed.read_bytes()):
        interpreter = Interpreter(model_content=content)
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.allocate_tensors()
        for face in faces:
            interpreter.set_tensor(source["index"], face)
            interpreter.invoke()
            answers.append(interpreter.get_tensor(target["index"]))
    assert -1 not in source["shape_signature"]
    assert np.array_equal(answers[:3], answers[3:])


def test_an_export_without_face_detector_is_refused(small_export: Path, tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"face_detector\.tflite; set export\.face_detector: true"):
        write_page(small_export, ROOT / "LICENSE", tmp_path / "web")
    assert not (tmp_path / "web").exists()


def test_a_page_that_is_turned_off_says_so(tmp_path: Path) -> None:
    write_notice(tmp_path / "web")
    assert "web.enabled: true" in (tmp_path / "web" / "README.txt").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "facemask", "page", "--no-open", "--folder", str(tmp_path / "web")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: there is no page in .*; set web\.enabled: true .*\n", done.stderr)


def test_the_command_serves_the_page_on_this_machine_only(web: Path) -> None:
    command = [sys.executable, "-m", "facemask", "page", "--no-open", "--port", "0", "--folder", str(web)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:")
            answer = requests.get(address, timeout=60)
            assert "<h1>Face masks</h1>" in answer.text
            types = {
                name: requests.get(address + name, timeout=60).headers["Content-Type"]
                for name in ("app.js", "runtime/litert_wasm_compat_internal.wasm", "manifest.json")
            }
            assert list(types.values()) == ["text/javascript", "application/wasm", "application/json"]
            others = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
            for other in others - {"127.0.0.1"}:
                with pytest.raises(OSError, match="refused"):
                    socket.create_connection((str(other), int(address.split(":")[2].strip("/"))), timeout=5)
        finally:
            server.send_signal(signal.SIGINT)
            said = server.communicate(timeout=60)
    assert server.returncode == 0
    assert said == ("", "")


def test_a_port_that_is_taken_is_named(web: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "facemask", "page", "--no-open", "--port", port, "--folder", str(web)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: port {port} cannot be used")
