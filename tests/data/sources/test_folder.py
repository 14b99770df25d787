import os
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.core.params import FolderSource
from facemask.data.sources import card, fetch
from facemask.data.sources.folder import check_watched
from facemask.dataset.archive import Archive


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("with_mask/1.jpg", "with_mask/deep/er/2.png", "without_mask/1.jpg", "mask_weared_incorrect/1.jpg"):
        add(tmp_path / "photos" / name)
    return tmp_path / "photos"


def add(path: Path, content: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if content is not None else path.name.encode())
    return path


def packed(path: Path | str, target: Path, **folders: str) -> list[str]:
    source = FolderSource(kind="folder", path=str(path), **({"folders": folders} if folders else {}))  # type: ignore[arg-type]
    fetch(source, target)
    with Archive(target) as archive:
        return archive.names


def test_photographs_are_packed_under_their_paths(photos: Path, tmp_path: Path) -> None:
    assert packed(photos, tmp_path / "x.zip") == [
        "mask_weared_incorrect/1.jpg",
        "with_mask/1.jpg",
        "with_mask/deep/er/2.png",
        "without_mask/1.jpg",
    ]
    with Archive(tmp_path / "x.zip") as archive:
        assert archive.read("with_mask/deep/er/2.png") == b"2.png"


def test_the_path_may_be_relative_or_below_the_home_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    packed(photos, tmp_path / "1.zip")
    packed("photos", tmp_path / "2.zip")
    packed("~/photos", tmp_path / "3.zip")
    assert len({(tmp_path / f"{number}.zip").read_bytes() for number in (1, 2, 3)}) == 1


