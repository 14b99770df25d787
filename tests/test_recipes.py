"""The recipes that start several workers, and a sweep of experiments, do what docs/scale.md says of them."""

import csv
import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from facemask.core.files import write_text
from tests.tiny_pipeline import dvc, make_pipeline, run
from tests.training.test_distributed import CALM, LIMIT, assert_the_same_training
from tests.training_project import OUTS, ROOT, make_inputs, make_project, train_there

BIN = Path(sys.executable).parent

# Slurm's part: the names of the nodes, and a process for each task.
SCONTROL = """#!/bin/bash
[ "$*" = "show hostnames node[1-2]" ] && printf '127.0.0.1\\n127.0.0.1\\n'
"""
SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
for ((rank = 0; rank < SLURM_NTASKS; rank++)); do SLURM_PROCID=$rank "$@" & tasks+=($!); done
code=0
for task in "${tasks[@]}"; do wait "$task" || code=1; done
exit $code
"""


def write_script(path: Path, text: str) -> None:
    write_text(path, text)
    path.chmod(0o755)


def make_dvc_project(folder: Path, inputs: Path) -> Path:
    """Make a project for two workers in which DVC knows the stage `train`."""
    project = make_project(folder, inputs, distribution="workers", **CALM)
    shutil.copytree(ROOT / "recipes", project / "recipes")
    stage = {"cmd": "python stages/train.py", "deps": ["data/split.csv"], "outs": list(OUTS)}
    write_text(project / "dvc.yaml", yaml.safe_dump({"stages": {"train": stage}}))
    assert run(project, "git", "init", "-q").returncode == 0
    dvc(project, "init", "-q")
    return project


def free_port() -> int:
    with socket.socket() as one, socket.socket() as next_:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
        next_.bind(("127.0.0.1", port + 1))  # fails if the second worker could not have it
    return port


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which one process has trained."""
    inputs = make_inputs(tmp_path_factory.mktemp("inputs"))
    folder = make_project(tmp_path_factory.mktemp("alone"), inputs, **CALM)
    train_there(folder)
    return folder


def test_the_script_for_slurm_is_sound_shell() -> None:
    done = subprocess.run(["bash", "-n", ROOT / "recipes/slurm.sbatch"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_slurm_tasks_that_are_not_one_a_node_are_refused(tmp_path: Path) -> None:
    write_script(tmp_path / "scontrol", SCONTROL)
    variables = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "FACEMASK_WORKER": "1",
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_NTASKS": "4",
        "SLURM_PROCID": "0",
    }
    command = ["bash", str(ROOT / "recipes/slurm.sbatch")]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: 2 nodes and 4 tasks: start one task a node\n")


@pytest.mark.nightly
def test_a_slurm_job_of_two_nodes_trains_what_one_process_trains_and_dvc_knows_it(
    one_process: Path, tmp_path: Path
) -> None:
    project = make_dvc_project(tmp_path / "shared", one_process)
    for out in OUTS:
        (project / out).unlink(missing_ok=True)
    write_script(tmp_path / "slurm/scontrol", SCONTROL)
    write_script(tmp_path / "slurm/srun", SRUN)
    write_text(project / ".venv/bin/activate", f'PATH="{BIN}:$PATH"\n')
    variables = {
        "PATH": f"{tmp_path / 'slurm'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "FACEMASK_CACHE": str(tmp_path / "cache"),
        "FACEMASK_PORT": str(free_port()),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": "0",  # as in a batch script
    }
    done = subprocess.run(
        ["bash", "recipes/slurm.sbatch"],
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_the_same_training(project, one_process)
    assert dvc(project, "status", "train").strip() == "Data and pipelines are up to date."


@pytest.fixture
def two_ray_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A Ray cluster of two nodes on this machine; yields the environment of its clients."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default, which starves on a machine with other work
    monkeypatch.setenv("FACEMASK_CACHE", str(tmp_path / "cache"))
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80_000_000}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        yield {**os.environ, "RAY_ADDRESS": cluster.address}
    finally:
        cluster.shutdown()


@pytest.mark.nightly
def test_a_ray_job_of_two_nodes_trains_what_one_process_trains(
    one_process: Path, two_ray_nodes: dict[str, str], tmp_path: Path
) -> None:
    project = make_dvc_project(tmp_path / "shared", one_process)
    for out in OUTS:
        (project / out).unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "recipes/ray_train.py", "--nodes", "2"],
        cwd=project,
        env=two_ray_nodes,
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_the_same_training(project, one_process)


@pytest.mark.nightly
def test_queued_experiments_run_and_their_figures_are_shown_side_by_side(tmp_path: Path) -> None:
    project = make_pipeline(tmp_path)
    dvc(project, "exp", "run", "--queue", "--name", "seed", "-S", "train.seed=2,4")
    dvc(project, "queue", "start", "--jobs", "1")
    end = time.monotonic() + LIMIT
    while "Success" not in (said := dvc(project, "queue", "status")) or said.count("Success") < 2:
        assert "Failed" not in said, said
        assert time.monotonic() < end, said
        time.sleep(1)
    rows = csv.DictReader(io.StringIO(dvc(project, "exp", "show", "--csv", "--num", "1")))
    shown = {row["Experiment"]: float(row["accuracy"]) for row in rows if row["Experiment"]}
    # The model of this pipeline names seed - 1 of 90 photographs wrong.
    assert shown == {"seed-1": pytest.approx(89 / 90), "seed-2": pytest.approx(87 / 90)}
