"""A training that is killed goes on from its last epoch, and ends as if nothing had happened."""

import random
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import yaml

from facemask.core.hashing import digest
from facemask.training.checkpoint import Checkpoint, fingerprint
from tests.training_project import (
    CALM,
    OUTS,
    ROOT,
    make_project,
    outs_of,
    start_training,
    train_there,
)

EPOCHS = 12
GOING_ON = "resuming an interrupted training"


def states(folder: Path) -> list[Path]:
    return sorted((folder / ".facemask/training").glob("*.npz"))


def kill(training: subprocess.Popen[str]) -> str:
    """Kill a training outright, unless it has ended by itself; return what it had printed."""
    training.kill()
    out, err = training.communicate()
    assert training.returncode in (0, -signal.SIGKILL), err
    return out


def kill_after(training: subprocess.Popen[str], epochs: int, delay: float) -> str:
    """Kill a training so many seconds after it has finished so many epochs; return what it had printed."""
    assert training.stdout is not None
    said = ""
    while said.count("val loss") < epochs and (line := training.stdout.readline()):
        said += line
    time.sleep(delay)
    return said + kill(training)


def until(training: subprocess.Popen[str], beginning: str) -> None:
    """Read what a training prints up to a line that begins so."""
    assert training.stdout is not None
    while not (line := training.stdout.readline()).startswith(beginning):
        assert line, training.communicate()[1]


@pytest.mark.slow
def test_a_training_stopped_in_every_way_ends_with_the_same_bytes_as_one_never_stopped(
    trained: Path, training_inputs: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project", training_inputs, **CALM)
    training = start_training(project)
    until(training, "epoch 1 of 4")
    training.send_signal(signal.SIGINT)
    _, said = training.communicate()
    assert training.returncode == 130
    assert not re.search("Traceback|KeyboardInterrupt|Exception ignored", said)

    training = start_training(project)
    until(training, GOING_ON)
    until(training, "epoch 2 of 4")
    kill(training)

    training = start_training(project)
    until(training, GOING_ON)
    until(training, "time:")  # the last line, before the outs are written
    kill(training)
    assert not (project / OUTS[-1]).exists()

    said = train_there(project)
    assert GOING_ON in said
    assert "epoch " not in said.replace("after epoch", "")
    assert outs_of(project) == outs_of(trained)
    assert not states(project)


@pytest.mark.nightly
def test_a_training_killed_at_any_moment_ends_with_the_same_bytes_as_one_never_killed(
    training_inputs: Path, tmp_path: Path
) -> None:
    rng = random.Random(1)
    whole = make_project(tmp_path / "whole", training_inputs, epochs=EPOCHS, patience=EPOCHS)
    started = time.monotonic()
    train_there(whole)
    duration = time.monotonic() - started

    killed = make_project(tmp_path / "killed", training_inputs, epochs=EPOCHS, patience=EPOCHS)
    finished: list[int] = []
    times_gone_on = 0
    # Most of so short a run is its start, so every other kill waits until it is learning.
    for epochs in (1, 0, 2, 0, 2, None):
        goes_on = bool(states(killed))
        if epochs is None:
            said = train_there(killed)
        else:
            delay = rng.uniform(0, 0.2 if epochs else duration)
            said = kill_after(start_training(killed), epochs, delay)
        if said:
            assert (GOING_ON in said) == goes_on
            times_gone_on += goes_on
        finished = finished if goes_on else []
        finished += [int(line.split()[1]) for line in said.splitlines() if line.startswith("epoch ")]
        assert finished == sorted(set(finished))
        if epochs is not None and not states(killed) and finished:  # killed after its last word: it begins anew
            assert outs_of(killed) == outs_of(whole)
            for name in OUTS:
                (killed / name).unlink()
    assert times_gone_on > 0
    assert finished[-1] == EPOCHS
    assert outs_of(killed) == outs_of(whole)
    assert not states(killed)


def test_what_is_kept_to_go_on_from_is_no_out_and_not_in_git(tmp_path: Path) -> None:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["train"]
    declared = [str(entry) for key in ("deps", "outs", "metrics") for entry in stage[key]]
    assert not [entry for entry in declared if ".facemask" in entry]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    ignored = subprocess.run(["git", "check-ignore", "-q", ".facemask/training/x.npz"], cwd=tmp_path, check=False)
    assert ignored.returncode == 0


STATE = {"weights/0": np.arange(6, dtype=np.float32).reshape(2, 3), "rows": np.array([[0.5, 1 / 3]])}


def test_a_state_comes_back_with_the_same_bits(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path, "a").load() is None
    Checkpoint(tmp_path, "a").save(STATE)
    loaded = Checkpoint(tmp_path, "a").load()
    assert loaded is not None
    assert {name: (array.dtype, array.tobytes()) for name, array in loaded.items()} == {
        name: (array.dtype, array.tobytes()) for name, array in STATE.items()
    }


def test_a_later_state_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    Checkpoint(tmp_path, "a").save(STATE)
    Checkpoint(tmp_path, "a").save({"rows": np.zeros(3)})
    loaded = Checkpoint(tmp_path, "a").load()
    assert loaded is not None
    assert list(loaded) == ["rows"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_the_state_of_another_training_is_removed_and_not_taken_up(tmp_path: Path) -> None:
    Checkpoint(tmp_path, "a").save(STATE)
    assert Checkpoint(tmp_path, "b").load() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_process_killed_while_it_saves_leaves_a_whole_state(tmp_path: Path) -> None:
    script = (
        "import sys, itertools; from pathlib import Path; import numpy as np\n"
        "from facemask.training.checkpoint import Checkpoint\n"
        "state = Checkpoint(Path(sys.argv[1]), 'a'); print('ready', flush=True)\n"
        "for number in itertools.count(1): state.save({'rows': np.full(1_000_000, number)})\n"
    )
    rng = random.Random(1)
    for _ in range(5):
        saving = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert saving.stdout is not None
        saving.stdout.readline()
        while not (tmp_path / "a.npz").exists():
            assert saving.poll() is None
        time.sleep(rng.uniform(0, 0.1))
        kill(saving)
        state = Checkpoint(tmp_path, "a").load()
        assert state is not None
        assert len(set(state["rows"])) == 1


def test_a_training_is_named_by_its_settings_its_files_and_its_tables(tmp_path: Path) -> None:
    file, same, other = (tmp_path / name for name in ("file", "same", "other"))
    for path, content in ((file, b"1"), (same, b"1"), (other, b"2")):
        path.write_bytes(content)
    name = fingerprint({"a": 1, "b": 2}, *map(digest, [file]), "table")
    assert fingerprint({"b": 2, "a": 1}, *map(digest, [same]), "table") == name
    different = [
        fingerprint({"a": 1, "b": 3}, *map(digest, [file]), "table"),
        fingerprint({"a": 1, "b": 2}, *map(digest, [other]), "table"),
        fingerprint({"a": 1, "b": 2}, *map(digest, [file, file]), "table"),
        fingerprint({"a": 1, "b": 2}, *map(digest, [file]), "tab", "le"),
    ]
    assert len({name, *different}) == 5


def test_a_training_is_named_by_the_code_that_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint({})
    module = types.ModuleType("facemask.new")
    module.__file__ = str(tmp_path / "new.py")
    monkeypatch.setitem(sys.modules, "facemask.new", module)
    names = []
    for code in ("X = 1", "X = 2"):
        (tmp_path / "new.py").write_text(code, encoding="utf-8")
        names.append(fingerprint({}))
    assert len({before, *names}) == 3
