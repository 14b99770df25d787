"""A run whose outs are written and read, as the stage reads them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facemask.report.findings import Findings, read_findings
from tests.report.outs import write_outs

Write = Callable[..., Findings]


@pytest.fixture(scope="session")
def written_outs() -> dict[str, Path]:
    """Folders of outs that were written once, by the arguments of `write_outs`."""
    return {}


@pytest.fixture
def write(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, written_outs: dict[str, Path]) -> Write:
    """Write the outs of a run and read them as the stage does."""

    def findings(**arguments: Any) -> Findings:
        key = repr(sorted(arguments.items()))
        if key not in written_outs:
            folder = tmp_path_factory.mktemp("outs")
            write_outs(folder, **arguments)
            written_outs[key] = folder
        shutil.copytree(written_outs[key], tmp_path, dirs_exist_ok=True)
        return read_findings(tmp_path, list(arguments.get("sources") or ["faces"]))

    return findings
