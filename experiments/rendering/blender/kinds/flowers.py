"""Flowers: bunches in a vase, clumps in a pot, single blossoms, dandelion clocks."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import garden, plants, shapes, strands
from experiments.rendering.blender.kinds import foliage
from experiments.rendering.blender.stage import Stage

_UP = np.array([0.0, 0.0, 1.0])
_HUES = np.array(
    [
        *([0.80, 0.76, 0.70], [0.75, 0.45, 0.03], [0.70, 0.20, 0.03]),
        *([0.50, 0.02, 0.03], [0.70, 0.18, 0.30], [0.35, 0.10, 0.45]),
        *([0.10, 0.12, 0.50], [0.75, 0.62, 0.25], [0.25, 0.02, 0.10]),
        *([0.72, 0.42, 0.36], [0.45, 0.35, 0.65], [0.60, 0.03, 0.18]),
    ]
)
_EYES = np.array(
    [[0.65, 0.40, 0.03], [0.10, 0.05, 0.02], [0.22, 0.24, 0.08], [0.45, 0.20, 0.03]]
)


def flowers(stage: Stage) -> None:
    """One of the sorts of flowers."""
    sorts = (_bunch, _potted, _single, _clocks)
    stage.rng.choice(sorts, p=[0.45, 0.2, 0.15, 0.2])(stage)


def _bunch(stage: Stage) -> None:
    """Several species in a vase or as a loose bunch."""
    rng = stage.rng
    count = rng.integers(9, 32)
    tips, ways = _dome(stage, count, rng.uniform(0.5, 0.9), rng.uniform(0.6, 1.2))
    waist = np.array([0, 0, 0.05])
    vase = rng.random() < 0.65
    feet = waist + 0.06 * rng.normal(size=(count, 3)) * [1, 1, 0]
    if not vase:  # stalks cross where they are held
        feet = waist - rng.uniform(0.3, 0.5) * tips * [0.5, 0.5, 0.9]
    lines = _stalks(stage, feet, tips, ways)
    species = rng.integers(2, 5)
    kind = rng.integers(species, size=count)
    for one in range(species):
        blossoms(stage, tips[kind == one], ways[kind == one], rng.uniform(0.16, 0.36))
    size = rng.uniform(0.16, 0.35)
    greens = plants.GREENS[rng.choice(6, 3, replace=False)]
    number = int(rng.uniform(3, 10) * count)
    foliage.leaves(stage, lines, number, size, colours=greens, where=(0.4, 0.95))
    if rng.random() < 0.5:
        _filler(stage, waist)
    if vase:
        _vase(stage)
    stage.view.elevation_degrees = (-5, 40)
    stage.view.fill = (0.85, 1.4)


def _potted(stage: Stage) -> None:
    """A clump of one species in a pot or with its earth."""
    rng = stage.rng
    count = rng.integers(8, 40)
    tips, ways = _dome(stage, count, rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.9))
    feet = 0.25 * rng.normal(size=(count, 3)) * [1, 1, 0]
    lines = _stalks(stage, feet, tips, ways)
    half = rng.random(count) < rng.uniform(0.3, 1)
    size = rng.uniform(0.1, 0.3)
    blossoms(stage, tips[half], ways[half], size)
    if not half.all():
        blossoms(stage, tips[~half], ways[~half], size)
    greens = plants.GREENS[rng.choice(6, 3, replace=False)]
    length = rng.uniform(0.14, 0.35)
    number = int(rng.uniform(8, 25) * count)
    foliage.leaves(stage, lines, number, length, colours=greens, where=(0.05, 0.9))
    if rng.random() < 0.7:
        garden.pot(stage, rng.uniform(0.35, 0.6), rng.uniform(0.4, 0.7))
    else:
        garden.clod(stage, np.array([0, 0, -0.1]), np.array([0.5, 0.5, 0.18]))
    stage.view.fill = (0.85, 1.3)


def _single(stage: Stage) -> None:
    """One to three large blossoms on their stalks, often seen from near."""
    rng = stage.rng
    count = rng.integers(1, 4)
    tips = np.array([0, 0, 1.0]) + rng.normal(0, [0.35, 0.2, 0.25], (count, 3))
    ways = strands.unit(rng.normal(0, 0.5, (count, 3)) + [0, -0.8, 0.7])
    feet = 0.06 * rng.normal(size=(count, 3))
    lines = _stalks(stage, feet, tips, ways, radius=0.018)
    for index in range(count):
        one = slice(index, index + 1)
        blossoms(stage, tips[one], ways[one], rng.uniform(0.4, 0.75))
    greens = plants.GREENS[rng.choice(6, 2, replace=False)]
    number = int(rng.uniform(3, 9) * count)
    size = rng.uniform(0.25, 0.5)
    foliage.leaves(stage, lines, number, size, colours=greens, where=(0.1, 0.85))
    stage.view.azimuth_degrees = (-50, 50)
    stage.view.fill = (0.9, 1.9)


def _clocks(stage: Stage) -> None:
    """Dandelion clocks: each seed hangs from a parachute of fine hairs."""
    rng = stage.rng
    count = rng.integers(1, 5)
    tips = np.array([0, 0, 1.0]) + rng.normal(0, [0.6, 0.3, 0.25], (count, 3))
    lines = _stalks(stage, 0.1 * rng.normal(size=(count, 3)) * [1, 1, 0], tips)
    white = stage.material(roughness=0.5, translucent=0.4)
    rays = rng.integers(14, 26)
    for tip in tips:
        size = rng.uniform(0.22, 0.42)
        seeds = rng.integers(90, 190)
        gone = rng.normal(size=3)
        ways = strands.unit(rng.normal(size=(seeds, 3)))
        if rng.random() < 0.5:  # the wind has taken some
            ways = ways[ways @ strands.unit(gone) < rng.uniform(0, 0.9)]
        stems = tip + size * np.array([0.14, 0.4, 0.65])[None, :, None] * ways[:, None]
        tone = np.array([0.55, 0.48, 0.38])
        stage.curves(stems, 0.0022, white, colour=np.tile(tone, (len(ways), 1)))
        each = np.repeat(ways, rays, 0)
        hair = strands.unit(rng.normal(size=each.shape) + 0.6 * each)
        hair = strands.unit(np.cross(each, hair) + 0.55 * each)
        roots = tip + 0.65 * size * each
        points = strands.grow(
            rng, roots, hair, np.full(len(each), 0.33 * size), steps=3, droop=0.05
        )
        colour = strands.melange(rng, np.array([0.8, 0.78, 0.74]), len(each), 0.1)
        stage.curves(points, 0.0016 * strands.taper(3, 0.4), white, colour=colour)
        grains = tip + 0.14 * size * ways
        brown = strands.melange(rng, np.array([0.16, 0.09, 0.04]), len(ways))
        garden.balls(stage, grains, np.full(len(ways), 0.03 * size), brown)
        core = np.array([[0.45, 0.40, 0.22]])
        garden.balls(stage, tip[None], np.array([0.13 * size]), core, roughness=0.9)
    greens = plants.GREENS[rng.choice(6, 2, replace=False)]
    number = rng.integers(6, 22)
    foliage.leaves(
        stage, lines, number, 0.5, shape="oak", colours=greens, where=(0, 0.15)
    )
    if rng.random() < 0.6:  # some are still in bloom
        others = rng.normal(0, [0.6, 0.3, 0.1], (2, 3)) + [0, 0, 0.6]
        _stalks(stage, 0.1 * rng.normal(size=(2, 3)) * [1, 1, 0], others)
        hue = np.array([0.75, 0.45, 0.02])
        ways = strands.unit(rng.normal(0, 0.4, (2, 3)) + _UP)
        blossoms(stage, others, ways, 0.2, sort=5, hue=hue)
    stage.view.elevation_degrees = (-15, 15)
    stage.view.fill = (0.9, 1.8)


def _dome(stage: Stage, count: int, wide: float, high: float):
    """Return places of blossoms on a dome and where they look, [count, 3] each."""
    rng = stage.rng
    turn = np.arange(count) * 2.39996 + rng.normal(0, 0.2, count)
    reach = np.sqrt((np.arange(count) + 0.5) / count)
    level = np.sqrt(1 - 0.8 * reach**2) * rng.uniform(0.75, 1.15, count)
    flat = np.stack([np.cos(turn), np.sin(turn)], 1) * wide * reach[:, None]
    tips = np.concatenate([flat, high * level[:, None]], 1)
    ways = strands.unit(tips * [1, 1, 0.7] + 0.3 * rng.normal(size=(count, 3)))
    return tips, ways


def _stalks(stage, feet, tips, ways=None, radius=0.011) -> np.ndarray:
    """Put stalks from feet to tips that end in directions; return them, [N, 12, 3]."""
    rng = stage.rng
    t = np.linspace(0, 1, 12)[None, :, None]
    ways = np.tile(_UP, (len(tips), 1)) if ways is None else ways
    long = np.linalg.norm(tips - feet, axis=1)[:, None]
    first, last = feet + 0.4 * long * _UP, tips - 0.3 * long * ways
    lines = (
        (1 - t) ** 3 * feet[:, None]
        + 3 * t * (1 - t) ** 2 * first[:, None]
        + 3 * t**2 * (1 - t) * last[:, None]
        + t**3 * tips[:, None]
    )
    green = plants.GREENS[rng.integers(len(plants.GREENS))]
    garden.wood(stage, lines, radius, green, tip=0.7)
    return lines


def blossoms(
    stage: Stage,
    centres: np.ndarray,
    ways: np.ndarray,
    size: float,
    *,
    sort: int | None = None,
    hue: np.ndarray | None = None,
) -> None:
    """Put blossoms of one species on the stage.

    Args:
      stage: where they are put.
      centres: [N, 3].
      ways: [N, 3], where they look.
      size: length of their petals.
      sort: 0 daisy, 1 poppy, 2 rose, 3 lily, 4 tulip, 5 full, 6 five petals; None:
        drawn.
      hue: of the petals; None: drawn.
    """
    rng = stage.rng
    if not len(centres):
        return
    sort = int(rng.integers(7)) if sort is None else sort
    # Shape, width, petals, rings, how closed from the outer to the inner ring, curl.
    shape, width, petals, rings, outer, inner, curl = [
        ("lance", 1.0, rng.integers(12, 26), 2, 0.1, 0.3, 0.3),
        ("heart", 1.2, 5, 2, 0.6, 1.0, -0.7),
        ("spoon", 1.9, 6, 5, 0.4, 1.45, -0.6),
        ("ellipse", 0.8, 3, 2, 0.6, 0.8, 1.3),
        ("ellipse", 1.4, 3, 2, 1.3, 1.35, -0.5),
        ("spoon", 0.7, 18, 5, 0.05, 1.2, -0.4),
        ("heart", 0.8, 5, 1, 0.25, 0.25, 0.2),
    ][sort]
    one = plants.leaf(shape, width=width, fine=size > 0.3)
    hues = _HUES[rng.choice(len(_HUES), 2, replace=False)]
    hue = hues[0] if hue is None else hue
    index = np.arange(petals * rings)
    ring = index // petals / max(1, rings - 1)
    turn = 2 * np.pi * (index / petals + 0.5 * (index // petals))
    count = len(centres)
    turn = turn[None] + rng.uniform(0, 6, (count, 1))
    turn = turn + rng.normal(0, 0.07, turn.shape)
    lift = outer + (inner - outer) * ring + rng.normal(0, 0.1, turn.shape)
    lift = lift + rng.normal(0, 0.15, (count, 1))
    side = strands.unit(np.cross(ways, [0.3, 0.7, 0.5]))[:, None]
    other = np.cross(ways[:, None], side)
    flat = np.cos(turn)[..., None] * side + np.sin(turn)[..., None] * other
    ways = ways[:, None]
    along = np.cos(lift)[..., None] * flat + np.sin(lift)[..., None] * ways
    up = np.cos(lift)[..., None] * ways - np.sin(lift)[..., None] * flat
    long = size * rng.uniform(0.75, 1.1, (count, 1)) * (1 - 0.4 * ring * (rings > 2))
    long = (long * rng.uniform(0.92, 1.05, turn.shape)).ravel()
    heart = 0.06 * size * (1 - ring)[None, :, None] * flat
    roots = (centres[:, None] + heart).reshape(-1, 3)
    vertices, faces = plants.place(
        one,
        roots,
        along.reshape(-1, 3),
        up.reshape(-1, 3),
        long,
        fold=rng.normal(0.15, 0.08, len(roots)),
        curl=rng.normal(curl, 0.25, len(roots)),
        ripple=rng.uniform(0.01, 0.06),
    )
    base = hue + rng.uniform(-0.2, 0.4) * (ring[None, :, None] * (hues[1] - hue))
    base = np.broadcast_to(base, (count, len(ring), 3)).reshape(-1, 3)
    colour = plants.paint(
        rng,
        one,
        strands.melange(rng, np.clip(base, 0.01, 1), len(base), 0.12),
        vein=0.1,
        rim=hues[1] if rng.random() < 0.5 else None,
        rim_share=rng.uniform(0.3, 1),
    )
    throat = _EYES[rng.integers(4)]
    near = np.tile(np.exp(-one.points[:, 1] / 0.12), len(roots))[:, None]
    colour = colour + 0.8 * near * (throat - colour)
    matter = stage.material(roughness=0.55, translucent=0.35, specular=0.3)
    stage.mesh(vertices, faces, matter, colour=colour)
    if sort not in (2, 4, 5):
        _heart(stage, centres, ways[:, 0], size * (0.2 if sort == 0 else 0.09))


def _heart(stage: Stage, centres, ways, size: float) -> None:
    """Put the middle of blossoms: a knob under short threads with dust on them."""
    rng = stage.rng
    tone = _EYES[rng.integers(4)]
    base = strands.melange(rng, tone, len(centres), 0.1)
    garden.balls(stage, centres, np.full(len(centres), size), base, roughness=0.9)
    each = np.repeat(ways, 60, 0)
    hair = strands.unit(each + 0.8 * rng.normal(size=each.shape))
    roots = np.repeat(centres, 60, 0) + 0.9 * size * hair
    long = np.full(len(each), 0.5 * size if size > 0.03 else 2 * size)
    points = strands.grow(rng, roots, hair, long, steps=3, frizz=0.1)
    colour = strands.melange(rng, _EYES[rng.integers(4)], len(each), 0.3)
    rough = stage.material(roughness=0.8)
    stage.curves(points, 0.05 * size * np.array([0.5, 0.5, 1.6]), rough, colour=colour)


def _filler(stage: Stage, foot: np.ndarray) -> None:
    """Put sprays of tiny white blossoms, or of grass, between the flowers."""
    rng = stage.rng
    count = rng.integers(4, 14)
    ways = strands.unit(rng.normal(0, [0.55, 0.55, 0.1], (count, 3)) + _UP)
    long = rng.uniform(0.7, 1.3, count)
    lines = plants.paths(rng, np.tile(foot, (count, 1)), ways, long, rise=-0.1)
    sprays = plants.sprout(rng, lines, 18 * count, 0.4, where=(0.4, 1), steps=5)
    green = plants.GREENS[rng.integers(6)]
    garden.wood(stage, lines, 0.005, green)
    garden.wood(stage, sprays, 0.0025, green)
    size = rng.uniform(0.008, 0.02)
    spots, _, _ = plants.on_paths(rng, sprays, 40 * count, (0.5, 1))
    hue = _HUES[rng.choice([0, 0, 1, 7, 10])]
    colour = strands.melange(rng, hue, len(spots), 0.1)
    garden.balls(stage, spots, np.full(len(spots), size), colour, roughness=0.8)


def _vase(stage: Stage) -> None:
    """Put a vase of china or clay under the bunch, its rim near z = 0.1."""
    rng = stage.rng
    t = np.linspace(0, 1, 50)
    neck, belly, high = (
        rng.uniform(0.12, 0.2),
        rng.uniform(0.05, 0.3),
        rng.uniform(0.5, 0.95),
    )
    wall = neck + belly * np.sin(np.pi * t ** rng.uniform(0.6, 1.3))
    wall = wall + 0.06 * np.maximum(0, t - 0.85) / 0.15
    profile = np.stack([wall, high * (t - 1) + 0.1], 1)
    ends = [[1e-3, 0.1 - high]], profile, [[0.9 * wall[-1], 0.1], [1e-3, 0.05]]
    points, faces = garden.lathe(np.concatenate(ends), 96)
    hues = np.stack(
        [
            shapes.hue_colour(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.3, 0.9))
            for _ in range(2)
        ]
    )
    colour = shapes.patches(rng, points, hues, scale=rng.uniform(2, 10))
    glaze = stage.material(roughness=rng.uniform(0.1, 0.6), coat=rng.choice([0.0, 0.8]))
    stage.mesh(points, faces, glaze, colour=colour)


KINDS = {"flowers": flowers}
