"""Fetch the ImageNet weights of MobileNetV2 and verify their checksum."""

from pathlib import Path

from facemask.core.params import load_params
from facemask.core.stage_runner import run
from facemask.models.backbone import write_backbone


def main() -> None:
    """Write `models/backbone.weights.h5`."""
    write_backbone(Path("models/backbone.weights.h5"), load_params().backbone)


if __name__ == "__main__":
    run(main)
