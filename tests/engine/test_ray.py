"""Work on a real Ray cluster of two machines, started here: the same outs, also when a part of it is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import EngineKind
from facemask.dataset.archive import write_archive
from facemask.dataset.decode import UnusableImage, decode
from facemask.engine.mapping import map_ordered
from facemask.inference.inputs import find_inputs
from facemask.inference.options import Options
from facemask.inference.shards import ShardFolder
from tests.bad_images import saved
from tests.everything_drawn import everything_drawn
from tests.photos import group, head
from tests.test_install import BLOCK

ROOT = Path(__file__).parents[2]
COUNT = 240
HEADS = [(20, 40, 150), (190, 30, 170)]

pytestmark = pytest.mark.slow  # starts a cluster

ENGINES: tuple[EngineKind, ...] = ("local", "ray")

Rows = list[dict[str, Any]]


@dataclass
class Machines:
    """The cluster, and the machine of it that can be lost."""

    cluster: Any
    second: Any

    def lose_second(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)

    def replace_second(self) -> None:
        self.second = self.cluster.add_node(num_cpus=1)


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """A server of the S3 API on loopback; returns how the environment names it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def machines(store: dict[str, str]) -> Iterator[Machines]:
    """Two machines of one CPU each, to which this process and the commands that it starts are connected."""
    patch = pytest.MonkeyPatch()
    for name, value in {**store, "RAY_USAGE_STATS_ENABLED": "0"}.items():
        patch.setenv(name, value)
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    patch.setenv("RAY_ADDRESS", cluster.address)
    machines = Machines(cluster, cluster.add_node(num_cpus=1))
    yield machines
    ray.shutdown()
    cluster.shutdown()
    patch.undo()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photographs of two people, each a little different, and a broken one."""
    folder = tmp_path_factory.mktemp("photos")
    people = group(HEADS, 380, 260)
    for number in range(COUNT):
        light = np.clip(people.astype(np.int16) + number % 60 - 30, 0, 255).astype(np.uint8)
        Image.fromarray(light).save(folder / f"{number:03}.jpg")
    (folder / "broken.jpg").write_bytes((folder / "000.jpg").read_bytes()[:3000])
    return folder


def rows(folder: Path) -> Rows:
    tables = [pq.read_table(path).to_pylist() for path in folder.glob("*.parquet")]
    return sorted((row for table in tables for row in table), key=lambda row: (row["file"], row["face"] or 0))


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, *map(str, arguments)]


def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command said, without the lines of its progress, which come when it takes long."""
    return "\n".join(line for line in done.stderr.splitlines() if not line.endswith(" s left"))


@pytest.mark.usefixtures("machines")
def test_results_come_in_order_and_each_process_makes_its_function_once() -> None:
    def make() -> Callable[[int], tuple[int, int, int]]:
        calls = iter(range(10_000))
        return lambda item: (item, os.getpid(), next(calls))

    results = list(map_ordered("ray", make, range(200), threads=1, per_task=5))
    assert [item for item, _, _ in results] == list(range(200))
    processes = {process for _, process, _ in results}
    assert os.getpid() not in processes
    for process in processes:
        calls = sorted(call for _, its_process, call in results if its_process == process)
        assert calls == list(range(len(calls)))


@pytest.mark.usefixtures("machines")
def test_an_error_of_the_work_is_raised_here_as_it_is() -> None:
    def refuse(item: int) -> int:
        raise FacemaskError(f"{item} cannot be used")

    with pytest.raises(FacemaskError, match=r"^0 cannot be used$"):
        list(map_ordered("ray", lambda: refuse, range(100), threads=1))


def test_predictions_are_the_same_when_a_process_and_a_machine_are_lost(
    machines: Machines, photo_export: Path, photos: Path, tmp_path: Path
) -> None:
    inputs = find_inputs([str(photos)]).inputs
    here = ShardFolder(tmp_path / "here", photo_export, inputs, Options(), size=16)
    assert len(list(here.complete("local"))) == COUNT + 1

    there = ShardFolder(tmp_path / "there", photo_export, inputs, Options(), size=16)
    for number, _ in enumerate(there.complete("ray")):
        if number == 16:
            kill_a_worker("ray::_apply", "ray::IDLE")  # a quick machine may have done all tasks that have begun
        if number == 64:
            machines.lose_second()
    machines.replace_second()

    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert sum(row["face"] == 1 for row in rows(tmp_path / "there")) == COUNT
    counts = there.count()
    assert (counts.files, counts.unusable, counts.faceless) == (COUNT + 1, 1, 0)


