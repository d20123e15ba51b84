"""Dense foliage with gaps: branches, shrubs, crowns of trees, ivy."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import garden, plants, shapes, strands
from experiments.rendering.blender.stage import Stage

_UP = np.array([0.0, 0.0, 1.0])
_MOST_FACES = 200_000  # of all leaves of a subject; more would take too long
_BERRIES = np.array(
    [
        *([0.50, 0.02, 0.02], [0.60, 0.20, 0.02], [0.04, 0.04, 0.12]),
        *([0.75, 0.72, 0.68], [0.55, 0.10, 0.25], [0.65, 0.50, 0.06]),
    ]
)


def foliage(stage: Stage) -> None:
    """One of the sorts of foliage."""
    sorts = (_branch, _shrub, _tree, _ivy)
    stage.rng.choice(sorts, p=[0.36, 0.24, 0.2, 0.2])(stage)


def palette(rng: np.random.Generator) -> np.ndarray:
    """Return two to four colours of leaves, [M, 3]."""
    green = plants.GREENS[rng.choice(len(plants.GREENS), 2, replace=False)]
    autumn = plants.AUTUMN[rng.choice(len(plants.AUTUMN), 3, replace=False)]
    sort = rng.random()
    if sort < 0.35:
        return np.concatenate([green, autumn[:1]])
    if sort < 0.65:
        return np.concatenate([green, autumn[:2]])
    if sort < 0.85:
        return np.concatenate([green[:1], autumn])
    return green


def leaves(
    stage: Stage,
    lines: np.ndarray,
    count: int,
    size: float,
    *,
    shape: str | None = None,
    colours: np.ndarray | None = None,
    outward: np.ndarray | None = None,
    where: tuple[float, float] = (0.1, 1.0),
) -> None:
    """Cover twigs with leaves.

    Args:
      stage: where they are put.
      lines: [N, K, 3] of the twigs.
      count: of the leaves.
      size: length of the largest.
      shape: one of plants.LEAVES; None: drawn.
      colours: [M, 3]; None: drawn.
      outward: [3], a centre that upper sides look away from; None: they look up.
      where: range of places on a twig, 0 its root.
    """
    rng = stage.rng
    shape = shape or str(rng.choice(plants.LEAVES[:7]))
    if shape == "lance":  # narrow ones: more and longer, to cover as much
        count, size = int(1.5 * count), 1.3 * size
    colours = palette(rng) if colours is None else colours
    one = plants.leaf(shape, fine=count < 300, width=rng.uniform(0.75, 1.25))
    count = min(count, _MOST_FACES // len(one.faces))
    roots, ways, _ = plants.on_paths(rng, lines, count, where)
    side = strands.unit(np.cross(ways, rng.normal(size=(count, 3))))
    along = 0.7 * ways + side + rng.uniform(-0.6, 0.3) * _UP
    along = strands.unit(along + 0.3 * rng.normal(size=(count, 3)))
    up = _UP if outward is None else strands.unit(roots - outward) + 0.4 * _UP
    up = up + rng.uniform(0.3, 0.7) * rng.normal(size=(count, 3))
    sizes = size * rng.uniform(0.35, 1, count) ** 0.7
    stalk = rng.uniform(0.1, 0.4)
    starts = roots + stalk * sizes[:, None] * along
    vertices, faces = plants.place(
        one,
        starts,
        along,
        up,
        sizes,
        fold=rng.normal(0.2, 0.2, count),
        curl=rng.normal(0.5, 0.5, count),
        ripple=rng.uniform(0, 0.05),
    )
    base = shapes.patches(rng, roots, colours, scale=rng.uniform(1.5, 5))
    stray = rng.random(count) < 0.12  # a leaf turns before its neighbours
    base[stray] = colours[rng.integers(len(colours), size=stray.sum())]
    rims = (None, plants.AUTUMN[rng.integers(6)], np.array([0.75, 0.72, 0.5]))
    colour = plants.paint(
        rng,
        one,
        strands.melange(rng, base, count, 0.22),
        vein=rng.uniform(0.1, 0.9),
        rim=rims[rng.choice(3, p=[0.5, 0.35, 0.15])],
    )
    waxy = rng.random() < 0.4
    matter = stage.material(roughness=0.3 if waxy else 0.6, translucent=0.3)
    stage.mesh(vertices, faces, matter, colour=colour)
    stalks = np.stack([roots, (roots + starts) / 2 - 0.03 * sizes[:, None] * _UP], 1)
    stalks = np.concatenate([stalks, starts[:, None]], 1)
    stage.curves(stalks, 0.012 * size, matter, colour=0.8 * base, framed=False)


def berries(stage: Stage, lines: np.ndarray, count: int, size: float) -> None:
    """Hang bunches of berries or blossoms on twigs."""
    rng = stage.rng
    bunches = max(1, count // 6)
    centres, _, _ = plants.on_paths(rng, lines, bunches, (0.2, 1))
    centres = np.repeat(centres, 6, 0) - 1.5 * size * _UP
    centres = centres + 1.6 * size * rng.normal(size=centres.shape)
    hue = _BERRIES[rng.choice(len(_BERRIES), 2, replace=False)]
    base = hue[(rng.random(len(centres)) < 0.15).astype(int)]
    sizes = size * rng.uniform(0.6, 1, len(centres))
    garden.balls(stage, centres, sizes, strands.melange(rng, base, len(centres), 0.2))


def _branch(stage: Stage) -> None:
    """A branch with its twigs, often cut by the picture's border."""
    rng = stage.rng
    bark = garden.BARKS[rng.integers(len(garden.BARKS))]
    stems = rng.integers(1, 4)
    ways = strands.unit([1, 0, 0] + rng.normal(0, [0, 0.35, 0.35], (stems, 3)))
    roots = rng.normal(0, 0.05, (stems, 3))
    rise = rng.uniform(-0.5, 0.4)
    stem = plants.paths(rng, roots, ways, np.full(stems, 2.0), rise=rise, steps=20)
    twigs = plants.sprout(rng, stem, 14 * stems, 1.1, rise=rise, where=(0.1, 1))
    small = plants.sprout(rng, twigs, 60 * stems, 0.4, rise=rise, steps=6)
    garden.wood(stage, stem, 0.03, bark)
    garden.wood(stage, twigs, 0.012, bark)
    garden.wood(stage, small, 0.005, bark)
    size = rng.uniform(0.13, 0.34)
    count = int(np.clip(stems * rng.uniform(12, 22) / size**1.7, 250, 3500))
    joined = np.concatenate([resampled(lines, 6) for lines in (stem, twigs, small)])
    leaves(stage, joined, count, size)
    if rng.random() < 0.35:
        berries(stage, small, int(rng.uniform(40, 250)), rng.uniform(0.02, 0.05))
    stage.view.azimuth_degrees = (-50, 50)
    stage.view.elevation_degrees = (-20, 30)
    stage.view.fill = (0.85, 1.7)


