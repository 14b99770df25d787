"""Fetch and check the ImageNet weights of MobileNetV2."""

from pathlib import Path

from facemask.backbone import write_backbone
from facemask.params import load_params
from facemask.stage import run


def main() -> None:
    """Write `models/backbone.weights.h5`."""
    write_backbone(Path("models/backbone.weights.h5"), load_params().backbone)


if __name__ == "__main__":
    run(main)
