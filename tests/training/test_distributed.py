"""Several devices or machines give the result of one, and invalid settings are refused."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.dataset.archive import Archive
from facemask.dataset.batches import read_image
from facemask.dataset.split import part_of
from facemask.models.classifier import load_model
from facemask.training.distributed import connect
from tests.training_project import CALM, OUTS, make_project, outs_of, start_training

TWO_DEVICES = (
    "from facemask.models.tensorflow import tf\n"
    "(cpu,) = tf.config.list_physical_devices('CPU')\n"
    "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
)
LIMIT = 600  # seconds after which workers that wait for each other are given up


def on_two_devices(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where TensorFlow sees two CPUs."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "FACEMASK_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", TWO_DEVICES + script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def start_workers(folders: list[Path]) -> list[subprocess.Popen[str]]:
    """Start the stage `train` as one worker in each folder."""
    sockets = [socket.socket() for _ in folders]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    cluster = {"worker": addresses}
    return [
        start_training(folder, TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}))
        for index, folder in enumerate(folders)
    ]


def wait_for(workers: list[subprocess.Popen[str]]) -> list[str]:
    """Return what the workers printed until their end."""
    try:
        said = [worker.communicate(timeout=LIMIT) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0] * len(workers), said
    return [out for out, _ in said]


def history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "plots/history.csv")


def predicted(folder: Path) -> NDArray[np.float32]:
    """Probabilities of the validation images, float32 (n, 3)."""
    rows = part_of(pd.read_csv(folder / "data/split.csv", dtype=str), "val")
    with Archive(folder / "data/images.zip") as archive:
        pixels = np.stack([read_image(archive, name, 32) for name in rows["id"]])
    return np.asarray(load_model(folder / "models/model.keras").predict_on_batch(pixels))


def assert_the_same_training(folder: Path, other: Path) -> None:
    assert np.allclose(history(folder), history(other), atol=1e-3)
    own, others = predicted(folder), predicted(other)
    assert np.allclose(own, others, atol=1e-3)
    truth = np.arange(len(CLASSES)).repeat(4)
    accuracies = [(probabilities.argmax(axis=1) == truth).mean() for probabilities in (own, others)]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=1e-3)


@pytest.fixture(scope="module")
def two_workers(training_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two projects with the same inputs in which two workers have trained together."""
    names = ("first", "second")
    folders = [
        make_project(tmp_path_factory.mktemp(name), training_inputs, distribution="workers", **CALM) for name in names
    ]
    wait_for(start_workers(folders))
    return folders


@pytest.mark.slow
def test_two_workers_get_what_one_process_gets_and_the_first_alone_writes_it(
    trained: Path, two_workers: list[Path]
) -> None:
    first, second = two_workers
    assert_the_same_training(first, trained)
    assert not any((second / name).exists() for name in OUTS)
    assert [len(list((folder / "cache/views").iterdir())) for folder in two_workers] == [3, 3]  # each its own share


@pytest.mark.nightly
def test_when_one_worker_is_killed_the_other_says_so_and_together_they_go_on_from_what_the_first_has(
    training_inputs: Path, two_workers: list[Path], tmp_path: Path
) -> None:
    folders = [
        make_project(tmp_path / name, training_inputs, distribution="workers", **CALM) for name in ("first", "second")
    ]
    workers = start_workers(folders)
    assert workers[0].stdout is not None
    lines = [next(workers[0].stdout) for _ in range(2)]
    assert lines[1].startswith("epoch 2 of 4:")
    workers[1].kill()
    workers[1].communicate()
    _, err = workers[0].communicate(timeout=LIMIT)
    assert workers[0].returncode == 1
    assert err.splitlines()[-1].startswith("error: another worker is unreachable; start all workers again")

    assert not (folders[1] / ".facemask").exists()
    said = wait_for(start_workers(folders))
    assert all("resuming an interrupted training after epoch" in out and "epoch 1 of 4" not in out for out in said)
    assert outs_of(folders[0]) == outs_of(two_workers[0])


UNEVEN = """
from facemask.core.errors import FacemaskError
from facemask.training.distributed import connect
try:
    connect("mirrored", 9)
except FacemaskError as error:
    print("refused:", error)
"""
TRAIN = "import runpy; runpy.run_path('stages/train.py', run_name='__main__')"


@pytest.mark.slow
def test_two_devices_of_one_machine_get_what_one_device_gets_and_refuse_a_batch_that_they_cannot_share_evenly(
    training_inputs: Path, trained: Path, tmp_path: Path
) -> None:
    folder = make_project(tmp_path / "mirrored", training_inputs, distribution="mirrored", **CALM)
    done = on_two_devices(folder, UNEVEN + TRAIN)
    assert done.returncode == 0, done.stderr
    (refused,) = [line for line in done.stdout.splitlines() if line.startswith("refused: ")]
    assert refused.startswith("refused: train.batch_size: 9 is not a multiple of the 2 devices")
    assert refused.endswith("use a multiple of 2")
    assert_the_same_training(folder, trained)
    with Archive(folder / "models/model.keras") as saved, Archive(trained / "models/model.keras") as expected:
        assert saved.read("config.json") == expected.read("config.json")
    weights = [load_model(path / "models/model.keras").get_weights() for path in (folder, trained)]
    assert all(np.allclose(one, other, atol=1e-3) for one, other in zip(*weights, strict=True))


@pytest.mark.nightly
def test_two_devices_that_compute_with_16_bits_pass_over_the_same_steps(
    training_inputs: Path, trained: Path, tmp_path: Path
) -> None:
    # A step is passed over when a gradient is beyond the range of 16 bits; it may be so on one device alone.
    changes = {"distribution": "mirrored", "precision": "mixed_float16", **CALM}
    folder = make_project(tmp_path / "mirrored", training_inputs, **changes)
    done = on_two_devices(folder, TRAIN)
    assert done.returncode == 0, done.stderr
    # The range of the scaled loss is found out in the first steps, which changes them.
    assert np.abs(history(folder) - history(trained)).max().max() < 0.5


def test_one_device_needs_no_setting_and_takes_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    context = connect("one", 7)
    assert (context.workers, context.worker, context.devices, context.is_chief) == (1, 0, 1, True)
    assert context.shard(7) == slice(0, 7)


WORKER = {"type": "worker", "index": 0}
WRONG = [
    "",
    "{",
    "[]",
    json.dumps({"task": WORKER}),
    json.dumps({"cluster": {"worker": ["a:1"]}}),
    json.dumps({"cluster": {"worker": "a:1"}, "task": WORKER}),
    json.dumps({"cluster": {"worker": []}, "task": WORKER}),
    json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
    json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "0"}}),
    json.dumps({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": WORKER}),
    json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}),
]


@pytest.mark.parametrize("value", [None, *WRONG])
def test_workers_that_are_not_named_properly_are_told_how_to(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(FacemaskError, match=r'the environment variable TF_CONFIG must list them, as in \{"cluster"'):
        connect("workers", 8)
