"""Solid things of several colours, to stand in, under or beside sheer ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.rendering.blender import shapes
from experiments.rendering.blender.stage import Stage

# A surface: from u, v in [0, 1], of one shape, to points [..., 3].
Place = Callable[[np.ndarray, np.ndarray], np.ndarray]

_NEUTRALS = np.array(
    [
        *([0.75, 0.73, 0.70], [0.35, 0.34, 0.33], [0.05, 0.05, 0.055]),
        *([0.62, 0.52, 0.38], [0.22, 0.11, 0.05], [0.40, 0.22, 0.10]),
    ]
)
_FRUIT = np.array(  # two colours of each
    [
        *([[0.55, 0.04, 0.03], [0.70, 0.45, 0.10]], [[0.85, 0.30, 0.02]] * 2),
        *([[0.85, 0.62, 0.05], [0.80, 0.70, 0.15]], [[0.25, 0.42, 0.05]] * 2),
        *([[0.45, 0.50, 0.10], [0.60, 0.12, 0.05]], [[0.12, 0.03, 0.10]] * 2),
        *([[0.50, 0.30, 0.12], [0.62, 0.42, 0.20]], [[0.70, 0.06, 0.03]] * 2),
        *([[0.80, 0.45, 0.22], [0.75, 0.15, 0.08]], [[0.75, 0.72, 0.60]] * 2),
    ]
)


def palette(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw colours of different hues, some of them neutral: [count, 3]."""
    hue, colours = rng.random(), []
    for index in range(count):
        if rng.random() < 0.25:
            colours.append(_NEUTRALS[rng.integers(len(_NEUTRALS))])
        else:
            tone = hue + 0.38 * index + rng.normal(0, 0.06)
            saturation, value = rng.uniform(0.2, 0.75), rng.uniform(0.35, 0.9)
            colours.append(shapes.hue_colour(tone, saturation, value))
    return np.array(colours)


def paint(
    rng: np.random.Generator, points: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """Colour points [N, 3] in patches, bands, sectors or spots: [N, 3]."""
    scaled = (points - points.mean(0)) / points.std()
    noise = shapes.smooth_noise(rng, scaled, scale=rng.uniform(0.8, 2.5))
    way, count = rng.integers(4), len(colours)
    if way == 0:
        return shapes.patches(rng, scaled, colours, scale=0.8)
    if way == 1:
        along = rng.uniform(0.7, 2.5) * scaled[:, 2] + rng.choice([0, 0.15]) * noise
    elif way == 2:
        turn = np.arctan2(scaled[:, 1], scaled[:, 0]) / (2 * np.pi)
        along = count * rng.integers(1, 5) * turn
    else:
        along = (noise > 0.6) + (noise > 1.4)
    return colours[np.floor(along).astype(int) % count]


def revolve(profile: np.ndarray) -> Place:
    """Return the surface of a profile [K, 2] of radii and heights, turned about z."""
    knots = np.linspace(0, 1, len(profile))

    def place(u, v):
        radius, height = (np.interp(v, knots, profile[:, i]) for i in (0, 1))
        angle = 2 * np.pi * u
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], -1)

    return place


