"""Files that were cut off are told from whole ones, whatever their headers say of the length."""

import re
import threading
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.inference.video.frame import SourceLost
from facemask.inference.video.source import VideoSource
from facemask.inference.video.truncation import Structure, check_structure
from tests.videos import cut, damage, save_animation, save_video, textured

FORMATS = {
    "moov-first.mp4": {"movflags": "faststart"},
    "fragments.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "clip.mkv": {},
    "clip.webm": {},
    "recorded.webm": {"live": "1"},
    "clip.avi": {},
    "clip.ts": {},
    "clip.flv": {},
    "clip.gif": {},
    "clip.png": {},
}


@pytest.fixture(params=FORMATS)
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Four seconds in each format; each has many parts."""
    path, pictures = tmp_path / request.param, textured(60)
    if path.suffix in (".gif", ".png"):
        return save_animation(path, pictures, 1 / 15)
    return save_video(path, pictures, keyframes=10, options=FORMATS[request.param])


def read_until_lost(path: Path) -> tuple[int, str]:
    """The number of frames that came, and what was said at the end."""
    count = 0
    try:
        for _ in VideoSource(str(path)).frames(threading.Event()):
            count += 1
    except SourceLost as lost:
        return count, str(lost)
    pytest.fail(f"{path} counts as whole, after {count} frames")


def test_a_whole_file_is_whole(clip: Path) -> None:
    assert check_structure(clip) is Structure.WHOLE


@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_file_that_is_cut_off_gives_what_it_has_and_says_so(clip: Path, share: float) -> None:
    count, said = read_until_lost(cut(clip, share))
    assert 60 * share - 10 < count < 60
    assert re.search(
        rf"{clip.name} can be read up to second \d\.\d( of \d\.\d)?; the rest is missing or damaged$", said
    )


def test_a_file_that_is_cut_off_after_its_first_frame_is_no_photograph(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mkv", textured(60))
    content = clip.read_bytes()
    first = content.index(b"\xa3", content.index(b"\x1f\x43\xb6\x75"))
    clip.write_bytes(content[: content.index(b"\xa3", first + 3000) + 20])
    assert read_until_lost(clip)[0] == 1


def test_an_mp4_without_the_index_at_its_end_is_refused(tmp_path: Path) -> None:
    clip = cut(save_video(tmp_path / "clip.mp4", textured(60)), 0.9)
    with pytest.raises(FacemaskError, match=r"clip\.mp4 is cut off or damaged, .*: copy or record it again"):
        VideoSource(str(clip))


def test_a_file_that_is_cut_between_two_frames_is_cut_off(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mkv", textured(60))
    content = clip.read_bytes()
    block = content.rindex(b"\xa3", 0, len(content) * 2 // 3)
    clip.write_bytes(content[:block])
    assert check_structure(clip) is Structure.CUT
    read_until_lost(clip)


def test_fragments_before_one_whose_header_is_cut_are_read(tmp_path: Path) -> None:
    clip = save_video(tmp_path / "clip.mp4", textured(60), keyframes=10, options=FORMATS["fragments.mp4"])
    content = clip.read_bytes()
    clip.write_bytes(content[: content.index(b"moof", len(content) // 2) + 90])
    count, said = read_until_lost(clip)
    assert 25 < count < 60
    assert "can be read up to second" in said


def test_a_file_of_which_only_sound_is_missing_is_whole(tmp_path: Path) -> None:
    clip = cut(save_video(tmp_path / "clip.mkv", textured(30), sound=8.0), 0.99)
    assert check_structure(clip) is Structure.CUT
    assert len(list(VideoSource(str(clip)).frames(threading.Event()))) == 30


@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm", "clip.ts", "clip.gif"])
def test_noise_in_the_middle_breaks_the_structure(tmp_path: Path, name: str) -> None:
    clip = tmp_path / name
    if clip.suffix == ".gif":
        save_animation(clip, textured(60))
    else:
        save_video(clip, textured(60))
    assert check_structure(damage(clip, length=clip.stat().st_size // 10)) is not Structure.WHOLE


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"GIF8", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x00\x00", b"a" * 999]
)
def test_any_content_can_be_checked(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert check_structure(tmp_path / "file") in Structure
