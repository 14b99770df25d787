"""Writing video: every frame at its own time, complete or not at all."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from facemask.core.errors import FacemaskError
from facemask.inference.video.encoder import CODECS, write_video
from tests.videos import number_of, numbered, read_video, shown


@pytest.mark.parametrize("suffix", list(CODECS))
@pytest.mark.parametrize(("height", "width"), [(48, 64), (96, 54)])
def test_a_written_video_has_all_pictures_and_their_size(tmp_path: Path, suffix: str, height: int, width: int) -> None:
    path = tmp_path / f"new{suffix}"
    with write_video(path, 29.97, height, width) as video:
        for i in range(25):
            video.write(numbered(i, height, width), i / 29.97)
        assert not path.exists()
    pictures = read_video(path)
    assert [number_of(picture) for picture in pictures] == list(range(25))
    assert {picture.shape for picture in pictures} == {(height, width, 3)}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "h264"), (".mov", "h264"), (".mkv", "h264"), (".webm", "vp9")])
def test_each_container_has_a_codec_that_browsers_play(tmp_path: Path, suffix: str, codec: str) -> None:
    with write_video(tmp_path / f"new{suffix}", 15, 48, 64) as video:
        video.write(numbered(3, 48, 64), 0.0)
    with av.open(str(tmp_path / f"new{suffix}")) as container:
        stream = container.streams.video[0].codec_context
        assert (stream.name, stream.pix_fmt) == (codec, "yuv420p")


@pytest.mark.parametrize("suffix", list(CODECS))
@pytest.mark.parametrize("step", [0.001, 1 / 240.12, 2.0, None])
def test_every_frame_has_its_own_time_and_the_last_one_lasts(tmp_path: Path, suffix: str, step: float | None) -> None:
    times = [i * step for i in range(20)] if step else [0.0, 0.3, 0.34, 1.0, 7.0, 7.01]
    with write_video(tmp_path / f"new{suffix}", 25, 48, 64) as video:
        for i, time in enumerate(times):
            video.write(numbered(i, 48, 64), time)
        video.show_last_until(times[-1] + 5)
    written, end = shown(tmp_path / f"new{suffix}")
    assert written == pytest.approx(times, abs=0.0006)
    with av.open(str(tmp_path / f"new{suffix}")) as container:
        assert container.duration
        assert container.duration / av.time_base == pytest.approx(times[-1] + 5, abs=0.002)
    if suffix in (".mp4", ".mov"):
        assert end == pytest.approx(times[-1] + 5, abs=0.002)


def test_colours_are_those_of_the_picture(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 200
    for suffix in (".mp4", ".webm"):
        with write_video(tmp_path / f"new{suffix}", 15, 48, 64) as video:
            video.write(red, 0.0)
        assert read_video(tmp_path / f"new{suffix}")[0].mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=6)


def test_an_odd_size_can_be_written(tmp_path: Path) -> None:
    for suffix, shape in ((".mp4", (48, 64, 3)), (".webm", (47, 63, 3))):
        with write_video(tmp_path / f"new{suffix}", 15, 47, 63) as video:
            video.write(numbered(3, 47, 63), 0.0)
        (picture,) = read_video(tmp_path / f"new{suffix}")
        assert (picture.shape, number_of(picture)) == (shape, 3)


def test_a_picture_of_another_size_is_stretched_not_lost(tmp_path: Path) -> None:
    with write_video(tmp_path / "new.mp4", 15, 48, 64) as video:
        video.write(numbered(3, 48, 64), 0.0)
        video.write(numbered(5, 100, 80), 0.1)
    assert [number_of(picture) for picture in read_video(tmp_path / "new.mp4")] == [3, 5]


def test_a_video_without_a_frame_is_a_file(tmp_path: Path) -> None:
    for suffix in CODECS:
        with write_video(tmp_path / f"new{suffix}", 15, 48, 64):
            pass
        assert (tmp_path / f"new{suffix}").is_file()


def test_a_video_that_fails_midway_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "new.mp4").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), write_video(tmp_path / "new.mp4", 15, 48, 64) as video:
        video.write(numbered(3, 48, 64), 1 / 0)
    assert (tmp_path / "new.mp4").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["new.mp4"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process' files can't be kept small there")
@pytest.mark.parametrize("suffix", list(CODECS))
def test_an_incompletely_written_video_is_reported(tmp_path: Path, suffix: str) -> None:
    script = (
        "import resource, sys, numpy; from pathlib import Path\n"
        "from facemask.inference.video.encoder import write_video\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); rng = numpy.random.default_rng(1)\n"
        "with write_video(Path(sys.argv[1]), 15, 240, 320) as video:\n"
        "    for i in range(10): video.write(rng.integers(0, 256, (240, 320, 3), dtype=numpy.uint8), i / 15)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / f"new{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"new{suffix} was not written completely; is the disk full?" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [1e-5, 0.5, 1000, 90_000, 1e6])
def test_any_mean_rate_will_do(tmp_path: Path, rate: float) -> None:
    for suffix in CODECS:
        with write_video(tmp_path / f"new{suffix}", rate, 48, 64) as video:
            for i in range(5):
                video.write(numbered(i, 48, 64), i / 10)
        assert shown(tmp_path / f"new{suffix}")[0] == pytest.approx([i / 10 for i in range(5)], abs=0.001)


def test_a_file_is_written_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a:b.mp4", "100%d.mp4", "Maße.MP4"):
        with write_video(Path(name), 15, 48, 64) as video:
            video.write(numbered(3, 48, 64), 0.0)
        assert len(read_video(tmp_path / name)) == 1


def test_an_unwritable_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(FacemaskError, match=r"new\.mp4 cannot be written"),
        write_video(tmp_path / "file" / "new.mp4", 15, 48, 64),
    ):
        pass


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(FacemaskError, match=r"new\.mpg .*; name a file that ends in \.mp4, \.mov, \.mkv or \.webm"),
        write_video(tmp_path / "new.mpg", 15, 48, 64),
    ):
        pass
