"""Masks: materials and ways of wearing them."""

from dataclasses import dataclass

import cv2
import numpy as np

from facemask.data.sources.sample.canvas import Array, Canvas, Stencil, ellipse, mix, moved, rgb, ribbon, smooth
from facemask.data.sources.sample.face import Skin
from facemask.data.sources.sample.head import Head, Proportions

_COLOURS = {
    "surgical": ("#8cc4e8", "#9ccdea", "#79b6e0", "#eef2f4", "#98d3c2", "#f1bccb", "#b9b4e0"),
    "cloth": ("#4d5a6b", "#2f3f63", "#7b2f3f", "#c79a3c", "#5f6f4a", "#8d8f94", "#c8a488", "#d8d3c8", "#3f7f80"),
    "patterned": ("#f3efe6", "#24365c", "#d94f4f", "#2f6f62", "#f2c94c", "#e9b7c4", "#3a3a40", "#a8d0e6"),
    "black": ("#1b1c20", "#232427", "#17181c"),
    "ffp2": ("#f2f3f2", "#f4f1ea", "#e9edf0", "#f2f3f2", "#2a2b2f"),
}
_INKS = ("#ffffff", "#e4572e", "#1f2a44", "#f2b632", "#2f7f6f", "#d77fa1", "#f7f3e8", "#7a3f8f")
_PRINTS = ("dots", "stripes", "checks", "flowers", "zigzag", "camouflage")
_FORMS = ("fold", "fold", "cup", "duckbill")


@dataclass(frozen=True)
class Look:
    """The material of one mask. `form` is the cut of an FFP2, `print_kind` the print of a patterned mask."""

    kind: str
    colour: Array
    ink: Array
    print_kind: str
    print_seed: int
    form: str
    valve: bool
    strap: Array


@dataclass(frozen=True)
class Cut:
    """Where a mask lies, in head units: upper and lower edge, left to right, and how far it stands off the face."""

    upper: Array
    lower: Array
    bulge: float

    def across(self, share: float) -> Array:
        """Return the line at `share` of the way from the upper to the lower edge."""
        return self.upper + (self.lower - self.upper) * share

    def lift(self, share: float, line: Array) -> Array:
        """Return how far that line stands off the face."""
        middle = np.clip(1 - (line[:, 0] / 0.62) ** 2, 0, 1)
        return 0.03 + self.bulge * middle * (0.45 + 0.55 * np.sin(np.pi * np.clip(share, 0, 1)))


def draw_look(kind: str, rng: np.random.Generator) -> Look:
    """Draw the colours and details of a mask of `kind`."""
    colours = _COLOURS[kind]
    colour = rgb(colours[int(rng.integers(len(colours)))])
    inks = [rgb(ink) for ink in _INKS if np.abs(rgb(ink) - colour).sum() > 220]
    return Look(
        kind=kind,
        colour=colour,
        ink=inks[int(rng.integers(len(inks)))],
        print_kind=_PRINTS[int(rng.integers(len(_PRINTS)))],
        print_seed=int(rng.integers(1 << 30)),
        form=_FORMS[int(rng.integers(len(_FORMS)))],
        valve=bool(rng.random() < 0.5),
        strap=rgb("#2a2a2d") if colour.mean() < 60 else mix(colour, "#f7f7f5", 0.75),
    )


def cut_of(wear: str, s: Proportions, kind: str) -> Cut:
    """Return where a mask worn as `wear` (right, nose_out, chin_only or under_chin) lies on a face."""
    chin, eye = s.chin_y, s.eye_y
    bulge = {"ffp2": 0.22, "surgical": 0.15}.get(kind, 0.13)
    if wear == "right":
        upper = [(0.63, eye + 0.27), (0.40, eye + 0.27), (0.17, eye + 0.205), (0.0, eye + 0.15)]
        lower = [(0.555, 0.70 * chin), (0.40, 0.93 * chin), (0.20, chin + 0.045), (0.0, chin + 0.065)]
    elif wear == "nose_out":
        top = s.nose_y + 0.09
        upper = [(0.625, top - 0.08), (0.40, top - 0.01), (0.17, top + 0.012), (0.0, top)]
        lower = [(0.555, 0.76 * chin), (0.42, 0.94 * chin), (0.20, chin + 0.07), (0.0, chin + 0.10)]
    elif wear == "chin_only":
        top = s.mouth_y + 1.3 * s.lips + 0.075
        upper = [(0.56, top - 0.13), (0.38, top - 0.025), (0.17, top + 0.01), (0.0, top + 0.01)]
        lower = [(0.51, 0.86 * chin), (0.40, chin + 0.02), (0.20, chin + 0.17), (0.0, chin + 0.20)]
        bulge *= 0.55
    else:
        upper = [(0.60, 0.66 * chin), (0.50, 0.84 * chin), (0.28, 0.97 * chin), (0.0, chin)]
        lower = [(0.585, 0.80 * chin), (0.48, chin + 0.10), (0.24, chin + 0.33), (0.0, chin + 0.38)]
        bulge *= 0.3

    def edge(half: list[tuple[float, float]]) -> Array:
        return smooth([(-x, y) for x, y in half] + half[-2::-1], closed=False)

    return Cut(edge(upper), edge(lower), bulge)


