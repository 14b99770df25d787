"""Frames of a video, what delivers them, and the event that it stops."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facemask.core.errors import FacemaskError

Picture = NDArray[np.uint8]


class SourceLost(FacemaskError):  # noqa: N818 - named after the event
    """A source stopped delivering frames before its end, or parts of it are damaged."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        time: seconds since the first frame; strictly increasing.
        image: uint8 (height, width, 3), RGB.
    """

    time: float
    image: Picture


class FrameReader(Protocol):
    """What delivers the frames of one video, one after another.

    Attributes:
        rate: frames per second on average, as stated by the video.
        seconds: length of the video as stated by it; None if it is not.
        height: height of the frames, in pixels.
        width: width of the frames, in pixels.
    """

    rate: float
    seconds: float | None
    height: int
    width: int

    def read(self, skip: int = 0) -> Frame | None:
        """Return the next frame after leaving out `skip`; None if no more come. The first is never left out."""

    def close(self) -> None:
        """Close the file, connection or camera."""