@pytest.mark.usefixtures("machines")
def test_what_a_lost_process_was_working_on_is_done_again() -> None:
    def make() -> Callable[[int], int]:
        def wait(item: int) -> int:
            time.sleep(0.3)
            return item**2

        return wait

    results = map_ordered("ray", make, range(40), threads=1, per_task=5)
    found = [next(results)]
    kill_a_worker("ray::_apply")
    assert [*found, *results] == [item**2 for item in range(40)]


def kill_a_worker(*names: str) -> None:
    """Kill a process of the cluster that has one of the names, the first one that is there, waiting for it."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(psutil.NoSuchProcess):  # it may end while it is looked at
            mine = [(process, process.name()) for process in psutil.Process().children(recursive=True)]
            if there := [process for name in names for process, its_name in mine if its_name.startswith(name)]:
                there[0].kill()
                return
        time.sleep(0.02)
    raise AssertionError(f"no process of the cluster is called {names}")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("machines")
def test_an_object_store_gives_what_the_folder_gives_and_a_repetition_makes_only_what_is_missing(
    photo_export: Path, tmp_path: Path
) -> None:
    import fsspec

    for number in range(3):
        picture(head(160 + number), tmp_path / "photos" / f"{number}.png")
    system = fsspec.filesystem("s3")
    system.mkdir("bucket")
    system.put(f"{tmp_path / 'photos'}/", "bucket/holiday/", recursive=True)
    system.pipe_file("bucket/holiday/notes.txt", b"no picture")
    system.pipe_file("bucket/holidays/other.png", (tmp_path / "photos/0.png").read_bytes())

    predict = ("-m", "facemask", "predict", "--model", photo_export, "--parquet")
    assert run(*predict, tmp_path / "folder", tmp_path / "photos").returncode == 0
    from_store = (*predict, tmp_path / "store", "--engine", "ray", "s3://bucket/holiday")
    done = run(*from_store)
    assert (done.returncode, done.stdout) == (0, "")
    assert said(done) == f"{tmp_path / 'store'}: predictions of 3 files"
    expected = [{**row, "file": f"s3://bucket/holiday/{Path(row['file']).name}"} for row in rows(tmp_path / "folder")]
    assert rows(tmp_path / "store") == expected
    assert [row["face"] for row in expected] == [1, 1, 1]

    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    again = run(*from_store)
    assert said(again) == f"{tmp_path / 'store'}: predictions of 3 files, 3 of them from an earlier run"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()} == made


def picture(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.nightly
@pytest.mark.usefixtures("machines")
def test_the_table_of_a_few_photographs_is_that_of_the_engine_local(photo_export: Path, photos: Path) -> None:
    few = [Path(os.path.relpath(photos, ROOT)) / name for name in ("003.jpg", "broken.jpg", "missing.jpg")]
    here, there = (
        run("-m", "facemask", "predict", "--model", photo_export, "--engine", engine, *few) for engine in ENGINES
    )
    assert there.stdout == here.stdout
    assert (there.returncode, said(there)) == (1, "2 of 3 files could not be used")


@pytest.mark.nightly
def test_ctrl_c_ends_the_command_quietly_with_its_own_cluster_and_what_is_done_is_kept(
    photo_export: Path, photos: Path, tmp_path: Path
) -> None:
    inputs = find_inputs([str(photos)] * 20).inputs
    program = f"""
from pathlib import Path
from facemask.core.stage_runner import run
from facemask.inference.inputs import find_inputs
from facemask.inference.options import Options
from facemask.inference.shards import ShardFolder

def main() -> None:
    inputs = find_inputs([{str(photos)!r}] * 20).inputs
    shards = ShardFolder(Path("out"), Path({str(photo_export)!r}), inputs, Options(), 16)
    for number, _ in enumerate(shards.complete("ray")):
        if number == 70:  # after the first shard, which has 64 files at most
            print("going", flush=True)

run(main)
"""
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    process = subprocess.Popen(
        command("-c", program), cwd=tmp_path, env=alone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "going\n"
    cluster = psutil.Process(process.pid).children(recursive=True)
    assert "raylet" in [each.name() for each in cluster]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, "")
    assert psutil.wait_procs(cluster, timeout=20)[1] == []
    kept = ShardFolder(tmp_path / "out", photo_export, inputs, Options(), 16)
    assert 0 < kept.there < len(inputs)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What the stage `merge` reads: two sources of a few images, one broken."""
    raw = tmp_path / "data/raw"
    rng = np.random.default_rng(1)
    for name in ("mine", "yours"):
        files = {
            f"{label}/{number}.png": saved(rng.integers(0, 256, (40, 50, 3), np.uint8), "PNG")
            for label in CLASSES
            for number in range(20)
        }
        write_archive(raw / f"{name}.zip", sorted({**files, "with_mask/broken.png": b"broken"}.items()))
        card = {"kind": "folder", "folders": dict(zip(CLASSES, CLASSES, strict=True)), "licence": "", "origin": "test"}
        (raw / f"{name}.json").write_text(json.dumps(card))
    return tmp_path


