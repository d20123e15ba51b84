"""Hard things of several unrelated colours: toys, flags, things in a heap."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import shapes, things
from experiments.rendering.blender.kinds import fur
from experiments.rendering.blender.stage import Stage, View

_TEXTURE = (240, 360)  # height and width of a flag's picture
_GOLDEN = np.pi * (3 - np.sqrt(5))


def toys(stage: Stage) -> None:
    """Blocks, balls and figures, stacked, lined up or in a heap."""
    rng = stage.rng
    stage.view = View(elevation_degrees=(5, 40), fill=(0.75, 1.1))
    count = int(rng.integers(3, 9))
    for index in range(count):
        away = 0.55 * np.sqrt(index)
        angle = _GOLDEN * index + rng.normal(0, 0.3)
        size = rng.uniform(0.22, 0.5)
        low = [away * np.cos(angle), away * np.sin(angle), size * 0.9]
        if rng.random() < 0.55:
            things.thing(stage, low, size)
        else:
            block(stage, np.array(low), size)
        if rng.random() < 0.35:
            block(stage, np.array(low) + [0, 0, 1.4 * size], 0.5 * size)
    if rng.random() < 0.4:
        _string_of_balls(stage)


def flags(stage: Stage) -> None:
    """Flags, pennants and windmills on sticks, held by a thing or a furry toy."""
    rng = stage.rng
    stage.view = View((-60, 60), (-5, 20), fill=(0.8, 1.05))
    if rng.random() < 0.35:
        fur.plush(stage)
    else:
        things.thing(stage, [0, 0, 0], rng.uniform(0.45, 0.8))
        block(stage, np.array([rng.uniform(-0.3, 0.3), 0, -0.8]), 0.4)
    for _ in range(rng.integers(1, 4)):
        foot = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.7, -0.3), -0.6])
        lean = np.array([rng.normal(0, 0.25), rng.normal(0, 0.1), 1.0])
        long = rng.uniform(1.4, 2.4)
        top = foot + long * lean
        things.rod(stage, [foot, top], 0.02, things.palette(rng, 1)[0], roughness=0.3)
        _flag(stage, top, lean, rng.uniform(0.4, 0.8))


def block(stage: Stage, centre: np.ndarray, size: float) -> None:
    """Put a box whose sides have colours, stripes or a picture of their own."""
    rng = stage.rng
    extent = size * rng.uniform(0.5, 1.0, 3)
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    spin = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    corners, faces, uv = shapes.sheet(2, 2)
    side = corners[:, [0, 2, 1]] + [0, 0, 1]  # the face z = 1
    for axis in range(3):
        for sign in (-1, 1):
            placed = np.roll(side * [1, 1, sign], axis, axis=1)
            material = stage.material(picture(rng), roughness=rng.uniform(0.2, 0.7))
            stage.mesh(
                (placed * extent) @ spin + centre, faces, material, uv=uv, smooth=False
            )


def picture(rng: np.random.Generator) -> np.ndarray:
    """Paint stripes, a cross, a disc, checks, a star or patches: [H, W, 3]."""
    height, width = _TEXTURE
    y, x = np.mgrid[:height, :width].astype(float)
    x, y = (x - width / 2) / height, (y - height / 2) / height
    colours = things.palette(rng, 4)
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    way = rng.integers(6)
    if way == 0:
        index = np.floor((along + 2) * rng.uniform(2, 9)) % rng.integers(2, 5)
    elif way == 1:
        broad = rng.uniform(0.06, 0.16)
        index = (abs(along) < broad) | (abs(across) < broad)
        index = index + 2 * ((abs(along) < broad / 2) | (abs(across) < broad / 2))
        index = np.minimum(index, 2)
    elif way == 2:
        index = (np.hypot(x, y) < rng.uniform(0.2, 0.4)) + (along > 0) * 2
    elif way == 3:
        steps = rng.uniform(3, 9)
        index = (np.floor((along + 2) * steps) + np.floor((across + 2) * steps)) % 2
    elif way == 4:
        turn = np.arctan2(y, x)
        index = np.hypot(x, y) < 0.25 * (1 + 0.45 * np.cos(rng.integers(4, 9) * turn))
        index = index + 2 * (along > rng.uniform(-0.2, 0.3))
    else:
        points = np.stack([4 * x, 4 * y, 0 * x], -1)
        index = (shapes.smooth_noise(rng, points) > 0.2) * 1
        index = index + (shapes.smooth_noise(rng, points) > 0.6)
    return colours[index.astype(int) % 4]


def _flag(stage: Stage, top: np.ndarray, lean: np.ndarray, size: float) -> None:
    """Hang a flag from the top of a stick."""
    rng = stage.rng
    points, faces, uv = shapes.sheet(40, 60)
    u, v = uv[:, 0], uv[:, 1]
    wave = shapes.smooth_noise(rng, points * [1.5, 0, 0.8], scale=1.3)
    deep = rng.uniform(0.05, 0.25) * size
    drop = rng.uniform(0, 0.6) * size
    narrow = rng.choice([0.0, 0.0, 0.85])  # a pennant
    placed = (
        top
        + size * 1.5 * u[:, None] * np.array([rng.choice([-1, 1]), 0.1, 0])
        - size * ((1 - v) * (1 - narrow * u) + narrow * u / 2)[:, None] * lean
    )
    placed[:, 1] += deep * wave * (0.2 + u)
    placed[:, 2] += 0.3 * deep * wave * u - drop * u**2
    material = stage.material(
        picture(rng), roughness=0.8, sheen=0.3, translucent=rng.uniform(0, 0.3)
    )
    stage.mesh(placed, faces, material, uv=uv)


def _string_of_balls(stage: Stage) -> None:
    """Lay a bent wire with balls on it, such as a necklace or a molecule."""
    rng = stage.rng
    steps = int(rng.integers(5, 11))
    path = np.cumsum(rng.normal(0, 0.3, (steps, 3)), 0)
    path[:, 2] = np.abs(path[:, 2]) + 0.5
    things.rod(stage, path, 0.015, [0.5, 0.48, 0.45], metallic=0.9, roughness=0.25)
    points, faces = shapes.sphere(20, 32)
    for centre, colour in zip(path, things.palette(rng, steps), strict=True):
        made = stage.material(tuple(colour), roughness=rng.uniform(0.05, 0.5))
        stage.mesh(points * rng.uniform(0.06, 0.14) + centre, faces, made)


KINDS = {"toys": toys, "flags": flags}
