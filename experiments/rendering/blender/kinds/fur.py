"""Animals and toys under tens of thousands of strands of fur, in several colours."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import shapes, strands
from experiments.rendering.blender.stage import Stage

_COATS = np.array(
    [
        *([0.30, 0.14, 0.05], [0.55, 0.36, 0.18], [0.80, 0.75, 0.66]),
        *([0.04, 0.03, 0.025], [0.22, 0.20, 0.18], [0.62, 0.25, 0.07]),
        *([0.45, 0.42, 0.40], [0.16, 0.09, 0.05]),
    ]
)


def fur_animal(stage: Stage) -> None:
    """An animal's coat, seen whole or in part."""
    rng = stage.rng
    coats = _COATS[rng.choice(len(_COATS), 3, replace=False)]
    vertices, faces, head = _animal(rng)
    _coat(
        stage,
        vertices,
        faces,
        colours=coats[: rng.integers(1, 4)],
        count=int(rng.uniform(16_000, 30_000)),
        length=rng.uniform(0.06, 0.3),
        thickness=rng.uniform(0.0018, 0.0032),
        clump=rng.uniform(0.2, 0.75),
        curl=rng.choice([0.0, 0.0, 0.04]),
        droop=rng.uniform(0.05, 0.35),
    )
    _eyes(stage, head)


def plush(stage: Stage) -> None:
    """A plush toy of several bright hues."""
    rng = stage.rng
    hue = rng.random()
    colours = np.array(
        [
            shapes.hue_colour(
                hue + rng.uniform(0.15, 0.85),
                rng.uniform(0.2, 0.9),
                rng.uniform(0.4, 1),
            )
            for _ in range(rng.integers(2, 5))
        ]
    )
    vertices, faces, head = _animal(rng)
    _coat(
        stage,
        vertices,
        faces,
        colours=colours,
        count=int(rng.uniform(24_000, 34_000)),
        length=rng.uniform(0.05, 0.13),
        thickness=rng.uniform(0.004, 0.006),
        clump=rng.uniform(0, 0.5),
        curl=rng.choice([0.0, 0.1, 0.2]),
        droop=0.1,
        sharp=True,
    )
    _eyes(stage, head)


def _animal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a beast that does not exist: vertices, faces, centre of the head."""
    parts = []

    def put(centre, size, turn=0.0):
        points, faces = shapes.blob(rng, bumps=0.06, stretch=0.1)
        points = points * size
        c, s = np.cos(turn), np.sin(turn)
        points = points @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        parts.append((points + centre, faces))

    long = rng.uniform(0.7, 1.3)
    put([0, 0, 0], [0.75 * long, 0.6, 0.62])
    head = np.array([0.75 * long, -0.2, rng.uniform(0.4, 0.8)])
    put(head, rng.uniform(0.38, 0.55) * np.ones(3))
    put(head + [0.25, -0.2, -0.1], [0.25, 0.2, 0.18])
    ear = rng.uniform(0.12, 0.4)
    for side in (-1, 1):
        put(head + [-0.05, 0.24 * side, 0.4 + ear / 2], [0.09, 0.13, ear], 0.3)
    if rng.random() < 0.75:
        for x in (-0.5, 0.5):
            for side in (-1, 1):
                put([x * long, 0.3 * side, -0.75], [0.17, 0.17, rng.uniform(0.3, 0.5)])
    if rng.random() < 0.7:
        put(
            [-0.9 * long, 0, 0.3],
            [0.15, 0.15, rng.uniform(0.3, 0.7)],
            rng.uniform(-1, 1),
        )
    return *joined(parts), head


def joined(parts) -> tuple[np.ndarray, np.ndarray]:
    """Join surfaces into one, without welding them."""
    start = np.cumsum([0, *(len(points) for points, _ in parts[:-1])])
    return (
        np.concatenate([points for points, _ in parts]),
        np.concatenate([f + s for (_, f), s in zip(parts, start, strict=True)]),
    )


def _coat(
    stage: Stage,
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    colours: np.ndarray,
    count: int,
    length: float,
    thickness: float,
    clump: float,
    curl: float,
    droop: float,
    sharp: bool = False,
) -> None:
    """Cover a surface with skin and fur."""
    rng = stage.rng
    roots, normals, _ = strands.scatter(rng, vertices, faces, count)
    comb = np.array([-0.8, 0, -0.4]) + 0.5 * np.stack(
        [shapes.smooth_noise(rng, roots, scale=1.5) for _ in range(3)], 1
    )
    directions = strands.unit(normals + rng.uniform(0.3, 1.0) * comb)
    directions = strands.unit(directions + 0.25 * rng.normal(size=(count, 3)))
    varied = length * np.exp(
        0.25 * shapes.smooth_noise(rng, roots, scale=1.2) + rng.normal(0, 0.2, count)
    )
    points = strands.grow(
        rng,
        roots,
        directions,
        varied,
        steps=6 if not curl else 12,
        droop=droop,
        clump=clump,
        clumps=count // 40,
        curl=curl,
        frizz=0.08,
    )
    paint = shapes.patches(rng, roots, colours, scale=1.2)
    if sharp:
        near = np.argmin(((paint[:, None] - colours) ** 2).sum(-1), 1)
        paint = colours[near]
    steps = points.shape[1]
    stage.curves(
        points,
        thickness * strands.taper(steps),
        stage.material(roughness=rng.uniform(0.35, 0.7), translucent=0.15),
        colour=strands.melange(rng, paint, count),
    )
    skin = shapes.patches(rng, vertices, colours, scale=1.2) * 0.5
    stage.mesh(
        vertices, faces, stage.material(roughness=0.9), colour=skin, framed=False
    )


def _eyes(stage: Stage, face: np.ndarray) -> None:
    """Put two glossy eyes and a nose on a face: its centre and its size."""
    rng = stage.rng
    black = stage.material((0.01, 0.01, 0.012), roughness=0.05)
    points, faces = shapes.sphere(16, 24)
    size = rng.uniform(0.06, 0.1)
    for x, y, z in ((0.36, -0.2, 0.16), (0.36, 0.2, 0.16), (0.5, -0.2, -0.02)):
        centre = face + [x, y - 0.15, z]
        stage.mesh(points * size + centre, faces, black, framed=False)


KINDS = {"fur": fur_animal, "plush": plush}
