"""How cloth hangs: over things, from rods, over the edge of a table."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import shapes
from experiments.rendering.blender.things import Place


def over(
    rng: np.random.Generator,
    points: np.ndarray,
    *,
    gap: float = 0.03,
    flare: float = 0.3,
    folds: float = 0.08,
    start: float = 0.0,
    span: float = 1.0,
    hem: float = 0.0,
) -> Place:
    """Hang cloth over a thing.

    Args:
      rng: random numbers.
      points: [N, 3] of the thing.
      gap: between thing and cloth.
      flare: how much wider the cloth is at its hem than the thing.
      folds: their depth at the hem.
      start, span: the part of a turn about z that the cloth covers, in turns.
      hem: height of the hem above the thing's foot, in heights of the thing.
    Returns:
      The cloth; v runs from its hem to its top.
    """
    rows, columns = 40, 64
    low, high = points[:, 2].min(), points[:, 2].max() + gap
    middle = points[points[:, 2] > np.quantile(points[:, 2], 0.97)].mean(0)
    x, y = points[:, 0] - middle[0], points[:, 1] - middle[1]
    row = ((high - points[:, 2]) / (high - low) * (rows - 1)).astype(int)
    column = (np.arctan2(y, x) / (2 * np.pi) % 1 * columns).astype(int) % columns
    radius = np.zeros((rows, columns))
    np.maximum.at(radius, (row, column), np.hypot(x, y))
    for _ in range(3):  # cloth spans hollows
        radius = np.maximum(
            radius, (np.roll(radius, 2, 1) + np.roll(radius, -2, 1)) / 2
        )
    radius = np.maximum.accumulate(radius, 0) + gap
    kernel = np.ones(5) / 5
    for _ in range(2):
        padded = np.pad(radius, ((2, 2), (0, 0)), "edge")
        down = np.stack([np.convolve(c, kernel, "valid") for c in padded.T], 1)
        padded = np.pad(down, ((0, 0), (2, 2)), "wrap")
        radius = np.stack([np.convolve(r, kernel, "valid") for r in padded])
    count, seed = int(rng.integers(6, 16)), rng.integers(1 << 31)

    def place(u, v):
        field = np.random.default_rng(seed)
        turn = 2 * np.pi * (start + span * u)
        down = 1 - v
        depth = down**2 / (down + 0.12) * 1.12 * (1 - hem)
        i = np.minimum(depth, 1) * (rows - 1)
        j = turn / (2 * np.pi) % 1 * columns
        i0, j0 = np.minimum(i.astype(int), rows - 2), j.astype(int) % columns
        a, b, j1 = i - i0, j - np.floor(j), (j0 + 1) % columns
        away = (1 - a) * ((1 - b) * radius[i0, j0] + b * radius[i0, j1])
        away += a * ((1 - b) * radius[i0 + 1, j0] + b * radius[i0 + 1, j1])
        away = away * np.minimum(1, np.sqrt(12 * down))
        around = np.stack([np.cos(turn), np.sin(turn), 1.5 * down], -1)
        slow = shapes.smooth_noise(field, around, scale=1.5)
        wave = np.cos(count * turn + 1.5 * slow) + 0.6 * slow
        away = away * (1 + flare * depth) + folds * depth**0.8 * (1 + wave)
        z = high - (high - low) * depth * (1 + 0.04 * slow)
        flat = away[..., None] * around[..., :2] + middle[:2]
        return np.concatenate([flat, z[..., None]], -1)

    return place


def gathered(
    rng: np.random.Generator,
    width: float,
    height: float,
    *,
    folds: int,
    depth: float,
    tied: float = 0.0,
) -> Place:
    """Hang a curtain from its upper border, of half extents width and height.

    Args:
      rng: random numbers.
      width, height: half extents.
      folds: number of them.
      depth: of folds.
      tied: how much it is drawn together at a third of its height, to one side.
    Returns:
      The curtain; v runs from its hem to its top.
    """
    seed, side = rng.integers(1 << 31), rng.choice([-1, 1])

    def place(u, v):
        field = np.random.default_rng(seed)
        x, z = 2 * u - 1, 2 * v - 1
        flat = np.stack([2 * x, 0 * x, 0.7 * z], -1)
        slow = shapes.smooth_noise(field, flat, scale=1)
        wave = np.cos(2 * np.pi * folds * u + 1.6 * slow + 0.5 * z)
        fast = shapes.smooth_noise(field, flat * [3, 1, 1], scale=2)
        y = depth * (1.2 - 0.5 * v) * (wave + 0.5 * slow + 0.25 * fast)
        near = tied * np.exp(-(((v - 0.35) / 0.28) ** 2))
        x = x * (1 - 0.8 * near) + side * 0.8 * near + 0.04 * slow * (1 - v)
        z = z + (1 - v) * 0.03 * slow
        return np.stack([width * x, y, height * z], -1)

    return place


def table(
    rng: np.random.Generator, radius: float, drop: float, *, folds: float = 0.1
) -> Place:
    """Lay round cloth on a round table at z = 0: u turns, v runs outwards."""
    count, seed = int(rng.integers(6, 14)), rng.integers(1 << 31)

    def place(u, v):
        field = np.random.default_rng(seed)
        turn = 2 * np.pi * u
        along = v * (radius + drop)
        fall = np.maximum(along - radius, 0)
        around = np.stack([np.cos(turn), np.sin(turn), 0 * turn], -1)
        slow = shapes.smooth_noise(field, around, scale=1.6)
        wave = np.cos(count * turn + 1.5 * slow) + 0.5 * slow
        away = np.minimum(along, radius) + fall * (0.15 + folds * (1 + wave) / drop)
        z = -fall * 0.97 + 0.012 * (fall == 0)
        return np.stack(
            [away * np.cos(turn), away * np.sin(turn), z - 0.02 * fall * slow], -1
        )

    return place
