import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import MergeParams
from facemask.data.merge import Merged, class_counts, merge, remove_unused, side_counts
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import decode
from facemask.dataset.image_stats import MEASURES, measure
from facemask.dataset.manifest import CATALOGUE
from tests.bad_images import CASES, animation, cut, picture, saved

SAME = {name: name for name in CLASSES}


def photo(seed: int, height: int = 40, width: int = 50, kind: str = "PNG") -> bytes:
    return saved(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8), kind)


def one_of_each(prefix: str = "") -> dict[str, bytes]:
    return {f"{prefix}{label}/1.png": photo(number) for number, label in enumerate(CLASSES)}


def add_source(raw: Path, name: str, files: dict[str, bytes], folders: dict[str, str] | None = None) -> None:
    write_archive(raw / f"{name}.zip", sorted(files.items()))
    card = {"kind": "folder", "folders": SAME if folders is None else folders, "licence": "", "origin": "test"}
    (raw / f"{name}.json").write_text(json.dumps(card))


def merged(raw: Path, *names: str, **limits: float) -> Merged:
    settings = MergeParams.model_validate(limits)
    return merge(names or ("mine",), raw, raw.parent / "images.zip", settings)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def members(path: Path) -> dict[str, bytes]:
    with Archive(path) as archive:
        return {name: archive.read(name) for name in archive.names}


def test_images_keep_their_bytes_and_are_named_by_source_class_and_path(raw: Path) -> None:
    files = one_of_each("Data/")
    add_source(raw, "mine", files, {f"Data/{label}": label for label in CLASSES})
    table = merged(raw).catalogue
    expected = {f"mine/{label}/Data/{label}/1.png": files[f"Data/{label}/1.png"] for label in CLASSES}
    assert members(raw.parent / "images.zip") == expected
    assert list(table["id"]) == sorted(expected)
    assert list(table["label"]) == sorted(CLASSES)
    assert list(table["sha256"]) == [hashlib.sha256(expected[name]).hexdigest() for name in table["id"]]
    assert set(table["width"]) == {50}
    assert set(table["height"]) == {40}


def test_equal_names_under_mc_and_mmc_both_survive(raw: Path) -> None:
    files = {
        "FMD/incorrect_mask/mc/1.jpg": photo(1),
        "FMD/incorrect_mask/mmc/1.jpg": photo(2),
        "FMD/with_mask/simple/1.jpg": photo(3),
        "FMD/with_mask/complex/1.jpg": photo(4),
        "FMD/without_mask/1.jpg": photo(5),
    }
    folders = {
        "FMD/incorrect_mask": "mask_weared_incorrect",
        "FMD/with_mask": "with_mask",
        "FMD/without_mask": "without_mask",
    }
    add_source(raw, "fmd", files, folders)
    merged(raw, "fmd")
    kept = members(raw.parent / "images.zip")
    assert sorted(kept.values()) == sorted(files.values())
    assert {name.split("/", 2)[2] for name in kept} == set(files)


def test_equal_names_in_two_sources_both_survive_and_their_order_makes_no_difference(raw: Path) -> None:
    add_source(raw, "one", one_of_each())
    add_source(raw, "two", {name: photo(9, 30, 30) for name in one_of_each()})
    first = merged(raw, "one", "two")
    archive = (raw.parent / "images.zip").read_bytes()
    second = merged(raw, "two", "one")
    assert len(first.catalogue) == 6
    assert first.catalogue.equals(second.catalogue)
    assert archive == (raw.parent / "images.zip").read_bytes()


def test_the_longest_folder_decides_and_names_of_folders_are_compared_whole(raw: Path) -> None:
    files = {
        "faces/1.png": photo(1),
        "faces/bare/1.png": photo(2),
        "faces/bare/chin/1.png": photo(3),
        "faces/bareheaded/1.png": photo(4),
    }
    folders = {"faces": "with_mask", "faces/bare": "without_mask", "faces/bare/chin": "mask_weared_incorrect"}
    add_source(raw, "mine", files, folders)
    table = merged(raw).catalogue
    assert dict(zip(table["id"].str.split("/", n=2).str[2], table["label"], strict=True)) == {
        "faces/1.png": "with_mask",
        "faces/bare/1.png": "without_mask",
        "faces/bare/chin/1.png": "mask_weared_incorrect",
        "faces/bareheaded/1.png": "with_mask",
    }


