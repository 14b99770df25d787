"""Inputs of the command line: files, folders, patterns and standard input."""

import io
import os
import sys
from pathlib import Path, PurePath

import pytest
from PIL import Image

from facemask.core.errors import FacemaskError
from facemask.inference.inputs import find_inputs, refuse_overwriting

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def picture(path: Path, kind: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    Image.new("RGB", (20, 20), (200, 100, 50)).save(file, kind)
    path.write_bytes(file.getvalue())
    return path


def names(*given: str | Path) -> list[str]:
    return [one.name for one in find_inputs([str(name) for name in given]).inputs]


def test_of_a_folder_all_pictures_are_taken_in_order(tmp_path: Path) -> None:
    files = [picture(tmp_path / name) for name in ("b.png", "a.png", "sub/c.png", "sub/deeper/d.png")]
    assert names(tmp_path) == [str(files[place]) for place in (1, 0, 2, 3)]


def test_in_a_folder_pictures_are_known_by_content(tmp_path: Path) -> None:
    photo = picture(tmp_path / "photo", "JPEG")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "empty").touch()
    assert names(tmp_path) == [str(photo)]


def test_in_a_folder_broken_pictures_are_not_passed_over(tmp_path: Path) -> None:
    content = picture(tmp_path / "a.png").read_bytes()
    (tmp_path / "b").write_bytes(content[:60])
    (tmp_path / "c.jpg").write_bytes(b"no picture")
    (tmp_path / "d.JPG").touch()
    assert names(tmp_path) == [str(tmp_path / name) for name in ("a.png", "b", "c.jpg", "d.JPG")]


