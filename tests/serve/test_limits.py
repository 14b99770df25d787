"""Every limit has its status and a sentence that names its option; the server goes on answering."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from facemask.inference.options import Options
from facemask.serve.engine import Engine
from facemask.serve.settings import Limits, Settings
from tests.bad_images import saved
from tests.photos import head
from tests.serve.running import PATIENCE, Running, receive_all, receive_until, status_of

pytestmark = pytest.mark.slow  # starts servers

KEY = "a-key"
MAX_BYTES = 300_000
TIMEOUT = 1.0
SOON = 20.0  # seconds; by the usual limit a client would wait longer


@pytest.fixture(scope="module")
def narrow(photo_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with narrow limits, but for time, and an API key."""
    limits = ["--max-bytes", str(MAX_BYTES), "--max-megapixels", "2", "--max-faces", "2", "--max-images", "2"]
    limits += ["--max-waiting", "0", "--threads", "1"]
    running = Running(photo_export, tmp_path_factory.mktemp("narrow"), *limits, FACEMASK_API_KEY=KEY)
    running.client.headers["X-API-Key"] = KEY
    yield running
    running.stop()


@pytest.fixture(scope="module")
def hasty(photo_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that waits for nobody."""
    limits = ["--max-bytes", str(MAX_BYTES), "--timeout", str(TIMEOUT)]
    running = Running(photo_export, tmp_path_factory.mktemp("hasty"), *limits)
    yield running
    running.stop()


def post_head(length: int) -> bytes:
    return f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def test_the_key_is_needed_for_answers_but_not_for_health(narrow: Running) -> None:
    routes = [("POST", "/predict"), ("POST", "/v2/models/facemask/infer"), ("GET", "/metrics"), ("GET", "/v2")]
    for key in (b"", b"wrong", KEY.encode() + b"x", "k\u00e9y".encode()):
        for method, path in routes:
            answer = narrow.client.request(method, path, headers={b"X-API-Key": key})
            assert (answer.status_code, "X-API-Key" in answer.json()["error"]) == (401, True)
    bearer = {"X-API-Key": "", "Authorization": f"Bearer {KEY}"}
    assert narrow.client.get("/metrics", headers=bearer).status_code == 200
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/", "/docs"):
        assert narrow.client.get(path, headers={"X-API-Key": ""}).status_code == 200
    assert KEY not in narrow.printed()


def test_too_many_bytes(narrow: Running) -> None:
    answer = narrow.client.post("/predict", content=bytes(MAX_BYTES + 1))
    assert (answer.status_code, "--max-bytes" in answer.json()["error"]) == (413, True)
    pieces = (bytes(1000) for _ in range(MAX_BYTES // 1000 + 1))  # of a length that is not told
    answer = narrow.client.post("/predict", content=pieces)
    assert (answer.status_code, "--max-bytes" in answer.json()["error"]) == (413, True)


def test_too_many_pixels_faces_and_images(narrow: Running, files: dict[str, Path]) -> None:
    large = saved(np.zeros((1500, 1500, 3), np.uint8))
    small = saved(head(64))
    for parts, option in (
        ([large], "more than 2 megapixels, --max-megapixels"),
        ([files["three.jpg"].read_bytes()], "more than 2, --max-faces"),
        ([small] * 3, "more than 2 images (--max-images)"),
    ):
        answer = narrow.client.post("/predict", files=[("a", ("a.jpg", part)) for part in parts])
        assert (answer.status_code, option in answer.json()["error"]) == (422, True), answer.text


def test_more_requests_than_may_wait_are_refused_at_once_and_the_others_answered(
    narrow: Running, files: dict[str, Path]
) -> None:
    content = files["three.jpg"].read_bytes()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: narrow.client.post("/predict?faces=crop", content=content), range(40)))
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert ("--max-waiting" in refused.json()["error"], refused.headers["Retry-After"]) == (True, "1")
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    assert narrow.client.post("/predict?faces=crop", content=content).status_code == 200


def test_a_slow_client_gets_an_answer_and_keeps_nobody_waiting(hasty: Running) -> None:
    with hasty.connect() as slow:
        slow.sendall(post_head(1000) + b"x")
        begin = time.monotonic()
        assert hasty.client.post("/predict?faces=crop", content=saved(head(64))).status_code == 200
        answer = receive_all(slow)
        assert (status_of(answer), b"--timeout" in answer) == (408, True)
        assert time.monotonic() - begin < SOON


def test_too_many_large_requests_at_the_same_time_do_not_fill_the_memory(hasty: Running) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(hasty.connect()) for _ in range(12)]
        for connection in connections:
            connection.sendall(post_head(MAX_BYTES) + bytes(MAX_BYTES - 1))
        statuses = [status_of(receive_until(connection, b"}")) for connection in connections]
    assert set(statuses) == {408, 503}
    assert statuses.count(408) <= 8


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost:"])
@pytest.mark.parametrize("first", [True, False])
def test_a_connection_without_a_whole_request_is_closed(sent: bytes, first: bool, hasty: Running) -> None:
    with hasty.connect() as idle:
        if not first:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert status_of(receive_until(idle, b"true}")) == 200
        idle.sendall(sent)
        begin = time.monotonic()
        if first or sent:
            assert receive_all(idle) == b""
            assert time.monotonic() - begin < SOON
        else:  # it may stay for the next request
            time.sleep(2 * TIMEOUT)
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert status_of(receive_until(idle, b"true}")) == 200


def test_an_answer_that_takes_too_long(photo_export: Path, tmp_path: Path) -> None:
    large = saved(np.zeros((7000, 7000, 3), np.uint8), "PNG", compress_level=1)
    hurried = Running(photo_export, tmp_path, "--timeout", "0.1")
    answer = hurried.client.post("/predict", content=large)
    assert (answer.status_code, "--timeout" in answer.json()["error"]) == (503, True)
    assert hurried.stop() == 143  # though a thread may still be at work


def test_a_worker_thread_that_is_stuck_makes_the_server_unhealthy(photo_export: Path) -> None:
    engine = Engine(Settings(photo_export, Options(), Limits(seconds=0.05)))
    go_on = threading.Event()

    async def healthy_then_stuck() -> None:
        work = asyncio.create_task(engine.run(go_on.wait))
        async with asyncio.timeout(PATIENCE):
            while not engine.busy:
                await asyncio.sleep(0)
            assert not engine.stuck
            while not engine.stuck:
                await asyncio.sleep(0.01)
        go_on.set()
        await work

    asyncio.run(healthy_then_stuck())
    assert not engine.stuck
