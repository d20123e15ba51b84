"""Sheer cloth: draped veils, curtains, scarves in the wind."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import cloth, shapes, things
from experiments.rendering.blender.stage import Stage


def veil(stage: Stage) -> None:
    """Sheer cloth over, beside or round something solid."""
    ways = (_draped, _draped, _voile, _scarf)
    ways[stage.rng.integers(len(ways))](stage)


def _sheer(
    stage: Stage, place: things.Place, colours: np.ndarray, *, rows=128, columns=256
) -> None:
    """Put sheer cloth whose hem, at v = 0, is closer woven."""
    rng = stage.rng
    vertices, faces, uv = things.surface(place, rows, columns)
    low = rng.uniform(0.15, 0.5)
    noise = 0.1 * shapes.smooth_noise(rng, vertices, scale=1.5)
    hem = (uv[:, 1] < rng.choice([0.0, 0.02, 0.05])) * rng.uniform(0.4, 1)
    opacity = np.clip(np.maximum(low * (1 + noise), hem), 0.05, 1)
    fade = np.array([uv[:, 0] * 2, 0 * noise, uv[:, 1] * 2]).T
    paint = shapes.patches(rng, fade, colours, scale=rng.uniform(0.5, 1.5))
    paint[hem > 0] = things.palette(rng, 1)[0]
    made = stage.material(
        opacity="attribute",
        glancing=rng.uniform(0.5, 0.95),
        roughness=rng.uniform(0.4, 0.8),
        sheen=0.3,
        translucent=0.4,
    )
    stage.mesh(vertices, faces, made, colour=paint, opacity=opacity)


def _dyes(rng: np.random.Generator) -> np.ndarray:
    """Draw one to three colours of sheer cloth, often white."""
    if rng.random() < 0.35:
        return np.array([[0.8, 0.79, 0.77]])
    return things.palette(rng, int(rng.integers(1, 4)))


def _draped(stage: Stage) -> None:
    """Sheer cloth over a head, a vase or a ball, in one layer or two."""
    rng = stage.rng
    head = rng.random() < 0.6
    if head:
        points = things.bust(stage, [0, 0, 0], 1.0)
    else:
        points = things.thing(stage, [0, 0, 0], 0.7)
    for layer in range(rng.integers(1, 3)):
        span = rng.choice([1.0, rng.uniform(0.55, 0.85)])
        place = cloth.over(
            rng,
            points,
            gap=0.03 + 0.04 * layer,
            flare=rng.uniform(0, 0.45),
            folds=rng.uniform(0.03, 0.13),
            start=0.25 - span / 2,  # open before the face, which looks to -y
            span=span,
            hem=rng.uniform(-0.1, 0.5),
        )
        _sheer(stage, place, _dyes(rng))
    if head:
        stage.view.azimuth_degrees = (-110, 110)
    stage.view.fill = (0.85, 1.3)


def _voile(stage: Stage) -> None:
    """Sheer curtains on a rod, with things behind and before them."""
    rng = stage.rng
    height, x = 1.0, -0.7
    tones = things.palette(rng, 2)
    for _ in range(rng.integers(1, 4)):
        width = rng.uniform(0.3, 0.7)
        place = cloth.gathered(
            rng,
            width,
            height,
            folds=int(rng.integers(3, 9)),
            depth=rng.uniform(0.03, 0.1),
            tied=rng.choice([0.0, rng.uniform(0.3, 0.9)]),
        )
        shift = np.array([x + width, rng.uniform(-0.1, 0.1), 0])
        dyes = _dyes(rng)
        _sheer(stage, lambda u, v, p=place, s=shift: p(u, v) + s, dyes)
        x += 1.7 * width
    rail = [[-0.85, 0, height + 0.04], [max(x, 0.5) + 0.15, 0, height + 0.04]]
    things.rod(stage, rail, 0.04, tones[0], roughness=0.4)
    for _ in range(rng.integers(1, 4)):
        size = rng.uniform(0.25, 0.5)
        at = [rng.uniform(-0.6, x), rng.choice([-1, 1]) * (size + 0.2), size - height]
        things.thing(stage, at, size)
    stage.view.azimuth_degrees = (-50, 50)
    stage.view.fill = (0.85, 1.4)


def _scarf(stage: Stage) -> None:
    """A sheer scarf that the wind blows from a bust or a post."""
    rng = stage.rng
    tones = things.palette(rng, 3)
    if rng.random() < 0.5:
        things.bust(stage, [0, 0.15, -1.1], 1.1)
        start = np.array([0.0, 0.1, -0.45])
    else:
        things.rod(stage, [[0, 0, -1.2], [0, 0, 0.7]], 0.07, tones[0], roughness=0.5)
        things.thing(stage, [0.1, 0, -0.9], 0.35)
        start = np.array([0.0, 0.0, 0.3])
    for _ in range(rng.integers(1, 3)):
        seed, long = rng.integers(1 << 31), rng.uniform(1.0, 1.7)
        wide, side = rng.uniform(0.2, 0.45), rng.choice([-1, 1])
        rise = rng.uniform(-0.3, 0.5)

        def place(u, v, seed=seed, long=long, wide=wide, side=side, rise=rise):
            field = np.random.default_rng(seed)
            flat = np.stack([2.2 * u * long, 0 * u, 0.8 * v], -1)
            shift = [shapes.smooth_noise(field, flat, scale=1.2) for _ in range(3)]
            spread = wide * (0.25 + 0.5 * np.minimum(1, 2 * u) + 0.12 * shift[1])
            pleats = 0.07 * np.cos(22 * v + 4 * shift[2])
            x = side * (long * u + 0.08 * u * shift[0])
            y = 0.3 * np.minimum(1, 2 * u) * shift[1] + pleats - 0.2 * (u < 0)
            z = rise * long * u + spread * (2 * v - 1) + 0.3 * u * shift[2]
            return np.stack([x, y, z], -1) + start

        _sheer(stage, place, _dyes(rng))
    stage.view.azimuth_degrees = (-40, 40)
    stage.view.fill = (0.85, 1.2)


KINDS = {"veil": veil}
