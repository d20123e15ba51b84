"""House plants in pots: ferns and palms, straps and swords, large patterned leaves."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import garden, plants, shapes, strands
from experiments.rendering.blender.kinds import flowers
from experiments.rendering.blender.stage import Stage

_UP = np.array([0.0, 0.0, 1.0])
_TINTS = np.array(
    [
        *([0.62, 0.58, 0.30], [0.55, 0.12, 0.16], [0.22, 0.04, 0.10]),
        *([0.45, 0.50, 0.42], [0.30, 0.15, 0.04]),
    ]
)


def houseplant(stage: Stage) -> None:
    """One of the sorts of house plants, in its pot."""
    rng = stage.rng
    sorts = (_fronds, _straps, _large)
    rng.choice(sorts, p=[0.35, 0.3, 0.35])(stage)
    garden.pot(stage, rng.uniform(0.25, 0.42), rng.uniform(0.35, 0.65))
    stage.view.elevation_degrees = (-5, 35)
    stage.view.fill = (0.8, 1.4)


def _arches(stage: Stage, count: int, long: float, droop: float, upright: float):
    """Return arched paths that rise from the middle of the pot, [count, 16, 3]."""
    rng = stage.rng
    turn = np.arange(count) * 2.39996 + rng.normal(0, 0.3, count)
    lean = rng.uniform(0.15, 1.0, count)
    ways = np.stack([np.cos(turn) * lean, np.sin(turn) * lean, upright + 0 * turn], 1)
    roots = 0.1 * ways * [1, 1, 0] - [0, 0, 0.05]
    length = long * rng.uniform(0.6, 1, count)
    rise = -droop * lean * rng.uniform(0.7, 1.3, count)
    return plants.paths(
        rng, roots, strands.unit(ways), length, rise=rise, wobble=0.03, steps=16
    )


def _greens(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return greens of leaves, some of them fading, [count, 3]."""
    two = plants.GREENS[rng.choice(len(plants.GREENS), 2, replace=False)]
    base = two[0] + rng.random((count, 1)) * (two[1] - two[0])
    old = rng.random(count) < rng.uniform(0, 0.12)
    base[old] = plants.AUTUMN[rng.choice([0, 1, 3], old.sum())]
    return strands.melange(rng, base, count, 0.12)


def _fronds(stage: Stage) -> None:
    """Ferns and palms: leaflets in two rows along arched ribs."""
    rng = stage.rng
    palm = rng.random() < 0.45
    count = rng.integers(9, 18) if palm else rng.integers(18, 45)
    lines = _arches(stage, count, rng.uniform(1.0, 1.7), rng.uniform(0.3, 0.9), 1.0)
    pairs = rng.integers(22, 36) if palm else rng.integers(34, 56)
    start = 0.35 if palm else 0.1
    which = np.repeat(np.arange(count), 2 * pairs)
    t = np.tile(np.repeat(np.linspace(start, 0.99, pairs), 2), count)
    sign = np.tile([-1.0, 1.0], pairs * count)[:, None]
    roots, ways = plants.along_paths(lines, which, t)
    side = strands.unit(np.cross(ways, _UP + 0.01))
    up = np.cross(side, ways)
    along = strands.unit(
        0.5 * ways + sign * side + 0.15 * up + 0.08 * rng.normal(size=ways.shape)
    )
    s = (t - start) / (1 - start)
    shape = np.sin(np.pi * (0.12 + 0.86 * s)) ** 0.7
    size = (rng.uniform(0.35, 0.55) if palm else rng.uniform(0.14, 0.24)) * shape
    size = size * rng.uniform(0.9, 1.1, len(t))
    one = plants.leaf("lance", width=rng.uniform(0.25, 0.5) if palm else 1.2)
    vertices, faces = plants.place(
        one, roots, along, up, size, fold=0.3, curl=rng.uniform(0.1, 0.9)
    )
    base = _greens(rng, count)[which]
    dry = plants.AUTUMN[3] if rng.random() < 0.5 else None
    colour = plants.paint(
        rng, one, strands.melange(rng, base, len(t), 0.1), rim=dry, vein=0.2
    )
    matter = stage.material(roughness=0.5, translucent=0.3)
    stage.mesh(vertices, faces, matter, colour=colour)
    rib = plants.GREENS[2] if palm else np.array([0.12, 0.07, 0.03])
    garden.wood(stage, lines, 0.012 if palm else 0.006, rib, tip=0.3)


