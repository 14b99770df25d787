"""Cameras of this computer, with OpenCV.

OpenCV opens a camera by its number, with the driver that each operating system has (V4L2, AVFoundation, Media
Foundation); FFmpeg, which reads files and streams (`decoder`), needs another name and other options on each.
"""

import os
import sys
import time
from pathlib import Path

import cv2

from facemask.core.errors import FacemaskError
from facemask.inference.video.frame import Frame, Picture

_TRIES = 100  # unreadable frames in a row after which the camera is given up
_USUAL_RATE = 25.0  # frames per second, of drivers that state none


class Camera:
    """An open camera; a `FrameReader`."""

    def __init__(self, camera: str, name: str) -> None:
        """Open a camera and read its first frame.

        Args:
            camera: number of the camera, or path of its device.
            name: for messages.

        Raises:
            FacemaskError: there is no such camera, or it cannot be used.
        """
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # errors are reported here
        self._capture = cv2.VideoCapture(int(camera) if camera.isdecimal() else camera)
        first = self._grab()
        if first is None:
            raise FacemaskError(_why_not(camera, name))
        self._first: Picture | None = first
        self._started = time.monotonic()
        self.height, self.width = first.shape[:2]
        said = self._capture.get(cv2.CAP_PROP_FPS)  # 0 or less if the driver does not know
        self.rate = said if said > 0 else _USUAL_RATE
        self.seconds: float | None = None

    def read(self, skip: int = 0) -> Frame | None:
        """Return the next frame after leaving out `skip`, at the time of its arrival; None if none comes."""
        if self._first is not None:
            first, self._first = self._first, None
            return Frame(0.0, first)
        for _ in range(skip):
            self._capture.grab()
        image = self._grab()
        return None if image is None else Frame(time.monotonic() - self._started, image)

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()

    def _grab(self) -> Picture | None:
        for _ in range(_TRIES):
            good, image = self._capture.read()
            if good:
                return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
        return None


def _why_not(camera: str, name: str) -> str:
    """Return a message that says why a camera cannot be opened, as far as can be told, and what to do."""
    device = Path(f"/dev/video{camera}") if camera.isdecimal() else Path(camera)
    if sys.platform == "linux" and not device.exists():
        return f"{name} ({device}) does not exist; `ls /dev/video*` lists the cameras"
    if sys.platform == "linux" and not os.access(device, os.R_OK | os.W_OK):
        return f"no permission to use {name} ({device}); join the group that owns it, often `video`"
    return f"{name} cannot be opened; check that it is connected, allowed in the system settings, and not in use"
