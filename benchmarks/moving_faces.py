"""Pictures with moving faces, cut out of a photograph that scikit-image carries, for videos.

    python benchmarks/moving_faces.py clip.mp4

writes one with two faces, of five seconds.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from facemask.inference.video.encoder import write_video

Picture = NDArray[np.uint8]

HEIGHT, WIDTH = 480, 640
RATE = 15  # pictures a second
_HIGH, _WIDE = 145, 170  # pixels, of the part around a face


def moving_faces(pictures: int, faces: int) -> list[Picture]:
    """Draw faces that go to and fro on a grey ground, side by side, each in a part of its own.

    Args:
        pictures: how many, as of a video of 15 a second.
        faces: 0 to 3.

    Returns:
        uint8 (480, 640, 3), RGB.
    """
    face = np.ascontiguousarray(astronaut()[20:165, 140:310])
    views = [face, np.ascontiguousarray(face[:, ::-1]), face]
    drawn = []
    for number in range(pictures):
        picture = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        for place in range(faces):
            swing = np.sin(2 * np.pi * (number / 45 + place / 3))
            top, left = round(165 + 90 * swing), 20 + 210 * place
            picture[top : top + _HIGH, left : left + _WIDE] = views[place]
        drawn.append(picture)
    return drawn


def main(path: Path) -> None:
    """Write a video."""
    with write_video(path, RATE, HEIGHT, WIDTH) as video:
        for number, picture in enumerate(moving_faces(5 * RATE, faces=2)):
            video.write(picture, number / RATE)
        video.show_last_until(5)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