def rounded(profile: Any, count: int = 64, smooth: int = 9) -> np.ndarray:
    """Refine a profile [K, 2] to [count, 2] with its corners rounded."""
    profile = np.asarray(profile, float)
    steps = np.linalg.norm(np.diff(profile, axis=0), axis=1)
    length = np.concatenate([[0], np.cumsum(steps)])
    t = np.linspace(0, length[-1], count)
    fine = np.stack([np.interp(t, length, profile[:, i]) for i in (0, 1)], 1)
    padded = np.pad(fine, ((smooth // 2, smooth // 2), (0, 0)), "edge")
    kernel = np.ones(smooth) / smooth
    return np.stack([np.convolve(padded[:, i], kernel, "valid") for i in (0, 1)], 1)


def surface(
    place: Place, rows: int = 64, columns: int = 96
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices [N, 3], faces [M, 4] and uv [N, 2] of a surface."""
    _, faces, uv = shapes.sheet(rows, columns)
    return place(uv[:, 0], uv[:, 1]), faces, uv


def turn(rng: np.random.Generator) -> np.ndarray:
    """Draw a rotation, [3, 3]."""
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return axes * np.sign(np.linalg.det(axes))


def rod(
    stage: Stage, path: Any, radius: float, colour: Any, *, framed: bool = True, **look
) -> None:
    """Put a rod of one thickness along a path of points [K, 3]."""
    points = np.asarray(path, float)
    t = np.linspace(0, len(points) - 1, max(len(points), 12))
    knots = np.arange(len(points))
    points = np.stack([np.interp(t, knots, points[:, i]) for i in range(3)], 1)
    vertices, faces = shapes.tube(points, np.full(len(points), radius), 14)
    made = stage.material(tuple(np.asarray(colour, float)), **look)
    stage.mesh(vertices, faces, made, framed=framed)


def fruit(stage: Stage, centre: Any, size: float) -> np.ndarray:
    """Put a fruit or vegetable of a radius: return its vertices."""
    rng = stage.rng
    points, faces = shapes.sphere(32, 48)
    up = points[:, 2:]
    ends = rng.uniform(-0.25, 0.3)  # below 0: pointed as lemons are, above: as apples
    shaped = points * (1 - ends * np.abs(up) ** 3) * [1, 1, rng.uniform(0.85, 1.25)]
    if rng.random() < 0.2:
        shaped[:, :2] *= 1 - 0.3 * (1 + up) / 2  # pears, peppers
    shaped *= 1 + 0.03 * shapes.smooth_noise(rng, points, scale=1.5)[:, None]
    placed = (shaped * size) @ turn(rng) + centre
    colour = shapes.patches(rng, points, _FRUIT[rng.integers(len(_FRUIT))], scale=1)
    tone = 0.1 * shapes.smooth_noise(rng, points, scale=6)
    colour = np.clip(colour * np.exp(tone + rng.normal(0, 0.15))[:, None], 0, 1)
    colour[np.abs(points[:, 2]) > 0.985] *= 0.35  # stalk and blossom end
    made = stage.material(roughness=rng.uniform(0.25, 0.6))
    stage.mesh(placed, faces, made, colour=colour)
    return placed


def bust(stage: Stage, centre: Any, size: float) -> np.ndarray:
    """Put head and shoulders, about 2 sizes high: return its vertices."""
    rng = stage.rng
    keys = np.array(  # height, half width, half depth, how far forward
        [
            *([0.0, 0.60, 0.34, 0.0], [0.25, 0.66, 0.33, 0.0], [0.40, 0.5, 0.28, 0.02]),
            *([0.50, 0.22, 0.2, 0.03], [0.62, 0.155, 0.16, 0], [0.7, 0.19, 0.22, -0.1]),
            *([0.85, 0.25, 0.30, -0.07], [1.0, 0.27, 0.32, -0.05]),
            *([1.15, 0.25, 0.29, -0.03], [1.25, 0.15, 0.18, -0.02], [1.28, 0, 0, 0]),
        ]
    )
    v = np.linspace(0, 1.28, 96)
    rows = np.stack([np.interp(v, keys[:, 0], keys[:, i]) for i in (1, 2, 3)], 1)
    kernel = np.hanning(11) / np.hanning(11).sum()
    padded = np.pad(rows, ((5, 5), (0, 0)), "edge")
    rows = np.stack([np.convolve(padded[:, i], kernel, "valid") for i in range(3)], 1)
    rows[-1, :2] = 0
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)[None]
    x = rows[:, :1] * np.cos(angle)
    y = rows[:, 1:2] * np.sin(angle) + rows[:, 2:]
    points = np.stack([x, y, v[:, None] + 0 * x], -1).reshape(-1, 3)
    skin = np.array([0.62, 0.38, 0.27]) * rng.uniform(0.15, 1.1) ** np.array(
        [0.8, 1, 1.2]
    )
    colours = palette(rng, 3)
    colour = np.tile(skin, (len(points), 1))
    edge = 0.03 * shapes.smooth_noise(rng, points, scale=5)
    low = points[:, 2] < 0.44 + edge + rng.uniform(-0.15, 0.05)
    colour[low] = paint(rng, points, colours[:2])[low]
    hair = (points[:, 2] > 1.08 + edge) | (
        (points[:, 2] > 0.72) & (points[:, 1] > edge)
    )
    if rng.random() < 0.8:
        colour[hair] = _NEUTRALS[rng.integers(1, 6)] * 0.6
    faces = shapes.grid_faces(96, 96, closed=True)
    stage.mesh(points * size + centre, faces, stage.material(), colour=colour)
    ball, ball_faces = shapes.sphere(12, 16)
    features = (
        ([0.0, -0.385, 0.88], [0.04, 0.06, 0.06], skin),
        ([0.0, -0.35, 0.79], [0.07, 0.03, 0.02], np.array([0.5, 0.1, 0.1]) * skin * 2),
        ([0.1, -0.335, 0.95], [0.04, 0.03, 0.018], np.array([0.03, 0.025, 0.02])),
        ([-0.1, -0.335, 0.95], [0.04, 0.03, 0.018], np.array([0.03, 0.025, 0.02])),
    )
    for middle, extent, tone in features:
        placed = (ball * extent + middle) * size + centre
        stage.mesh(placed, ball_faces, stage.material(tuple(tone)), framed=False)
    return points * size + centre


def thing(stage: Stage, centre: Any, size: float) -> np.ndarray:
    """Put a ball, box, vase or fruit of a radius of about `size`: its vertices."""
    rng = stage.rng
    way = rng.integers(4)
    if way == 3:
        return fruit(stage, centre, size)
    if way == 0:
        points, faces = shapes.sphere(64, 96)
    elif way == 1:
        points, faces = shapes.sphere(64, 96)
        power = rng.uniform(0.25, 0.5)  # small: a box with round edges
        points = np.sign(points) * np.abs(points) ** power
        points /= np.abs(points).max(0)
        points *= rng.uniform(0.55, 1, 3)
    else:
        heights = np.linspace(-1, 1, 7)
        radii = rng.uniform(0.25, 0.85, 7)
        keys = [[0, -1], *zip(radii, heights, strict=True), [radii[-1] * 0.8, 0.9]]
        points, faces, _ = surface(revolve(rounded([*keys, [0, 0.2]], 96, 11)), 96, 96)
    colours = palette(rng, int(rng.integers(2, 5)))
    made = stage.material(
        roughness=rng.uniform(0.1, 0.7), coat=float(rng.choice([0.0, 0.0, 0.6]))
    )
    about = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(about), np.sin(about)
    points = points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    stage.mesh(points * size + centre, faces, made, colour=paint(rng, points, colours))
    return points * size + centre
