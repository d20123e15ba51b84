"""Grasses: tufts, reeds with plumes, ears of grain, sheaves, wild meadow clods."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import garden, plants, shapes, strands
from experiments.rendering.blender.kinds import flowers
from experiments.rendering.blender.stage import Stage

_UP = np.array([0.0, 0.0, 1.0])
_DRY = np.array(
    [
        *([0.50, 0.36, 0.14], [0.62, 0.50, 0.26], [0.30, 0.17, 0.07]),
        *([0.55, 0.28, 0.10], [0.42, 0.36, 0.25], [0.35, 0.12, 0.12]),
    ]
)


def grass(stage: Stage) -> None:
    """One of the sorts of grass."""
    sorts = (_tuft, _meadow, _grain, _plumes)
    stage.rng.choice(sorts, p=[0.25, 0.2, 0.3, 0.25])(stage)


def _hues(rng: np.random.Generator) -> np.ndarray:
    """Return two greens and two dry colours, [4, 3]."""
    green = plants.GREENS[rng.choice(len(plants.GREENS), 2, replace=False)]
    return np.concatenate([green, _DRY[rng.choice(len(_DRY), 2, replace=False)]])


def _tussock(stage: Stage, count: int, high: float, *, wide: float, width: float):
    """Put a tuft of blades on the stage, green and dry ones mixed."""
    rng = stage.rng
    hues = _hues(rng)
    turn, reach = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.random(count))
    roots = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1) * reach[:, None] * wide
    lean = rng.uniform(0.1, 0.9)
    ways = strands.unit(
        _UP + lean * (roots / wide + 0.35 * rng.normal(size=(count, 3)))
    )
    ways[:, 2] = np.abs(ways[:, 2])
    long = high * rng.uniform(0.3, 1, count) * np.exp(rng.normal(0, 0.15, count))
    droop = -rng.uniform(0, 1.0) * rng.random(count) ** 2
    lines = plants.paths(rng, roots, ways, long, rise=droop, wobble=0.05, steps=9)
    t = np.linspace(0, 1, 9)
    shape = np.minimum(1, 0.5 + 3 * t) * (1 - t**2.5) + 0.02
    half = width * rng.uniform(0.4, 1, (count, 1)) * shape
    up = strands.unit(_UP + rng.normal(size=(count, 3)))
    vertices, faces = plants.blades(lines, half, up, fold=rng.uniform(0.1, 0.7))
    base = shapes.patches(rng, 3 * roots, hues, scale=1.5)
    stray = rng.random(count) < 0.3
    base[stray] = hues[rng.integers(4, size=stray.sum())]
    base = strands.melange(rng, base, count, 0.2)[:, None]
    # Tips dry first, feet are pale.
    dry = rng.uniform(0, 0.9) * rng.random((count, 1, 1)) * (t**2)[None, :, None]
    colour = base + dry * (hues[2] - base)
    colour = colour + 0.6 * ((1 - t) ** 6)[:, None] * (hues[3] - colour)
    colour = np.repeat(colour[:, :, None], 3, 2)
    colour[:, :, 1] *= 1.25
    matter = stage.material(roughness=0.45, translucent=0.3)
    stage.mesh(vertices, faces, matter, colour=np.clip(colour, 0, 1).reshape(-1, 3))


def _ground(stage: Stage, wide: float) -> None:
    """Put a pot, a basket or a clod of earth with hanging roots under grass."""
    rng = stage.rng
    if rng.random() < 0.55:
        garden.pot(stage, 1.35 * wide, rng.uniform(0.9, 1.8) * wide)
        return
    size = wide * np.array([1.2, 1.2, rng.uniform(0.3, 0.8)])
    garden.clod(stage, np.array([0, 0, -0.9 * size[2]]), size)
    count = rng.integers(60, 400)
    ways = strands.unit(rng.normal(size=(count, 3)) - 0.8 * _UP)
    ways[:, 2] = -np.abs(ways[:, 2])
    roots = ways * size + [0, 0, -0.9 * size[2]]
    long = wide * rng.uniform(0.1, 0.6, count)
    points = strands.grow(rng, roots, ways, long, steps=7, droop=0.4, frizz=0.3)
    colour = strands.melange(rng, np.array([0.3, 0.2, 0.11]), count, 0.3)
    fine = 0.004 * strands.taper(7)
    stage.curves(points, fine, stage.material(roughness=0.9), colour=colour)


def _tuft(stage: Stage) -> None:
    """A tuft of broad or of hair-like blades."""
    rng = stage.rng
    wide, width = rng.uniform(0.15, 0.5), rng.choice([0.004, 0.008, 0.018])
    count = int(np.clip(rng.uniform(6, 14) * wide / width, 150, 900))
    _tussock(stage, count, rng.uniform(0.8, 1.6), wide=wide, width=width)
    _tussock(stage, count, rng.uniform(0.4, 0.9), wide=wide, width=width)
    _ground(stage, wide)
    stage.view.elevation_degrees = (-5, 25)
    stage.view.fill = (0.8, 1.4)


def _meadow(stage: Stage) -> None:
    """A piece of meadow with ears, herbs and small flowers between the blades."""
    rng = stage.rng
    wide = rng.uniform(0.4, 0.7)
    _tussock(stage, 700, rng.uniform(0.5, 1.0), wide=wide, width=0.008)
    _tussock(stage, 350, rng.uniform(0.4, 0.7), wide=wide, width=0.014)
    count = rng.integers(10, 40)
    lines = _culms(stage, count, wide, rng.uniform(0.8, 1.3), _DRY[rng.integers(6)])
    _ears(stage, lines, rng.integers(3))
    for _ in range(rng.integers(1, 4)):
        number = rng.integers(3, 9)
        stalks = _culms(stage, number, wide, rng.uniform(0.5, 1.1), plants.GREENS[1])
        ways = strands.unit(_UP + rng.normal(0, 0.4, (number, 3)))
        size, sort = rng.uniform(0.06, 0.14), int(rng.choice([0, 1, 6]))
        flowers.blossoms(stage, stalks[:, -1], ways, size, sort=sort)
    _ground(stage, wide)
    stage.view.elevation_degrees = (-5, 25)
    stage.view.fill = (0.8, 1.4)


def _grain(stage: Stage) -> None:
    """Ears of grain: a few from near, or a sheaf with a band."""
    rng = stage.rng
    sheaf = rng.random() < 0.6
    count = rng.integers(35, 90) if sheaf else rng.integers(5, 20)
    tone = _hues(rng)[rng.choice([1, 2, 2, 3])]
    if sheaf:
        turn, reach = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.random(count))
        flat = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1) * reach[:, None]
        t = np.linspace(0, 1, 14)[None, :, None]
        waist = 0.12 + rng.uniform(0.5, 0.9) * np.abs(t - 0.42) ** 1.3
        lines = flat[:, None] * waist + t * _UP * rng.uniform(0.85, 1.2, (count, 1, 1))
        lines = lines + 0.01 * rng.normal(size=lines.shape).cumsum(1)
        bend = rng.uniform(0, 0.25) * flat[:, None] * t**5
        _straw(stage, lines + bend, tone)
        lines = lines + bend
        _band(stage, 0.125)
    else:
        lines = _culms(stage, count, 0.15, 1.2, tone)
        _tussock(stage, 40, 0.9, wide=0.15, width=0.02)
    _ears(stage, lines, rng.integers(3))
    stage.view.azimuth_degrees = (-90, 90)
    stage.view.fill = (0.85, 1.7)


def _plumes(stage: Stage) -> None:
    """Reeds or pampas grass with soft plumes over long leaves."""
    rng = stage.rng
    wide = rng.uniform(0.15, 0.3)
    _tussock(stage, int(rng.uniform(100, 350)), 1.1, wide=wide, width=0.018)
    count = rng.integers(4, 14)
    lines = _culms(stage, count, wide, 1.6, _DRY[rng.integers(6)])
    hues = np.array([[0.75, 0.66, 0.52], [0.4, 0.26, 0.2], [0.6, 0.4, 0.36]])
    hue = hues[rng.choice(3, 2, replace=False)]
    each = int(14_000 / count)
    which = np.repeat(np.arange(count), each)
    t = rng.uniform(0.62, 1, count * each)
    roots, ways = plants.along_paths(lines, which, t)
    out = strands.unit(np.cross(ways, rng.normal(size=ways.shape)))
    ways = strands.unit(1.2 * ways + rng.uniform(0.4, 0.9) * out)
    swell = np.sin(np.pi * (0.15 + 0.8 * (t - 0.62) / 0.38))
    long = rng.uniform(0.15, 0.26) * swell * rng.uniform(0.4, 1, len(t))
    points = strands.grow(
        rng, roots, ways, long, steps=6, droop=rng.uniform(0.2, 0.7), frizz=0.15
    )
    tone = strands.melange(rng, hue[(rng.random(count) < 0.3).astype(int)], count)
    colour = strands.melange(rng, tone[which], len(which), 0.15)
    soft = stage.material(roughness=0.6, translucent=0.3)
    stage.curves(points, 0.0022 * strands.taper(6), soft, colour=colour)
    _ground(stage, 1.2 * wide)
    stage.view.elevation_degrees = (-10, 20)
    stage.view.fill = (0.85, 1.6)


def _culms(stage, count: int, wide: float, high: float, tone: np.ndarray):
    """Put thin upright stalks on the stage; return them, [count, 14, 3]."""
    rng = stage.rng
    roots = rng.normal(0, 0.5 * wide, (count, 3)) * [1, 1, 0]
    ways = strands.unit(_UP + 0.7 * roots + rng.normal(0, 0.12, (count, 3)))
    long = high * rng.uniform(0.65, 1.05, count)
    rise = -rng.uniform(0, 0.3) * rng.random(count)
    lines = plants.paths(rng, roots, ways, long, rise=rise, wobble=0.03, steps=14)
    _straw(stage, lines, tone)
    return lines


def _straw(stage: Stage, lines: np.ndarray, tone: np.ndarray) -> None:
    garden.wood(stage, lines, 0.007, tone, tip=0.5)


def _band(stage: Stage, radius: float) -> None:
    """Tie a sheaf with a ribbon at a height of 0.42."""
    rng = stage.rng
    line = np.array([[0, 0, z] for z in np.linspace(0.37, 0.47, 8)])
    hue = shapes.hue_colour(rng.random(), rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.9))
    points, faces = shapes.tube(line, np.full(8, 1.05 * radius), 48)
    points = points + 0.006 * np.sin(70 * points[:, 2:])
    stage.mesh(points, faces, stage.material(tuple(hue), roughness=0.6))


def _ears(stage: Stage, lines: np.ndarray, sort: int) -> None:
    """Put ears at the ends of stalks: 0 wheat, 1 barley with long awns, 2 oats."""
    rng = stage.rng
    count = len(lines)
    grains = (34, 30, 40)[sort]
    which = np.repeat(np.arange(count), grains)
    row = np.tile(np.arange(grains), count)
    t = 0.8 + 0.2 * (row + 0.5) / grains if sort < 2 else rng.uniform(0.6, 1, len(row))
    roots, ways = plants.along_paths(lines, which, t)
    front = strands.unit(np.cross(ways, rng.normal(size=(count, 3))[which]))
    side = np.cross(ways, front)
    turn = row * (np.pi if sort else 2 * np.pi / 3) + rng.normal(0, 0.2, len(row))
    out = np.cos(turn)[:, None] * front + np.sin(turn)[:, None] * side
    along = strands.unit(ways + (0.45 if sort < 2 else 0.9) * out)
    size = np.full(len(row), 0.055) * rng.uniform(0.8, 1.1, len(row))
    if sort == 2:  # oats hang from hairs
        hung = roots + rng.uniform(0.03, 0.14, (len(row), 1)) * along
        threads = np.stack([roots, 0.5 * (roots + hung) + [0, 0, 0.01], hung], 1)
        garden.wood(stage, threads, 0.002, _DRY[0])
        roots, along = hung, strands.unit(along - 1.5 * _UP)
    tone = _hues(rng)[rng.choice([1, 2, 2, 3])]
    base = strands.melange(
        rng, strands.melange(rng, tone, count)[which], len(row), 0.15
    )
    husk = plants.leaf("ellipse", width=1.1)
    matter = stage.material(roughness=0.5, translucent=0.15)
    for flip in (0.9, -0.9):  # two husks make a grain
        vertices, faces = plants.place(
            husk, roots, along, flip * out, size, fold=-0.9, curl=0.5
        )
        colour = plants.paint(rng, husk, base, vein=0.3)
        stage.mesh(vertices, faces, matter, colour=colour)
    reach = (rng.choice([0.0, 0.06]), rng.uniform(0.15, 0.3), 0.03)[sort]
    if reach:
        tips = roots + 0.9 * size[:, None] * along
        way = strands.unit(along + (0.5 * ways if sort < 2 else 0) * 1.0)
        long = reach * rng.uniform(0.7, 1.1, len(row))
        awns = strands.grow(rng, tips, way, long, steps=5, droop=0.05, frizz=0.05)
        stage.curves(awns, 0.0022 * strands.taper(5), matter, colour=1.1 * base)


KINDS = {"grass": grass}
