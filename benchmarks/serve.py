"""How fast `facemask serve` answers, and whether it holds under bad clients; on loopback, in some minutes.

    python benchmarks/serve.py                            # with the model in export/
    python benchmarks/serve.py --requests 1000 --seconds 3  # a quick look

The server runs with one worker thread, bound to one core (Linux only); the clients run on the others. Each rate is the
best of `--rounds`, taken in turns with the engine alone in a loop on the same core, since other programs can only slow
both down. Exit code 1 if an answer was wrong or lost, or the memory grew by more than 20 MB.
"""

import argparse
import base64
import contextlib
import functools
import io
import itertools
import json
import multiprocessing
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.photos import drawn_portraits, video_call
from facemask.inference.options import Options
from facemask.inference.predictor import Predictor
from facemask.inference.writers import Json

CLIENTS = 8
FACES = 8  # in the photograph
LOAD = 0.7  # of the highest rate, where the delays are measured
TIMEOUT = 2.0  # seconds, of the server that meets slow clients
CROPS_PER_PHOTO = 50  # in a mixed load
WARM_UP = 500  # requests before the memory is measured
MAX_GROWTH = 20  # MB, over `--memory-requests`


@dataclass(frozen=True)
class Question:
    """A request, and what must come of it: a status, and for 200 the body; status 0 is a closed connection."""

    kind: str
    content: bytes
    status: int
    body: bytes = b""
    pause: float = 0.0  # seconds between its first half and the rest


@dataclass(frozen=True)
class Round:
    """One measurement of speed.

    Attributes:
        alone: images a second, the engine in a loop.
        cost_alone: CPU ms for each.
        rate: images a second, from the server.
        cost: CPU ms for each.
        busy: seconds of each answer then.
        at_load: seconds of each answer at `LOAD` of that rate.
    """

    alone: float
    cost_alone: float
    rate: float
    cost: float
    busy: list[float]
    at_load: list[float]