@pytest.mark.usefixtures("machines")
def test_the_outs_of_merge_are_equal_byte_for_byte(project: Path) -> None:
    outs = {}
    for engine in ENGINES:
        folder = project / engine
        shutil.copytree(project / "data", folder / "data")
        settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        source = {"kind": "folder", "path": "data/own"}
        settings |= {"engine": {"kind": engine}, "sources": {"mine": source, "yours": source}}
        settings["data"]["sources"] = ["mine", "yours"]
        (folder / "params.yaml").write_text(yaml.safe_dump(settings))
        done = run(ROOT / "stages/merge.py", cwd=folder)
        assert (done.returncode, said(done)) == (0, "2 files left out; data/left_out.csv says why")
        outs[engine] = {
            path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.suffix in (".csv", ".zip")
        }
    assert outs["ray"] == outs["local"]


def is_usable(content: bytes) -> bool:
    try:
        return decode(content).size > 0
    except UnusableImage:  # the sample has a few such files on purpose
        return False


@pytest.mark.nightly
@pytest.mark.usefixtures("machines")
def test_local_features_synthetic_masks_and_feature_maps_are_equal_byte_for_byte(tmp_path: Path) -> None:
    import pandas as pd

    from facemask.core.params import GroupParams, TrainParams
    from facemask.data.duplicates.grouping import find_links
    from facemask.data.sources.sample import draw_sample
    from facemask.data.synthetic.pipeline import render
    from facemask.dataset.archive import Archive, Archives
    from facemask.models.classifier import build_model, split_model
    from facemask.models.frozen_layers import build_frozen_layers
    from facemask.training.distributed import connect
    from facemask.training.feature_cache import FeatureContext, Views, plain_maps
    from facemask.training.timer import Timer

    images = tmp_path / "images.zip"
    members = {f"sample/{name}": data for name, data in sorted(draw_sample(12, 1)) if is_usable(data)}
    write_archive(images, members.items())
    table = pd.DataFrame({"id": list(members), "source": "sample", "part": "train"})
    table["label"] = table["id"].str.split("/").str[1]
    table["group"] = table["sha256"] = table["id"]
    settings = TrainParams(image_size=32, batch_size=8, draws=64, kept_views=0.0)
    model = build_model(settings.image_size, dropout=0.0, seed=1)
    frozen = build_frozen_layers(split_model(model, settings.from_layer)[0], "onnxruntime")
    found: dict[str, list[str | bytes]] = {}
    with Archive(images) as archive:
        for engine in ENGINES:
            drawn = tmp_path / f"{engine}.zip"
            outcome = render(images, table, drawn, everything_drawn(faces=4), engine)
            assert len(outcome.table) > 0
            context = FeatureContext(Archives(archive), settings, frozen, connect("one", 8), Timer(), engine)
            views = Views(context, table, [], tmp_path)
            found[engine] = [
                find_links(archive, table, GroupParams(), tmp_path, engine=engine).to_csv(),
                drawn.read_bytes(),
                plain_maps(context, list(members), "val").tobytes(),
                np.array(views.of_epoch(0).maps).tobytes(),
            ]
    assert found["ray"] == found["local"]


@pytest.mark.nightly
def test_a_machine_without_the_package_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(modules={"facemask"}), encoding="utf-8")
    program = f"""
import os
from ray.cluster_utils import Cluster
from facemask.core.errors import FacemaskError
from facemask.engine.mapping import map_ordered

os.environ["PYTHONPATH"] = {str(tmp_path)!r}
cluster = Cluster(initialize_head=True, head_node_args={{"num_cpus": 1, "include_dashboard": False}})
os.environ["RAY_ADDRESS"] = cluster.address
try:
    list(map_ordered("ray", lambda: str, [1], threads=1))
except FacemaskError as error:
    print(error)
cluster.shutdown()
"""
    assert run("-c", program).stdout == (
        "a machine of the Ray cluster cannot run the work (ModuleNotFoundError: No module named 'facemask'): install "
        "this package there, with the versions in constraints.txt\n"
    )


def test_where_no_cluster_answers_the_message_says_what_to_do(photo_export: Path, photos: Path) -> None:
    done = subprocess.run(
        command("-m", "facemask", "predict", "--model", photo_export, "--engine", "ray", photos / "000.jpg"),
        env={**os.environ, "RAY_ADDRESS": "nonsense"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: no Ray cluster can be reached at RAY_ADDRESS=nonsense (")
    assert done.stderr.endswith("start one with `ray start --head`, or unset RAY_ADDRESS to use this machine alone\n")
    assert len(done.stderr.splitlines()) == 1