def _shrub(stage: Stage) -> None:
    """A shrub from the ground or from a tub."""
    rng = stage.rng
    bark = garden.BARKS[rng.integers(len(garden.BARKS))]
    count = rng.integers(6, 20)
    angle, lean = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.05, 0.9, count)
    ways = np.stack([lean * np.cos(angle), lean * np.sin(angle), 1 + 0 * lean], 1)
    roots = 0.15 * ways * [1, 1, 0]
    high = rng.uniform(0.9, 1.6)
    rise = rng.uniform(-0.4, 0.2)
    stems = plants.paths(
        rng, roots, strands.unit(ways), high * rng.uniform(0.6, 1, count), rise=rise
    )
    twigs = plants.sprout(rng, stems, 12 * count, 0.6, rise=0.1, where=(0.15, 1))
    garden.wood(stage, stems, 0.018, bark)
    garden.wood(stage, twigs, 0.006, bark)
    size = rng.uniform(0.07, 0.2)
    leaves(
        stage,
        np.concatenate([stems, twigs]),
        int(np.clip(16 / size**2, 500, 4500)),
        size,
        outward=np.zeros(3),
    )
    if rng.random() < 0.4:
        berries(stage, twigs, int(rng.uniform(100, 600)), rng.uniform(0.012, 0.03))
    if rng.random() < 0.5:
        garden.pot(stage, rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.7))
    stage.view.fill = (0.8, 1.4)


