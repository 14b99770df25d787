"""Reading video files: every frame with its own time, upright, whatever the container says."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest

from facemask.inference.video.frame import Frame, SourceLost
from facemask.inference.video.source import VideoSource
from tests.videos import Picture, damage, number_of, numbered, save_animation, save_video, textured

RATE = 15
HEIGHT, WIDTH = 48, 64


def small(count: int) -> list[Picture]:
    """Pictures that `number_of` tells apart."""
    return [numbered(i, HEIGHT, WIDTH) for i in range(count)]


def read(path: Path, every: int = 1) -> tuple[VideoSource, list[Frame]]:
    """Read a file to its end, without an error."""
    source = VideoSource(str(path), every)
    return source, list(source.frames(threading.Event()))


def read_until_lost(path: Path) -> tuple[list[Frame], str]:
    """Read a file to its end, and return what was said then."""
    frames = []
    try:
        for frame in VideoSource(str(path)).frames(threading.Event()):
            frames.append(frame)  # noqa: PERF402 - those before the error count
    except SourceLost as lost:
        return frames, str(lost)
    pytest.fail(f"{path} counts as whole")


def times(frames: list[Frame]) -> list[float]:
    return [frame.time for frame in frames]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".flv"])
def test_every_frame_of_a_file_comes_in_order_with_its_time(tmp_path: Path, suffix: str) -> None:
    source, frames = read(save_video(tmp_path / f"clip{suffix}", small(30)))
    assert [number_of(frame.image) for frame in frames] == list(range(30))
    assert times(frames) == pytest.approx([i / RATE for i in range(30)], abs=0.002)
    assert (source.live, source.height, source.width) == (False, HEIGHT, WIDTH)
    assert source.seconds == pytest.approx(2.0, abs=0.01)
    assert source.end == pytest.approx(2.0, abs=0.01)


def test_of_every_fourth_frame_the_numbers_the_times_and_the_end_are_right(tmp_path: Path) -> None:
    source, frames = read(save_video(tmp_path / "clip.mp4", small(30)), every=4)
    assert [number_of(frame.image) for frame in frames] == list(range(0, 30, 4))
    assert times(frames) == pytest.approx([i / RATE for i in range(0, 30, 4)], abs=0.002)
    assert source.rate == RATE / 4
    assert source.end == pytest.approx(2.0, abs=0.002)


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4"])
def test_a_film_that_ends_before_its_sound_is_whole(tmp_path: Path, suffix: str) -> None:
    source, frames = read(save_video(tmp_path / f"clip{suffix}", small(30), sound=5.0))
    assert len(frames) == 30
    assert source.seconds == pytest.approx(2.0, abs=0.01)


def test_a_gif_whose_last_frame_is_held_is_whole(tmp_path: Path) -> None:
    source, frames = read(save_animation(tmp_path / "clip.gif", small(10), last=5.0))
    assert times(frames) == pytest.approx([i / 10 for i in range(10)])
    assert (source.seconds, source.end) == pytest.approx((5.9, 5.9))


@pytest.mark.parametrize("every", [1, 5])
def test_a_video_of_variable_rate_has_its_own_times_and_is_whole(tmp_path: Path, every: int) -> None:
    own = list(np.cumsum([0.3 if i % 4 else 0.04 for i in range(30)]))
    source, frames = read(save_video(tmp_path / "clip.mp4", small(30), times=own), every)
    assert times(frames) == pytest.approx([time - own[0] for time in own[::every]], abs=0.001)
    assert source.seconds == pytest.approx(own[-1] - own[0], abs=0.4)


@pytest.mark.parametrize(("rate", "count"), [(0.5, 20), (240.12, 120), (1000.0, 200)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_very_low_and_high_rates_are_kept(tmp_path: Path, rate: float, count: int, suffix: str) -> None:
    source, frames = read(save_video(tmp_path / f"clip{suffix}", textured(count), rate))
    assert source.rate == pytest.approx(rate, rel=0.001)
    assert times(frames) == pytest.approx([i / rate for i in range(count)], abs=0.001)
    assert source.seconds == pytest.approx(count / rate, abs=0.002)


def test_a_video_that_does_not_begin_at_zero_begins_at_zero(tmp_path: Path) -> None:
    for name in ("clip.mkv", "clip.mp4", "clip.ts"):
        source, frames = read(save_video(tmp_path / name, small(30), times=[7 + i / RATE for i in range(30)]))
        assert times(frames) == pytest.approx([i / RATE for i in range(30)], abs=0.002)
        assert source.seconds == pytest.approx(2.0, abs=0.1)


def test_frames_with_the_same_time_follow_each_other(tmp_path: Path) -> None:
    # Matroska counts milliseconds: of 2,000 frames per second, two have the same.
    _, frames = read(save_video(tmp_path / "clip.mkv", textured(100), 2000))
    assert len(frames) == 100
    assert all(np.diff(times(frames)) > 0)
    assert times(frames) == pytest.approx([i / 2000 for i in range(100)], abs=0.001)


def test_a_stream_without_times_has_those_of_its_rate(tmp_path: Path) -> None:
    source, frames = read(save_video(tmp_path / "clip.h264", textured(25)))
    assert source.seconds is None
    assert times(frames) == pytest.approx([i / source.rate for i in range(25)])


@pytest.mark.parametrize(("before", "after"), [(20, 0), (0, 3000)])
def test_joined_recordings_with_other_clocks_go_on(tmp_path: Path, before: float, after: float) -> None:
    first = save_video(tmp_path / "first.ts", small(15), times=[before + i / RATE for i in range(15)]).read_bytes()
    second = save_video(tmp_path / "second.ts", small(15), times=[after + i / RATE for i in range(15)]).read_bytes()
    (tmp_path / "joined.ts").write_bytes(first + second)
    _, frames = read(tmp_path / "joined.ts")
    assert [number_of(frame.image) for frame in frames] == [*range(15), *range(15)]
    assert times(frames) == pytest.approx([i / RATE for i in range(30)], abs=0.05)


def test_a_header_that_claims_another_length_is_not_believed(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mkv", small(30))
    content = clip.read_bytes()
    assert content.count(b"00:00:02.000") == 1
    clip.write_bytes(content.replace(b"00:00:02.000", b"00:00:09.000"))
    source, frames = read(clip)
    assert (source.seconds, source.end) == pytest.approx((9.0, 2.0), abs=0.01)
    assert len(frames) == 30


def test_images_are_rgb(tmp_path: Path) -> None:
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 200
    for name in ("red.avi", "red.mp4"):
        _, frames = read(save_video(tmp_path / name, [red] * 3))
        assert frames[0].image.dtype == np.uint8
        assert frames[0].image.flags.c_contiguous
        assert frames[0].image.mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=6)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_a_rotated_video_is_turned_upright(tmp_path: Path, rotation: int) -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[: HEIGHT // 2, : WIDTH // 2] = 200
    source, frames = read(save_video(tmp_path / "phone.mp4", [picture] * 3, rotation=rotation))
    upright = np.rot90(picture, rotation // 90)
    assert (source.height, source.width) == upright.shape[:2]
    assert np.abs(frames[0].image.astype(int) - upright).mean() < 5


def test_reading_stops_when_told(tmp_path: Path) -> None:
    stop = threading.Event()
    seen = []
    for frame in VideoSource(str(save_video(tmp_path / "clip.mp4", small(30)))).frames(stop):
        seen.append(number_of(frame.image))
        if len(seen) == 5:
            stop.set()
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv", "clip.webm", "clip.ts", "clip.gif"])
def test_what_is_damaged_in_the_middle_is_skipped_and_reported_at_the_end(tmp_path: Path, name: str) -> None:
    pictures, path = textured(60), tmp_path / name
    if path.suffix == ".gif":
        save_animation(path, pictures)
    else:
        save_video(path, pictures, keyframes=10)
    damage(path, length=path.stat().st_size // 10)
    frames, said = read_until_lost(path)
    assert re.search(rf"{name} (is damaged|can be read up to second)", said)
    assert 20 < len(frames) <= 60
    assert all(np.diff(times(frames)) > 0)


def test_a_recording_that_begins_before_its_first_key_frame_is_not_damaged(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.ts", textured(45), keyframes=15)
    content = clip.read_bytes()
    # A receiver that was switched on late gets the tables of programs again, and the rest of a group of pictures.
    clip.write_bytes(content[: 3 * 188] + content[8 * 188 :])
    _, frames = read(clip)
    assert len(frames) > 25
