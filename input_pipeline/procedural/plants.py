"""Subjects made of many small parts: foliage, grass, seed heads and feathers."""

from __future__ import annotations

import numpy as np

from input_pipeline.procedural import silhouettes, strands
from input_pipeline.procedural.canvas import Canvas, coverage, over, shade
from input_pipeline.procedural.strands import Growth
from input_pipeline.procedural.textures import Texture, body, noise, palette


def foliage(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture
) -> np.ndarray:
    """Draw branches with many small leaves or needles."""
    unit = min(shape)
    canvas = Canvas(shape)
    hues = str(rng.choice(["greens", "greens", "greens", "earth", "vivid"]))
    colours = palette(rng, hues, count=8)
    bark = palette(rng, "earth")[0]
    base = np.array(
        [rng.uniform(0.3, 0.7) * shape[1], rng.uniform(0.6, 1.05) * shape[0]]
    )
    count = int(rng.uniform(6, 22))
    growth = Growth(steps=10, bend=0.8, wander=0.12, pull=rng.uniform(-0.5, 0.6))
    angles = rng.normal(-np.pi / 2, rng.uniform(0.5, 1.3), count)
    lengths = unit * rng.uniform(0.35, 0.95, count)
    roots = base + rng.normal(0, unit * rng.uniform(0.01, 0.15), (count, 2))
    branches = strands.grow(rng, roots, angles, lengths, growth)
    stem_width = min(shape) * rng.uniform(0.003, 0.014)
    strands.draw(
        rng,
        canvas,
        branches,
        bark * rng.uniform(0.7, 1.2, (count, 1)),
        np.full(count, stem_width),
    )

    leaves = int(rng.uniform(120, 360))
    which = rng.integers(count, size=leaves)
    place = rng.uniform(1, 8.99, leaves)
    low, part = place.astype(int), (place % 1)[:, None]
    start, end = branches[which, low], branches[which, low + 1]
    roots = start + part * (end - start)
    along = np.arctan2(*(end - start).T[::-1])
    side = rng.choice([-1, 1], leaves) * rng.uniform(0.2, 1.3, leaves)
    sizes = unit * 10 ** rng.uniform(-1.3, -0.75) * rng.uniform(0.5, 1.3, leaves)
    if rng.random() < 0.25:  # needles
        paths = strands.grow(rng, roots, along + side, sizes, Growth(steps=4, bend=0.2))
        strands.draw(
            rng,
            canvas,
            paths,
            colours[rng.integers(8, size=leaves)],
            np.full(leaves, rng.uniform(0.4, 1.6)),
        )
    else:
        slim = rng.uniform(0.15, 0.5) * rng.uniform(0.5, 1.2, leaves)
        outlines = silhouettes.leaves(roots, along + side, sizes, slim)
        lit = outlines.copy()
        lit[:, 7:] = outlines[:, :1]  # one half of each leaf
        shades = colours[rng.integers(8, size=leaves)]
        shades = shades * rng.uniform(0.75, 1.25, (leaves, 1))
        both = np.stack([outlines, lit], axis=1).reshape(-1, 12, 2)
        canvas.polygons(both, np.stack([shades, 1.2 * shades], axis=1).reshape(-1, 3))
    light = 1 + 0.25 * noise(rng, shape, cell=unit / 4, octaves=2)
    return shade(canvas.layer(), light)


def tuft(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture
) -> np.ndarray:
    """Draw grass, a seed head, bristles or feathers: strands alone."""
    style = rng.choice(["grass", "burst", "feather"])
    if style == "grass":
        return _grass(rng, shape)
    return _burst(rng, shape, texture) if style == "burst" else _feather(rng, shape)