def _straps(stage: Stage) -> None:
    """Straps that arch over, or swords that stand, often with pale stripes."""
    rng = stage.rng
    sword = rng.random() < 0.4
    count = rng.integers(16, 40) if sword else rng.integers(30, 110)
    droop = rng.uniform(0, 0.1) if sword else rng.uniform(0.4, 1.5)
    lines = _arches(stage, count, rng.uniform(0.9, 1.5), droop, 3 if sword else 1.0)
    t = np.linspace(0, 1, 16)
    half = (0.07 if sword else rng.uniform(0.012, 0.035)) * rng.uniform(
        0.7, 1.1, (count, 1)
    )
    half = half * np.minimum(1, 0.45 + 1.6 * t) * (1 - t**5) + 0.0005
    up = _UP + 0.25 * rng.normal(size=(count, 3))
    if sword:
        up = rng.normal(size=(count, 3)) * [1, 1, 0.1]
    vertices, faces = plants.blades(lines, half, up, fold=rng.uniform(0.1, 0.5))
    base = np.repeat(_greens(rng, count)[:, None, None], 16, 1)
    colour = np.repeat(base, 3, 2)
    tint = _TINTS[rng.integers(len(_TINTS))]
    stripe = rng.uniform(0, 0.9)
    if rng.random() < 0.5:
        colour[:, :, 1] += stripe * (tint - colour[:, :, 1])
    else:
        colour[:, :, [0, 2]] += stripe * (tint - colour[:, :, [0, 2]])
    if sword:  # bands across
        band = np.sin(60 * t + rng.uniform(0, 6, (count, 1)))[..., None, None] > 0.2
        colour = colour * np.where(band, 1.0, 0.5)
    dry = rng.uniform(0, 1) * rng.random((count, 1, 1, 1)) * (t**8)[:, None, None]
    colour = colour + dry * (plants.AUTUMN[3] - colour)
    matter = stage.material(roughness=0.4, translucent=0.25)
    stage.mesh(vertices, faces, matter, colour=colour.reshape(-1, 3))


def _large(stage: Stage) -> None:
    """Large leaves on stalks, with veins, margins and undersides in other hues."""
    rng = stage.rng
    count = rng.integers(14, 60)
    lines = _arches(stage, count, rng.uniform(0.7, 1.3), rng.uniform(0, 0.4), 1.2)
    lines = lines * [1, 1, 1.0] * rng.uniform(0.5, 1, (count, 1, 1))
    garden.wood(stage, lines, 0.012, plants.GREENS[rng.integers(6)], tip=0.6)
    ways = strands.unit(lines[:, -1] - lines[:, -2])
    flat = strands.unit(ways * [1, 1, 0.2] + 1e-6)
    along = strands.unit(flat + rng.uniform(-0.6, 0.4) * _UP + 0.15 * ways)
    along = strands.unit(along + 0.2 * rng.normal(size=along.shape))
    up = _UP + 0.5 * flat + 0.25 * rng.normal(size=along.shape)
    shape = str(rng.choice(["ellipse", "heart", "heart", "spoon", "maple", "ivy"]))
    one = plants.leaf(shape, fine=True, width=rng.uniform(0.8, 1.3))
    size = np.full(count, rng.uniform(0.3, 0.6)) * rng.uniform(0.5, 1, count)
    vertices, faces = plants.place(
        one,
        lines[:, -1],
        along,
        up,
        size,
        fold=rng.normal(0.15, 0.1, count),
        curl=rng.normal(0.6, 0.3, count),
        ripple=rng.uniform(0, 0.06),
    )
    tint = _TINTS[rng.integers(len(_TINTS))]
    rim = tint if rng.random() < 0.6 else None
    colour = plants.paint(
        rng, one, _greens(rng, count), vein=rng.uniform(0, 1), rim=rim
    )
    if rng.random() < 0.4:  # flecks
        fleck = shapes.smooth_noise(rng, vertices, scale=rng.uniform(25, 60))
        amount = np.clip(2 * fleck - 1, 0, 0.85)[:, None]
        colour = colour + amount * (tint - colour)
    elif rng.random() < 0.4:  # coloured along the veins
        amount = 0.85 * np.tile(one.vein, count)[:, None]
        colour = colour + amount * (tint - colour)
    wax = rng.choice([0.0, 0.4])
    matter = stage.material(roughness=0.4, coat=wax, translucent=0.25)
    stage.mesh(vertices, faces, matter, colour=np.clip(colour, 0, 1))
    if rng.random() < 0.35:
        stalks = _arches(stage, 4, 1.2, 0.1, 1.6)
        garden.wood(stage, stalks, 0.009, plants.GREENS[1], tip=0.6)
        ends = strands.unit(stalks[:, -1] * [1, 1, 0.3])
        sort = int(rng.choice([1, 3, 5, 6]))
        flowers.blossoms(stage, stalks[:, -1], ends, rng.uniform(0.1, 0.2), sort=sort)


KINDS = {"houseplant": houseplant}
