"""A finished training."""

from pathlib import Path

import pytest

from tests.conftest import MakeOnce
from tests.training_project import CALM, make_project, train_there


@pytest.fixture(scope="session")
def trained(training_inputs: Path, make_once: MakeOnce) -> Path:
    """A project in which one process on one device has trained; not to be written to."""
    return make_once("trained", lambda folder: train_there(make_project(folder, training_inputs, **CALM)))
