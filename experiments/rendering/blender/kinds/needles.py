"""Plants with needles and spines: branches of conifers with cones, cacti."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import garden, plants, shapes, strands
from experiments.rendering.blender.kinds import flowers
from experiments.rendering.blender.stage import Stage

_UP = np.array([0.0, 0.0, 1.0])
_NEEDLES = np.array(
    [
        *([0.03, 0.08, 0.02], [0.05, 0.12, 0.05], [0.10, 0.18, 0.15]),
        *([0.12, 0.17, 0.04], [0.04, 0.07, 0.05], [0.20, 0.22, 0.08]),
    ]
)
_FADED = np.array([[0.45, 0.22, 0.05], [0.55, 0.42, 0.06], [0.30, 0.13, 0.05]])
_CONE = np.array([0.22, 0.11, 0.05])


def needles(stage: Stage) -> None:
    """A branch, or a few, of a conifer; now and then a small tree in a pot."""
    rng = stage.rng
    bark = garden.BARKS[rng.integers(len(garden.BARKS))]
    rise = rng.uniform(-0.35, 0.3)
    small_tree = rng.random() < 0.3
    if small_tree:
        twigs = _small_tree(stage, bark)
    else:
        stems = rng.integers(1, 4)
        ways = strands.unit([1, 0, 0] + rng.normal(0, [0, 0.4, 0.4], (stems, 3)))
        roots = rng.normal(0, 0.05, (stems, 3))
        stem = plants.paths(rng, roots, ways, np.full(stems, 1.7), rise=rise)
        twigs = _twigs(rng, stem, 11 * stems, 0.9, rise)
        small = _twigs(rng, twigs, 26 * stems, 0.45, rise)
        garden.wood(stage, stem, 0.022, bark)
        garden.wood(stage, twigs, 0.012, bark)
        twigs = np.concatenate([twigs, small])
        garden.wood(stage, small, 0.008, bark)
        stage.view.azimuth_degrees = (-40, 40)
        stage.view.elevation_degrees = (-30, 40)
        stage.view.fill = (0.85, 1.7)
    _foliage(stage, twigs, fine=small_tree)
    if rng.random() < 0.6:
        _cones(stage, twigs, 0.4 if small_tree else 1.0)


def _twigs(rng, parents, count, length, rise) -> np.ndarray:
    """Let twigs grow at both sides of branches, about level, [count, 8, 3]."""
    roots, tangents, t = plants.on_paths(rng, parents, count, (0.12, 0.95))
    side = strands.unit(np.cross(tangents, _UP)) * rng.choice([-1, 1], (count, 1))
    ways = strands.unit(tangents + 0.9 * side + 0.25 * rng.normal(size=(count, 3)))
    long = length * (1 - 0.7 * t) * rng.uniform(0.7, 1, count)
    return plants.paths(rng, roots, ways, long, rise=rise, wobble=0.03)


def _small_tree(stage: Stage, bark: np.ndarray) -> np.ndarray:
    """Put trunk and boughs on the stage, in a pot or with balls; return twigs."""
    rng = stage.rng
    stem = plants.paths(
        rng, np.zeros((1, 3)), _UP[None], np.array([2.0]), wobble=0.02, steps=20
    )
    garden.trunk(stage, stem[0], 0.05 * strands.taper(20, 0.2), bark)
    count = rng.integers(45, 80)
    roots, _, t = plants.on_paths(rng, stem, count, (0.1, 0.97))
    turn = rng.uniform(0, 2 * np.pi, count)
    ways = np.stack([np.cos(turn), np.sin(turn), rng.uniform(-0.3, 0.5) + 0 * turn], 1)
    long = rng.uniform(0.6, 1.0) * (1.05 - t) * rng.uniform(0.75, 1.05, count)
    rise = rng.uniform(-0.25, 0.25)
    boughs = plants.paths(rng, roots, strands.unit(ways), long, rise=rise)
    twigs = _twigs(rng, boughs, 6 * count, 0.35, rise)
    garden.wood(stage, boughs, 0.01, bark)
    garden.wood(stage, twigs, 0.005, bark)
    if rng.random() < 0.5:
        garden.pot(stage, rng.uniform(0.25, 0.4), rng.uniform(0.4, 0.6))
    if rng.random() < 0.5:
        hues = [
            shapes.hue_colour(rng.random(), 0.8, rng.uniform(0.5, 0.9))
            for _ in range(3)
        ]
        balls = rng.integers(15, 45)
        spots = boughs[rng.integers(count, size=balls), -1] - [0, 0, 0.06]
        colour = np.array(hues)[rng.integers(3, size=balls)]
        size = np.full(balls, rng.uniform(0.03, 0.06))
        garden.balls(stage, spots, size, colour, roughness=0.12)
    stage.view.elevation_degrees = (-5, 20)
    stage.view.fill = (0.8, 1.3)
    return np.concatenate([boughs, twigs])


def _foliage(stage: Stage, twigs: np.ndarray, *, fine: bool) -> None:
    """Cover twigs with needles: spruce, fir, pine or larch."""
    rng = stage.rng
    sort = rng.choice(["spruce", "fir", "pine", "larch"])
    count = int(rng.uniform(14_000, 24_000))
    length = {"spruce": 0.09, "fir": 0.11, "pine": 0.3, "larch": 0.12}[sort]
    length *= rng.uniform(0.7, 1.3) * (0.5 if fine else 1.0)
    if sort in ("pine", "larch"):  # bunches
        each = 5 if sort == "pine" else 24
        where = (0.35, 1.0) if sort == "pine" else (0.1, 1.0)
        roots, ways, t = plants.on_paths(rng, twigs, count // each // 2, where)
        roots, ways, t = (np.repeat(x, each, 0) for x in (roots, ways, t))
    else:
        roots, ways, t = plants.on_paths(rng, twigs, count, (0.08, 1.0))
    count = len(roots)
    out = strands.unit(np.cross(ways, rng.normal(size=(count, 3))))
    if sort == "fir":  # two flat rows
        flat = strands.unit(np.cross(ways, _UP)) * rng.choice([-1, 1], (count, 1))
        out = strands.unit(flat + 0.25 * out + 0.2 * _UP)
    forward = {"spruce": 0.7, "fir": 0.5, "pine": 1.0, "larch": 0.4}[sort]
    along = strands.unit(forward * ways + out + 0.1 * rng.normal(size=(count, 3)))
    long = length * rng.uniform(0.6, 1, count)
    points = strands.grow(
        rng, roots, along, long, steps=4, droop=0.15 if sort == "pine" else -0.05
    )
    hues = _NEEDLES[rng.choice(len(_NEEDLES), 3, replace=False)]
    if sort == "larch":
        hues[1:] = _FADED[:2]
    base = shapes.patches(rng, roots, hues, scale=2)
    young = 0.6 * np.clip((t - 0.7) / 0.3, 0, 1)[:, None] * rng.choice([0, 1])
    base = base + young * (np.array([0.28, 0.38, 0.10]) - base)
    faded = rng.random(count) < rng.uniform(0, 0.15)
    base[faded] = _FADED[rng.integers(3, size=faded.sum())]
    thick = rng.uniform(0.003, 0.0045) * (0.6 if fine else 1.0)
    stage.curves(
        points,
        thick * np.array([0.8, 1, 0.9, 0.35]),
        stage.material(roughness=0.4, translucent=0.1),
        colour=strands.melange(rng, base, count, 0.2),
    )


def _cones(stage: Stage, twigs: np.ndarray, scale: float) -> None:
    """Hang cones on twigs: scales in spirals around a core."""
    rng = stage.rng
    count = rng.integers(2, 9)
    chosen = twigs[rng.choice(len(twigs), count, replace=False)]
    scales, slim = 90, rng.uniform(0.25, 0.5)
    t = np.linspace(0.02, 0.98, scales)
    turn = np.arange(scales) * 2.39996
    husk = plants.leaf("spoon", width=1.6)
    for line in chosen:
        size = scale * rng.uniform(0.15, 0.3)
        axis = strands.unit(rng.normal(0, 0.4, 3) - _UP)
        side = strands.unit(np.cross(axis, [0.9, 0.4, 0.1]))
        other = np.cross(axis, side)
        out = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * other
        wide = slim * np.sin(np.pi * (0.12 + 0.85 * t)) ** 0.8
        top = line[-1] - 0.05 * size * axis
        roots = top + size * (t[:, None] * axis + 0.25 * wide[:, None] * out)
        opened = rng.uniform(0.6, 1.8)
        along = strands.unit(axis + opened * out)
        long = size * (0.15 + 0.75 * wide)
        vertices, faces = plants.place(
            husk, roots, along, -axis + out, long, fold=-0.3, curl=-0.5
        )
        tone = strands.melange(rng, _CONE, scales, 0.15)
        rim = np.array([0.42, 0.28, 0.15])
        colour = plants.paint(rng, husk, tone, vein=0.2, rim=rim)
        stage.mesh(vertices, faces, stage.material(roughness=0.6), colour=colour)
        core = shapes.sphere(16, 20)
        body = 0.5 * size * (core[0] * 0.55 * slim + np.outer(core[0][:, 2], axis))
        body = body + top + 0.5 * size * axis
        matter = stage.material(tuple(0.4 * _CONE), roughness=0.9)
        stage.mesh(body, core[1], matter, framed=False)


def cactus(stage: Stage) -> None:
    """One or several ribbed cacti with spines and often blossoms, in a pot."""
    rng = stage.rng
    wide = rng.uniform(0.35, 0.6)
    bodies = rng.integers(1, 6)
    green = plants.GREENS[rng.choice([0, 1, 3, 4, 5])]
    spine = np.array([[0.75, 0.65, 0.45], [0.4, 0.2, 0.08], [0.7, 0.68, 0.62]])
    spine = spine[rng.integers(3)]
    for _ in range(bodies):
        foot = rng.normal(0, 0.4 * wide * (bodies > 1), 3) * [1, 1, 0]
        radius = wide * rng.uniform(0.5, 0.85) / np.sqrt(bodies)
        high = radius * rng.choice([rng.uniform(1.5, 2.5), rng.uniform(3, 7)])
        _body(stage, foot, radius, high, green * rng.uniform(0.8, 1.3), spine)
    garden.pot(stage, wide, rng.uniform(0.7, 1.4) * wide)
    pebbles = rng.integers(100, 300)
    turn, reach = rng.uniform(0, 2 * np.pi, pebbles), np.sqrt(rng.random(pebbles))
    spots = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1) * reach[:, None]
    spots = 0.82 * wide * spots - [0, 0, 0.02]
    tones = np.array([[0.5, 0.45, 0.4], [0.25, 0.2, 0.17], [0.55, 0.3, 0.2]])
    colour = strands.melange(rng, tones[rng.integers(3, size=pebbles)], pebbles)
    size = rng.uniform(0.015, 0.05, pebbles) * wide / 0.4
    garden.balls(stage, spots, size, colour, roughness=0.8)
    stage.view.elevation_degrees = (0, 40)
    stage.view.fill = (0.8, 1.6)


def _body(stage, foot, radius, high, green, spine) -> None:
    """Put one cactus on the stage: ribs, tufts of spines along them, blossoms."""
    rng = stage.rng
    ribs = rng.integers(8, 22)
    t, phi = np.meshgrid(
        np.linspace(0.0, 1, 70),
        np.linspace(0, 2 * np.pi, 14 * ribs, endpoint=False),
        indexing="ij",
    )
    lean = rng.normal(0, 0.12, 2) * high

    def surface(t, phi, lift=1.0):
        round_ = np.sqrt(np.clip(1 - (2 * np.clip(t, 0.35, 1) - 1) ** 4, 0, 1))
        depth = 0.72 + 0.28 * np.abs(np.cos(0.5 * ribs * phi)) ** 0.8
        r = lift * radius * round_ * depth
        axis = foot + np.stack([lean[0] * t**2, lean[1] * t**2, high * t], -1)
        zero = np.zeros_like(r)
        return axis + np.stack([r * np.cos(phi), r * np.sin(phi), zero], -1)

    points = surface(t, phi).reshape(-1, 3)
    faces = shapes.grid_faces(*t.shape, closed=True)[:, ::-1]
    ridge = np.abs(np.cos(0.5 * ribs * phi)).ravel()[:, None]
    age = np.clip(1 - 3 * t.ravel(), 0, 1)[:, None]
    colour = green * (0.6 + 0.5 * ridge)
    colour = colour + 0.7 * age**2 * (np.array([0.3, 0.22, 0.12]) - colour)
    rough = shapes.smooth_noise(rng, points, scale=12 / radius)[:, None]
    colour = np.clip(colour * np.exp(0.1 * rough), 0, 1)
    stage.mesh(points, faces, stage.material(roughness=0.5), colour=colour)

    rows = int(np.clip(high / radius * 7, 8, 40))
    at, rib = np.meshgrid(np.linspace(0.06, 0.985, rows), np.arange(ribs))
    at, rib = at.ravel(), 2 * np.pi * rib.ravel() / ribs
    tufts = surface(at, rib)
    out = strands.unit(tufts - surface(at, rib, 0.5) + 1e-6)
    out = strands.unit(out + np.clip(at - 0.6, 0, 1)[:, None] * 2 * _UP)
    each = int(np.clip(8_000 / len(tufts), 5, 18))
    ways = np.repeat(out, each, 0)
    ways = strands.unit(ways + rng.uniform(0.6, 1.1) * rng.normal(size=ways.shape))
    facing = (ways * np.repeat(out, each, 0)).sum(1, keepdims=True)
    ways = strands.unit(ways + np.clip(0.15 - facing, 0, 2) * np.repeat(out, each, 0))
    long = radius * rng.uniform(0.15, 0.5) * rng.uniform(0.4, 1, len(ways))
    lines = strands.grow(rng, np.repeat(tufts, each, 0), ways, long, steps=4)
    thick = 0.011 * radius * rng.uniform(0.5, 1.2)
    tone = strands.melange(rng, spine, len(ways), 0.2)
    bone = stage.material(roughness=0.4, translucent=0.1)
    stage.curves(lines, thick * np.array([1, 0.8, 0.5, 0.15]), bone, colour=tone)
    wool = strands.melange(rng, np.array([0.6, 0.55, 0.42]), len(tufts))
    size = np.full(len(tufts), 0.035 * radius)
    garden.balls(stage, tufts, size, wool, roughness=0.9)
    if rng.random() < 0.5:
        number = rng.integers(1, 6)
        turn = rng.uniform(0, 2 * np.pi, number)
        spots = surface(rng.uniform(0.9, 0.985, number), turn)
        ways = strands.unit(spots - foot - [0, 0, 0.7 * high])
        big = radius * rng.uniform(0.3, 0.55)
        flowers.blossoms(stage, spots, ways, big, sort=int(rng.choice([0, 3, 5])))


KINDS = {"needles": needles, "cactus": cactus}
