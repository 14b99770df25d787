"""`dvc.yaml` names every module and every setting that a stage reads, and no other.

What stages open while they run is compared in test_pipeline.py.
"""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from facemask.core.params import TrainParams
from tests.imports import only_docstring, project_files

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def definition(stage: str) -> dict[str, Any]:
    return PIPELINE[stage].get("do", PIPELINE[stage])


@pytest.mark.parametrize("stage", PIPELINE)
def test_the_modules_that_a_stage_imports_are_its_declared_inputs(stage: str) -> None:
    declared = {dep for dep in definition(stage)["deps"] if dep.startswith(("facemask", "stages"))}
    read = {name for name in project_files(ROOT / "stages" / f"{stage}.py", ROOT) if not only_docstring(ROOT / name)}
    undeclared = {name for name in read if not any(lies_in(name, dep) for dep in declared)}
    assert not undeclared, f"imported by stages/{stage}.py, but in no dep of the stage"
    unused = {dep for dep in declared if not any(lies_in(name, dep) for name in read)}
    assert not unused, f"declared as deps of {stage}, but not imported"


# Room on disk for feature maps, and curves of the running training.
NO_EFFECT = ("kept_views", "live")

# Where the work runs, which no output depends on: a stage that declared it would run again after a change.
UNTRACKED = {"engine"}


def lies_in(name: str, dep: str) -> bool:
    return name == dep or name.startswith(f"{dep}/")


def test_every_setting_of_a_group_that_a_stage_reads_is_declared() -> None:
    declared = {stage: set(definition(stage)["params"]) for stage in PIPELINE}
    assert declared == {
        "download": {"data.own", "sources.${item}"},
        "merge": {"data.sources", "merge"},
        "group": {"group"},
        "split": {"split"},
        "render": {"render"},
        "backbone": {"backbone"},
        "train": {f"train.{name}" for name in TrainParams.model_fields if name not in NO_EFFECT},
        "evaluate": {"evaluate"},
        "export": {"export"},
        "web": {"web"},
        "robustness": {"robustness"},
        "explain": {"explain"},
        "unseen": {
            "data.sources",
            "render",
            *(f"train.{name}" for name in TrainParams.model_fields if name not in NO_EFFECT),
            "unseen",
        },
        "report": {"data.sources", "report"},
    }


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_reads_no_group_that_it_does_not_declare(stage: str) -> None:
    script = (ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8")
    read = set(re.findall(r"(?:\bparams|load_params\(\))\.(?!yaml)(\w+)", script))
    assert read - UNTRACKED == {name.split(".")[0] for name in definition(stage)["params"]}


@pytest.mark.parametrize("stage", PIPELINE)
def test_every_stage_has_a_description_and_a_portable_command(stage: str) -> None:
    assert definition(stage)["desc"]
    assert definition(stage)["cmd"].split()[:2] == ["python", f"stages/{stage}.py"]


@pytest.mark.parametrize("stage", PIPELINE)
def test_the_main_of_every_stage_fits_on_a_screen(stage: str) -> None:
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    lines = "\n".join(ast.unparse(node) for node in main.body if not isinstance(node, ast.Import | ast.ImportFrom))
    assert len(lines.splitlines()) < 40
