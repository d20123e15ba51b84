"""Strands that grow on surfaces: roots, directions, clumps, curl."""

from __future__ import annotations

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors, the last axis, to length 1."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-9)


def scatter(
    rng: np.random.Generator, vertices: np.ndarray, faces: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw points spread evenly over a surface.

    Args:
      rng: random numbers.
      vertices: [N, 3].
      faces: [M, 3] or [M, 4]; outside is where they run counterclockwise.
      count: number of points.
    Returns:
      Points [count, 3], the normals there [count, 3], the indices of their faces.
    """
    if faces.shape[1] == 4:
        faces = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    area = np.linalg.norm(normals, axis=1)
    chosen = rng.choice(len(faces), count, p=area / area.sum())
    u, v = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - u, u * (1 - v), u * v], 1)[..., None]
    corners = np.stack([a[chosen], b[chosen], c[chosen]], 1)
    return (weights * corners).sum(1), unit(normals[chosen]), chosen


def grow(
    rng: np.random.Generator,
    roots: np.ndarray,
    directions: np.ndarray,
    length: np.ndarray,
    *,
    steps: int = 6,
    droop: float = 0.0,
    clump: float = 0.0,
    clumps: int = 200,
    curl: float = 0.0,
    curl_turns: float = 2.0,
    frizz: float = 0.0,
) -> np.ndarray:
    """Grow strands from roots.

    Args:
      rng: random numbers.
      roots: [N, 3].
      directions: [N, 3] of length 1.
      length: [N].
      steps: points of a strand.
      droop: how far tips sink, in lengths.
      clump: 0 to 1, how near tips come to that of their clump.
      clumps: number of them.
      curl: radius of the curls, in lengths.
      curl_turns: turns from root to tip.
      frizz: random deviation of points, in lengths.
    Returns:
      Points [N, steps, 3].
    """
    count = len(roots)
    t = np.linspace(0, 1, steps)[None, :, None]
    long = length[:, None, None]
    points = roots[:, None] + t * long * directions[:, None]
    points[..., 2:] -= droop * long * t**2
    if clump and clumps:
        leaders = rng.choice(count, min(clumps, count), replace=False)
        nearest = nearest_of(roots, roots[leaders])
        centre = points[leaders][nearest]
        points += clump * t**1.5 * (centre - points)
    if curl:
        side = unit(np.cross(directions, rng.normal(size=(count, 3))))
        other = np.cross(directions, side)
        phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
        angle = phase + 2 * np.pi * curl_turns * t * rng.uniform(
            0.7, 1.3, (count, 1, 1)
        )
        wave = np.cos(angle) * side[:, None] + np.sin(angle) * other[:, None]
        points += curl * long * np.minimum(1, 3 * t) * wave
    if frizz:
        noise = rng.normal(size=(count, steps, 3)).cumsum(1) / np.sqrt(steps)
        points += frizz * long * t * noise
    return points


def nearest_of(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return for each of [N, 3] the index of the nearest of [M, 3]."""
    from mathutils.kdtree import KDTree  # Blender's own: there is no SciPy here

    tree = KDTree(len(centres))
    for index, centre in enumerate(centres):
        tree.insert(centre, index)
    tree.balance()
    return np.array([tree.find(point)[1] for point in points])


def taper(steps: int, tip: float = 0.1) -> np.ndarray:
    """Return how thick a strand is from root, 1, to tip, [steps]."""
    t = np.linspace(0, 1, steps)
    return 1 - (1 - tip) * t**1.5


def melange(
    rng: np.random.Generator, base: np.ndarray, count: int, spread: float = 0.15
) -> np.ndarray:
    """Vary a colour, [3] or [N, 3], from strand to strand: [count, 3]."""
    factor = np.exp(rng.normal(0, spread, (count, 1)))
    tone = np.exp(rng.normal(0, spread / 3, (count, 3)))
    return np.clip(base * factor * tone, 0, 1)