def test_a_map_of_the_whole_archive_takes_files_at_its_root(raw: Path) -> None:
    add_source(raw, "mine", one_of_each() | {"1.png": photo(7)}, SAME | {".": "with_mask"})
    assert "mine/with_mask/1.png" in members(raw.parent / "images.zip" if merged(raw) else raw)


def test_every_file_that_is_not_used_is_listed_with_its_reason(raw: Path) -> None:
    files = one_of_each() | {
        "README.md": b"Faces",
        "other/1.png": photo(5),
        "with_mask_not/1.png": photo(6),
        "with_mask/list.csv": b"a,b\n",
        "with_mask/empty.jpg": b"",
        "with_mask/cut.jpg": cut(saved(picture()), 0.6),
        "with_mask/tiny.png": photo(8, 15, 300),
        "with_mask/large.png": photo(8, 400, 300),
        f"with_mask/{'long' * 300}.png": photo(9),
    }
    add_source(raw, "mine", files)
    result = merged(raw, max_megapixels=0.1)
    assert len(result.catalogue) == 3
    assert result.left_out == sorted(
        [
            ("mine", "README.md", "in no folder that stands for a class"),
            ("mine", "other/1.png", "in no folder that stands for a class"),
            ("mine", "with_mask_not/1.png", "in no folder that stands for a class"),
            ("mine", "with_mask/list.csv", "not an image"),
            ("mine", "with_mask/empty.jpg", "empty file"),
            ("mine", "with_mask/cut.jpg", "truncated"),
            ("mine", "with_mask/tiny.png", "too small"),
            ("mine", "with_mask/large.png", "too large"),
            ("mine", f"with_mask/{'long' * 300}.png", "name too long"),
        ]
    )


def test_a_jpeg_that_lacks_only_its_end_marker_is_left_out_unless_it_is_accepted(raw: Path) -> None:
    add_source(raw, "mine", one_of_each() | {"with_mask/2.jpg": saved(picture(960, 1280))[:-2]})
    assert merged(raw).left_out == [("mine", "with_mask/2.jpg", "end marker is missing")]
    accepted = merged(raw, accept_missing_end=True)
    assert accepted.left_out == []
    assert "mine/with_mask/with_mask/2.jpg" in set(accepted.catalogue["id"])


def test_every_kind_of_bad_and_odd_file_at_once_is_used_or_listed(raw: Path) -> None:
    odd = {f"with_mask/{number:03}": case.build() for number, case in enumerate(CASES)}
    add_source(raw, "mine", one_of_each() | odd)
    result = merged(raw, accept_missing_end=True)
    reasons = {path: reason for _, path, reason in result.left_out}
    expected = {
        f"with_mask/{number:03}": case.expected for number, case in enumerate(CASES) if isinstance(case.expected, str)
    }
    assert reasons == expected
    assert len(result.catalogue) + len(result.left_out) == len(odd) + 3


def test_the_format_is_that_of_the_content_whatever_the_name_says(raw: Path) -> None:
    files = one_of_each() | {
        "with_mask/2.png": photo(5, 200, 100, "JPEG"),
        "with_mask/3.jpg": animation("MPO"),
        "with_mask/4": photo(6, kind="WEBP"),
    }
    add_source(raw, "mine", files)
    formats = merged(raw).catalogue.set_index("id")["format"]
    assert list(formats["mine/with_mask/with_mask/1.png":]) == ["PNG", "JPEG", "JPEG", "WEBP", "PNG"]


def test_every_image_is_measured_as_it_is_decoded(raw: Path) -> None:
    dark = np.full((30, 40, 3), 20, np.uint8)
    add_source(raw, "mine", one_of_each() | {"with_mask/dark.png": saved(dark, "PNG")})
    table = merged(raw).catalogue.set_index("id")
    for name, data in members(raw.parent / "images.zip").items():
        assert dict(table.loc[name, list(MEASURES)]) == measure(decode(data))
    assert table.loc["mine/with_mask/with_mask/dark.png", "brightness"] == 20
    assert table.loc["mine/with_mask/with_mask/dark.png", "contrast"] == 0


