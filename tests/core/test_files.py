"""Outs are whole or not there, and equal content has equal bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facemask.core.files import atomic_path, write_csv, write_json


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old", encoding="utf-8")

    def write_half() -> None:
        with atomic_path(target) as draft:
            draft.write_text("half", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "export"
    target.mkdir()
    (target / "old").touch()
    with atomic_path(target) as draft:
        draft.mkdir()
        (draft / "new").touch()
    assert [file.name for file in target.iterdir()] == ["new"]


def test_a_folder_stays_whole_when_the_process_that_replaces_it_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from facemask.core.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as draft:\n"
        "    draft.mkdir(); (draft / 'new').touch(); print('writing', flush=True); time.sleep(60)\n"
    )
    target = tmp_path / "export"
    target.mkdir()
    (target / "old").touch()
    with subprocess.Popen([sys.executable, "-c", script, target], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        os.kill(process.pid, signal.SIGKILL)
    assert [file.name for file in target.iterdir()] == ["old"]


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    forsaken, at_work = tmp_path / ".out.txt.aaaa", tmp_path / ".out.txt.bbbb"
    for folder in (forsaken, at_work):
        folder.mkdir()
    yesterday = time.time() - 25 * 60 * 60
    os.utime(forsaken, (yesterday, yesterday))
    with atomic_path(tmp_path / "out.txt") as draft:
        draft.touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.txt.bbbb", "out.txt"]


def test_a_process_that_is_killed_while_writing_leaves_no_half_written_out(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from facemask.core.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as draft:\n"
        "    draft.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
    )
    target = tmp_path / "out.txt"
    with subprocess.Popen([sys.executable, "-c", script, target], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not target.exists()


def test_json_has_unix_line_ends_and_rounded_figures(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "m.json"
    write_json(path, {"accuracy": 0.98765432109, "list": [1.00000001]})
    assert path.read_bytes() == b'{\n  "accuracy": 0.987654,\n  "list": [\n    1.0\n  ]\n}\n'


def test_a_figure_that_is_no_number_is_refused_in_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "m.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_csv_has_unix_line_ends_and_rounded_figures(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_csv(path, ("id", "p"), [("a,b", 0.12345678), ("c", None)])
    assert path.read_bytes() == b'id,p\n"a,b",0.123457\nc,\n'
