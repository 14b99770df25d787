"""What is held before a bare face: cups, glasses, bottles and food at the mouth, books, microphones, telephones."""

from typing import Literal, get_args

import cv2
import numpy as np

from facemask.data.synthetic.fabric import HEIGHT, WIDTH, Map, draw_fabric
from facemask.data.synthetic.mask_geometry import Points
from facemask.data.synthetic.objects_hand import chosen_shape, draw_hand, hand_skin, held
from facemask.data.synthetic.scene import (
    Painting,
    Scene,
    brightness,
    lit,
    mottle,
    polygon,
    tube,
)
from facemask.faces import mesh as lm

DrinkForm = Literal["mug", "paper_cup", "glass", "bottle"]
FoodForm = Literal["fruit", "bread"]
DRINK_FORMS: tuple[DrinkForm, ...] = get_args(DrinkForm)
FOOD_FORMS: tuple[FoodForm, ...] = get_args(FoodForm)

_CHINA = np.array(
    [[0.93, 0.92, 0.9], [0.93, 0.92, 0.9], [0.08, 0.08, 0.09], [0.75, 0.1, 0.1], [0.12, 0.25, 0.5], [0.2, 0.45, 0.3],
     [0.9, 0.75, 0.25], [0.55, 0.75, 0.85], [0.6, 0.4, 0.28], [0.88, 0.62, 0.66]]
)  # fmt: skip
_DRINKS = np.array([[0.45, 0.2, 0.06], [0.85, 0.55, 0.12], [0.12, 0.05, 0.03], [0.8, 0.85, 0.88], [0.75, 0.3, 0.12],
                    [0.9, 0.86, 0.78]])  # fmt: skip
_FRUITS = np.array([[0.7, 0.08, 0.07], [0.45, 0.6, 0.15], [0.9, 0.75, 0.2], [0.92, 0.5, 0.1], [0.9, 0.55, 0.4],
                    [0.35, 0.1, 0.2]])  # fmt: skip
_BREADS = np.array([[0.7, 0.45, 0.2], [0.85, 0.68, 0.42], [0.5, 0.3, 0.15], [0.93, 0.85, 0.68]])
_BOTTLES = np.array([[0.75, 0.85, 0.92], [0.12, 0.35, 0.15], [0.35, 0.16, 0.05], [0.9, 0.9, 0.9], [0.75, 0.1, 0.1]])


def paint_drink(scene: Scene, form: DrinkForm, rng: np.random.Generator) -> Painting:
    """Paint a cup, a glass or a bottle at the lips, mostly with the hand that holds it; the tip of the nose stays bare.

    Args:
        scene: the face.
        form: what it is.
        rng: source of chance.
    """
    painting = Painting(scene)
    side = int(rng.choice([-1, 1]))
    angle = -side * rng.uniform(0, 28)
    lips = scene.at(14, rng.normal(0, 0.02), 0.0)
    way = np.deg2rad(angle)
    axis = scene.moved(np.array([-np.sin(way), np.cos(way)]))  # from the rim to the bottom, one width of the face long
    skin = hand_skin(scene, rng)
    size = rng.uniform(0.85, 1.05)
    if form == "bottle":
        length = rng.uniform(0.7, 1.1)
        start = lips - 0.02 * axis
        _paint_bottle(painting, scene, start, axis, length, rng)
        grip = start + axis * rng.uniform(0.35, 0.5)
    else:
        length = rng.uniform(0.34, 0.6)
        radius = rng.uniform(0.18, 0.26) if form != "glass" else rng.uniform(0.15, 0.22)
        start = lips + axis * rng.uniform(-0.01, 0.05)
        _paint_cup(painting, scene, form, start, axis, length, radius, rng)
        grip = start + axis * length * rng.uniform(0.55, 0.95)
    if rng.random() < 0.7:
        across = scene.moved(np.array([side * np.cos(way), side * np.sin(way)]))
        target = grip - across * rng.uniform(0.0, 0.1)
        turned = angle - side * rng.uniform(45, 85)
        placing = held(scene, target, turned, size, side > 0, reach=rng.uniform(0.82, 0.95))
        shape = chosen_shape(rng, rng.uniform(0.55, 0.9))
        draw_hand(painting, scene, placing, shape, skin, rng, rng.uniform(0.03, 0.9, 3) if rng.random() < 0.5 else None)
    return painting