def _print_alpha(look: Look, u: Array, v: Array, pixel: float) -> Array:
    """Return how much ink lies at cloth coordinates (head units), float32 (h, w)."""
    rng = np.random.default_rng(look.print_seed)
    step = rng.uniform(0.11, 0.17)

    def soft(inside: Array) -> Array:
        return np.clip(inside / pixel + 0.5, 0, 1)

    if look.print_kind == "stripes":
        tilt = rng.choice([0.0, 0.0, 0.7, 1.57])
        wave = np.sin((u * np.sin(tilt) + v * np.cos(tilt)) * 2 * np.pi / (step * 0.9))
        return soft(wave * step * 0.14)
    if look.print_kind == "checks":
        one, two = (soft(np.sin(c * 2 * np.pi / step) * step * 0.15) for c in (u, v))
        return 0.5 * one + 0.5 * two
    if look.print_kind == "zigzag":
        tooth = np.abs(np.mod(u / step, 1) - 0.5) * step
        return soft(np.sin((v + tooth) * 2 * np.pi / (0.75 * step)) * step * 0.12)
    if look.print_kind == "camouflage":
        noise = cv2.resize(rng.normal(size=(9, 9)).astype(np.float32), (72, 72), interpolation=cv2.INTER_CUBIC)
        x = np.clip((u + 1.2) * 30, 0, 71).astype(np.float32)
        y = np.clip((v + 0.6) * 30, 0, 71).astype(np.float32)
        across, down = (np.ascontiguousarray(grid) for grid in np.broadcast_arrays(x, y))
        field = cv2.remap(noise, across, down, cv2.INTER_LINEAR)
        return soft((field - 0.1) * 0.06)
    row = np.floor(v / step)
    du = np.mod(u / step + 0.5 * np.mod(row, 2), 1) - 0.5
    dv = np.mod(v / step, 1) - 0.5
    radius = np.sqrt(du**2 + dv**2)
    if look.print_kind == "dots":
        return soft((0.27 - radius) * step)
    petals = 0.40 * (0.68 + 0.32 * np.cos(5 * np.arctan2(dv, du)))
    return soft((petals - radius) * step) - 0.55 * soft((0.12 - radius) * step)


def _fabric(head: Head, stencil: Stencil, look: Look, light: Array, middle: tuple[float, float]) -> Array:
    """Return the colour of the cloth under the stencil, shaded as a bulge around `middle`; (h, w, 3)."""
    x, y = head.local(*stencil.pixels())
    turn = np.sin(head.yaw)
    dx = x - middle[0] - 0.42 * turn
    nx, ny = np.clip(dx / 0.80, -0.97, 0.97), np.clip((y - middle[1]) / 0.80, -0.97, 0.97)
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.04, 1))
    amount = (nx * light[0] + ny * light[1] + nz * light[2]) / np.sqrt(nx**2 + ny**2 + nz**2)
    shade = np.clip(0.60 + 0.48 * amount, 0.42, 1.06)
    colour = np.broadcast_to(look.colour, (*shade.shape, 3))
    if look.kind == "patterned":
        u = np.arcsin(np.clip((x - 0.1 * turn) / 0.9, -0.99, 0.99)) * 0.9 - head.yaw * 0.8
        ink = _print_alpha(look, u, y, 1.5 / head.scale)
        colour = colour + (look.ink - colour) * ink[..., None]
    if look.kind == "black":
        colour = colour + 26 * np.clip(amount - 0.55, 0, 1)[..., None] * 2
    return (colour * shade[..., None]).astype(np.float32)


