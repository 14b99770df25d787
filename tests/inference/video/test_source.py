"""Sources of video: what is one and what is not, and streams that are complete, broken, slow and missing."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemask.core.errors import FacemaskError
from facemask.inference.video.frame import SourceLost
from facemask.inference.video.source import VideoSource
from tests.videos import damage, network_camera, number_of, numbered, save_animation, save_sound, save_video, textured

PHOTOGRAPH = "is a photograph, not a video: use `facemask predict`"
STILLS = ("jpg", "png", "webp", "tiff", "bmp", "gif", "avif", "jp2", "ppm", "ico", "tga", "pcx", "qoi")


def refusal(path: Path) -> str:
    """What is said of a file that is no video, after its name."""
    with pytest.raises(FacemaskError) as caught:
        VideoSource(str(path))
    assert not isinstance(caught.value, SourceLost)
    name, said = str(caught.value).split(" ", 1)
    assert name == str(path)
    return said


def numbers(source: str) -> list[int]:
    return [number_of(frame.image) for frame in VideoSource(source).frames(threading.Event())]


def read_until_lost(source: str, pause: float = 0.0) -> tuple[list[int], list[float], str]:
    """Numbers and times of the frames that came, with a pause after each, and what was said at the end."""
    seen, times = [], []
    try:
        for frame in VideoSource(source).frames(threading.Event()):
            seen.append(number_of(frame.image))
            times.append(frame.time)
            time.sleep(pause)
    except SourceLost as lost:
        return seen, times, str(lost)
    pytest.fail(f"{source} was not lost")


@pytest.mark.parametrize("suffix", STILLS)
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (1200, 900)])
def test_a_photograph_is_called_one(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (90, 140, 40)).save(tmp_path / f"picture.{suffix}")
    assert refusal(tmp_path / f"picture.{suffix}") == PHOTOGRAPH


def test_a_photograph_is_known_by_its_content(tmp_path: Path) -> None:
    for layout in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        for name in ("picture", "clip.mp4"):
            Image.fromarray(numbered(9)).save(tmp_path / name, layout)
            assert refusal(tmp_path / name) == PHOTOGRAPH


def test_a_photograph_larger_than_pillow_opens_is_called_one(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "large.png")
    assert refusal(tmp_path / "large.png") == PHOTOGRAPH


def test_a_photograph_of_several_pictures_is_called_one(tmp_path: Path) -> None:
    for name, layout in (("phone.jpg", "MPO"), ("phone", "MPO"), ("pages.tiff", "TIFF")):
        first, *rest = [Image.fromarray(picture) for picture in textured(3)]
        first.save(tmp_path / name, layout, save_all=True, append_images=rest)
        assert refusal(tmp_path / name) == PHOTOGRAPH


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"avif"])
def test_a_photograph_of_an_iphone_is_called_one(tmp_path: Path, brand: bytes) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(500))
    assert refusal(tmp_path / "IMG_1.HEIC") == PHOTOGRAPH


@pytest.mark.parametrize("name", ["one.mp4", "one.mkv", "one.webm", "one.avi"])
def test_a_film_of_one_frame_is_refused(tmp_path: Path, name: str) -> None:
    said = refusal(save_video(tmp_path / name, textured(1)))
    assert said.startswith("has a single frame, in which nobody can be followed: ")
    assert said.endswith("use `facemask predict`")


@pytest.mark.parametrize("name", ["notes.txt", "notes", "notes.mp4", "list.csv", "art.nfo", "titles.srt", "clip.m3u"])
@pytest.mark.parametrize("lines", [1, 20_000])
def test_a_text_file_is_called_one(tmp_path: Path, name: str, lines: int) -> None:
    line = "1\n00:00:01,000 --> 00:00:02,000\nGrüße\n\n" if name.endswith("srt") else "Maße, 1, 2\n"
    (tmp_path / name).write_text(line * lines, encoding="utf-8")
    assert refusal(tmp_path / name).startswith("is a text file, not a video: name a video file")


def test_a_file_with_only_sound_is_called_so(tmp_path: Path) -> None:
    for name in ("sound.m4a", "sound.mp4", "sound.mkv"):
        assert refusal(save_sound(tmp_path / name)) == "has sound, but no video: name a file with a video"


def test_an_animated_webp_is_called_so(tmp_path: Path) -> None:
    save_animation(tmp_path / "clip.webp", textured(3))
    assert "is an animated WebP, which FFmpeg cannot decode: convert it to .gif or .mp4" in refusal(
        tmp_path / "clip.webp"
    )


def test_what_is_no_file_or_empty_or_unknown_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(50_000))
    assert refusal(tmp_path / "empty.mp4") == "is empty: copy or record it again"
    assert refusal(tmp_path / "noise.mp4").startswith("is not a video, or its beginning is damaged: name a video file")
    assert refusal(tmp_path / "missing.mp4").startswith(
        "is missing: name a video file, a camera number, or the address"
    )
    assert refusal(tmp_path).startswith("is a folder: name one video file in it, or use `facemask predict`")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be read there")
def test_a_file_that_may_not_be_read_is_called_so(tmp_path: Path) -> None:
    save_video(tmp_path / "clip.mp4", textured(2)).chmod(0)
    assert "for lack of permission: change its permissions" in refusal(tmp_path / "clip.mp4")


@pytest.mark.parametrize("name", ["clip.gif", "clip.png", "clip.avif"])
def test_an_animated_picture_is_a_video(tmp_path: Path, name: str) -> None:
    save_animation(tmp_path / name, [numbered(i) for i in range(0, 20, 2)])
    assert numbers(str(tmp_path / name)) == list(range(0, 20, 2))


@pytest.mark.parametrize(
    "name", ["2024", "0", "rtsp:clip", "a:b.mp4", "100%d.mp4", "-clip.mp4", "Maße ü.mp4", "clip.jpg"]
)
def test_a_file_is_read_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    save_video(tmp_path / "clip.mp4", [numbered(i) for i in range(10)]).rename(tmp_path / name)
    source = VideoSource(name)
    assert (source.name, source.live) == (name, False)
    assert numbers(name) == list(range(10))
    assert source.reads(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders there")
def test_a_pipe_is_read(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mkv", [numbered(i) for i in range(10)])
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(clip.read_bytes()), daemon=True).start()
    assert numbers(str(tmp_path / "pipe")) == list(range(10))


def test_a_stream_that_cannot_be_reached_is_named_without_its_password() -> None:
    for address in ("http://eve:s3@cret@127.0.0.1:9/live?key=hidden", "rtsp://eve:s3cret@127.0.0.1:9/live"):
        with pytest.raises(FacemaskError, match=r"://127\.0\.0\.1:9/live cannot be reached") as caught:
            VideoSource(address)
        assert not any(secret in str(caught.value) for secret in ("eve", "s3", "cret", "hidden"))


@pytest.mark.slow
def test_a_stream_without_video_is_refused() -> None:
    with network_camera([]) as address, pytest.raises(FacemaskError, match="cannot be reached or sends no video"):
        VideoSource(f"{address}/nothing")


@pytest.mark.slow
def test_a_network_camera_is_live_and_its_end_is_reported() -> None:
    with network_camera([numbered(i) for i in range(20)]) as address:
        source = VideoSource(f"{address}/camera")
        assert (source.live, source.seconds) == (True, None)
        seen, times, said = read_until_lost(f"{address}/camera")
    assert (seen[0], seen[-1]) == (0, 19)
    assert len(seen) > 10
    assert seen == sorted(set(seen))
    assert 1.0 < times[-1] < 3.0
    assert said == f"{address}/camera stopped sending frames"


@pytest.mark.slow
def test_who_is_slow_skips_pictures_of_a_live_source_and_does_not_lag() -> None:
    started = time.monotonic()
    with network_camera([numbered(i) for i in range(30)], rate=30) as address:
        seen, _, _ = read_until_lost(f"{address}/camera", pause=0.25)
    assert len(seen) < 10
    assert max(np.diff(seen)) >= 4
    assert seen[-1] == 29
    assert time.monotonic() - started < 4


@pytest.mark.slow
def test_broken_pictures_of_a_stream_are_passed_over() -> None:
    pictures = [b"no jpeg" * 20 if i in (5, 6, 7) else numbered(i) for i in range(20)]
    with network_camera(pictures) as address:
        seen, _, _ = read_until_lost(f"{address}/camera")
    assert seen[-1] == 19


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


@pytest.mark.slow
def test_a_video_on_a_server_is_read_like_a_file(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mp4", [numbered(i) for i in range(30)], sound=4.0)
    with network_camera([], video=clip.read_bytes()) as address:
        assert numbers(f"{address}/clip.mp4") == list(range(30))


@pytest.mark.slow
def test_opencv_and_ffmpeg_say_nothing_themselves(tmp_path: Path) -> None:
    clip = damage(save_video(tmp_path / "clip.mp4", [numbered(i) for i in range(30)]))
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    script = (
        "import sys, threading; from pathlib import Path; from contextlib import suppress\n"
        "from facemask.core.errors import FacemaskError\n"
        "from facemask.inference.video.encoder import write_video\n"
        "from facemask.inference.video.source import VideoSource\n"
        "for name in sys.argv[2:]:\n"
        "    with suppress(FacemaskError): list(VideoSource(name).frames(threading.Event()))\n"
        "for suffix in ('mp4', 'webm'):\n"
        "    with write_video(Path(sys.argv[1], 'new.' + suffix), 15, 240, 320): pass\n"
    )
    sources = [str(clip), str(tmp_path / "text.mp4"), "99", "http://127.0.0.1:9/live"]
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, *sources], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
