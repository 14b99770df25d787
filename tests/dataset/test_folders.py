"""Which files of a folder are a user's own."""

from pathlib import Path

import pytest

from facemask.dataset.folders import first_link, is_leftover, walk


def add(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    "path",
    [
        ".DS_Store", "a/._1.jpg", ".thumbnails/large/1.png", "Thumbs.db", "a/THUMBS.DB", "ehthumbs_vista.db",
        "desktop.ini", "__MACOSX/a/1.jpg", "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/1.jpg",
        "$RECYCLE.BIN/1.jpg", "System Volume Information/x", "lost+found/x", "@Recycle/1.jpg", "a/Icon\r",
    ],
)  # fmt: skip
def test_what_systems_leave_is_no_photograph(path: str) -> None:
    assert is_leftover(path)


@pytest.mark.parametrize("path", ["a/1.jpg", "Thumbs.db.jpg", "my__MACOSX/1.jpg", "eaDir/1.jpg", "Icon", "a b/#1.jpg"])
def test_similar_names_are_photographs(path: str) -> None:
    assert not is_leftover(path)


def test_of_each_folder_files_come_first_by_name(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.jpg", "c.jpg", "a/x/1.jpg", "a/9.jpg"):
        add(tmp_path / name)
    assert walk(tmp_path).files == ["c.jpg", "a/9.jpg", "a/x/1.jpg", "b/1.jpg", "b/2.jpg"]


def test_a_folder_that_is_itself_a_link_is_searched(tmp_path: Path) -> None:
    add(tmp_path / "photos/1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    assert walk(tmp_path / "link").files == ["1.jpg"]


def test_links_to_files_count_and_links_to_folders_are_named(tmp_path: Path) -> None:
    outside = add(tmp_path / "outside/1.jpg")
    root = tmp_path / "photos"
    add(root / "a/1.jpg")
    (root / "a/file.jpg").symlink_to(outside)
    (root / "a/link to a link.jpg").symlink_to("file.jpg")
    (root / "a/folder").symlink_to(outside.parent)
    (root / "a/second").symlink_to("folder")
    (root / "a/loop").symlink_to(root)
    (root / "gone.jpg").symlink_to(tmp_path / "nothing")
    (root / ".hidden").symlink_to(outside.parent)
    found = walk(root)
    assert found.files == ["gone.jpg", "a/1.jpg", "a/file.jpg", "a/link to a link.jpg"]
    assert found.linked == ["a/folder", "a/loop", "a/second"]
    assert found.remarks("copy it")[0] == f"{root}/a/folder is a link to a folder, which is not searched: copy it"


def test_the_first_link_on_the_way_is_found(tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert first_link(tmp_path, "real/deep") is None
    assert first_link(tmp_path, "link/deep") == tmp_path / "link"
    assert first_link(tmp_path / "link", "deep") is None