def _paint_cup(
    painting: Painting,
    scene: Scene,
    form: DrinkForm,
    start: Points,
    axis: Points,
    length: float,
    radius: float,
    rng: np.random.Generator,
) -> None:
    """Paint a tapering vessel from the middle of its rim along its axis (2,), one width of the face long."""
    taper = {"mug": rng.uniform(0.9, 1.0), "paper_cup": rng.uniform(0.68, 0.8)}.get(form, rng.uniform(0.75, 1.0))
    tipped = rng.uniform(0.05, 0.4)  # how much of its bottom is seen: more as it is emptied
    turn = np.arctan2(axis[1], axis[0]) - np.pi / 2
    rim = _ellipse(scene, start, radius, radius * max(0.22 - tipped * 0.3, 0.05), turn)
    end = start + axis * length * (1 - 0.45 * tipped)
    bottom = _ellipse(scene, end, radius * taper, radius * taper * tipped, turn)
    hull = cv2.convexHull(np.vstack([rim, bottom]).astype(np.float32))[:, 0].astype(np.float64)
    body, base = polygon(scene, hull), polygon(scene, bottom)
    across, along = _upright(scene, start, axis)
    share = np.clip(along / length, 0, 1)
    round_ = across / (radius * (1 + (taper - 1) * share))
    bulge = np.sqrt(np.clip(1 - round_**2, 0, 1)).astype(np.float32) * radius * scene.unit
    shade = lit(scene, bulge * (body > 0.5), 0.5)
    gleam = np.exp(-(((round_ + rng.uniform(-0.6, 0.6)) / rng.uniform(0.05, 0.15)) ** 2)).astype(np.float32)
    white = brightness(scene)
    if form == "glass":
        drink = (_DRINKS[rng.integers(len(_DRINKS))] * rng.uniform(0.8, 1.1)).astype(np.float32)
        level = rng.uniform(0.1, 0.5)
        filled = body * (1 / (1 + np.exp(-(share - level) / 0.012))).astype(np.float32)
        painting.over(drink * white * (shade * 1.1)[..., None], filled * np.float32(rng.uniform(0.55, 0.9)))
        painting.over(white * (shade * 0.9)[..., None], body * np.float32(rng.uniform(0.08, 0.25)))
        walls = np.clip(np.abs(round_) - 0.8, 0, 0.2).astype(np.float32) * 2
        painting.over(white * np.float32(0.85), body * walls)
        painting.over(white * np.float32(1.05), body * gleam * np.float32(0.55))
        edge = body - polygon(scene, start + axis * 0.02 + (hull - start) * 0.97)
        painting.over(white * (shade * 0.9)[..., None], np.clip(edge, 0, 1) * np.float32(0.5))
        return
    colour = _CHINA[rng.integers(len(_CHINA))] * rng.uniform(0.85, 1.05, 3)
    surface = np.broadcast_to(colour.astype(np.float32), (*scene.shape, 3)).copy()
    if rng.random() < 0.6:  # a band, a sleeve or a print
        other = _CHINA[rng.integers(len(_CHINA))].astype(np.float32)
        first, last = np.sort(rng.uniform(0.1, 0.9, 2))
        band = (share > first) & (share < last)
        if rng.random() < 0.5:
            band &= (np.abs(round_) < rng.uniform(0.3, 0.9)) & (mottle(scene.shape, (9, 14), rng) > -0.2)
        surface[band] = other
    painting.over(surface * white * (shade * 1.1)[..., None], body)
    if form == "paper_cup":
        lip = polygon(scene, hull) * (along < 0.035).astype(np.float32)
        pale = np.full(3, 0.93 if rng.random() < 0.7 else 0.1, np.float32)
        painting.over(pale * white * (shade * 1.15)[..., None], lip)
        painting.over(
            white * (shade * 0.5)[..., None], body * np.exp(-(((along - 0.04) / 0.006) ** 2)).astype(np.float32) * 0.5
        )
    painting.over(
        white * np.float32(1.02), body * gleam * np.float32(0.0 if form == "paper_cup" else rng.uniform(0.1, 0.5))
    )
    painting.over(surface * white * (scene.shading * rng.uniform(0.6, 0.85))[..., None], base)
    ring = base - polygon(scene, end + (bottom - end) * 0.86)
    painting.over(surface * white * (scene.shading * 0.95)[..., None], np.clip(ring, 0, 1) * np.float32(0.8))