def test_what_is_hidden_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    for name in (".hidden.png", "__MACOSX/a.png", ".cache/b.png", "._c.png"):
        picture(tmp_path / name)
    seen = picture(tmp_path / "seen.png")
    assert names(tmp_path) == [str(seen)]
    assert names(tmp_path / ".hidden.png") == [str(tmp_path / ".hidden.png")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_in_a_folder_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    seen = picture(tmp_path / "seen.png")
    assert names(tmp_path) == [str(seen)]


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    (one,) = find_inputs([str(tmp_path)]).inputs
    assert (one.name, one.problem) == (str(tmp_path), "no image in this folder")


def test_a_pattern_gives_the_matching_files(tmp_path: Path) -> None:
    files = [picture(tmp_path / name) for name in ("a1.png", "a2.png", "b1.png", "sub/a3.png")]
    assert names(tmp_path / "a?.png") == [str(files[0]), str(files[1])]
    assert names(tmp_path / "**" / "a*.png") == [str(files[place]) for place in (0, 1, 3)]
    assert names(tmp_path / "**") == [str(file) for file in files]
    assert names(tmp_path / "s*") == [str(files[3])]


def test_a_pattern_without_matches_is_reported(tmp_path: Path) -> None:
    (one,) = find_inputs([str(tmp_path / "*.png")]).inputs
    assert one.problem == "no file matches"


def test_an_existing_file_with_brackets_in_its_name_is_not_a_pattern(tmp_path: Path) -> None:
    file = picture(tmp_path / "holiday[1].png")
    picture(tmp_path / "holiday1.png")
    assert names(file) == [str(file)]


def test_missing_files_and_standard_input_are_not_checked() -> None:
    assert [(one.name, one.problem) for one in find_inputs(["missing.jpg", "-"]).inputs] == [
        ("missing.jpg", ""),
        ("-", ""),
    ]


def test_a_mirror_keeps_the_names_below_a_folder(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.JPG", "sub/c.webp"):
        picture(tmp_path / name)
    mirrored = [one.mirrored for one in find_inputs([str(tmp_path), "-"]).inputs]
    assert mirrored == [PurePath(name) for name in ("a.png", "sub/b.JPG", "sub/c.jpg", "standard_input.jpg")]


def test_no_two_files_have_one_place_in_a_mirror(tmp_path: Path) -> None:
    files = ["one/x.jpg", "two/x.jpg", "three/X.JPG", "x.webp", "x-2.jpg"]
    mirrored = [one.mirrored for one in find_inputs([str(picture(tmp_path / name)) for name in files]).inputs]
    assert mirrored == [PurePath(name) for name in ("x.jpg", "x-2.jpg", "X-3.JPG", "x-4.jpg", "x-2-2.jpg")]
    assert len({str(path).casefold() for path in mirrored}) == len(files)


def test_nothing_leads_out_of_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for given in ("..", "../a.png", str(tmp_path / "a.png")):
        assert [one.mirrored for one in find_inputs([given]).inputs] == [PurePath("a.png")]


def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    inputs = find_inputs([str(file), "missing.png", "-"]).inputs
    with pytest.raises(FacemaskError, match=r"input .*a\.png would be overwritten: choose another folder"):
        refuse_overwriting(inputs, [tmp_path / "b.png", tmp_path / "." / "a.png"])
    refuse_overwriting(inputs, [tmp_path / "b.png", tmp_path / "sub" / "a.png"])


@needs_links
def test_what_is_read_is_not_written_under_another_name_either(tmp_path: Path) -> None:
    inputs = find_inputs([str(picture(tmp_path / "photos" / "a.png"))]).inputs
    (tmp_path / "same").symlink_to(tmp_path / "photos")
    with pytest.raises(FacemaskError, match="would be overwritten"):
        refuse_overwriting(inputs, [tmp_path / "same" / "a.png"])


def test_a_picture_that_is_no_input_is_not_overwritten_either(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    inputs = find_inputs([str(picture(tmp_path / "here" / "a.png"))]).inputs
    mine = picture(tmp_path / "mine" / "a.png")
    with pytest.raises(
        FacemaskError, match=r"mine/a\.png would be overwritten, and `facemask predict` did not write it"
    ):
        refuse_overwriting(inputs, [mine])


def test_a_file_that_the_command_writes_is_no_input_however_it_is_found(tmp_path: Path) -> None:
    photo, table = picture(tmp_path / "a.png"), tmp_path / "table.csv"
    table.write_text("of an earlier run")
    for given in ([str(tmp_path / "*")], [str(tmp_path / "**")], [str(photo), str(table)]):
        found = find_inputs(given, [table])
        assert [one.name for one in found.inputs] == [str(photo)]
        assert found.remarks in ([f"{table} is left out: it is written by this command"], [])
    with pytest.raises(FacemaskError, match=r"no input is left: .*table\.csv is left out"):
        find_inputs([str(table)], [table])


@needs_links
def test_linked_files_are_inputs_and_linked_folders_are_named(tmp_path: Path) -> None:
    elsewhere = picture(tmp_path / "elsewhere" / "x.png")
    photos = tmp_path / "photos"
    picture(photos / "sub" / "a.png")
    (photos / "file.png").symlink_to(elsewhere)
    (photos / "second.png").symlink_to(photos / "file.png")
    (photos / "folder").symlink_to(elsewhere.parent)
    (photos / "loop").symlink_to(photos)
    (photos / "gone").symlink_to(tmp_path / "nothing")
    for given in (photos, photos / "**"):
        found = find_inputs([str(given)])
        assert [one.name for one in found.inputs if Path(one.name).exists()] == [
            str(photos / name) for name in ("file.png", "second.png", "sub/a.png")
        ]
        assert [remark.split(" is a link")[0] for remark in found.remarks] == [
            str(photos / name) for name in ("folder", "loop")
        ]
        assert all(
            remark.endswith("not searched: to use what it holds, name it as an input") for remark in found.remarks
        )
    assert [one.problem for one in find_inputs([str(photos)]).inputs if one.name.endswith("gone")] == ["broken link"]
    assert names(photos / "folder") == [str(photos / "folder" / "x.png")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_with_the_name_of_an_image_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (one,) = find_inputs([str(tmp_path)]).inputs
    assert (one.name, one.problem) == (str(tmp_path / "pipe.jpg"), "no ordinary file")


def test_thumbnails_and_leftovers_are_no_inputs(tmp_path: Path) -> None:
    seen = picture(tmp_path / "a" / "1.jpg", "JPEG")
    for name in ("@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/1.png", "._1.jpg", "#recycle/2.jpg"):
        picture(tmp_path / "a" / name)
    for given in (tmp_path, tmp_path / "**", tmp_path / "**" / "*.jpg", tmp_path / "a" / "*.jpg", tmp_path / "a" / "*"):
        assert names(given) == [str(seen)]
    assert names(tmp_path / "a" / "@eaDir") == [str(tmp_path / "a" / "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg")]
