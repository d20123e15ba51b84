"""What plants stand in and hang from, on the stage: pots, earth, wood, fruits."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import shapes, strands
from experiments.rendering.blender.stage import Stage

BARKS = np.array(
    [[0.12, 0.08, 0.05], [0.25, 0.20, 0.16], [0.06, 0.04, 0.03], [0.20, 0.09, 0.05]]
)
_POTS = np.array(
    [
        *([0.45, 0.16, 0.08], [0.75, 0.72, 0.66], [0.08, 0.16, 0.35]),
        *([0.05, 0.05, 0.06], [0.55, 0.38, 0.12], [0.10, 0.32, 0.30]),
        *([0.50, 0.08, 0.10], [0.35, 0.30, 0.45], [0.60, 0.35, 0.32]),
    ]
)
_SOIL = np.array([0.05, 0.03, 0.02])


def lathe(profile: np.ndarray, sectors: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Turn a profile [K, 2] of radius and height about z, from bottom up."""
    phi = np.linspace(0, 2 * np.pi, sectors, endpoint=False)[None]
    r, z = profile[:, :1], profile[:, 1:]
    points = np.stack([r * np.cos(phi), r * np.sin(phi), z + 0 * phi], -1)
    faces = shapes.grid_faces(len(profile), sectors, closed=True)[:, ::-1]
    return points.reshape(-1, 3), faces


def pot(stage: Stage, radius: float, height: float) -> None:
    """Put a pot or basket with earth on the stage, its rim at z = 0."""
    rng = stage.rng
    belly, foot = rng.uniform(-0.1, 0.3), rng.uniform(0.5, 0.95)
    t = np.linspace(0, 1, 60)
    wall = radius * (foot + (1 - foot) * t + belly * np.sin(np.pi * t))
    inside = 0.9 * wall[t > 0.8].min()
    if rng.random() < 0.5:  # a thick rim
        wall = wall * np.where(t > 0.85, 1.08, 1.0)
    outer = np.stack([wall, height * (t - 1)], 1)
    inner = np.array([[inside, 0.0], [inside, -0.1 * height]])
    bottom = np.array([[1e-3, -height]])
    points, faces = lathe(np.concatenate([bottom, outer, inner]), 120)
    hues = _POTS[rng.choice(len(_POTS), 2, replace=False)]
    phi, z = np.arctan2(points[:, 1], points[:, 0]), points[:, 2] / height
    style = rng.integers(4)
    if style == 0:  # woven
        weave = np.cos(24 * phi) * np.cos(14 * np.pi * z)
        points[:, :2] *= 1 + 0.03 * weave[:, None]
        mark = np.clip(0.5 + 0.6 * weave, 0, 1)
        hues = np.array([[0.42, 0.27, 0.12], [0.16, 0.08, 0.035]])
    elif style == 1:  # bands
        mark = (np.sin(rng.uniform(6, 25) * z + rng.uniform(0, 6)) > 0.3) * 1.0
    elif style == 2:  # weathered
        mark = 0.5 * (1 + np.tanh(2 * shapes.smooth_noise(rng, points, scale=4)))
        mark = 0.5 * mark
    else:  # plain
        mark = 0.15 * (shapes.smooth_noise(rng, points, scale=6) > 0.5)
    colour = hues[0] + mark[:, None] * (hues[1] - hues[0])
    coat = 0.6 if style and rng.random() < 0.4 else 0.0
    matter = stage.material(roughness=rng.uniform(0.3, 0.8), coat=coat)
    stage.mesh(points, faces, matter, colour=colour)
    soil = np.array([1.03, 1.03, 0.1]) * inside
    clod(stage, np.array([0, 0, -0.1 * height]), soil, rough=0.02)


def clod(
    stage: Stage, centre: np.ndarray, size: np.ndarray, *, rough: float = 0.06
) -> None:
    """Put a lump of earth on the stage."""
    rng = stage.rng
    points, faces = shapes.sphere(60, 90)
    bumps = shapes.smooth_noise(rng, points, scale=7)
    fine = rng.normal(size=len(points))
    points = points * (1 + rough * (bumps + 0.3 * fine))[:, None] * size + centre
    tone = np.exp(0.3 * bumps + 0.3 * fine)[:, None]
    stage.mesh(points, faces, stage.material(roughness=1.0), colour=_SOIL * tone)


def wood(
    stage: Stage, lines: np.ndarray, radius: float, colour: np.ndarray, *, tip=0.35
) -> None:
    """Put branches [N, K, 3] on the stage, thinner towards their tips."""
    rng = stage.rng
    count, steps = lines.shape[:2]
    rough = np.exp(0.15 * rng.normal(size=(count, steps, 1)))
    shade = strands.melange(rng, colour, count)[:, None] * rough
    stage.curves(
        lines,
        radius * strands.taper(steps, tip),
        stage.material(roughness=0.8),
        colour=np.clip(shade, 0, 1),
    )


def trunk(stage: Stage, line: np.ndarray, radius: np.ndarray, bark: np.ndarray) -> None:
    """Put one thick stem on the stage, along a line [K, 3] of radius [K]."""
    rng = stage.rng
    points, faces = shapes.tube(line, radius, 32)
    rough = shapes.smooth_noise(rng, points * [1, 1, 0.25], scale=14)
    near = np.repeat(line, 32, 0)
    points = near + (points - near) * (1 + 0.08 * rough[:, None])
    tone = np.exp(0.35 * rough)[:, None]
    matter = stage.material(roughness=0.9)
    stage.mesh(points, faces, matter, colour=np.clip(bark * tone, 0, 1))


def balls(
    stage: Stage,
    centres: np.ndarray,
    size: np.ndarray,
    colour: np.ndarray,
    *,
    stretch: tuple[float, float, float] = (1, 1, 1),
    roughness: float = 0.25,
) -> None:
    """Put berries, buds or fruits [N, 3] of sizes [N] and colours [N, 3] on stage."""
    points, faces = shapes.sphere(9, 14)
    placed = centres[:, None] + size[:, None, None] * (points * stretch)
    faces = faces + (np.arange(len(centres)) * len(points))[:, None, None]
    stage.mesh(
        placed.reshape(-1, 3),
        faces.reshape(-1, 4),
        stage.material(roughness=roughness),
        colour=np.repeat(colour, len(points), 0),
    )