def _paint_bottle(
    painting: Painting, scene: Scene, start: Points, axis: Points, length: float, rng: np.random.Generator
) -> None:
    neck, belly = rng.uniform(0.045, 0.07), rng.uniform(0.13, 0.18)
    shoulder = rng.uniform(0.12, 0.3)
    path = np.stack([start + axis * at for at in (0, shoulder * 0.7, shoulder + 0.12, shoulder + 0.3, length + 0.3)])
    body = tube(scene, path, np.array([neck, neck * 1.1, belly * 0.85, belly, belly]) * scene.unit)
    colour = (_BOTTLES[rng.integers(len(_BOTTLES))] * rng.uniform(0.85, 1.1)).astype(np.float32)
    white = brightness(scene)
    shade = lit(scene, body.height, 0.45)[..., None]
    clear = colour.mean() > 0.6
    painting.over(colour * white * shade, body.mask * np.float32(rng.uniform(0.45, 0.8) if clear else 0.97))
    walls = np.clip(np.abs(body.across) - 0.75, 0, 0.25) * 2
    painting.over(colour * white * np.float32(0.6), body.mask * walls)
    gleam = np.exp(-(((body.across - rng.uniform(-0.5, 0.5)) / 0.1) ** 2))
    painting.over(white * np.float32(1.05), body.mask * gleam * np.float32(rng.uniform(0.2, 0.7)))
    first = (shoulder + rng.uniform(0.28, 0.4)) * scene.unit
    label = body.mask * ((body.along > first) & (body.along < first + 0.3 * scene.unit)).astype(np.float32)
    print_ = mottle(scene.shape, (0.03 * scene.unit, 0.05 * scene.unit), rng)[..., None] > 0.6
    ground, ink = (rng.uniform(0.05, 0.95, 3).astype(np.float32) for _ in range(2))
    painting.over(np.where(print_, ink, ground) * white * shade * np.float32(1.1), label * np.float32(0.95))


def paint_microphone(scene: Scene, rng: np.random.Generator) -> Painting:
    """Paint a microphone in a hand before the mouth or the chin."""
    painting = Painting(scene)
    side = int(rng.choice([-1, 1]))
    angle = -side * rng.uniform(-5, 50)
    way = np.deg2rad(angle)
    axis = scene.moved(np.array([-np.sin(way), np.cos(way)]))
    radius = rng.uniform(0.1, 0.16)
    head = scene.at(14, rng.normal(0, 0.06), radius + rng.uniform(-0.02, 0.14))
    white = brightness(scene)
    handle = tube(scene, np.stack([head + axis * radius * 0.9, head + axis * 1.3]),
                  np.array([0.55, 0.36]) * radius * scene.unit)  # fmt: skip
    tone = float(rng.choice([0.03, 0.05, 0.08, 0.5, 0.7])) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    gleam = np.exp(-(((handle.across - rng.uniform(-0.5, 0.5)) / 0.12) ** 2))[..., None] * 0.25
    painting.over((tone * lit(scene, handle.height)[..., None] + gleam) * white, handle.mask)
    foam = rng.random() < 0.4
    stretch = rng.uniform(0.0, 0.12) if foam else 0.03
    ball = tube(scene, np.stack([head, head + axis * stretch]), np.full(2, radius) * scene.unit)
    across, along = _upright(scene, head, axis)
    if foam:
        colour = np.full(3, 0.04) if rng.random() < 0.5 else rng.uniform(0.03, 0.85, 3)
        texture = 1 + 0.16 * mottle(scene.shape, (2.5, 2.5), rng) + 0.06 * mottle(scene.shape, (6, 6), rng)
    else:
        colour = np.full(3, rng.choice([0.07, 0.12, 0.3, 0.55]))
        # Wire mesh, closer together towards the edge of the ball.
        bent = np.arcsin(np.clip(across / radius, -1, 1)), np.arcsin(np.clip(along / radius, -1, 1))
        texture = 0.8 + 0.35 * (np.sin(bent[0] * 26 + bent[1] * 26) * np.sin(bent[0] * 26 - bent[1] * 26))
    shade = lit(scene, ball.height, 0.4)
    shine = np.clip(shade / max(float(shade.max()), 1e-6) - 0.85, 0, 1)[..., None] * (0.0 if foam else 1.2)
    painting.over((colour * texture[..., None] * shade[..., None] + shine).astype(np.float32) * white, ball.mask)
    if not foam:
        belt = ball.mask * (np.abs(along - 0.35 * radius) < 0.1 * radius).astype(np.float32)
        painting.over(tone * 1.6 * lit(scene, ball.height)[..., None] * white, belt)
    elif rng.random() < 0.5:
        plate = ball.mask * handle.mask
        painting.over(rng.uniform(0, 0.95, 3).astype(np.float32) * white * shade[..., None], plate)
    if rng.random() < 0.75:
        grip = head + axis * rng.uniform(0.38, 0.55)
        placing = held(scene, grip, angle - side * rng.uniform(60, 90), rng.uniform(0.85, 1.05), side > 0, reach=0.75)
        draw_hand(painting, scene, placing, chosen_shape(rng, rng.uniform(0.35, 0.5)), hand_skin(scene, rng), rng)
    return painting


