"""Images reach the model at its size, in order, a batch at a time."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.batches import one_hot, plain_batches, read_image


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Ten plain pictures whose grey level is ten times their number, of different sizes."""

    def png(number: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("L", (40 + number, 60), number * 10).save(buffer, "PNG")
        return buffer.getvalue()

    write_archive(tmp_path / "images.zip", [(f"{number}.png", png(number)) for number in range(10)])
    return Archive(tmp_path / "images.zip")


@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 64])
def test_every_image_comes_once_and_in_order(archive: Archive, batch_size: int) -> None:
    batches = list(plain_batches(archive, archive.names, 32, batch_size))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    pixels = np.concatenate(batches)
    assert pixels.shape == (10, 32, 32, 3)
    assert pixels.dtype == np.uint8
    assert [int(image[0, 0, 0]) for image in pixels] == [number * 10 for number in range(10)]


def test_no_image_gives_no_batch(archive: Archive) -> None:
    assert list(plain_batches(archive, [], 32, 4)) == []


def test_an_image_larger_than_the_usual_limit_is_read_once_it_was_merged(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (9000, 6000), 70).save(buffer, "PNG")
    write_archive(tmp_path / "images.zip", [("large.png", buffer.getvalue())])
    with Archive(tmp_path / "images.zip") as archive:
        assert (read_image(archive, "large.png", 32) == 70).all()


def test_labels_become_one_hot_rows_in_the_order_of_the_classes() -> None:
    assert np.array_equal(one_hot(CLASSES), np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="not in tuple"):
        one_hot(["masked"])