def test_the_catalogue_can_be_written_and_read_and_stays_the_same(raw: Path) -> None:
    add_source(raw, "mine", one_of_each() | {"attributes.csv": b"path,hair\nwith_mask/1.png,NA\n"})
    table = merged(raw).catalogue
    CATALOGUE.write(raw.parent / "images.csv", table)
    pd.testing.assert_frame_equal(CATALOGUE.read(raw.parent / "images.csv"), table, check_dtype=False)


def test_attributes_of_all_sources_become_columns_that_are_empty_where_unknown(raw: Path) -> None:
    one = b"path,hair,tone\nwith_mask/1.png,long,7\nwithout_mask/1.png,,1\nno/such.png,x,y\n"
    two = b"\xef\xbb\xbftone,path,glasses\r\n3,with_mask/1.png,yes\r\n"
    add_source(raw, "one", one_of_each() | {"attributes.csv": one})
    add_source(raw, "two", one_of_each() | {"attributes.csv": two})
    result = merged(raw, "one", "two")
    table = result.catalogue.set_index("id")
    assert list(table.columns[-3:]) == ["attr_glasses", "attr_hair", "attr_tone"]
    assert list(table.loc["one/with_mask/with_mask/1.png", "attr_glasses":"attr_tone"]) == ["", "long", "7"]
    assert list(table.loc["one/without_mask/without_mask/1.png", "attr_glasses":"attr_tone"]) == ["", "", "1"]
    assert list(table.loc["two/with_mask/with_mask/1.png", "attr_glasses":"attr_tone"]) == ["yes", "", "3"]
    assert list(table.loc["two/without_mask/without_mask/1.png", "attr_glasses":"attr_tone"]) == ["", "", ""]
    assert result.left_out == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"name,hair\n1.png,long\n",
        b"path,hair,hair\n1.png,long,short\n",
        b"path,path,hair\n1.png,1.png,short\n",
        b"path,Hair colour\n1.png,red\n",
        b"path,hair\n1.png\n",
        b"path,hair\n1.png,long,red\n",
        b"path,hair\n1.png,long\n1.png,short\n",
        b"path,hair\n1.png,\x07\n",
        b"path,hair\n1.png," + b"a" * 2000 + b"\n",
        b"path,hair\n1.png," + b"a" * 200_000 + b"\n",
        b'path,hair\n1.png,"long\n',
        b"path," + b",".join(b"a%d" % number for number in range(60)) + b"\n",
        b"\xff\xfe\xff",
        b"\0" * 100,
        b"path,hair\n" + b"".join(b"%d,long\n" % number for number in range(1_500_000)),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_attributes_that_are_odd_in_any_way_are_left_aside_and_listed(raw: Path, content: bytes) -> None:
    add_source(raw, "mine", one_of_each() | {"attributes.csv": content})
    result = merged(raw)
    assert result.left_out == [("mine", "attributes.csv", "not a table of attributes")]
    assert not [column for column in map(str, result.catalogue) if column.startswith("attr_")]


def test_a_folder_of_the_map_that_is_not_there_is_named_with_those_that_are(raw: Path) -> None:
    add_source(raw, "mine", one_of_each("Data/"), {"Dataset/with_mask": "with_mask"})
    with pytest.raises(FacemaskError, match=r"'mine'.*'Dataset/with_mask'.*Data/mask_weared_incorrect, Data/with_mask"):
        merged(raw)


def test_a_class_without_any_usable_image_is_named_with_what_was_left_out(raw: Path) -> None:
    files = one_of_each() | {"with_mask/1.png": b"", "without_mask/1.png": b"text"}
    add_source(raw, "mine", files)
    (raw.parent / "images.zip").write_bytes(b"of an earlier run")
    with pytest.raises(
        FacemaskError, match=r"with_mask, without_mask in mine; left out: empty file \(1\), not an image \(1\)"
    ):
        merged(raw)
    assert (raw.parent / "images.zip").read_bytes() == b"of an earlier run"
    assert sorted(path.name for path in raw.parent.iterdir()) == ["images.zip", "raw"]


@pytest.mark.parametrize("ending", ["zip", "json"])
def test_a_missing_archive_or_card_is_named_with_the_command_that_fetches_it(raw: Path, ending: str) -> None:
    add_source(raw, "mine", one_of_each())
    (raw / f"mine.{ending}").unlink()
    with pytest.raises(FacemaskError, match=rf"mine\.{ending} is missing; run `dvc repro download@mine`"):
        merged(raw)


