"""Lace: curtains, table cloths, doilies and shawls, with coloured embroidery."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import cloth, shapes, things
from experiments.rendering.blender.stage import Stage

_SIZE = 1024  # of textures
_THREADS = np.array(
    [[0.8, 0.78, 0.74], [0.72, 0.62, 0.45], [0.03, 0.03, 0.035], [0.45, 0.05, 0.06]]
)


def lace(stage: Stage) -> None:
    """Lace that hangs or lies, with something solid in, under or beside it."""
    ways = (_curtain, _curtain, _table, _doily, _shawl)
    ways[stage.rng.integers(len(ways))](stage)


def _edge(value: np.ndarray, pixel: float) -> np.ndarray:
    """Return 1 where a length is above 0, 0 below, soft over a pixel."""
    return np.clip(value / pixel + 0.5, 0, 1)


def _ground(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, cells: float
) -> np.ndarray:
    """Return the opacity of a net of threads; x and y run over [0, 1]."""
    x, y = x * cells, y * cells
    way, thick = rng.integers(3), rng.uniform(0.09, 0.2)
    if way == 0:  # square
        near = np.minimum(np.abs((x % 1) - 0.5), np.abs((y % 1) - 0.5))
    elif way == 1:  # aslant
        near = np.minimum(np.abs(((x + y) % 1) - 0.5), np.abs(((x - y) % 1) - 0.5))
    else:  # round meshes in staggered rows
        x = x + 0.5 * (np.floor(y) % 2)
        near = 0.46 - np.hypot(x % 1 - 0.5, y % 1 - 0.5)
    return _edge(thick - near, cells / _SIZE)


def _flowers(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, cells: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where flowers and leaves are embroidered, and which colour of 3."""
    x, y = x * cells, y * cells
    x = x + 0.5 * (np.floor(y) % 2)
    # All flowers but one in three are alike, so that rows have a rhythm.
    pick = (np.floor(x) * 7 + np.floor(y) * 3) % 3
    x, y = 2 * (x % 1) - 1, 2 * (y % 1) - 1
    away, angle = np.hypot(x, y), np.arctan2(y, x)
    petals, phase = int(rng.integers(4, 9)), rng.uniform(0, 6)
    pixel = 2 * cells / _SIZE
    reach = rng.uniform(0.4, 0.62)
    lobes = np.abs(np.cos(petals * (angle + phase + 0.5 * pick) / 2))
    shape = reach * (0.45 + 0.55 * lobes ** rng.uniform(0.5, 1.5))
    solid = _edge(shape - away, pixel)
    vein = _edge(0.06 - np.abs(away - 0.55 * shape), pixel)
    solid *= 1 - vein * rng.choice([0.0, 1.0])
    curve = 0.25 * np.sin(np.pi * x + phase)
    stem = _edge(0.045 - np.abs(y + 0.72 + 0.4 * curve), pixel)
    leaf = _edge(0.16 * np.abs(np.sin(3 * np.pi * x)) - np.abs(y + 0.72), pixel)
    leaf *= rng.choice([0.0, 1.0])
    colour = np.where(away < 0.3 * reach, 1, np.where(np.maximum(stem, leaf) > 0, 2, 0))
    return np.maximum.reduce([solid, stem, leaf]), colour


