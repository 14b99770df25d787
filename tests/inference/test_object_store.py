"""Addresses of object stores: what fsspec reaches, with errors that say what to do."""

import sys
from collections.abc import Iterator

import fsspec
import pytest

from facemask.core.errors import FacemaskError
from facemask.inference.inputs import find_inputs
from facemask.inference.object_store import is_address, list_files, read_file


@pytest.fixture
def stored() -> Iterator[fsspec.AbstractFileSystem]:
    """Files in the memory of this process, which fsspec reaches like a store."""
    system = fsspec.filesystem("memory")
    for name in ("b.jpg", "a.PNG", "deep/c.webp", "notes.txt", ".hidden/d.jpg", "@eaDir/e.jpg"):
        system.pipe_file(f"/holiday/{name}", name.encode())
    yield system
    system.store.clear()


@pytest.mark.parametrize(
    ("name", "expected"), [("s3://bucket/a", True), ("gs://b", True), ("a/b.jpg", False), ("C:\\a", False)]
)
def test_an_address_is_told_from_a_path(name: str, expected: bool) -> None:
    assert is_address(name) == expected


@pytest.mark.usefixtures("stored")
def test_images_below_a_prefix_are_known_by_name_and_leftovers_passed_over() -> None:
    found = find_inputs(["memory://holiday"]).inputs
    assert [(one.name, str(one.mirrored)) for one in found] == [
        ("memory:///holiday/a.PNG", "a.PNG"),
        ("memory:///holiday/b.jpg", "b.jpg"),
        ("memory:///holiday/deep/c.webp", "deep/c.jpg"),
    ]
    assert read_file(found[0].name) == b"a.PNG"


@pytest.mark.usefixtures("stored")
def test_the_version_of_a_file_changes_with_its_content(stored: fsspec.AbstractFileSystem) -> None:
    before = {file.below: file.version for file in list_files("memory://holiday")}
    stored.pipe_file("/holiday/b.jpg", b"longer than before")
    after = {file.below: file.version for file in list_files("memory://holiday")}
    assert {name for name in before if before[name] != after[name]} == {"b.jpg"}


@pytest.mark.usefixtures("stored")
def test_a_prefix_without_images_is_reported() -> None:
    (one,) = find_inputs(["memory://work"]).inputs
    assert one.problem == "no image at this address"


@pytest.mark.usefixtures("stored")
def test_a_file_that_is_gone_is_missing_like_one_on_disk() -> None:
    with pytest.raises(FileNotFoundError):
        read_file("memory://holiday/gone.jpg")


def test_without_the_client_of_a_store_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)  # as if it were not installed
    with pytest.raises(FacemaskError, match=r"^abfs://b/a\.jpg cannot be read: Install adlfs .*; install it with pip$"):
        read_file("abfs://b/a.jpg")


def test_a_store_that_does_not_exist_is_named() -> None:
    with pytest.raises(FacemaskError, match=r"^nowhere://b cannot be read \(Protocol not known: nowhere\): check the"):
        list(list_files("nowhere://b"))
