"""ONNX sessions are opened in one place, and errors name the stage to run."""

import threading
from pathlib import Path

import numpy as np
import pytest

from facemask.core.errors import FacemaskError
from facemask.models.onnx_session import each_image, image_size, open_session, read_model
from tests.colour_project import SIDE, colour_model

ROOT = Path(__file__).parents[2]


def test_it_runs_a_model_with_any_number_of_threads() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    one, many = (open_session(colour_model(), threads) for threads in (1, 0))
    assert image_size(one) == SIDE
    first, second = (session.run(None, {"image": pixels})[0] for session in (one, many))
    assert np.allclose(first, second, atol=1e-6)


def test_only_one_module_opens_sessions() -> None:
    opening = [path for path in ROOT.glob("facemask/**/*.py") if "InferenceSession(" in path.read_text("utf-8")]
    assert [path.relative_to(ROOT).as_posix() for path in opening] == ["facemask/models/onnx_session.py"]


def test_results_come_in_order_from_several_threads() -> None:
    threads = set()

    def work(number: int) -> int:
        threads.add(threading.get_ident())
        return number * number

    assert list(each_image(work, range(50), "squares")) == [number * number for number in range(50)]
    assert threading.get_ident() not in threads


def test_a_missing_or_broken_export_names_the_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"model.onnx is missing; run `dvc repro export`"):
        read_model(tmp_path / "model.onnx")
    with pytest.raises(FacemaskError, match="run `dvc repro export`"):
        open_session(b"no model", threads=1)
