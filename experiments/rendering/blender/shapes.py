"""Surfaces as arrays: blobs, tubes, sheets, and smooth random fields over them."""

from __future__ import annotations

import numpy as np


def sphere(rings: int = 48, sectors: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Return a unit sphere: vertices [N, 3] and faces [M, 4], outside by its normal."""
    theta = np.linspace(0.001, np.pi - 0.001, rings)[:, None]
    phi = np.linspace(0, 2 * np.pi, sectors, endpoint=False)[None]
    points = np.stack(
        [
            np.sin(theta) * np.cos(phi),
            np.sin(theta) * np.sin(phi),
            np.cos(theta) + 0 * phi,
        ],
        -1,
    )
    return points.reshape(-1, 3), grid_faces(rings, sectors, closed=True)


def tube(
    path: np.ndarray, radius: np.ndarray, sectors: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Return a tube around a path [K, 3] of radius [K]: vertices and faces."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    aside = np.array([0.31, 0.87, 0.38])
    side = np.cross(tangent, aside)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    other = np.cross(tangent, side)
    angle = np.linspace(0, 2 * np.pi, sectors, endpoint=False)[None, :, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * other[:, None]
    points = path[:, None] + radius[:, None, None] * ring
    return points.reshape(-1, 3), grid_faces(len(path), sectors, closed=True)


def sheet(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a flat sheet in x and z from -1 to 1: vertices, faces, uv in [0, 1]."""
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    uv = np.stack([u, v], -1).reshape(-1, 2)
    points = np.stack([2 * uv[:, 0] - 1, 0 * uv[:, 0], 2 * uv[:, 1] - 1], 1)
    return points, grid_faces(rows, columns, closed=False), uv


def grid_faces(rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """Return the quads of a grid, [M, 4]; closed: the last column meets the first."""
    i, j = np.meshgrid(
        np.arange(rows - 1),
        np.arange(columns if closed else columns - 1),
        indexing="ij",
    )
    right = (j + 1) % columns
    quads = [
        i * columns + j,
        (i + 1) * columns + j,
        (i + 1) * columns + right,
        i * columns + right,
    ]
    return np.stack(quads, -1).reshape(-1, 4)


def smooth_noise(
    rng: np.random.Generator, points: np.ndarray, *, scale: float = 1.0, waves: int = 24
) -> np.ndarray:
    """Return a smooth random field of about unit deviation at points [..., 3]."""
    directions = rng.normal(size=(waves, 3)) * scale
    phases = rng.uniform(0, 2 * np.pi, waves)
    return np.cos(points @ directions.T + phases).sum(-1) * np.sqrt(2 / waves)


def patches(
    rng: np.random.Generator,
    points: np.ndarray,
    colours: np.ndarray,
    *,
    scale: float = 2.0,
) -> np.ndarray:
    """Colour points [N, 3] in patches of several colours [M, 3]: [N, 3]."""
    fields = np.stack(
        [smooth_noise(rng, points, scale=scale) for _ in range(len(colours))], -1
    )
    weight = np.exp(4 * fields)
    weight /= weight.sum(-1, keepdims=True)
    return weight @ colours


def blob(
    rng: np.random.Generator, *, bumps: float = 0.15, stretch: float = 0.25
) -> tuple[np.ndarray, np.ndarray]:
    """Return a sphere made uneven: vertices and faces."""
    points, faces = sphere()
    points = points * (1 + bumps * smooth_noise(rng, points, scale=1.6)[:, None])
    return points * np.exp(rng.normal(0, stretch, 3)), faces


def hue_colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """Return linear RGB of a hue in turns, as displays mix it."""
    sector = (hue % 1) * 6
    rgb = [abs(sector - 3) - 1, 2 - abs(sector - 2), 2 - abs(sector - 4)]
    return (value * (1 - saturation * (1 - np.clip(rgb, 0, 1)))) ** 2.2