def paint_straps(canvas: Canvas, head: Head, cut: Cut, look: Look, skin: Skin) -> None:
    """Paint the loops from the mask's corners to the ears; the ears are painted over their ends."""
    unit = head.scale
    for side in (-1, 1):
        if not head.sees_ear(side):
            continue
        end = 0 if side < 0 else -1
        for corner, hook in ((cut.upper[end], (-0.02, -0.19)), (cut.lower[end], (-0.03, 0.19))):
            start = head.surface(np.array([corner - (side * 0.02, 0)]), 0.02)
            stop = head.ear(side, np.array([hook]))
            sag = (start + stop) / 2 + (0, 0.015 * unit)
            path = smooth(np.concatenate([start, sag, stop]), closed=False)
            canvas.fill(ribbon(moved(path, 0, 0.018 * unit), 0.026 * unit), skin.deep, 0.5, 0.008 * unit)
            canvas.fill(ribbon(path, 0.030 * unit), look.strap)
            canvas.fill(ribbon(moved(path, 0, 0.009 * unit), 0.008 * unit), look.strap * 0.7, 0.6)


def paint_mask(
    canvas: Canvas, head: Head, cut: Cut, look: Look, skin: Skin, light: Array, clip: Array | None = None
) -> None:
    """Paint the body of a mask; `clip` limits it, for one that is partly hidden behind the chin."""
    unit = head.scale

    def line(share: float) -> Array:
        path = cut.across(share)
        return head.surface(path, cut.lift(share, path))

    upper, lower = line(0.0), line(1.0)
    outline = np.concatenate([upper, lower[::-1]])
    canvas.fill(moved(outline, 0.01 * unit, 0.035 * unit), skin.deep * 0.6, 0.55, 0.03 * unit, clip)
    body = canvas.stencil(outline)
    middle = cut.across(0.45)
    centre = (0.0, float(middle[len(middle) // 2, 1]))
    canvas.paint(body, _fabric(head, body, look, light, centre), 1.0, clip)
    inside = canvas.spread(body)
    if clip is not None:
        inside *= clip
    dark, pale = look.colour * 0.55, mix(look.colour, "#ffffff", 0.55 if look.colour.mean() > 60 else 0.22)
    canvas.fill(ribbon(np.concatenate([outline, outline[:1]]), 0.10 * unit), dark, 0.40, 0.035 * unit, inside)
    if look.kind == "surgical":
        for share in (0.27, 0.47, 0.67):
            pleat = line(share)
            canvas.fill(ribbon(moved(pleat, 0, 0.035 * unit), 0.06 * unit), pale, 0.55, 0.016 * unit, inside)
            canvas.fill(ribbon(pleat, 0.016 * unit), dark, 0.75, 0.004 * unit, inside)
            canvas.fill(ribbon(pleat - (0, 0.02 * unit), 0.035 * unit), dark, 0.30, 0.012 * unit, inside)
    else:
        seam_x = 0.0
        ridge_share = np.linspace(0, 1, 9)
        ridge = np.concatenate([line(float(t))[len(upper) // 2 : len(upper) // 2 + 1] for t in ridge_share])
        if look.kind == "ffp2" and look.form == "duckbill":
            fold = line(0.52)
            below = np.concatenate([fold, lower[::-1]])
            canvas.fill(below, dark, 0.28, 0.008 * unit, inside)
            canvas.fill(ribbon(fold, 0.02 * unit), dark, 0.8, 0.004 * unit, inside)
            canvas.fill(ribbon(fold - (0, 0.02 * unit), 0.02 * unit), pale, 0.7, 0.006 * unit, inside)
        elif look.kind == "ffp2" and look.form == "cup":
            for share in (0.10, 0.90):
                canvas.fill(ribbon(line(share), 0.014 * unit), dark, 0.6, 0.004 * unit, inside)
        else:
            half = np.concatenate([ridge, line(1.0)[: len(upper) // 2][::-1], line(0.0)[: len(upper) // 2]])
            if light[0] < 0:
                half = np.concatenate([ridge, line(1.0)[len(upper) // 2 :], line(0.0)[len(upper) // 2 :][::-1]])
            canvas.fill(half, dark, 0.20 if look.kind == "ffp2" else 0.13, 0.01 * unit, inside)
            canvas.fill(ribbon(moved(ridge, seam_x, 0), 0.018 * unit), dark, 0.70, 0.005 * unit, inside)
            canvas.fill(
                ribbon(moved(ridge, 0.02 * unit * np.sign(light[0]), 0), 0.02 * unit), pale, 0.5, 0.008 * unit, inside
            )
            for side in (-1, 1):
                crease = moved(np.array([(side * 0.55, 0.0), (side * 0.34, 0.0)]), 0, centre[1])
                canvas.fill(
                    ribbon(head.surface(crease, 0.06), np.array([0.03, 0.004]) * unit), dark, 0.35, 0.012 * unit, inside
                )
        if look.kind == "ffp2" and look.valve:
            valve = head.surface(ellipse(0.24, centre[1] + 0.10, 0.105, 0.09), 0.16)
            canvas.fill(moved(valve, 0, 0.02 * unit), dark, 0.7, 0.012 * unit, inside)
            canvas.fill(valve, mix(look.colour, "#c9ced2", 0.5), 1, 0, inside)
            for k in (-0.03, 0.0, 0.03):
                slot = np.array([(0.18, centre[1] + 0.10 + k), (0.30, centre[1] + 0.10 + k)])
                canvas.fill(ribbon(head.surface(slot, 0.16), 0.012 * unit), dark, 0.8, 0, inside)
    for share, inset in ((0.0, 1), (1.0, -1)):
        hem = line(share + inset * 0.055)
        canvas.fill(ribbon(hem, 0.011 * unit), dark, 0.5, 0.003 * unit, inside)
        canvas.fill(ribbon(line(share), 0.022 * unit), pale, 0.45, 0.006 * unit, inside)
    if look.kind in ("surgical", "ffp2"):
        wire = line(0.045)[len(upper) // 3 : -(len(upper) // 3)]
        canvas.fill(ribbon(wire, 0.04 * unit), pale, 0.55, 0.008 * unit, inside)
        canvas.fill(ribbon(moved(wire, 0, 0.022 * unit), 0.012 * unit), dark, 0.45, 0.004 * unit, inside)


def paint_hanging(canvas: Canvas, head: Head, side: int, look: Look, skin: Skin, light: Array, swing: float) -> None:
    """Paint a mask that hangs from one ear (side -1 left, 1 right); `swing` moves its lower end inwards."""
    unit = head.scale
    anchor = head.ear(side, np.array([(0.0, 0.16)]))[0] / unit
    y = np.linspace(0, 0.80, 10)
    wide = np.interp(y, [0, 0.10, 0.68, 0.80], [0.19, 0.235, 0.235, 0.17])
    middle = anchor[0] - side * (0.10 + swing * y)

    def line(share: float) -> Array:
        curl = 0.03 * np.sin(4 * y)
        return np.stack([middle + wide * share + curl, anchor[1] + 0.16 + y], axis=1) * unit

    outline = np.concatenate([line(-1.0), line(1.0)[::-1]])
    top_in, top_out = line(-side * 0.9)[0], line(side * 0.9)[0]
    low_in, low_out = line(-side * 0.8)[-1], line(side * 0.8)[-1]
    ear_top = head.ear(side, np.array([(-0.04, -0.20), (0.09, -0.22), (0.12, -0.02)]))
    loop = smooth(np.concatenate([top_in[None], ear_top, top_out[None]]), closed=False)
    dangling = smooth(np.array([low_in, (low_in + low_out) / 2 + (0, 0.30 * unit), low_out]), closed=False)
    for path in (loop, dangling):
        canvas.fill(ribbon(moved(path, 0.012 * unit, 0.012 * unit), 0.03 * unit), skin.deep * 0.6, 0.45, 0.01 * unit)
        canvas.fill(ribbon(path, 0.032 * unit), look.strap)
    canvas.fill(moved(outline, -side * 0.03 * unit, 0.04 * unit), skin.deep * 0.5, 0.5, 0.035 * unit)
    body = canvas.stencil(outline)
    centre = head.local(np.float32(middle[5] * unit), np.float32((anchor[1] + 0.5) * unit))
    canvas.paint(body, _fabric(head, body, look, light, (float(centre[0]) - 0.42 * np.sin(head.yaw), float(centre[1]))))
    inside = canvas.spread(body)
    dark, pale = look.colour * 0.55, mix(look.colour, "#ffffff", 0.5 if look.colour.mean() > 60 else 0.22)
    canvas.fill(ribbon(np.concatenate([outline, outline[:1]]), 0.07 * unit), dark, 0.4, 0.02 * unit, inside)
    for share in (-0.5, 0.0, 0.5) if look.kind == "surgical" else (0.0,):
        canvas.fill(ribbon(moved(line(share), 0.03 * unit, 0), 0.05 * unit), pale, 0.5, 0.014 * unit, inside)
        canvas.fill(ribbon(line(share), 0.018 * unit), dark, 0.75, 0.004 * unit, inside)
    for share in (-0.9, 0.9):
        canvas.fill(ribbon(line(share), 0.011 * unit), dark, 0.5, 0.003 * unit, inside)
