"""Random attributes of each portrait, sampled before painting.

Everything but the mask is drawn from the same distribution for every class, so that nothing but the mask can tell
the class.
"""

from dataclasses import dataclass

import numpy as np

from facemask.core.classes import CLASSES

# E. Monk, "The Monk Skin Tone Scale", 2019; values as published at skintone.google.
MONK_TONES = (
    "#f6ede4",
    "#f3e7db",
    "#f7ead0",
    "#eadaba",
    "#d7bd96",
    "#a07e56",
    "#825c43",
    "#604134",
    "#3a312a",
    "#292420",
)

WEARS = {
    "mask_weared_incorrect": {"nose_out": 0.4, "chin_only": 0.25, "under_chin": 0.2, "one_ear": 0.15},
    "with_mask": {"right": 1.0},
    "without_mask": {"none": 1.0},
}
_MASK_TYPES = {"surgical": 0.38, "cloth": 0.16, "patterned": 0.18, "black": 0.12, "ffp2": 0.16}
_HAIR = {
    ("child", True): {"short": 0.4, "curly": 0.2, "fringe": 0.3, "buzz": 0.1},
    ("child", False): {"long": 0.3, "fringe": 0.25, "bun": 0.2, "bob": 0.15, "curly": 0.1},
    ("adult", True): {"short": 0.3, "parted": 0.25, "buzz": 0.15, "curly": 0.12, "bald": 0.1, "long": 0.08},
    ("adult", False): {"long": 0.35, "bob": 0.2, "bun": 0.15, "curly": 0.15, "fringe": 0.15},
    ("elderly", True): {"receding": 0.4, "short": 0.3, "bald": 0.2, "parted": 0.1},
    ("elderly", False): {"bob": 0.4, "bun": 0.3, "curly": 0.2, "long": 0.1},
}
_HAIR_COLOURS = {
    "light": {"dark": 0.25, "brown": 0.3, "blond": 0.25, "red": 0.1, "black": 0.07, "dyed": 0.03},
    "medium": {"black": 0.45, "dark": 0.4, "brown": 0.12, "dyed": 0.03},
    "deep": {"black": 0.75, "dark": 0.2, "brown": 0.03, "dyed": 0.02},
}
_COVERINGS = {
    True: {"none": 0.72, "cap": 0.09, "hat": 0.07, "turban": 0.06, "hood": 0.06},
    False: {"none": 0.72, "hijab": 0.13, "hat": 0.08, "cap": 0.04, "hood": 0.03},
}
_BEARDS = {"none": 0.45, "stubble": 0.13, "moustache": 0.08, "goatee": 0.08, "full": 0.18, "long": 0.08}
_BACKGROUNDS = {"plain": 0.2, "gradient": 0.2, "indoor": 0.22, "bokeh": 0.18, "park": 0.2}


@dataclass(frozen=True)
class Plan:
    """What one portrait shows. `format` is "jpg" or "png"; `size` is the height in pixels."""

    label: str
    index: int
    skin_tone: int
    age: str
    masculine: bool
    beard: str
    glasses: str
    head_covering: str
    hair: str
    hair_colour: str
    pose: str
    hand: bool
    scarf: bool
    background: str
    light: str
    sharpness: str
    mask_type: str
    wear: str
    format: str
    size: int


def plan_portrait(label: str, index: int, seed: int) -> Plan:
    """Return the plan of portrait `index` of class `label`; a pure function of its arguments."""
    rng = np.random.default_rng([seed, CLASSES.index(label), index])

    def pick(chances: dict[str, float]) -> str:
        return str(rng.choice(list(chances), p=list(chances.values())))

    tone = int(rng.integers(1, 11))
    age = pick({"child": 0.2, "adult": 0.58, "elderly": 0.22})
    masculine = bool(rng.random() < 0.5)
    bearded = pick(_BEARDS)
    glasses = pick({"none": 0.76, "clear": 0.19, "dark": 0.05})
    hair = pick(_HAIR[age, masculine])
    natural = pick(_HAIR_COLOURS["light" if tone <= 4 else "medium" if tone <= 6 else "deep"])
    grey = pick({"grey": 0.6, "white": 0.4})
    covering = pick(_COVERINGS[masculine])
    pose = pick({"frontal": 0.5, "turned": 0.32, "tilted": 0.18})
    hand = bool(rng.random() < 0.09)
    scarf = bool(rng.random() < 0.1)
    background = pick(_BACKGROUNDS)
    light = pick({"dark": 0.14, "normal": 0.72, "bright": 0.14})
    sharpness = pick({"sharp": 0.84, "blurred": 0.16})
    file_format = pick({"jpg": 0.94, "png": 0.06})
    size = int(np.clip(rng.lognormal(np.log(200), 0.25), 112, 320))
    wear = pick(WEARS[label])
    mask_type = pick(_MASK_TYPES)
    return Plan(
        label=label,
        index=index,
        skin_tone=tone,
        age=age,
        masculine=masculine,
        beard=bearded if masculine and age != "child" else "none",
        glasses=glasses,
        head_covering=covering,
        hair=hair,
        hair_colour=grey if age == "elderly" else natural,
        pose=pose,
        hand=hand,
        scarf=scarf,
        background=background,
        light=light,
        sharpness=sharpness,
        mask_type="none" if wear == "none" else mask_type,
        wear=wear,
        format=file_format,
        size=size,
    )