def paint_phone(scene: Scene, rng: np.random.Generator) -> Painting:
    """Paint a telephone held to a cheek, from the ear towards the mouth."""
    painting = Painting(scene)
    side = int(rng.choice([-1, 1]))
    ear = lm.RIGHT_EAR if side > 0 else lm.LEFT_EAR
    middle = scene.at(ear, side * rng.uniform(-0.04, 0.06), rng.uniform(0.05, 0.2))
    lean = np.deg2rad(side * rng.uniform(0, 32))
    axis = np.array([-np.sin(lean), np.cos(lean)])
    aside = np.array([np.cos(lean), np.sin(lean)])
    half_long, half_wide = rng.uniform(0.4, 0.55), rng.uniform(0.06, 0.19)
    around = np.linspace(0, 2 * np.pi, 60)
    rounded = (
        _power(np.cos(around), 0.28)[:, None] * half_wide * aside
        + _power(np.sin(around), 0.2)[:, None] * half_long * axis
    )
    skin = hand_skin(scene, rng)
    size, turned = rng.uniform(0.85, 1.05), -side * rng.uniform(0, 40)
    grip = middle + scene.moved(axis * rng.uniform(0.05, 0.25))
    if rng.random() < 0.85:  # the palm lies behind it
        placing = held(scene, grip + scene.moved(aside * side * 0.1), turned, size, side > 0, reach=0.5)
        draw_hand(painting, scene, placing, chosen_shape(rng, 0.5), skin, rng)
    white = brightness(scene)
    tone = np.full(3, rng.choice([0.03, 0.05, 0.1, 0.85, 0.6])) if rng.random() < 0.7 else rng.uniform(0.05, 0.9, 3)
    body = polygon(scene, middle + scene.moved(rounded))
    inner = polygon(scene, middle + scene.moved(rounded * 0.96 - aside * side * 0.008))
    painting.over((tone * rng.uniform(0.5, 1.5)).astype(np.float32) * white * scene.shading[..., None], body)
    across, along = _upright(scene, middle, scene.moved(axis))
    sheen = 1 + rng.uniform(0, 0.5) * np.sin(3 * across + 2 * along + rng.uniform(0, 6))
    painting.over((tone * sheen[..., None]).astype(np.float32) * white * scene.shading[..., None], inner)
    if half_wide > 0.1 and rng.random() < 0.7:  # the eyes of its camera
        for number in range(int(rng.integers(1, 4))):
            lens = middle + scene.moved(-axis * (half_long - 0.08 - 0.08 * number) + aside * side * half_wide * 0.55)
            eye = tube(scene, np.stack([lens, lens + 0.01]), np.full(2, 0.028 * scene.unit), 0.4)
            painting.over(np.full(3, 0.04, np.float32) * white * lit(scene, eye.height)[..., None], eye.mask)
    if rng.random() < 0.85:  # and the tips of the fingers before it
        first = grip + scene.moved(aside * side * (half_wide + 0.06) - axis * 0.15)
        _paint_finger_tips(painting, scene, first, axis, -aside * side, rng)
    return painting


