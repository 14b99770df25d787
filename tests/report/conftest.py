"""A run whose outs are written and read, as the stage reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facemask.report.findings import Findings, read_findings
from tests.report.outs import write_outs

Write = Callable[..., Findings]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the outs of a run and read them as the stage does."""

    def findings(**arguments: Any) -> Findings:
        write_outs(tmp_path, **arguments)
        return read_findings(tmp_path, list(arguments.get("sources") or ["faces"]))

    return findings
