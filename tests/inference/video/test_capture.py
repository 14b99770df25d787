"""Reading and writing video: files, streams and cameras, complete, broken, slow and missing."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facemask.core.errors import FacemaskError
from facemask.inference.video.capture import SourceLost, VideoSource, write_video
from tests.videos import HEIGHT, RATE, WIDTH, network_camera, number_of, numbered, read_video, save_video


def read_all(source: str, every: int = 1) -> tuple[list[int], list[float]]:
    frames = list(VideoSource(source, every).frames(threading.Event()))
    return [number_of(frame.image) for frame in frames], [frame.time for frame in frames]


def read_until_lost(source: str, pause: float = 0.0) -> tuple[list[int], list[float], str]:
    """Numbers and times of the pictures that came, with a pause after each, and what was said at the end."""
    numbers, times = [], []
    try:
        for frame in VideoSource(source).frames(threading.Event()):
            numbers.append(number_of(frame.image))
            times.append(frame.time)
            time.sleep(pause)
    except SourceLost as lost:
        return numbers, times, str(lost)
    pytest.fail(f"{source} was not lost")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return save_video(tmp_path / "clip.mp4", [numbered(i) for i in range(30)])


def test_every_picture_of_a_file_comes_in_order_with_its_time(clip: Path) -> None:
    source = VideoSource(str(clip))
    assert (source.live, source.rate, source.seconds) == (False, RATE, 2.0)
    assert (source.height, source.width) == (HEIGHT, WIDTH)
    numbers, times = read_all(str(clip))
    assert numbers == list(range(30))
    assert times == pytest.approx([i / RATE for i in range(30)], abs=0.002)


def test_of_every_third_picture_the_numbers_and_times_are_right(clip: Path) -> None:
    numbers, times = read_all(str(clip), every=3)
    assert numbers == list(range(0, 30, 3))
    assert np.diff(times) == pytest.approx(3 / RATE, abs=0.002)
    assert VideoSource(str(clip), every=3).rate == RATE / 3


def test_pictures_are_rgb(tmp_path: Path) -> None:
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 200
    clip = save_video(tmp_path / "red.avi", [red] * 3)
    image = next(iter(VideoSource(str(clip)).frames(threading.Event()))).image
    assert image.dtype == np.uint8
    assert image.mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=6)


def test_reading_a_file_stops_when_told(clip: Path) -> None:
    stop = threading.Event()
    seen = []
    for frame in VideoSource(str(clip)).frames(stop):
        seen.append(number_of(frame.image))
        if len(seen) == 5:
            stop.set()
    assert seen == [0, 1, 2, 3, 4]


def test_broken_pictures_in_a_file_are_passed_over(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.avi", [numbered(i) for i in range(30)])
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = np.random.default_rng(1).bytes(4000)
    clip.write_bytes(content)
    numbers, times = read_all(str(clip))
    assert 20 < len(numbers) < 30
    assert (numbers[0], numbers[-1]) == (0, 29)
    assert all(np.diff(times) > 0)


def test_a_file_that_is_cut_off_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.avi", [numbered(i % 30) for i in range(60)])
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    numbers, _, said = read_until_lost(str(clip))
    assert 20 < len(numbers) < 40
    assert re.search(r"clip\.avi can be read up to second [12]\.\d of 4\.0; the rest is missing or damaged", said)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.mp4", None, "is missing; name a video file, a camera number, or the address of a stream"),
        ("text.mp4", b"no video\n" * 100, "is not a video that OpenCV can read, or it is truncated or damaged"),
        ("empty.mp4", b"", "is not a video that OpenCV can read"),
    ],
)
def test_a_file_without_video_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FacemaskError, match=f"{name} {message}"):
        VideoSource(str(tmp_path / name))


def test_an_mp4_without_its_end_and_a_folder_are_refused(tmp_path: Path, clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:-2000])
    with pytest.raises(FacemaskError, match="truncated or damaged"):
        VideoSource(str(clip))
    with pytest.raises(FacemaskError, match="is not a file"):
        VideoSource(str(tmp_path))


def test_a_single_image_is_refused(tmp_path: Path) -> None:
    Image.fromarray(numbered(9)).save(tmp_path / "photo.jpg")
    with pytest.raises(FacemaskError, match=r"photo\.jpg is a single image, not a video"):
        list(VideoSource(str(tmp_path / "photo.jpg")).frames(threading.Event()))


@pytest.mark.skipif(sys.platform != "linux", reason="where cameras are files")
def test_a_camera_that_is_not_there_is_named() -> None:
    with pytest.raises(FacemaskError, match=r"camera 99 \(/dev/video99\) does not exist"):
        VideoSource("99")


def test_a_stream_that_cannot_be_reached_is_named_without_its_password() -> None:
    for address in ("http://eve:s3@cret@127.0.0.1:9/live?key=hidden", "rtsp://eve:s3cret@127.0.0.1:9/live"):
        with pytest.raises(FacemaskError, match=r"://127\.0\.0\.1:9/live cannot be reached") as caught:
            VideoSource(address)
        assert not any(secret in str(caught.value) for secret in ("eve", "s3", "cret", "hidden"))


def test_a_stream_without_video_is_refused() -> None:
    with network_camera([]) as address, pytest.raises(FacemaskError, match="cannot be reached or sends no video"):
        VideoSource(f"{address}/nothing")


@pytest.mark.slow
def test_a_network_camera_is_live_and_its_end_is_reported() -> None:
    with network_camera([numbered(i) for i in range(20)]) as address:
        source = VideoSource(f"{address}/camera")
        assert (source.live, source.seconds) == (True, None)
        numbers, times, said = read_until_lost(f"{address}/camera")
    assert numbers[0] == 0
    assert numbers[-1] == 19
    assert len(numbers) > 10
    assert numbers == sorted(set(numbers))
    assert 1.0 < times[-1] < 3.0
    assert said == f"{address}/camera stopped sending frames"


@pytest.mark.slow
def test_who_is_slow_skips_pictures_of_a_live_source_and_does_not_lag() -> None:
    started = time.monotonic()
    with network_camera([numbered(i) for i in range(30)], rate=30) as address:
        numbers, _, _ = read_until_lost(f"{address}/camera", pause=0.25)
    assert len(numbers) < 10
    assert max(np.diff(numbers)) >= 4
    assert numbers[-1] == 29
    assert time.monotonic() - started < 4


@pytest.mark.slow
def test_broken_pictures_of_a_stream_are_passed_over() -> None:
    pictures = [b"no jpeg" * 20 if i in (5, 6, 7) else numbered(i) for i in range(20)]
    with network_camera(pictures) as address:
        numbers, _, _ = read_until_lost(f"{address}/camera")
    assert numbers[-1] == 19


@pytest.mark.slow
def test_waiting_for_a_camera_that_hangs_ends_at_once_when_told() -> None:
    stop = threading.Event()
    with network_camera([numbered(i) for i in range(5)], then_hang=True) as address:
        threading.Timer(2.0, stop.set).start()
        started = time.monotonic()
        seen = [number_of(frame.image) for frame in VideoSource(f"{address}/camera").frames(stop)]
    assert seen[-1] == 4
    assert time.monotonic() - started < 5


@pytest.mark.slow
def test_a_camera_that_hangs_is_given_up_after_ten_seconds() -> None:
    started = time.monotonic()
    with (
        network_camera([numbered(i) for i in range(5)], then_hang=True) as address,
        pytest.raises(SourceLost, match="stopped sending frames"),
    ):
        list(VideoSource(f"{address}/camera").frames(threading.Event()))
    assert 9 < time.monotonic() - started < 16


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
@pytest.mark.parametrize(("height", "width"), [(240, 320), (480, 270)])
def test_a_written_video_has_all_pictures_and_their_size(tmp_path: Path, ending: str, height: int, width: int) -> None:
    path = tmp_path / f"new{ending}"
    with write_video(path, 29.97, height, width) as video:
        for i in range(25):
            video.write(numbered(i, height, width))
        assert not path.exists()
    pictures = read_video(path)
    assert [number_of(picture) for picture in pictures] == list(range(25))
    assert {picture.shape for picture in pictures} == {(height, width, 3)}
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_of_another_size_is_stretched_not_lost(tmp_path: Path) -> None:
    with write_video(tmp_path / "new.mp4", 15, HEIGHT, WIDTH) as video:
        video.write(numbered(3))
        video.write(numbered(5, 100, 80), times=3)
    assert [number_of(picture) for picture in read_video(tmp_path / "new.mp4")] == [3, 5, 5, 5]


def test_a_video_that_fails_midway_leaves_what_was_there(tmp_path: Path, clip: Path) -> None:
    before = clip.read_bytes()
    with pytest.raises(cv2.error), write_video(clip, 15, HEIGHT, WIDTH) as video:
        video.write(np.zeros((0, 0, 3), np.uint8))
    assert clip.read_bytes() == before
    assert list(tmp_path.iterdir()) == [clip]


@pytest.mark.skipif(sys.platform == "win32", reason="a process' files can't be kept small there")
def test_an_incompletely_written_video_is_reported(tmp_path: Path) -> None:
    script = (
        "import resource, sys, numpy; from pathlib import Path\n"
        "from facemask.inference.video.capture import write_video\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); rng = numpy.random.default_rng(1)\n"
        "with write_video(Path(sys.argv[1]), 15, 240, 320) as video:\n"
        "    for _ in range(30): video.write(rng.integers(0, 256, (240, 320, 3), dtype=numpy.uint8))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "new.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "new.mp4 was not written completely; is the disk full?" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(FacemaskError, match=r"new\.mp4 cannot be written"),
        write_video(tmp_path / "file" / "new.mp4", 15, HEIGHT, WIDTH),
    ):
        pass


def test_opencv_and_ffmpeg_say_nothing_themselves(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mp4", [numbered(i) for i in range(30)])
    content = bytearray(clip.read_bytes())
    content[3000:4000] = np.random.default_rng(1).bytes(1000)
    clip.write_bytes(content)
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    script = (
        "import sys, threading; from pathlib import Path; from contextlib import suppress\n"
        "from facemask.core.errors import FacemaskError\n"
        "from facemask.inference.video.capture import VideoSource, write_video\n"
        "for name in sys.argv[2:]:\n"
        "    with suppress(FacemaskError): list(VideoSource(name).frames(threading.Event()))\n"
        "for ending in ('mp4', 'webm'):\n"
        "    with write_video(Path(sys.argv[1], 'new.' + ending), 15, 240, 320): pass\n"
    )
    sources = [str(clip), str(tmp_path / "text.mp4"), "99", "http://127.0.0.1:9/live"]
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, *sources], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
