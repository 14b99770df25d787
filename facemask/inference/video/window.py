"""Window that shows frames, with OpenCV."""

import subprocess
import sys

import cv2

from facemask.core.errors import FacemaskError
from facemask.core.stderr import quiet_stderr
from facemask.inference.video.frame import Picture

_LARGEST = 1280  # pixels; the user may enlarge it


class Window:
    """A window that shows frames."""

    def __init__(self, title: str, height: int, width: int) -> None:
        """Open a window for frames of this size in pixels.

        Raises:
            FacemaskError: this OpenCV build has no windows, or there is no display.
        """
        _require_windows()
        self._title = title
        scale = min(1.0, _LARGEST / max(height, width))
        with quiet_stderr():
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, round(width * scale), round(height * scale))

    def show(self, image: Picture, seconds: float) -> bool:
        """Show a frame, uint8 (height, width, 3), RGB, for at least `seconds`; return whether to go on.

        Closing the window, q and Escape end the video.
        """
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(max(round(1000 * seconds), 1))
        try:
            return key not in (ord("q"), 27) and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            return False  # raised by Qt after its last window is closed


def _require_windows() -> None:
    """Open a window in another process first: without a display, Qt does not raise but aborts the process."""
    attempt = [sys.executable, "-c", "import cv2; cv2.namedWindow('facemask')"]
    if subprocess.run(attempt, capture_output=True, check=False).returncode == 0:
        return
    if cv2.currentUIFramework():
        raise FacemaskError("no window can be opened: there is no display here; use --output instead of --show")
    raise FacemaskError(
        "this OpenCV build has no windows; leave out --show, or run `pip uninstall opencv-python-headless` and "
        "`pip install opencv-python`"
    )
