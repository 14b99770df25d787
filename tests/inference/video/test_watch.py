"""`facemask watch`: counts, a marked video or a window; honest ends; and nothing stored unless asked."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks.moving_faces import moving_faces
from facemask.core.errors import FacemaskError
from facemask.faces.defaults import MIN_SCORE
from facemask.faces.detector import Box, FaceDetector, write_detector
from facemask.inference.predictor import Classifier
from facemask.inference.video.frame import SourceLost
from facemask.inference.video.people import OUTCOMES, Counts
from facemask.inference.video.source import VideoSource
from facemask.inference.video.watch import Watcher, describe, watch_video
from tests.videos import RATE, Picture, damage, network_camera, numbered, read_video, save_animation, save_video, shown

pytestmark = pytest.mark.slow  # encodes and watches videos

SECONDS = 2


@pytest.fixture(scope="module")
def models(small_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export folder with an untrained classifier and the face detector."""
    folder = tmp_path_factory.mktemp("models") / "export"
    shutil.copytree(small_export, folder)
    write_detector(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of two faces."""
    return save_video(tmp_path_factory.mktemp("clips") / "two.mp4", moving_faces(SECONDS * RATE, faces=2))


def totals(counts: Counts) -> tuple[int, int]:
    """Number of faces in view and of people seen."""
    assert tuple(counts.in_view) == tuple(counts.seen) == OUTCOMES
    return sum(counts.in_view.values()), sum(counts.seen.values())


def watch(
    models: Path, source: str | Path, every: int = 1, interval: float = 1.0, output: Path | None = None
) -> tuple[list[Counts], str]:
    """Watch to the end; return the counts, and what was said if the source was lost."""
    watcher = Watcher(FaceDetector(models), Classifier(models))
    counts = []
    try:
        for now in watch_video(VideoSource(str(source), every), watcher, threading.Event(), interval, output):
            counts.append(now)  # noqa: PERF402 - those before the end count too
    except SourceLost as lost:
        return counts, str(lost)
    return counts, ""


def command(models: Path, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "facemask", "watch", "--model", str(models), *map(str, arguments)]


def run(models: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(models, *arguments), capture_output=True, text=True, check=False)


def read_line(line: str) -> Counts:
    counts = json.loads(line)
    assert list(counts) == ["time", "in_view", "seen"]
    return Counts(**counts)


def test_the_faces_in_view_and_the_people_seen_are_counted_in_every_interval(models: Path, clip: Path) -> None:
    counts, lost = watch(models, clip, interval=0.5)
    assert [now.time for now in counts] == pytest.approx([0.5, 1.0, 1.5, 29 / RATE], abs=1 / RATE)
    assert {totals(now) for now in counts} == {(2, 2)}
    assert lost == ""


def test_faces_are_detected_at_most_ten_times_per_second(models: Path, tmp_path: Path) -> None:
    class Counting(FaceDetector):
        looks = 0

        def detect(self, image: Picture, min_score: float = MIN_SCORE) -> list[Box]:
            self.looks += 1
            return super().detect(image, min_score)

    for rate, looks in ((5, 5), (30, 10)):
        detector = Counting(models)
        source = VideoSource(str(save_video(tmp_path / "clip.mp4", moving_faces(rate, faces=1), rate)))
        list(watch_video(source, Watcher(detector, Classifier(models)), threading.Event()))
        assert detector.looks == looks


def test_people_who_left_are_still_counted_as_seen(models: Path, tmp_path: Path) -> None:
    pictures = [*moving_faces(15, faces=2), *moving_faces(30, faces=0), *moving_faces(15, faces=1)]
    counts, _ = watch(models, save_video(tmp_path / "clip.mp4", pictures))
    assert [totals(now) for now in counts] == [(2, 2), (0, 2), (0, 2), (1, 3)]


def test_people_who_move_are_followed_at_three_frames_per_second(models: Path, tmp_path: Path) -> None:
    pictures = [moving_faces(45, faces=2)[5 * i % 45] for i in range(30)]
    counts, _ = watch(models, save_video(tmp_path / "clip.mp4", pictures, rate=3))
    assert totals(counts[-1]) == (2, 2)


def test_a_video_with_nobody_counts_nobody(models: Path, tmp_path: Path) -> None:
    counts, _ = watch(models, save_video(tmp_path / "empty.mp4", moving_faces(10, faces=0)))
    assert [(now.time, totals(now)) for now in counts] == [(0.6, (0, 0))]


def test_of_every_third_picture_the_counts_are_the_same(models: Path, clip: Path) -> None:
    counts, _ = watch(models, clip, every=3)
    assert (counts[-1].time, totals(counts[-1])) == (1.8, (2, 2))


def places_marked(before: Picture, after: Picture) -> list[bool]:
    """Whether something was drawn at the left and at the middle face, and where there is none."""
    changed = np.abs(after.astype(int) - before).max(axis=2) > 60
    return [bool(changed[:, first:last].any()) for first, last in ((0, 210), (230, 400), (500, 640))]


def test_the_marked_video_has_every_picture_with_marks_at_the_faces(models: Path, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "marked.mp4"
    watch(models, clip, output=output)
    before, after = read_video(clip), read_video(output)
    assert len(after) == len(before) == SECONDS * RATE
    assert {picture.shape for picture in after} == {before[0].shape}
    assert shown(output) == (pytest.approx([i / RATE for i in range(SECONDS * RATE)]), pytest.approx(SECONDS))
    assert places_marked(before[0], after[0]) == [False, False, False]
    assert places_marked(before[25], after[25]) == [True, True, False]
    assert list(tmp_path.iterdir()) == [output]


def test_the_video_that_is_read_is_not_overwritten(models: Path, clip: Path, tmp_path: Path) -> None:
    before = clip.read_bytes()
    (tmp_path / "link.mp4").symlink_to(clip)
    with pytest.raises(FacemaskError, match="is the input; choose another file with --output"):
        watch(models, tmp_path / "link.mp4", output=clip)
    assert clip.read_bytes() == before


def test_a_video_of_another_kind_than_can_be_written_is_refused(models: Path, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"marked\.mpg .*; name a file that ends in \.mp4, \.mov, \.mkv or \.webm"):
        watch(models, clip, output=tmp_path / "marked.mpg")


def test_a_stream_that_stops_is_reported_and_its_video_keeps_its_speed(models: Path, tmp_path: Path) -> None:
    with network_camera(moving_faces(45, faces=2)) as address:
        counts, lost = watch(models, f"{address}/camera", output=tmp_path / "marked.mp4")
    assert lost == f"{address}/camera stopped sending frames"
    assert totals(counts[-1]) == (2, 2)
    seconds = VideoSource(str(tmp_path / "marked.mp4")).seconds
    assert seconds == pytest.approx(counts[-1].time, abs=0.2)
    assert seconds == pytest.approx(3.0, abs=1.0)


def test_a_video_on_a_server_is_watched_like_a_file(models: Path, clip: Path) -> None:
    with network_camera(
        [], video=save_video(clip.with_suffix(".avi"), moving_faces(30, faces=1)).read_bytes()
    ) as address:
        counts, lost = watch(models, f"{address}/clip.mp4")
    assert lost == ""
    assert (counts[-1].time, totals(counts[-1])) == (pytest.approx(29 / RATE, abs=0.01), (1, 1))


def test_the_command_prints_counts_and_stores_nothing_unless_asked(models: Path, clip: Path, tmp_path: Path) -> None:
    home, work, scratch = (tmp_path / name for name in ("home", "work", "tmp"))
    for folder in (home, work, scratch):
        folder.mkdir()
    places = {"HOME": home, "USERPROFILE": home, "XDG_CACHE_HOME": home, "TMPDIR": scratch, "TEMP": scratch}
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), **{name: str(path) for name, path in places.items()}}
    printed = []
    for arguments in ([], ["--json"]):
        ask = command(models, clip, *arguments)
        done = subprocess.run(ask, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        printed.append(done.stdout.splitlines())
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
    plain, lines = printed
    assert [line.split(": ")[0] for line in plain] == ["1.0 of 2.0 s", "1.9 of 2.0 s"]
    named = f"[12] (?:{'|'.join(OUTCOMES)})"
    assert all(re.search(rf"in view {named}(, {named})?; seen {named}(, {named})?$", line) for line in plain)
    assert [totals(read_line(line)) for line in lines] == [(2, 2), (2, 2)]


def test_the_help_says_that_nothing_is_stored(models: Path) -> None:
    said = " ".join(run(models, "--help").stdout.split())
    assert "Nothing is stored or sent" in said
    assert "only --output writes a file" in said


@pytest.mark.parametrize("missing", ["clip", "models"])
def test_missing_models_and_videos_are_reported_in_one_line(
    models: Path, clip: Path, tmp_path: Path, missing: str
) -> None:
    done = run(tmp_path / "export", clip) if missing == "models" else run(models, tmp_path / "none.mp4")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert ("dvc repro" if missing == "models" else "none.mp4 is missing") in done.stderr


def test_a_video_that_is_cut_off_gives_counts_and_marks_up_to_there_and_code_3(models: Path, tmp_path: Path) -> None:
    cut = save_video(tmp_path / "cut.avi", moving_faces(60, faces=1))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    done = run(models, cut, "--json", "--output", tmp_path / "marked.mp4")
    assert done.returncode == 3
    assert re.fullmatch(r"error: .*cut\.avi can be read up to second .* of 4\.0; .*\n", done.stderr)
    assert totals(read_line(done.stdout.splitlines()[-1])) == (1, 1)
    assert 20 < len(read_video(tmp_path / "marked.mp4")) < 40


def test_a_damaged_video_gives_counts_of_the_rest_and_code_3(models: Path, tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mp4", moving_faces(60, faces=1), keyframes=5)
    done = run(models, damage(clip, length=clip.stat().st_size // 10), "--json")
    assert done.returncode == 3
    assert re.fullmatch(r"error: .*clip\.mp4 is damaged, first near second [12]\.\d; .*\n", done.stderr)
    last = read_line(done.stdout.splitlines()[-1])
    assert (last.time, totals(last)[0]) == (pytest.approx(59 / RATE, abs=0.01), 1)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm"])
def test_a_video_shorter_than_its_sound_ends_with_code_0(models: Path, tmp_path: Path, name: str) -> None:
    clip = save_video(tmp_path / name, [numbered(i, 48, 64) for i in range(30)], sound=8.0)
    done = run(models, clip)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("1.9 of 2.0 s: ")


@pytest.mark.parametrize("rate", [0.5, 240.12])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_length_and_speed_are_kept_at_any_rate(models: Path, tmp_path: Path, rate: float, suffix: str) -> None:
    clip = save_video(tmp_path / "clip.mp4", [numbered(i, 48, 64) for i in range(30)], rate)
    counts, lost = watch(models, clip, output=tmp_path / f"marked{suffix}")
    assert lost == ""
    assert counts[-1].time == pytest.approx(29 / rate, abs=0.001)
    times, _ = shown(tmp_path / f"marked{suffix}")
    assert times == pytest.approx([i / rate for i in range(30)], abs=0.001)
    assert VideoSource(str(tmp_path / f"marked{suffix}")).seconds == pytest.approx(30 / rate, abs=0.001)


def test_a_video_of_variable_rate_stays_one(models: Path, tmp_path: Path) -> None:
    times = list(np.cumsum([0.0, *(0.3 if i % 4 else 0.04 for i in range(29))]))
    clip = save_video(tmp_path / "clip.mp4", [numbered(i, 48, 64) for i in range(30)], times=times)
    for every in (1, 5):
        counts, lost = watch(models, clip, every=every, output=tmp_path / "marked.mp4")
        assert (counts[-1].time, lost) == (pytest.approx(times[::every][-1], abs=0.001), "")
        assert shown(tmp_path / "marked.mp4")[0] == pytest.approx(times[::every], abs=0.001)


def test_a_length_that_the_video_has_passed_is_not_shown() -> None:
    counts = Counts(9.1, dict.fromkeys(OUTCOMES, 0), dict.fromkeys(OUTCOMES, 0))
    assert describe(counts, 9.2).startswith("9.1 of 9.2 s: ")
    assert describe(counts, 5.1).startswith("9.1 s: ")
    assert describe(counts, None).startswith("9.1 s: ")


def test_a_gif_is_watched_to_its_end_and_its_last_frame_is_held(models: Path, tmp_path: Path) -> None:
    clip = save_animation(tmp_path / "clip.gif", [numbered(i, 48, 64) for i in range(10)], last=5.0)
    done = run(models, clip, "--output", tmp_path / "marked.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("0.9 of 5.9 s: ")
    assert shown(tmp_path / "marked.mp4")[1] == pytest.approx(5.9, abs=0.001)


def test_a_photograph_is_sent_to_predict_in_one_line(models: Path, tmp_path: Path) -> None:
    Image.fromarray(moving_faces(1, faces=1)[0]).save(tmp_path / "photo.jpg")
    done = run(models, tmp_path / "photo.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path / 'photo.jpg'} is a photograph, not a video: use `facemask predict`\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_termination_print_the_last_counts_and_keep_the_video(
    models: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    output = tmp_path / "marked.mp4"
    with network_camera(moving_faces(20, faces=2), then_hang=True) as address:
        ask = command(models, f"{address}/camera", "--json", "--output", output, "--interval", "0.5")
        process = subprocess.Popen(ask, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (code, "")
    assert read_line(rest.splitlines()[-1]).time >= read_line(first).time > 0
    assert len(read_video(output)) > 5


def test_who_reads_no_further_gets_no_traceback(models: Path, clip: Path) -> None:
    ask = command(models, clip, "--interval", "0.05")
    process = subprocess.Popen(ask, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() != 0


@pytest.mark.skipif(bool(cv2.currentUIFramework()), reason="this OpenCV has windows")
def test_without_windows_show_says_what_to_install(models: Path, clip: Path) -> None:
    done = run(models, clip, "--show")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install opencv-python" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_help_loads_no_opencv_and_watching_no_tensorflow(models: Path, clip: Path) -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from facemask.cli.app import app\n"
        "assert CliRunner().invoke(app, ['watch', '--help']).exit_code == 0; print('cv2' in sys.modules)\n"
        "done = CliRunner().invoke(app, ['watch', sys.argv[1], '--model', sys.argv[2]]); print(done.exit_code)\n"
        "print('tensorflow' in sys.modules, 'pandas' in sys.modules)\n"
    )
    ask = [sys.executable, "-c", script, str(clip), str(models)]
    done = subprocess.run(ask, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "0", "False", "False"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="memory is not told there")
def test_memory_does_not_grow_with_the_length_of_the_video(models: Path, tmp_path: Path) -> None:
    def peak(seconds: int) -> int:
        clip = save_video(tmp_path / f"{seconds}.mp4", moving_faces(90, faces=2) * (seconds // 6))
        process = subprocess.Popen(command(models, clip), stdout=subprocess.DEVNULL)
        return os.wait4(process.pid, 0)[2].ru_maxrss

    megabyte = 1024 if sys.platform == "linux" else 2**20
    assert abs(peak(24) - peak(6)) < 15 * megabyte