def test_the_archive_depends_on_names_and_contents_only(photos: Path, tmp_path: Path) -> None:
    packed(photos, tmp_path / "1.zip")
    for file in photos.rglob("*.jpg"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
        file.chmod(0o600)
    packed(photos, tmp_path / "2.zip")
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_files_of_one_name_in_two_folders_of_a_class_both_stay(tmp_path: Path) -> None:
    for folder in ("mc", "mmc"):
        add(tmp_path / "set/incorrect_mask" / folder / "1.jpg", folder.encode())
    names = packed(tmp_path / "set", tmp_path / "x.zip", incorrect_mask="mask_weared_incorrect")
    assert names == ["incorrect_mask/mc/1.jpg", "incorrect_mask/mmc/1.jpg"]
    with Archive(tmp_path / "x.zip") as archive:
        assert [archive.read(name) for name in names] == [b"mc", b"mmc"]


def test_what_lies_outside_the_class_folders_is_left_out_and_said(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(photos / "maybe/1.jpg")
    add(photos / "maybe/2.jpg")
    add(photos / "notes.txt")
    add(photos / ".git/config")
    assert len(packed(photos, tmp_path / "x.zip")) == 4
    assert f"3 files below {photos} are left out" in capsys.readouterr().err


def test_nothing_is_said_when_nothing_is_left_out(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed(photos, tmp_path / "x.zip")
    assert capsys.readouterr().err == ""


def test_hidden_files_and_what_systems_leave_behind_are_passed_over(photos: Path, tmp_path: Path) -> None:
    for name in (".DS_Store", "._1.jpg", "Thumbs.db", "desktop.ini", ".cache/1.jpg", "__MACOSX/1.jpg"):
        add(photos / "with_mask" / name)
    assert len(packed(photos, tmp_path / "x.zip")) == 4


def test_a_file_that_is_no_image_is_packed_so_that_it_can_be_listed_later(photos: Path, tmp_path: Path) -> None:
    add(photos / "with_mask/readme.txt")
    assert "with_mask/readme.txt" in packed(photos, tmp_path / "x.zip")


def test_links_to_files_are_followed_and_links_to_folders_are_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(tmp_path / "elsewhere/9.jpg")
    (photos / "with_mask/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (photos / "with_mask/8.jpg").symlink_to(tmp_path / "elsewhere/9.jpg")
    (photos / "with_mask/7.jpg").symlink_to("8.jpg")
    (photos / "with_mask/deep/back").symlink_to(photos, target_is_directory=True)
    (tmp_path / "link").symlink_to(photos, target_is_directory=True)
    names = packed(tmp_path / "link", tmp_path / "x.zip")
    assert [name for name in names if name.startswith("with_mask")] == [
        f"with_mask/{name}" for name in ("1.jpg", "7.jpg", "8.jpg", "deep/er/2.png")
    ]
    with Archive(tmp_path / "x.zip") as archive:
        assert archive.read("with_mask/7.jpg") == archive.read("with_mask/8.jpg") == b"9.jpg"
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" is a link to a folder, which is not searched: DVC would not notice")[0] for line in said] == [
        str(tmp_path / "link/with_mask" / name) for name in ("more", "deep/back")
    ]


def test_a_class_folder_that_is_a_link_is_refused(photos: Path, tmp_path: Path) -> None:
    (photos / "without_mask").rename(tmp_path / "elsewhere")
    (photos / "without_mask").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(FacemaskError, match="photos/without_mask is a link to a folder, which is not searched"):
        packed(photos, tmp_path / "x.zip")


def test_a_source_whose_path_leads_through_a_link_is_refused(photos: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "office").symlink_to(photos, target_is_directory=True)
    with pytest.raises(FacemaskError, match=r"sources\.mine\.path leads through .*own/office, a link to a folder"):
        check_watched("mine", FolderSource(kind="folder", path=str(own / "office")), str(own))
    (tmp_path / "linked").symlink_to(photos.parent, target_is_directory=True)
    check_watched("mine", FolderSource(kind="folder", path=str(tmp_path / "linked/photos")), str(tmp_path / "linked"))


def test_a_source_may_be_one_folder_of_one_class(photos: Path, tmp_path: Path) -> None:
    assert packed(photos / "with_mask", tmp_path / "x.zip", **{".": "with_mask"}) == ["1.jpg", "deep/er/2.png"]


@pytest.mark.parametrize("make", ["nothing", "a file"])
def test_a_path_that_is_no_folder_is_named(tmp_path: Path, make: str) -> None:
    if make == "a file":
        add(tmp_path / "photos")
    with pytest.raises(FacemaskError, match=r"photos is not a folder: make it, or set `path`"):
        packed(tmp_path / "photos", tmp_path / "x.zip")


def test_a_missing_class_folder_is_named_with_those_that_are_there(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FacemaskError, match=r"no folder 'Mit_Maske', it has mask_weared_incorrect, with_mask, without_"
    ):
        packed(photos, tmp_path / "x.zip", Mit_Maske="with_mask")
    assert not (tmp_path / "x.zip").exists()


def test_folders_without_a_single_file_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "photos/yes").mkdir(parents=True)
    add(tmp_path / "photos/yes/.DS_Store")
    with pytest.raises(FacemaskError, match=r"no file lies below .*photos in yes"):
        packed(tmp_path / "photos", tmp_path / "x.zip", yes="with_mask")


def test_a_broken_link_is_named(photos: Path, tmp_path: Path) -> None:
    (photos / "with_mask/7.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(FacemaskError, match=r"with_mask/7\.jpg is a broken link"):
        packed(photos, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_named_instead_of_waited_for(photos: Path, tmp_path: Path) -> None:
    os.mkfifo(photos / "with_mask/7.jpg")
    with pytest.raises(FacemaskError, match=r"with_mask/7\.jpg is a broken link or no ordinary file"):
        packed(photos, tmp_path / "x.zip")


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of somebody who may not read everything, as root may."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no permissions of this kind")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("name", ["with_mask/1.jpg", "with_mask/deep", "with_mask", "."])
def test_what_may_not_be_read_is_named(ordinary_user: Path, name: str) -> None:
    add(ordinary_user / "photos/with_mask/1.jpg")
    add(ordinary_user / "photos/with_mask/deep/2.jpg")
    locked = ordinary_user / "photos" / name
    locked.chmod(0)
    try:
        with pytest.raises(FacemaskError, match=rf"{locked}\S* cannot be read: Permission denied"):
            packed(ordinary_user / "photos", ordinary_user / "x.zip", with_mask="with_mask")
        assert [entry.name for entry in ordinary_user.iterdir()] == ["photos"]
    finally:
        locked.chmod(0o700)


def test_a_file_of_300_mb_is_refused_unread(photos: Path, tmp_path: Path) -> None:
    with (photos / "with_mask/film.mp4").open("wb") as file:
        file.truncate(300 * 2**20)
    with pytest.raises(FacemaskError, match=r"film\.mp4 is larger than 256 MB"):
        packed(photos, tmp_path / "x.zip")


def test_an_accent_is_packed_alike_however_the_system_encodes_it(tmp_path: Path) -> None:
    for number, form in enumerate(("NFC", "NFD")):
        root = tmp_path / str(number)
        add(root / unicodedata.normalize(form, "Äh/José.jpg"), b"x")  # type: ignore[arg-type]
        folder = next(root.iterdir()).name
        packed(root, tmp_path / f"{number}.zip", **{folder: "with_mask"})
        source = FolderSource(kind="folder", path=str(root), folders={folder: "with_mask"})
        assert card(source)["folders"] == {"Äh": "with_mask"}
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()


def test_names_that_differ_only_in_how_an_accent_is_encoded_are_refused(photos: Path, tmp_path: Path) -> None:
    add(photos / "with_mask" / "Jos\u00e9.jpg", b"1")
    add(photos / "with_mask" / "Jose\u0301.jpg", b"2")
    if len(list((photos / "with_mask").glob("Jos*"))) < 2:
        pytest.skip("this file system takes both spellings for one file")
    with pytest.raises(FacemaskError, match="differ only in how an accent is encoded"):
        packed(photos, tmp_path / "x.zip")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow such names")
@pytest.mark.parametrize("name", [b"a\\b.jpg", b"new\nline.jpg", b"latin-1 \xe9.jpg"])
def test_a_name_that_not_every_system_can_hold_is_refused(photos: Path, tmp_path: Path, name: bytes) -> None:
    try:
        Path(os.fsdecode(os.fsencode(photos / "with_mask") + b"/" + name)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system does not allow such a name")
    with pytest.raises(FacemaskError, match="rename the file") as error:
        packed(photos, tmp_path / "x.zip")
    str(error.value).encode()


def test_the_card_says_what_it_is_and_nothing_of_this_machine(photos: Path) -> None:
    source = FolderSource(kind="folder", path=str(photos), licence="mine")
    said = card(source)
    assert (said["kind"], said["licence"], said["origin"]) == ("folder", "mine", "own photographs")
    assert said["folders"]["with_mask"] == "with_mask"
    assert str(photos) not in str(said)
