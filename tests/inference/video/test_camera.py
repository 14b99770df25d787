"""Cameras of this computer. There is none in tests, but what is said then can be checked."""

import sys
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.inference.video.source import VideoSource


@pytest.mark.skipif(sys.platform != "linux", reason="where cameras are files")
def test_a_camera_that_is_not_there_is_named() -> None:
    with pytest.raises(FacemaskError, match=r"camera 99 \(/dev/video99\) does not exist; `ls /dev/video\*` lists"):
        VideoSource("99")


@pytest.mark.skipif(sys.platform != "linux", reason="where cameras are files")
def test_a_folder_with_a_number_is_no_file_and_hides_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "99").mkdir()
    with pytest.raises(FacemaskError, match=r"camera 99 .* does not exist"):
        VideoSource("99")
