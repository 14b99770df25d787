"""The stage `web`, run as DVC runs it: a page if `web.enabled`, else a notice."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow  # runs the real stage

ROOT = Path(__file__).parents[2]


def run(project: Path, export: Path, enabled: bool) -> list[str]:
    """Run the stage in a new project; return the names of the files that it wrote."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["web"]["enabled"] = enabled
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (project / "export").symlink_to(export)
    shutil.copyfile(ROOT / "LICENSE", project / "LICENSE")
    done = subprocess.run(
        [sys.executable, str(ROOT / "stages" / "web.py")], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [path.relative_to(project / "web").as_posix() for path in (project / "web").rglob("*")]


def test_the_page_is_written_with_the_exported_model(photo_export: Path, tmp_path: Path) -> None:
    names = run(tmp_path, photo_export, enabled=True)
    assert {"index.html", "sw.js", "model/model.tflite", "runtime/litert.js", "licences.txt"} <= set(names)


def test_where_it_is_turned_off_only_a_notice_is_written(photo_export: Path, tmp_path: Path) -> None:
    assert run(tmp_path, photo_export, enabled=False) == ["README.txt"]