def _tree(stage: Stage) -> None:
    """A tree, whole or its crown."""
    rng = stage.rng
    bark = garden.BARKS[rng.integers(len(garden.BARKS))]
    stem = plants.paths(
        rng, np.zeros((1, 3)), _UP[None], np.array([2.0]), wobble=0.06, steps=24
    )
    bare = rng.uniform(0.2, 0.45)
    spread, rise = rng.uniform(0.5, 1.2), rng.uniform(-0.3, 0.5)
    boughs = plants.sprout(
        rng, stem, rng.integers(10, 22), 1.3, spread=spread, rise=rise, where=(bare, 1)
    )
    twigs = plants.sprout(rng, boughs, 220, 0.6, spread=0.7, rise=0.1)
    small = plants.sprout(rng, twigs, 700, 0.25, steps=8)
    thick = rng.uniform(0.05, 0.1)
    garden.trunk(stage, stem[0], thick * strands.taper(24, 0.2), bark)
    garden.wood(stage, boughs, 0.3 * thick, bark)
    garden.wood(stage, twigs, 0.1 * thick, bark)
    garden.wood(stage, small, 0.04 * thick, bark)
    size = rng.uniform(0.06, 0.12)
    count = int(rng.uniform(1500, 6500))
    centre = np.array([0, 0, 1.2])
    leaves(stage, np.concatenate([twigs, small]), count, size, outward=centre)
    stage.view.elevation_degrees = (-15, 15)
    stage.view.fill = (0.85, 1.6)


def _ivy(stage: Stage) -> None:
    """Ivy that climbs a post or hangs from a bowl."""
    rng = stage.rng
    count = rng.integers(10, 26)
    t = np.linspace(0, 1, 24)[None]
    start = rng.uniform(0, 2 * np.pi, (count, 1))
    if rng.random() < 0.5:
        radius, high = rng.uniform(0.12, 0.4), 2.4
        turn = start + rng.normal(0, 2.5, (count, 1)) * t
        turn = turn + 0.12 * rng.normal(size=(count, 24)).cumsum(1)
        reach = radius * (1.02 + rng.uniform(0, 0.3, (count, 1)) * t**4)
        long = high * rng.uniform(0.4, 1.05, (count, 1))
        line = np.zeros((30, 3))
        line[:, 2] = np.linspace(-0.1, high, 30)
        matter = garden.BARKS[rng.integers(4)] + rng.uniform(0, 0.2)
        garden.trunk(stage, line, np.full(30, radius), matter)
        z, axis = long * t, np.array([0, 0, high / 2])
    else:
        turn = start + rng.normal(0, 0.4, (count, 1)) * t
        reach = 0.35 + rng.uniform(0.1, 0.5, (count, 1)) * (1 - np.exp(-4 * t))
        drop = rng.uniform(0.3, 1.8, (count, 1))
        z = 0.6 * t * np.exp(-3 * t) - drop * t**1.6
        garden.pot(stage, 0.42, rng.uniform(0.35, 0.5))
        axis = np.array([0, 0, -1.0])
    lines = np.stack([reach * np.cos(turn), reach * np.sin(turn), z], -1)
    shoots = plants.sprout(rng, lines, 3 * count, 0.35, rise=0.0, steps=24)
    lines = np.concatenate([lines, shoots])
    garden.wood(stage, lines, 0.008, np.array([0.12, 0.12, 0.05]), tip=0.5)
    size = rng.uniform(0.12, 0.26)
    shape = str(rng.choice(["ivy", "ivy", "heart", "ellipse"]))
    leaves(
        stage, lines, int(count * rng.uniform(25, 60)), size, shape=shape, outward=axis
    )
    stage.view.fill = (0.85, 1.4)


def resampled(lines: np.ndarray, steps: int) -> np.ndarray:
    """Return lines [N, K, 3] with another number of points, [N, steps, 3]."""
    t = np.linspace(0, 1, steps)
    which = np.repeat(np.arange(len(lines)), steps)
    points, _ = plants.along_paths(lines, which, np.tile(t, len(lines)))
    return points.reshape(len(lines), steps, 3)


KINDS = {"foliage": foliage}
