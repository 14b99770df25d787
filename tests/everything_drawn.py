"""Settings of the stage `render` that draw every kind of mask, every style, turned heads and objects."""

from typing import Any, get_args

from facemask.core.params import MaskKind, MaskStyle, RenderParams

EVERYTHING: dict[str, Any] = {
    "kinds": dict.fromkeys(get_args(MaskKind), 1.0) | {"right": 4.0},
    "styles": dict.fromkeys(get_args(MaskStyle), 1.0) | {"photographed": 5.0},
    "dark": 0.15,
    "face_shield": 0.05,
    "turned": 0.5,
    "childlike": 0.15,
    "turned_photographs": 300,
    "with_object": {"bare": 0.5, "masked": 0.15},
}


def everything_drawn(**changes: Any) -> RenderParams:
    return RenderParams.model_validate(EVERYTHING | changes)