def _border(
    rng: np.random.Generator, along: np.ndarray, depth: np.ndarray, wide: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return a border's opacity and how far cloth reaches.

    Args:
      rng: random numbers.
      along: position along the border.
      depth: distance from it, inwards; both in sizes of the texture.
      wide: width of the border.
    """
    pixel, count = 1 / _SIZE, rng.integers(10, 40)
    scallop = wide * 0.45 * np.abs(np.sin(np.pi * count * along))
    inside = _edge(depth - 0.5 * wide + scallop, pixel)
    band = _edge(wide * 1.25 - depth, pixel)
    eyelet = np.hypot(
        ((along * count) % 1 - 0.5) / count, depth - wide * rng.uniform(0.6, 0.9)
    )
    hole = _edge(min(0.3 / count, 0.28 * wide) - eyelet, pixel)
    return band * (1 - hole), inside


def _pattern(rng: np.random.Generator, tall: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw a piece of lace: opacity [H, W] and colours [H, W, 3].

    `tall` is the height of the cloth in widths.
    """
    u, v = np.meshgrid(
        (np.arange(_SIZE) + 0.5) / _SIZE, 1 - (np.arange(_SIZE) + 0.5) / _SIZE
    )
    y = v * tall
    thread = _THREADS[rng.choice(4, p=[0.5, 0.2, 0.15, 0.15])]
    if rng.random() < 0.25:
        thread = things.palette(rng, 1)[0]
    tones = things.palette(rng, 4)
    if rng.random() < 0.4:
        tones[:3] = thread * rng.uniform(0.6, 1.1, (3, 1))
    opacity = _ground(rng, u, y, rng.integers(50, 120))
    opacity = np.maximum(opacity, rng.choice([0, 0, 0.12, 0.25]))
    colours = np.tile(thread, (_SIZE, _SIZE, 1))
    motif, which = _flowers(rng, u, y, int(rng.integers(4, 14)))
    if rng.random() < 0.5:  # flowers in the lower part only
        motif = motif * (v < rng.uniform(0.3, 0.7))
    opacity = np.maximum(opacity, motif * rng.uniform(0.8, 1))
    colours = np.where((motif > 0.5)[..., None], tones[which], colours)
    wide = rng.uniform(0.03, 0.1)
    band, inside = _border(rng, u, v * min(tall, 2), wide)
    opacity = np.maximum(opacity, band) * inside
    colours = np.where((band > 0.5)[..., None], tones[3], colours)
    if rng.random() < 0.5:  # stripes of closer weave
        stripes = (y * rng.uniform(3, 9)) % 1 < rng.uniform(0.15, 0.4)
        opacity = np.where(stripes & (inside > 0.5), np.maximum(opacity, 0.85), opacity)
    return opacity, np.clip(colours, 0, 1)


def _round_pattern(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a doily: opacity and colours over a square."""
    axis = 2 * (np.arange(_SIZE) + 0.5) / _SIZE - 1
    x, y = np.meshgrid(axis, -axis)
    away, turn = np.hypot(x, y), np.arctan2(y, x) / (2 * np.pi) + 0.5
    pixel = 2 / _SIZE
    fold = int(rng.integers(8, 20))
    tones = things.palette(rng, 3)
    tones[0] = _THREADS[rng.choice(4, p=[0.6, 0.2, 0.1, 0.1])]
    opacity, colours = np.zeros_like(away), np.tile(tones[0], (_SIZE, _SIZE, 1))
    rings = np.concatenate([[0, *np.sort(rng.uniform(0.12, 0.9, 7))], [0.97]])
    for inner, outer in zip(rings[:-1], rings[1:], strict=True):
        wide = outer - inner
        here = (away >= inner) & (away < outer)
        t = (away - inner) / wide
        phase = (turn * fold * rng.integers(1, 4)) % 1 - 0.5
        length = 2 * np.pi * away / fold
        way = rng.integers(5) if outer < rings[-1] else 0
        if way == 0:  # solid with holes
            hole = np.hypot(phase * length, (t - 0.5) * wide)
            part = 1 - _edge(0.3 * np.minimum(wide, length) - hole, pixel)
        elif way == 1:  # spokes
            part = _edge(0.12 - np.abs(phase), pixel / np.maximum(length, pixel))
        elif way == 2:  # petals
            petal = np.sqrt(np.maximum(np.sin(np.pi * t), 0)) * 0.46
            part = _edge(petal - np.abs(phase), pixel / np.maximum(length, pixel))
        elif way == 3:  # a net
            cells = max(2, round(wide / 0.035))
            part = _ground(rng, turn * fold * 4 / 8, t * cells / 8, 8)
        else:  # arches
            arch = np.abs(t - 0.9 + 1.6 * phase**2) * wide
            part = _edge(0.012 - arch, pixel)
        rim = _edge(0.006 + 0.05 * wide - np.minimum(t, 1 - t) * wide, pixel)
        part = np.maximum(part, rim)
        opacity = np.where(here, part, opacity)
        if rng.random() < 0.35:
            colours = np.where(here[..., None], tones[rng.integers(1, 3)], colours)
    edge = 0.97 - 0.05 * np.abs(np.sin(np.pi * turn * fold * 2))
    return opacity * _edge(edge - away, pixel), colours


def _hang(stage: Stage, place: things.Place, rows: int = 128, columns: int = 256):
    """Put lace on a surface whose v runs upwards; return its material."""
    vertices, faces, uv = things.surface(place, rows, columns)
    grid = vertices.reshape(rows, columns, 3)
    wide, high = (
        np.median(np.linalg.norm(np.diff(grid, axis=a), axis=-1).sum(a)) for a in (1, 0)
    )
    opacity, colours = _pattern(stage.rng, high / max(wide, 1e-6))
    made = stage.material(colours, opacity=opacity, roughness=0.8, translucent=0.3)
    stage.mesh(vertices, faces, made, uv=uv)


def _curtain(stage: Stage) -> None:
    """Curtains on a rod, of lace and perhaps of solid cloth, with a vase or a ball."""
    rng = stage.rng
    width, height = rng.uniform(0.5, 1.0), rng.uniform(0.8, 1.1)
    folds = int(rng.integers(3, 10))
    tied = rng.choice([0.0, 0.0, rng.uniform(0.4, 0.9)])
    depth = rng.uniform(0.03, 0.1)
    place = cloth.gathered(rng, width, height, folds=folds, depth=depth, tied=tied)
    _hang(stage, place)
    tones = things.palette(rng, 3)
    reach = width * 1.1
    if rng.random() < 0.55:  # a solid one beside it
        side, half = rng.choice([-1, 1]), rng.uniform(0.12, 0.3)
        plain = cloth.gathered(rng, half, height, folds=3, depth=depth)
        vertices, faces, _ = things.surface(plain, 64, 128)
        vertices[:, 0] += side * (width + 0.6 * half)
        paint = things.paint(rng, vertices * [1, 0.2, 1], tones[:2])
        made = stage.material(roughness=0.9, sheen=0.3)
        stage.mesh(vertices, faces, made, colour=paint)
        reach += 2 * half
    rail = [[-reach, 0, height + 0.03], [reach, 0, height + 0.03]]
    look = {"roughness": 0.35, "coat": 0.4}
    things.rod(stage, rail, rng.uniform(0.025, 0.05), tones[2], **look)
    ball, faces = shapes.sphere(24, 32)
    for end in rail:
        knob = stage.material(tuple(tones[1]), roughness=0.3)
        stage.mesh(ball * rng.uniform(0.05, 0.09) + end, faces, knob)
    for _ in range(rng.integers(1, 3)):
        size = rng.uniform(0.2, 0.4)
        x = rng.uniform(-0.8, 0.8) * width
        y = rng.choice([-1, 1]) * (size + 2 * depth)
        things.thing(stage, [x, y, size - height], size)
    stage.view.azimuth_degrees = (-50, 50)
    stage.view.fill = (0.85, 1.5)


def _lay(stage: Stage, place: things.Place) -> None:
    """Put a doily's pattern on a surface whose u turns and whose v runs outwards."""
    vertices, faces, polar = things.surface(place, 96, 256)
    angle = 2 * np.pi * polar[:, 0]
    flat = np.stack([np.cos(angle), np.sin(angle)], 1)
    opacity, colours = _round_pattern(stage.rng)
    made = stage.material(colours, opacity=opacity, roughness=0.8, translucent=0.25)
    stage.mesh(vertices, faces, made, uv=0.5 + 0.5 * polar[:, 1:] * flat)


def _table(stage: Stage) -> None:
    """A table or stand with a lace cloth that falls in folds, and things on it."""
    rng = stage.rng
    radius, drop = rng.uniform(0.3, 0.8), rng.uniform(0.35, 0.9)
    _lay(stage, cloth.table(rng, radius, drop, folds=rng.uniform(0.06, 0.16)))
    tones = things.palette(rng, 3)
    foot = rng.uniform(0.2, 0.9) * radius
    keys = [[foot, -drop * 1.1], [0.2 * radius, -0.6 * drop], [0.3 * radius, -0.1]]
    keys += [[radius * 0.97, -0.08], [radius * 0.98, -0.02], [0, -0.01]]
    vertices, faces, _ = things.surface(things.revolve(things.rounded(keys, 64, 3)))
    paint = things.paint(rng, vertices, tones)
    made = stage.material(roughness=0.4, coat=0.3)
    stage.mesh(vertices, faces, made, colour=paint)
    for index in range(rng.integers(1, 4)):
        size = radius * rng.uniform(0.25, 0.6)
        angle = index * 2.1 + rng.uniform(0, 1)
        away = (0.1 + 0.4 * (index > 0)) * radius
        at = [away * np.cos(angle), away * np.sin(angle), 0.02 + size]
        things.thing(stage, at, size)
    stage.view.elevation_degrees = (5, 40)


def _doily(stage: Stage) -> None:
    """A doily over a ball, a loaf or a box, seen from above."""
    rng = stage.rng
    hump, folds = rng.uniform(0.2, 0.6), rng.uniform(0.01, 0.06)
    seed, middle = rng.integers(1 << 31), rng.uniform(-0.25, 0.25, 2)
    size = rng.uniform(0.3, 0.6)

    def place(u, v):
        field = np.random.default_rng(seed)
        x, y = v * np.cos(2 * np.pi * u), v * np.sin(2 * np.pi * u)
        away = np.hypot(x - middle[0], y - middle[1])
        rise = hump * np.exp(-((away / size) ** 4)) + 0.02
        flat = np.stack([x, y, 0 * x], -1)
        rise = rise + folds * shapes.smooth_noise(field, flat, scale=2.5)
        return np.stack([x, y, rise], -1)

    _lay(stage, place)
    ball, faces = shapes.sphere(64, 96)
    box = np.sign(ball) * np.abs(ball) ** 0.6 * [size, size, hump * 0.9]
    box[:, :2] += middle
    paint = things.paint(rng, ball, things.palette(rng, 3))
    stage.mesh(box, faces, stage.material(roughness=0.6), colour=paint)
    for _ in range(rng.integers(1, 3)):
        angle, small = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.28)
        at = [0.8 * np.cos(angle), 0.8 * np.sin(angle), small + 0.06]
        things.fruit(stage, at, small)
    stage.view.elevation_degrees = (25, 80)


def _shawl(stage: Stage) -> None:
    """A shawl or veil of lace over head and shoulders, or over a vase."""
    rng = stage.rng
    if rng.random() < 0.7:
        points = things.bust(stage, [0, 0, 0], 1.0)
    else:
        points = things.thing(stage, [0, 0, 0], 0.6)
    span = rng.uniform(0.6, 0.85)  # open before the face, which looks to -y
    place = cloth.over(
        rng,
        points,
        flare=rng.uniform(0, 0.3),
        folds=rng.uniform(0.02, 0.09),
        start=0.25 - span / 2,
        span=span,
        hem=rng.uniform(0, 0.35),
    )
    _hang(stage, place)
    stage.view.azimuth_degrees = (-110, 110)
    stage.view.fill = (0.85, 1.3)


KINDS = {"lace": lace}
