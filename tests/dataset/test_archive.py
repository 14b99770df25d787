import hashlib
import io
import random
import stat
import struct
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.dataset.archive import (
    MAX_MEMBER_BYTES,
    Archive,
    Archives,
    BrokenArchiveError,
    content_hash,
    write_archive,
)

CONTENT = {"a/1.png": b"one", "a/2.png": b"", "b/1.png": b"one", "b/ü.png": bytes(range(256)) * 100}


def make_zip(path: Path, *members: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def patched(path: Path, old: bytes, new: bytes) -> Path:
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_archive(tmp_path / "x.zip", sorted(CONTENT.items()))
    with Archive(tmp_path / "x.zip") as archive:
        assert archive.names == sorted(CONTENT)
        assert {name: archive.read(name) for name in archive.names} == CONTENT
        with pytest.raises(KeyError):
            archive.read("a/3.png")


def test_several_archives_are_read_as_one(tmp_path: Path) -> None:
    write_archive(tmp_path / "x.zip", sorted(CONTENT.items()))
    write_archive(tmp_path / "y.zip", [("rendered/1.png", b"drawn")])
    write_archive(tmp_path / "empty.zip", [])
    with Archive(tmp_path / "x.zip") as x, Archive(tmp_path / "y.zip") as y, Archive(tmp_path / "empty.zip") as empty:
        archives = Archives(x, y, empty)
        assert archives.paths == [tmp_path / "x.zip", tmp_path / "y.zip", tmp_path / "empty.zip"]
        assert {name: archives.read(name) for name in [*CONTENT, "rendered/1.png"]} == {
            **CONTENT,
            "rendered/1.png": b"drawn",
        }
        with pytest.raises(KeyError):
            archives.read("a/3.png")


def test_a_name_that_stands_in_two_archives_is_refused_with_both_of_them(tmp_path: Path) -> None:
    write_archive(tmp_path / "x.zip", sorted(CONTENT.items()))
    write_archive(tmp_path / "y.zip", [("a/1.png", b"another")])
    with (
        Archive(tmp_path / "x.zip") as x,
        Archive(tmp_path / "y.zip") as y,
        pytest.raises(FacemaskError, match=r"a/1\.png stands in .*x\.zip and in .*y\.zip; call the source"),
    ):
        Archives(x, y)


def test_equal_content_gives_equal_bytes_whatever_the_zip_it_came_from(tmp_path: Path) -> None:
    late = [zipfile.ZipInfo(name, (2024, 5, 6, 7, 8, 10)) for name in CONTENT]
    first = make_zip(tmp_path / "1.zip", *[(info, CONTENT[info.filename]) for info in late])
    turned = reversed(CONTENT.items())
    second = make_zip(tmp_path / "2.zip", ("a/", b""), *turned, method=zipfile.ZIP_DEFLATED)
    for source, target in ((first, tmp_path / "3.zip"), (second, tmp_path / "4.zip")):
        with Archive(source) as archive:
            write_archive(target, ((name, archive.read(name)) for name in archive.names))
    assert first.read_bytes() != second.read_bytes()
    assert (tmp_path / "3.zip").read_bytes() == (tmp_path / "4.zip").read_bytes()


def test_the_bytes_of_an_archive_are_the_same_on_every_system(tmp_path: Path) -> None:
    write_archive(tmp_path / "x.zip", sorted(CONTENT.items()))
    known = "b7e62eb25ef179b6c983e68d1ddbbc21d9693efa2a0bec53232d93baf3253e26"
    assert hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest() == known


def test_the_content_hash_is_the_one_that_sha256sum_would_give(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", *reversed(CONTENT.items()), method=zipfile.ZIP_DEFLATED)
    lines = "".join(f"{hashlib.sha256(CONTENT[name]).hexdigest()}  {name}\n" for name in sorted(CONTENT))
    with Archive(path) as archive:
        assert content_hash(archive) == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("change", [{"a/1.png": b"two"}, {"a/new.png": b"one"}], ids=["content", "name"])
def test_the_content_hash_changes_with_a_content_or_a_name(tmp_path: Path, change: dict[str, bytes]) -> None:
    with Archive(make_zip(tmp_path / "1.zip", *CONTENT.items())) as archive:
        before = content_hash(archive)
    with Archive(make_zip(tmp_path / "2.zip", *(CONTENT | change).items())) as archive:
        assert content_hash(archive) != before


def test_members_out_of_order_or_twice_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    for names in (["b", "a"], ["a", "a"]):
        with pytest.raises(ValueError, match="ascend"):
            write_archive(tmp_path / "x.zip", ((name, b"") for name in names))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_archive_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    write_archive(path, [("a", b"old")])

    def interrupted() -> object:
        yield "a", b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_archive(path, interrupted())  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["x.zip"]
    with Archive(path) as archive:
        assert archive.read("a") == b"old"


def test_an_archive_larger_than_memory_should_hold_is_written_member_by_member(tmp_path: Path) -> None:
    tracemalloc.start()
    write_archive(tmp_path / "x.zip", ((f"{number:05}.png", bytes(100_000)) for number in range(600)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "x.zip").stat().st_size > 60_000_000
    assert peak < 5_000_000


def test_many_threads_read_from_one_archive(tmp_path: Path) -> None:
    content = {f"{number:04}.bin": random.Random(number).randbytes(20_000) for number in range(300)}
    write_archive(tmp_path / "x.zip", sorted(content.items()))
    with Archive(tmp_path / "x.zip") as archive, ThreadPoolExecutor(8) as pool:
        wanted = [*content] * 5
        assert list(pool.map(archive.read, wanted)) == [content[name] for name in wanted]


def test_folders_and_what_systems_leave_behind_are_no_members(tmp_path: Path) -> None:
    junk = [
        "__MACOSX/a/._1.png",
        "a/.DS_Store",
        "Thumbs.db",
        "a/._1.png",
        "a/desktop.ini",
        "a/.hidden.png",
        "@eaDir/1.jpg",
    ]
    junk += ["a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/1.jpg", "a/Icon\r"]
    kept = ["a/1.png", "a/DS_Store", "a/notes.txt", "my__MACOSX/1.png", "xThumbs.db"]
    path = make_zip(tmp_path / "x.zip", ("a/", b""), *[(name, b"x") for name in junk + kept])
    with Archive(path) as archive:
        assert archive.names == sorted(kept)


def test_names_that_differ_only_in_case_are_two_files(tmp_path: Path) -> None:
    with Archive(make_zip(tmp_path / "x.zip", ("a/1.jpg", b"one"), ("a/1.JPG", b"two"))) as archive:
        assert [archive.read(name) for name in archive.names] == [b"two", b"one"]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../outside.png",
        "a/../../outside.png",
        "..",
        "C:/outside.png",
        "c:outside.png",
        "a\\b.png",
        "..\\outside.png",
        "\\\\host\\share\\1.png",
        "./1.png",
        "a//1.png",
        "a/./1.png",
        "a/\n.png",
        "a/\x7f.png",
        "../folder/",
    ],
)
def test_a_name_that_is_no_plain_path_inside_is_refused(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "x.zip", ("a/ok.png", b"x"), (name, b"x"))
    with pytest.raises(FacemaskError) as error:
        Archive(path)
    assert str(path) in str(error.value)
    assert repr(name) in str(error.value)
    if not name.endswith("/"):
        with pytest.raises(FacemaskError):
            write_archive(tmp_path / "y.zip", [(name, b"x")])
    assert [file.name for file in tmp_path.iterdir()] == ["x.zip"]


def test_a_name_cut_short_by_a_nul_is_refused(tmp_path: Path) -> None:
    path = patched(make_zip(tmp_path / "x.zip", ("a/1.png#.exe", b"x")), b"#", b"\0")
    with pytest.raises(FacemaskError, match="control characters"):
        Archive(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_a_link_or_other_special_file_is_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("a/1.png")
    info.external_attr = (kind | 0o777) << 16
    path = make_zip(tmp_path / "x.zip", (info, b"/etc/passwd"))
    with pytest.raises(FacemaskError, match=r"'a/1\.png' is a link or another special file"):
        Archive(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("a/1.png", b"one"), ("a/1.png", b"two"))
    with pytest.raises(FacemaskError, match=r"two members are named 'a/1\.png'"):
        Archive(path)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("a/1.png", b"x"))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(FacemaskError, match=r"'a/1\.png' is encrypted"):
        Archive(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_can_hide_a_bomb_are_refused(tmp_path: Path, method: int) -> None:
    path = make_zip(tmp_path / "x.zip", ("a/1.png", b"x" * 1000), method=method)
    with pytest.raises(FacemaskError, match="other than deflate"):
        Archive(path)


def test_a_member_of_10_gb_is_refused_without_unpacking_it(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file, file.open("a/1.png", "w") as member:
        member.write(bytes(2**20))
    # The directory at the end claims 10 GB, by the extension for sizes beyond 4 GB.
    raw = path.read_bytes()
    start, end = raw.index(b"PK\1\2"), raw.index(b"PK\5\6")
    entry = bytearray(raw[start:end])
    struct.pack_into("<L", entry, 24, 0xFFFFFFFF)
    struct.pack_into("<H", entry, 30, 12)
    entry += struct.pack("<HHQ", 1, 8, 10 * 2**30)
    tail = bytearray(raw[end:])
    struct.pack_into("<L", tail, 12, len(entry))
    path.write_bytes(raw[:start] + entry + tail)
    tracemalloc.start()
    with pytest.raises(FacemaskError, match=r"'a/1.png' is 10,240 MB large, more than 256 MB"):
        Archive(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_bomb_that_lies_about_its_size_is_not_unpacked(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("a/1.png", bytes(200 * 2**20)), method=zipfile.ZIP_DEFLATED)
    patched(path, struct.pack("<L", 200 * 2**20), struct.pack("<L", 1000))
    with Archive(path) as archive:
        tracemalloc.start()
        with pytest.raises(BrokenArchiveError, match=r"a/1\.png"):
            archive.read("a/1.png")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 * 2**20


def test_more_than_a_terabyte_in_all_is_refused(tmp_path: Path) -> None:
    members = [(f"{number}.png", b"#" * 255) for number in range(4097)]
    path = make_zip(tmp_path / "x.zip", *members)
    raw = path.read_bytes()
    head = raw[: raw.index(b"PK\1\2")]
    directory = raw[len(head) :].replace(struct.pack("<LL", 255, 255), struct.pack("<LL", 255, MAX_MEMBER_BYTES))
    path.write_bytes(head + directory)
    with pytest.raises(FacemaskError, match="holds 1,048,832 MB"):
        Archive(path)


@pytest.mark.parametrize(
    "content", [b"", b"<html>sign in</html>", b"PK\3\4" + bytes(100)], ids=["empty", "page", "head"]
)
def test_what_is_no_zip_is_called_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(BrokenArchiveError, match=r"x\.zip is cut off or no zip archive"):
        Archive(path)


def test_a_missing_archive_is_called_missing(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match="No such file"):
        Archive(tmp_path / "x.zip")


def test_an_archive_cut_off_anywhere_is_never_read_as_whole(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", *CONTENT.items())
    raw = path.read_bytes()
    for length in random.Random(1).sample(range(len(raw)), 50):
        path.write_bytes(raw[:length])
        with pytest.raises(BrokenArchiveError):
            Archive(path)


def test_no_altered_byte_gives_a_wrong_content_or_another_kind_of_error(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in CONTENT.items():
            file.writestr(name, content)
    path, raw = tmp_path / "x.zip", buffer.getvalue()
    for position in range(len(raw)):
        path.write_bytes(raw[:position] + bytes([raw[position] ^ 0x41]) + raw[position + 1 :])
        try:
            with Archive(path) as archive:
                read = [archive.read(name) for name in archive.names]
        except FacemaskError:
            continue
        assert set(read) <= set(CONTENT.values()), position
