"""Predictions as a folder of Parquet files: complete, and made once."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facemask.core.errors import FacemaskError
from facemask.inference.inputs import Input, find_inputs
from facemask.inference.options import Options
from facemask.inference.shards import SCHEMA, ShardFolder, split, write_shard
from facemask.inference.writers import COLUMNS

CROP = Options(faces="crop")
COUNT = 40
SIZE = 4


def named(count: int) -> list[Input]:
    return [Input(f"{number:05}.jpg", PurePath()) for number in range(count)]


def test_every_file_is_in_one_part_and_parts_have_about_the_size() -> None:
    parts = list(split(named(20_000), 100))
    assert [file for part in parts for file in part] == named(20_000)
    assert 70 < np.mean([len(part) for part in parts]) < 130
    assert max(len(part) for part in parts) <= 400


def test_a_file_that_comes_changes_no_part_but_the_one_around_it() -> None:
    files = named(20_000)
    before = [tuple(part) for part in split(files, 100)]
    files.insert(10_000, Input("10000-new.jpg", PurePath()))
    after = [tuple(part) for part in split(files, 100)]
    assert len(set(after) - set(before)) <= 2


def test_a_shard_has_the_columns_of_csv_and_names_that_are_no_utf_8(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", [{"file": "caf\udce9.jpg", "problem": "truncated"}])
    (row,) = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert tuple(row) == COLUMNS == tuple(SCHEMA.names)
    assert (row["file"], row["problem"], row["face"]) == ("caf\\xe9.jpg", "truncated", None)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # names decide which files are in one shard: here they are the same in each run
    folder = Path("photos")
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number:02}.png")
    return folder


def shards(photos: Path, model: Path, options: Options = CROP) -> ShardFolder:
    return ShardFolder(Path("out"), model, find_inputs([str(photos)]).inputs, options, SIZE)


def files(folder: ShardFolder) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.folder.glob("*.parquet")}


def names(folder: ShardFolder) -> Sequence[str]:
    return sorted(name for path in files(folder) for name in pq.read_table(folder.folder / path)["file"].to_pylist())


@pytest.mark.slow  # makes a model with TensorFlow
def test_what_is_missing_is_made_and_nothing_else(photo_export: Path, photos: Path) -> None:
    first = shards(photos, photo_export)
    predictions = first.complete("local")
    for _ in range(COUNT // 2):
        next(predictions)
    del predictions
    begun = files(first)
    assert len(begun) > 1

    second = shards(photos, photo_export)
    assert second.there > 0
    assert len(list(second.complete("local"))) == COUNT - second.there
    done = files(second)
    assert begun.items() <= done.items()
    assert names(second) == sorted(str(path) for path in photos.iterdir())

    third = shards(photos, photo_export)
    assert (third.there, third.missing, list(third.complete("local"))) == (COUNT, [], [])
    assert files(third) == done


@pytest.mark.slow
def test_after_files_came_went_and_changed_the_folder_holds_the_predictions_of_what_is_there(
    photo_export: Path, photos: Path
) -> None:
    list(shards(photos, photo_export).complete("local"))
    (photos / "07.png").unlink()
    (photos / "20.png").write_bytes(b"no picture")
    (photos / "new.png").write_bytes((photos / "00.png").read_bytes())
    grown = shards(photos, photo_export)
    assert 0 < grown.there < COUNT
    list(grown.complete("local"))
    assert names(grown) == sorted(str(path) for path in photos.iterdir())
    counts = grown.count()
    assert (counts.files, counts.unusable, counts.faceless) == (COUNT, 1, 0)


@pytest.mark.slow
def test_predictions_with_other_options_are_not_mixed(photo_export: Path, photos: Path) -> None:
    list(shards(photos, photo_export).complete("local"))
    with pytest.raises(FacemaskError, match="another model or with other options"):
        shards(photos, photo_export, Options(faces="crop", margin=0.5))
    with pytest.raises(FacemaskError, match="there is no model in"):
        shards(photos, photos)


@pytest.mark.slow
def test_the_command_says_what_is_in_the_folder(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    def predict(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "facemask", "predict", "--model", photo_export, "--faces", "crop", *arguments]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)

    (photos / "00.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    done = predict(photos, "--parquet", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{out}: predictions of {COUNT} files\n1 of {COUNT} files could not be used\n"
    assert predict("-", "--parquet", out).returncode == 2
    assert predict(photos, "--parquet", out, "--output", "a.csv").returncode == 2