def paint_book(scene: Scene, rng: np.random.Generator) -> Painting:
    """Paint something flat, a book, a folder, a tablet, held before the chin, or before mouth and chin."""
    painting = Painting(scene)
    lean = np.deg2rad(rng.normal(0, 12))
    along, low = np.array([np.cos(lean), np.sin(lean)]), np.array([-np.sin(lean), np.cos(lean)])
    wide, tall = rng.uniform(0.28, 0.7), rng.uniform(0.5, 1.2)
    number = (2, 13, 13, 17)[rng.integers(4)]
    top = scene.at(number, rng.normal(0, 0.15), rng.uniform(0.03, 0.1))
    far = rng.uniform(0.85, 1.0)  # it leans away from the camera, or towards it
    corners = np.stack([-wide * along, wide * along, far * wide * along + tall * low, -far * wide * along + tall * low])
    seen = top + scene.moved(corners)
    flat = np.array([[0, 0], [WIDTH - 1, 0], [WIDTH - 1, HEIGHT - 1], [0, HEIGHT - 1]], np.float32)
    cover = _cover(rng)
    to_canvas = cv2.getPerspectiveTransform(flat, seen.astype(np.float32))
    surface = cv2.warpPerspective(cover, to_canvas, scene.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    body = polygon(scene, seen)
    across, down = _upright(scene, top, scene.moved(low))
    sheen = 1 + rng.uniform(0, 0.35) * np.sin(2 * across + 3 * down + rng.uniform(0, 6))
    white = brightness(scene)
    if rng.random() < 0.5:  # pages, or the edge of a board
        thick = scene.moved(-rng.uniform(0.012, 0.04) * low)
        edge = polygon(scene, np.stack([seen[0], seen[0] + thick, seen[1] + thick, seen[1]]))
        leaves = 0.85 + 0.1 * np.sin(down * 900)
        painting.over(leaves[..., None] * white * scene.shading[..., None], edge)
    painting.over(surface * white * (scene.shading * sheen)[..., None], body)
    for side in (-1, 1):
        if rng.random() < 0.6:
            first = top + scene.moved(side * (wide + 0.05) * along + rng.uniform(0.1, 0.6 * tall) * low)
            _paint_finger_tips(painting, scene, first, low, -side * along, rng)
    return painting


def _cover(rng: np.random.Generator) -> Map:
    """Paint a cover: plain or printed, often with a title; float32 (HEIGHT, WIDTH, 3)."""
    if rng.random() < 0.35:
        cover = cv2.GaussianBlur(draw_fabric("printed", bool(rng.random() < 0.2), rng).colour, (0, 0), 1)
    else:
        tone = rng.uniform(0.03, 0.95, 3) if rng.random() < 0.6 else np.full(3, rng.choice([0.05, 0.5, 0.9]))
        cover = np.broadcast_to(tone, (HEIGHT, WIDTH, 3)).astype(np.float32)
    if rng.random() < 0.6:
        ink = tuple(rng.uniform(0, 1, 3).tolist())
        left, top = int(rng.uniform(0.1, 0.3) * WIDTH), int(rng.uniform(0.1, 0.5) * HEIGHT)
        cover = cover.copy()
        for line in range(int(rng.integers(1, 4))):
            for word in range(int(rng.integers(1, 5))):
                start = left + 45 * word, top + 26 * line
                cv2.rectangle(cover, start, (start[0] + int(rng.uniform(15, 40)), start[1] + 12), ink, -1)
    return cover


def paint_food(scene: Scene, form: FoodForm, rng: np.random.Generator) -> Painting:
    """Paint a fruit, or a piece of bread, at the mouth, mostly in a hand.

    Args:
        scene: the face.
        form: what it is.
        rng: source of chance.
    """
    painting = Painting(scene)
    side = int(rng.choice([-1, 1]))
    radius = rng.uniform(0.11, 0.2)
    middle = scene.at(14, rng.normal(0, 0.06), radius * rng.uniform(0.2, 0.9))
    if rng.random() < 0.8:  # the hand lies behind it
        turned = -side * rng.uniform(20, 75)
        placing = held(scene, middle + scene.moved(np.array([side * 0.12, 0.08])), turned, rng.uniform(0.85, 1.05),
                       side > 0, reach=rng.uniform(0.6, 0.75))  # fmt: skip
        draw_hand(painting, scene, placing, chosen_shape(rng, rng.uniform(0.5, 0.8)), hand_skin(scene, rng), rng)
    lean = rng.uniform(-0.5, 0.5)
    stretch = rng.uniform(0.15, 0.45) if form == "bread" else 0.03
    reach = scene.moved(stretch * np.array([np.cos(lean), np.sin(lean)]))
    body = tube(scene, np.stack([middle - reach, middle + reach]), np.full(2, radius) * scene.unit, 0.8)
    colours = _BREADS if form == "bread" else _FRUITS
    first, second = (colours[place] for place in rng.integers(len(colours), size=2))
    share = np.clip(0.3 * mottle(scene.shape, (0.12 * scene.unit, 0.06 * scene.unit), rng) + rng.uniform(0, 0.4), 0, 1)
    surface = first + (second - first) * share[..., None]
    depth = rng.uniform(0.006, 0.014) if form == "bread" else rng.uniform(0.0, 0.004)
    rough = depth * scene.unit * mottle(scene.shape, (0.03 * scene.unit, 0.03 * scene.unit), rng)
    shade = lit(scene, body.height + rough * body.mask, 0.45)[..., None]
    gloss = 0.0 if form == "bread" else rng.uniform(0.0, 2.0)
    shine = gloss * np.clip(shade / max(float(shade.max()), 1e-6) - 0.9, 0, 1)
    painting.over((surface * shade * 1.1 + shine) * brightness(scene), body.mask)
    return painting


def _paint_finger_tips(
    painting: Painting, scene: Scene, first: Points, step: Points, inward: Points, rng: np.random.Generator
) -> None:
    """Paint the tips of two to four fingers that hold the edge of something.

    Args:
        painting: what is there.
        scene: the face.
        first: (2,) where the first finger comes in, in pixels of the canvas.
        step: (2,) unit vector along the edge, right and down.
        inward: (2,) unit vector to which they point.
        rng: source of chance.
    """
    skin = hand_skin(scene, rng)
    for number in range(int(rng.integers(2, 5))):
        start = first + scene.moved(0.1 * number * step)
        tip = start + scene.moved(rng.uniform(0.1, 0.2) * inward - 0.04 * step)
        finger = tube(scene, np.stack([start, tip]), np.array([0.055, 0.045]) * scene.unit)
        shade = np.clip(lit(scene, finger.height) * 1.1, 0.02, 1.3)[..., None]
        painting.over(skin * shade ** np.array([0.85, 1.05, 1.1], np.float32), finger.mask)


def _ellipse(scene: Scene, middle: Points, wide: float, tall: float, turn: float) -> Points:
    """Lay an ellipse (40, 2) of these radii in widths of the face, turned by an angle in radians."""
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x, y = wide * np.cos(around) * scene.unit, tall * np.sin(around) * scene.unit
    return middle + np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])


def _upright(scene: Scene, start: Points, axis: Points) -> tuple[Map, Map]:
    """Return for each pixel its way across and along an axis (2,), in widths of the face."""
    y, x = np.mgrid[0 : scene.shape[0], 0 : scene.shape[1]].astype(np.float32)
    ahead = axis / max(float(np.hypot(*axis)), 1e-6)
    along = ((x - start[0]) * ahead[0] + (y - start[1]) * ahead[1]) / scene.unit
    across = ((x - start[0]) * ahead[1] - (y - start[1]) * ahead[0]) / scene.unit
    return across.astype(np.float32), along.astype(np.float32)


def _power(values: Points, exponent: float) -> Points:
    return np.sign(values) * np.abs(values) ** exponent