class Connection:
    """A client's connection, kept alive from request to request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, question: Question) -> tuple[int, bytes]:
        """Send a request and return status and body; status 0 if the server closes the connection instead."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if question.pause:
                half = len(question.content) // 2
                self._socket.sendall(question.content[:half])
                time.sleep(question.pause)
                with contextlib.suppress(OSError):
                    self._socket.sendall(question.content[half:])
            else:
                self._socket.sendall(question.content)
            return self._answer(self._socket)
        except ConnectionError:
            self.close()
            return 0, b""

    def _answer(self, connection: socket.socket) -> tuple[int, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more(connection)
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        while len(body) < (int(length[1]) if length else 0):
            body += self._more(connection)
        if b"connection: close" in head.lower():
            self.close()
        return int(head.split(b" ", 2)[1]), body

    def _more(self, connection: socket.socket) -> bytes:
        if more := connection.recv(1 << 16):
            return more
        raise ConnectionResetError

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket:
            self._socket.close()
        self._socket = None


class Server:
    """A running `facemask serve`."""

    def __init__(self, model: Path, *options: str) -> None:
        start = time.perf_counter()
        command = [sys.executable, "-X", "importtime", "-m", "facemask", "serve", "--port", "0", "--threads", "1"]
        self._imports = io.BytesIO()
        self.process = subprocess.Popen(
            [*command, "--model", str(model), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=functools.partial(use_cores, SERVER_CORES),
        )
        assert self.process.stdout
        assert self.process.stderr
        threading.Thread(target=lambda pipe: self._imports.writelines(pipe), args=[self.process.stderr]).start()
        line = self.process.stdout.readline().decode()
        found = re.search(r"http://127.0.0.1:(\d+)", line)
        if not found:
            raise SystemExit(f"the server did not start: {line}{self._imports.getvalue().decode()[-2000:]}")
        self.port = int(found[1])
        while Connection(self.port).ask(get("/readyz"))[0] != 200:
            time.sleep(0.01)
        self.seconds_to_ready = time.perf_counter() - start
        self.memory = psutil.Process(self.process.pid)

    def megabytes(self) -> float:
        """Return the memory in use."""
        return float(self.memory.memory_info().rss / 1e6)

    def cpu(self) -> float:
        """Return the CPU seconds so far."""
        times = self.memory.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> int:
        """Stop it with SIGTERM and return its exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def imported_tensorflow(self) -> bool:
        """Return whether TensorFlow was imported."""
        return b"| tensorflow" in re.sub(rb" +", b" ", self._imports.getvalue())


def use_cores(cores: set[int]) -> None:
    """Bind this process to cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER_CORES = {CORES[-1]}


def get(path: str) -> Question:
    """Return a GET request."""
    return Question("get", f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 200)


def post(path: str, body: bytes, kind: str = "image/jpeg", length: int | None = None) -> bytes:
    """Return a POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


def jpeg(picture: np.ndarray) -> bytes:
    """Return a picture as a JPEG file."""
    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "JPEG", quality=90)
    return packed.getvalue()


def expected(predictor: Predictor, name: str, content: bytes, crop: bool) -> bytes:
    """Return the body of the right answer."""
    text = io.StringIO()
    writer = Json(text)
    writer.add(predictor.predict_content(name, content, crop))
    writer.end()
    return text.getvalue().encode()


def good_questions(predictor: Predictor, crops: Sequence[bytes], photo: bytes) -> tuple[list[Question], list[Question]]:
    """Return requests with a crop, in every form, and requests with a photograph."""
    ways: list[Question] = []
    for crop in crops:
        body = expected(predictor, "-", crop, True)
        ways.append(Question("raw crop", post("/predict?faces=crop", crop), 200, body))
        encoded = json.dumps({"images": [{"data": base64.b64encode(crop).decode()}]}).encode()
        ways.append(Question("base64 crop", post("/predict?faces=crop", encoded, "application/json"), 200, body))
        part = b'--edge\r\nContent-Disposition: form-data; name="i"; filename="-"\r\n\r\n' + crop + b"\r\n--edge--\r\n"
        form = post("/predict?faces=crop", part, "multipart/form-data; boundary=edge")
        ways.append(Question("multipart crop", form, 200, body))
    return ways, [Question("photograph", post("/predict", photo), 200, expected(predictor, "-", photo, False))]


def hostile_questions(crop: bytes) -> list[Question]:
    """Return bad requests with the right answers."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def png(width: int, height: int, *more: bytes) -> bytes:
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IEND", b"")

    zeros = zlib.compress(bytes(50_000_000), 9)
    bomb = png(40_000, 40_000, chunk(b"IDAT", zeros))
    small_bomb = png(8, 8, chunk(b"zTXt", b"a\0\0" + zeros), chunk(b"IDAT", zeros))
    bad_json = b'{"images": [{"data": "***"}]}'
    return [
        Question("PNG of 1.6 gigapixels", post("/predict", bomb, "image/png"), 422),
        Question("PNG with 50 MB of text", post("/predict", small_bomb, "image/png"), 422),
        Question("cut JPEG", post("/predict", crop[: len(crop) // 2]), 422),
        Question("text as an image", post("/predict", b"not an image" * 100), 422),
        Question("unknown type", post("/predict", crop, "text/html"), 415),
        Question("no base64", post("/predict", bad_json, "application/json"), 422),
        Question("broken form", post("/predict", crop, "multipart/form-data; boundary=edge"), 422),
        Question("too large", post("/predict", b"", length=10**9), 413),
        Question("no HTTP", b"\x16\x03\x01 hello\r\n\r\n", 400),
        Question("slow body", post("/predict", crop), 408, pause=1.5 * TIMEOUT),
        Question("slow head", get("/predict?name=" + 200 * "x").content, 0, pause=1.5 * TIMEOUT),
    ]


def load(port: int, questions: Iterator[Question], clients: int = CLIENTS) -> tuple[list[float], Counter[str]]:
    """Ask all questions from several connections at the same time.

    Returns:
        Seconds of each good answer, and the numbers of wrong or lost answers by kind of request.
    """
    lock, seconds, wrong = threading.Lock(), list[float](), Counter[str]()

    def work() -> None:
        connection = Connection(port)
        while True:
            with lock:
                question = next(questions, None)
            if question is None:
                return connection.close()
            start = time.perf_counter()
            status, body = connection.ask(question)
            if status == 200:
                seconds.append(time.perf_counter() - start)
            if status != question.status or (status == 200 and question.body != body):
                wrong[f"{question.kind}: {status}"] += 1
            if question.status in (0, 400, 408, 413):
                connection.close()

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(work) for _ in range(clients)]:
            done.result()
    return seconds, wrong


def paced(port: int, questions: Sequence[Question], rate: float, duration: float) -> list[float]:
    """Ask at a fixed rate, evenly spaced, and return the seconds from the planned start of each to its answer."""
    begin, count, lock, seconds = time.perf_counter() + 0.2, itertools.count(), threading.Lock(), list[float]()

    def work() -> None:
        connection = Connection(port)
        while True:
            with lock:
                number = next(count)
            planned = begin + number / rate
            if planned > begin + duration:
                return connection.close()
            time.sleep(max(planned - time.perf_counter(), 0))
            connection.ask(questions[number % len(questions)])
            seconds.append(time.perf_counter() - planned)

    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(work) for _ in range(CLIENTS)]:
            done.result()
    return seconds


def engine_loop(model: Path, contents: Sequence[bytes], crop: bool, duration: float) -> tuple[float, float]:
    """Predict in a loop, without a server, on the server's core; return images a second and CPU ms for each."""
    use_cores(SERVER_CORES)
    predictor = Predictor(model, Options())
    predictor.predict_content("-", contents[0], crop)
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < duration:
        expected(predictor, "-", contents[count % len(contents)], crop)
        count += 1
    return count / (time.perf_counter() - start), 1000 * (time.process_time() - cpu) / count


def for_seconds(questions: Sequence[Question], duration: float) -> Iterator[Question]:
    """Yield questions in turn until the time is over."""
    end = time.perf_counter() + duration
    return itertools.takewhile(lambda _: time.perf_counter() < end, itertools.cycle(questions))


def in_process(work: Callable[..., tuple[float, float]], *arguments: object) -> tuple[float, float]:
    """Call a function in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    return float(1000 * np.quantile(seconds, share))


def measure_speed(
    arguments: argparse.Namespace, questions: Sequence[Question], contents: list[bytes], what: str
) -> None:
    """Print the rate of the server and that of the engine alone, and the delays."""
    crop, rounds = what == "crops", []
    server = Server(arguments.model)
    load(server.port, for_seconds(questions, 1))
    for _ in range(arguments.rounds):
        alone, cost_alone = in_process(engine_loop, arguments.model, contents, crop, arguments.seconds)
        start, cpu = time.perf_counter(), server.cpu()
        seconds, wrong = load(server.port, for_seconds(questions, arguments.seconds))
        rate = len(seconds) / (time.perf_counter() - start)
        cost = 1000 * (server.cpu() - cpu) / len(seconds)
        # At once, since the rate that the machine allows changes with its other load.
        rounds.append(
            Round(alone, cost_alone, rate, cost, seconds, paced(server.port, questions, LOAD * rate, arguments.seconds))
        )
        arguments.wrong.update(wrong)
    alone, rate = max(one.alone for one in rounds), max(one.rate for one in rounds)
    cost_alone, cost = min(one.cost_alone for one in rounds), min(one.cost for one in rounds)
    busy = min((one.busy for one in rounds), key=lambda seconds: percentile(seconds, 0.95))
    shown = ", ".join(f"{percentile(busy, share):.0f}" for share in (0.5, 0.95, 0.99))
    at_load = min(
        (one.at_load for one in rounds), key=lambda seconds: percentile(seconds, 0.99) / percentile(seconds, 0.5)
    )
    print(f"| {what} a second, the engine in a loop | {alone:.1f} ({cost_alone:.2f} CPU ms each) |")
    print(f"| {what} a second, {CLIENTS} clients | {rate:.1f} ({cost:.2f} CPU ms each) |")
    print(f"| share of the engine's rate, by the clock and by CPU time | {rate / alone:.0%}, {cost_alone / cost:.0%} |")
    print(f"| p50, p95, p99 at {CLIENTS} clients | {shown} ms |")
    print(f"| p50, p99 at {LOAD:.0%} load | {percentile(at_load, 0.5):.1f}, {percentile(at_load, 0.99):.1f} ms |")
    server.stop()


def measure_robustness(arguments: argparse.Namespace, good: Sequence[Question], bad: Sequence[Question]) -> None:
    """Print how many answers were wrong or lost with one bad request in ten."""
    server = Server(arguments.model, "--timeout", str(TIMEOUT))
    bad_ones, good_ones = itertools.cycle(bad), itertools.cycle(good)
    asked = [next(bad_ones if number % 10 == 0 else good_ones) for number in range(arguments.requests)]
    before = server.megabytes()
    # More clients than elsewhere: the slow ones sleep for most of the time.
    _, wrong = load(server.port, iter(asked), 4 * CLIENTS)
    print(f"| {arguments.requests} requests, one in ten hostile: wrong or lost answers | {sum(wrong.values())} |")
    for kind, count in wrong.items():
        print(f"| {kind} | {count} |")
    print(f"| memory before and after | {before:.0f}, {server.megabytes():.0f} MB |")
    print(f"| exit code after SIGTERM | {server.stop()} |")
    arguments.wrong.update(wrong)


def measure_memory(arguments: argparse.Namespace, mixed: Sequence[Question]) -> None:
    """Print how much the memory grows."""
    server = Server(arguments.model)
    load(server.port, itertools.islice(itertools.cycle(mixed), WARM_UP))
    before = server.megabytes()
    _, wrong = load(server.port, itertools.islice(itertools.cycle(mixed), arguments.memory_requests))
    after = server.megabytes()
    print(f"| memory before and after {arguments.memory_requests} more requests | {before:.0f}, {after:.0f} MB |")
    server.stop()
    arguments.wrong.update(wrong)
    if after - before > MAX_GROWTH:
        arguments.wrong[f"memory grew by more than {MAX_GROWTH} MB"] += 1


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("export"), help="export folder (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=10_000, help="with hostile ones (default: %(default)s)")
    parser.add_argument("--memory-requests", type=int, default=5000, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn faces (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.wrong = Counter[str]()
    use_cores(set(CORES) - SERVER_CORES or set(CORES))
    portraits = drawn_portraits(FACES, arguments.seed)
    crops, photo = [jpeg(portrait) for portrait in portraits], jpeg(video_call(portraits[:FACES], FACES // 2))
    ways, photos = good_questions(Predictor(arguments.model, Options()), crops, photo)
    raw = [way for way in ways if way.kind == "raw crop"]
    mixed = [*ways, *ways, *photos][: CROPS_PER_PHOTO + 1]

    print(f"{os.cpu_count()} cores, the server on one; load of the last minute: {os.getloadavg()[0]:.1f}\n")
    print("| | |\n| --- | --- |")
    starts = [Server(arguments.model) for _ in range(arguments.rounds)]
    print(f"| seconds until ready | {statistics.median(server.seconds_to_ready for server in starts):.1f} |")
    load(starts[0].port, iter([*ways, *photos]))
    print(f"| TensorFlow imported | {'yes' if starts[0].imported_tensorflow() else 'no'} |")
    for server in starts:
        server.stop()
    measure_speed(arguments, raw, crops, "crops")
    measure_speed(arguments, photos, [photo], "photographs")
    measure_memory(arguments, mixed)
    measure_robustness(arguments, mixed, hostile_questions(crops[0]))
    print(f"\nload of the last minute at the end: {os.getloadavg()[0]:.1f}")
    if arguments.wrong:
        raise SystemExit(f"wrong: {dict(arguments.wrong)}")


if __name__ == "__main__":
    main()
