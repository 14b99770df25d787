"""Fetch the ImageNet weights of MobileNetV2 and verify their checksum."""

from pathlib import Path

from facemask.core.stage_runner import run


def main() -> None:
    """Write `models/backbone.weights.h5`."""
    from facemask.core.params import load_params
    from facemask.models.backbone import write_backbone

    write_backbone(Path("models/backbone.weights.h5"), load_params().backbone)


if __name__ == "__main__":
    run(main)