def _grass(rng, shape):
    height, width = shape
    count = int(min(shape) * rng.uniform(0.3, 1.7))
    colours = palette(rng, rng.choice(["greens", "earth", "greens", "vivid"]))
    roots = np.stack(
        [
            rng.uniform(-0.05, 1.05, count) * width,
            rng.uniform(0.75, 1.1, count) * height,
        ],
        axis=-1,
    )
    growth = Growth(
        steps=10, bend=rng.uniform(0.3, 1), wander=0.05, pull=rng.uniform(-0.2, 0.5),
        clumps=int(rng.uniform(5, 30)), clumping=-rng.uniform(0, 0.7),
    )  # fmt: skip
    lengths = height * rng.uniform(0.2, 0.8) * rng.uniform(0.4, 1.2, count)
    angles = rng.normal(-np.pi / 2, 0.3, count)
    paths = strands.grow(rng, roots, angles, lengths, growth)
    return strands.tangle(
        rng, shape, paths, colours, width=10 ** rng.uniform(-0.1, 0.8)
    )


def _burst(rng, shape, texture):
    """Strands out of one core, as of a seed head, a brush or a palm."""
    count = int(min(shape) * rng.uniform(0.4, 3))
    core = silhouettes.blob(rng, shape, size=rng.uniform(0.05, 0.22))
    layer = body(rng, shape, texture, coverage([core], shape))
    roots, angles = strands.contour_roots(rng, layer[..., 3], count, inset=4)
    count = len(roots)
    growth = Growth(
        bend=rng.uniform(0.1, 0.8),
        wander=rng.uniform(0, 0.1),
        pull=rng.uniform(0, 0.8),
        curl=rng.choice([0, 0.5]),
    )
    lengths = min(shape) * rng.uniform(0.15, 0.45) * rng.uniform(0.7, 1.1, count)
    paths = strands.grow(
        rng, roots, angles + rng.normal(0, 0.3, count), lengths, growth
    )
    burst = strands.tangle(
        rng, shape, paths, palette(rng), width=10 ** rng.uniform(-0.5, 0.4)
    )
    if rng.random() < 0.4:  # seeds or beads at the tips
        canvas = Canvas(shape)
        tips = paths[:200, -1]
        sizes, turns = (
            np.full(len(tips), rng.uniform(1, 5)),
            rng.uniform(0, 6, len(tips)),
        )
        beads = silhouettes.leaves(tips, turns, sizes, 0.8)
        canvas.polygons(beads, palette(rng, count=len(tips)))
        burst = over(canvas.layer(), burst)
    return over(burst, layer)


def _feather(rng, shape):
    """Barbs on both sides of one or a few quills."""
    layer = np.zeros((*shape, 4), np.float32)
    for _ in range(rng.integers(1, 4)):
        count = int(min(shape) * rng.uniform(0.8, 1.8))
        base = rng.uniform(0.2, 0.8, 2) * shape[::-1]
        towards = np.arctan2(*(np.array(shape[::-1]) / 2 - base)[::-1]) + rng.normal(
            0, 0.4
        )
        length = min(shape) * rng.uniform(0.6, 1.0)
        quill = strands.grow(
            rng,
            base[None],
            np.array([towards]),
            np.array([length]),
            Growth(steps=40, bend=0.6, wander=0.02),
        )[0]
        place = np.sort(rng.integers(3, 39, count))
        along = np.arctan2(*(quill[place] - quill[place - 1]).T[::-1])
        side = np.where(np.arange(count) % 2, 1, -1)
        t = place / 39
        lengths = length * rng.uniform(0.15, 0.3) * np.sin(np.pi * t**0.7) ** 0.5 + 2
        angles = along + side * rng.uniform(0.5, 1.0) + rng.normal(0, 0.08, count)
        growth = Growth(
            steps=8,
            bend=0.25,
            wander=0.03,
            clumps=int(rng.uniform(10, 60)),
            clumping=0.4,
        )
        barbs = strands.grow(
            rng, quill[place] + rng.normal(0, 0.4, (count, 2)), angles, lengths, growth
        )
        colours = palette(rng)
        layer = over(
            strands.tangle(rng, shape, barbs, colours, width=rng.uniform(0.6, 2.2)),
            layer,
        )
        layer = over(
            strands.tangle(
                rng, shape, quill[None], colours[-1:], width=rng.uniform(1, 3)
            ),
            layer,
        )
    return layer