@pytest.mark.parametrize("card", ["", "[]", "{}", '{"folders": {}}', '{"folders": {"a": "b"}}', '{"folders": [1]}'])
def test_a_broken_card_is_refused(raw: Path, card: str) -> None:
    add_source(raw, "mine", one_of_each())
    (raw / "mine.json").write_text(card)
    with pytest.raises(FacemaskError, match=r"mine\.json does not say which folder is which class"):
        merged(raw)


def test_archives_no_longer_used_and_drafts_of_killed_downloads_are_removed_and_nothing_else(raw: Path) -> None:
    for name in ("one", "two"):
        add_source(raw, name, one_of_each())
    (raw / ".gitignore").write_text("/one.zip\n")
    (raw / ".two.zip.a1b2c3d4").mkdir()
    (raw / ".two.zip.a1b2c3d4/two.zip").write_bytes(b"of a download that was killed")
    remove_unused(raw, ["two", "three"])
    assert sorted(path.name for path in raw.iterdir()) == [".gitignore", "two.json", "two.zip"]


def test_what_a_person_put_among_the_archives_is_named_and_not_deleted(raw: Path) -> None:
    add_source(raw, "one", one_of_each())
    (raw / "my photos.zip").write_bytes(b"a treasure")
    (raw / "notes.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FacemaskError, match="holds my photos, notes, which the stage download did not make"):
        remove_unused(raw, ["two"])
    assert sorted(path.name for path in raw.iterdir()) == ["my photos.zip", "notes.json", "one.json", "one.zip"]


def test_class_and_side_counts_have_zeros_where_nothing_is(raw: Path) -> None:
    add_source(raw, "one", one_of_each() | {"with_mask/2.png": photo(7, 100, 64)})
    add_source(raw, "two", {"with_mask/1.png": photo(8)}, {"with_mask": "with_mask"})
    table = merged(raw, "one", "two").catalogue
    assert class_counts(table) == [
        ("one", "mask_weared_incorrect", 1),
        ("one", "with_mask", 2),
        ("one", "without_mask", 1),
        ("two", "mask_weared_incorrect", 0),
        ("two", "with_mask", 1),
        ("two", "without_mask", 0),
    ]
    counts = side_counts(table)
    assert [row for row in counts if row[1] == "with_mask"] == [
        (32, "with_mask", 2),
        (48, "with_mask", 0),
        (64, "with_mask", 1),
    ]
    assert sum(count for _, _, count in counts) == len(table)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux' /proc")
def test_memory_does_not_grow_with_the_number_and_size_of_files(raw: Path) -> None:
    """288 MB of files, which would show if many of them were read ahead or kept."""
    image = photo(1, 1000, 1000, "BMP")
    image += bytes(24 * 2**20 - len(image))
    add_source(raw, "mine", {f"{label}/{number}.bmp": image for label in CLASSES for number in range(4)})
    code = r"""
import re, sys
from pathlib import Path
from facemask.data.merge import merge
from facemask.core.params import MergeParams
raw = Path(sys.argv[1])
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024
before = peak()
merge(["mine"], raw, raw.parent / "images.zip", MergeParams())
print(peak() - before)
"""
    run = subprocess.run([sys.executable, "-c", code, str(raw)], capture_output=True, check=True)
    assert int(run.stdout) < 180


def test_faces_that_were_cut_out_name_their_picture_and_bring_what_gave_none(raw: Path) -> None:
    faces = {f"{label}/deep/a.png/{number}.png": photo(number) for number, label in enumerate(CLASSES)}
    add_source(raw, "boxes", faces)
    add_source(raw, "mine", {f"{label}/1.png": photo(10 + number) for number, label in enumerate(CLASSES)})
    card = json.loads((raw / "boxes.json").read_text())
    card |= {"cut_out": True, "left_out": [["images/b.png, box 2", "box without area"]]}
    (raw / "boxes.json").write_text(json.dumps(card))
    found = merged(raw, "boxes", "mine")
    assert found.catalogue.groupby("source")["picture"].agg(set).to_dict() == {
        "boxes": {"boxes/deep/a.png"},
        "mine": {""},
    }
    assert found.left_out == [("boxes", "images/b.png, box 2", "box without area")]
    assert "picture" not in merged(raw, "mine").catalogue
