"""Smoke, steam and flames over what they rise from."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import shapes, things
from experiments.rendering.blender.stage import Stage


def smoke(stage: Stage) -> None:
    """Smoke, steam or flames over a cup, candle, torch, chimney or camp fire.

    Sheets one behind another, seen from the front, carry noise as their opacity.
    """
    rng = stage.rng
    ways = (_cup, _candle, _torch, _chimney, _logs)
    width, burns = ways[rng.integers(len(ways))](stage)
    tall = rng.uniform(0.8, 1.5)
    style = rng.choice(["flame", "wisp", "cloud"], p=[0.6, 0.2, 0.2] if burns else None)
    if not burns and style == "flame":
        style = "wisp"
    count = {"flame": 5, "wisp": 4, "cloud": 5}[style]
    grey = rng.choice([0.75, 0.75, 0.5, 0.25]) * np.exp(rng.normal(0, 0.05, 3))
    if rng.random() < 0.2:  # coloured
        grey = things.palette(rng, 1)[0]
    sway = rng.normal(0, 0.35)
    for index in range(count):
        opacity, colours = _plume(rng, style, 2 * width / tall, sway, grey)
        y = width * ((index + 0.5) / count - 0.5) * 1.2
        _plume_sheet(stage, opacity, colours, tall, y)
    stage.view.azimuth_degrees = (-15, 15)
    stage.view.elevation_degrees = (-5, 15)
    stage.view.fill = (0.85, 1.15)


def _fractal(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, octaves: int = 5
) -> np.ndarray:
    """Return noise in [0, 1] whose detail is finer and weaker from octave to octave."""
    total, weight = np.zeros_like(x), 0.0
    for octave in range(octaves):
        lattice = rng.random((64, 64))
        p, q = x * 2**octave + 17 * octave, y * 2**octave
        i, j = np.floor(p).astype(int), np.floor(q).astype(int)
        a, b = p - i, q - j
        a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
        i, j, right, up = i % 64, j % 64, (i + 1) % 64, (j + 1) % 64
        low = lattice[i, j] * (1 - a) + lattice[right, j] * a
        high = lattice[i, up] * (1 - a) + lattice[right, up] * a
        share = 0.5**octave
        total, weight = total + share * (low * (1 - b) + high * b), weight + share
    return total / weight


def _plume(
    rng: np.random.Generator, style: str, width: float, sway: float, grey: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a layer of smoke or flame: opacity [H, W] and colours [H, W, 3].

    It rises from the middle of the lower border, of `width` in heights.
    """
    size = 512
    x, up = np.meshgrid(np.linspace(-1, 1, size), np.linspace(1, 0, size))
    drift = rng.uniform(0, 40, 2)
    p, q = 2.5 * x + drift[0], 4 * up + drift[1]
    warp = np.stack([_fractal(rng, p, q, 4), _fractal(rng, p, q, 4)]) - 0.5
    strong = {"flame": 0.35, "wisp": 0.55, "cloud": 0.45}[style]
    bent = x - sway * up**1.5 + strong * np.minimum(1, 2.5 * up) * warp[0]
    p, q = p + 2.5 * warp[0], q + 2.5 * warp[1]
    noise = _fractal(rng, 1.2 * p, 0.8 * q, 6)
    ridge = 1 - np.abs(2 * noise - 1)
    reach = rng.uniform(0.55, 0.95) + 0.9 * warp[1]  # tops are ragged
    fade = np.clip((reach - up) / 0.4, 0, 1) * np.clip((1 - up) / 0.2, 0, 1)
    fade = fade * np.clip(up / 0.03, 0, 1)
    fade = fade * np.clip((1 - np.abs(x)) / 0.25, 0, 1)
    if style == "flame":
        tongue = width * np.sqrt(np.clip(1 - up / rng.uniform(0.5, 0.85), 0, 1))
        inside = np.clip((tongue - np.abs(bent)) / (0.5 * width), 0, 1)
        heat = inside * (0.4 + 0.9 * noise) * (1 - 0.5 * up)
        opacity = np.clip(1.6 * heat - 0.25, 0, 0.75) * fade
        heat = np.clip(1.6 * heat - 0.2, 0, 1)[..., None]
        cool, hot = np.array([0.65, 0.10, 0.01]), np.array([0.95, 0.75, 0.30])
        return opacity, cool * (1 - heat) + hot * heat
    if style == "wisp":
        opacity = np.zeros_like(x)
        for _ in range(rng.integers(1, 4)):
            shift = rng.normal(0, 0.4) * width
            swing = rng.normal(0, 0.25) * up * np.sin(rng.uniform(4, 9) * up + drift[0])
            thick = width * rng.uniform(0.08, 0.3) + 0.12 * up**1.3
            strand = np.exp(-(((bent - shift - swing) / thick) ** 2))
            opacity += strand * (0.15 + ridge**3) * width / (width + 0.3 * up)
        opacity = 0.55 * opacity
    else:
        thick = width * 0.8 + rng.uniform(0.3, 0.6) * up**0.8
        body = np.exp(-((bent / thick) ** 4))
        dense = np.clip((noise - 0.3 - 0.15 * up) / 0.3, 0, 1)
        opacity = 0.65 * body * dense * rng.uniform(0.5, 1.1)
    colours = grey * (0.7 + 0.5 * noise[..., None])
    return np.clip(opacity, 0, 0.9) * fade, np.clip(colours, 0, 1)


def _plume_sheet(
    stage: Stage, opacity: np.ndarray, colours: np.ndarray, tall: float, y: float
) -> None:
    """Put a layer of a plume that rises from z = 0, without its empty parts."""
    points, faces, uv = shapes.sheet(33, 33)
    points = (points + [0, 0, 1]) * [tall / 2, 1, tall / 2] + [0, y, 0]
    points[:, 1] += 0.04 * shapes.smooth_noise(stage.rng, points, scale=2)
    opacity = np.where(opacity < 0.004, 0, opacity)
    cells = opacity.reshape(32, 16, 32, 16).max((1, 3))[::-1]
    near = np.pad(cells, 1)  # textures are smooth across the borders of faces
    near = sum(near[i : i + 32, j : j + 32] for i in range(3) for j in range(3))
    faces = faces[near.ravel() > 0]
    made = stage.material(colours, opacity=opacity, roughness=1.0, translucent=0.5)
    used = np.unique(faces)
    seen = np.zeros(len(points), int)
    seen[used] = np.arange(len(used))
    stage.mesh(points[used], seen[faces], made, uv=uv[used])


def _turned(stage: Stage, keys: list, colours: np.ndarray | None = None, **look):
    """Put a thing of a profile, in several colours."""
    rng = stage.rng
    place = things.revolve(things.rounded(keys, 96, 5))
    vertices, faces, _ = things.surface(place, 96, 96)
    colours = things.palette(rng, 3) if colours is None else colours
    paint = things.paint(rng, vertices, colours)
    stage.mesh(vertices, faces, stage.material(**look), colour=paint)


def _cup(stage: Stage) -> tuple[float, bool]:
    """Put a cup with a saucer; return how wide its steam is and whether it burns."""
    rng = stage.rng
    wide, high = rng.uniform(0.35, 0.5), rng.uniform(0.45, 0.75)
    keys = [[0, -high], [wide * 0.6, -high], [wide, -0.4 * high], [wide, 0.02]]
    keys += [[wide * 0.93, 0.02], [wide * 0.9, -0.1], [0, -0.1]]
    _turned(stage, keys, roughness=0.15, coat=0.5)
    arc = np.linspace(-1.3, 1.3, 24)
    x = rng.choice([-1, 1]) * (wide * 0.9 + 0.22 * np.cos(arc))
    path = np.stack([x, 0 * arc, 0.22 * np.sin(arc) - 0.45 * high], 1)
    tones = things.palette(rng, 2)
    things.rod(stage, path, 0.05, tones[0], roughness=0.15, coat=0.5)
    disc, faces = shapes.sphere(16, 48)
    coffee = stage.material((0.06, 0.02, 0.008), roughness=0.05)
    flat = disc * [wide * 0.93, wide * 0.93, 0.01] + [0, 0, -0.07]
    stage.mesh(flat, faces, coffee)
    if rng.random() < 0.7:
        saucer = [
            [0, -high - 0.04],
            [wide * 1.1, -high - 0.02],
            [wide * 1.5, 0.1 - high],
        ]
        _turned(stage, saucer, roughness=0.15, coat=0.5)
    return wide * 0.8, False


def _candle(stage: Stage) -> tuple[float, bool]:
    """Put one candle in a holder."""
    rng = stage.rng
    wide, high = rng.uniform(0.12, 0.25), rng.uniform(0.5, 1.0)
    keys = [[0, -high], [wide, -high], [wide, -0.1], [wide * 0.8, -0.06], [0, -0.12]]
    _turned(stage, keys, roughness=0.5)
    foot = [[0.5, -high - 0.2], [0.45, -high - 0.12], [wide, -high - 0.1]]
    _turned(stage, [*foot, [wide * 1.4, 0.15 - high]], metallic=0.7, roughness=0.3)
    wick = [[0, 0, -0.12], [0.01, 0, 0.04]]
    things.rod(stage, wick, 0.018, [0.03, 0.025, 0.02])
    return 0.12, True


def _torch(stage: Stage) -> tuple[float, bool]:
    """Put a torch of wood with a head of cloth and bands."""
    rng = stage.rng
    keys = [
        [0.05, -1.1],
        [0.1, -0.35],
        [0.24, -0.3],
        [0.28, 0.0],
        [0.1, 0.08],
        [0, 0.09],
    ]
    brown = np.array([[0.25, 0.13, 0.05], [0.12, 0.06, 0.03]])
    _turned(stage, keys, np.concatenate([brown, things.palette(rng, 1)]))
    return 0.24, True


def _chimney(stage: Stage) -> tuple[float, bool]:
    """Put a chimney of bricks on a roof, or a kettle's round one."""
    rng = stage.rng
    square, faces = shapes.sphere(64, 96)
    square = np.sign(square) * np.abs(square) ** 0.12
    square /= np.abs(square).max(0)
    tones = things.palette(rng, 3)
    rows = np.floor(square[:, 2] * 8)
    brick = np.floor(np.arctan2(square[:, 1], square[:, 0]) * 4 + 0.5 * rows)
    tone = 0.75 + 0.35 * ((brick * 3 + rows * 5) % 4) / 3
    red = np.array([0.35, 0.12, 0.07]) * tone[:, None]
    made = stage.material(roughness=0.9)
    wide = rng.uniform(0.28, 0.42)
    stage.mesh(square * [wide, wide, 0.5] - [0, 0, 0.5], faces, made, colour=red)
    top = stage.material(tuple(tones[0]), roughness=0.8)
    stage.mesh(square * [wide + 0.06, wide + 0.06, 0.06], faces, top)
    slope = rng.uniform(0.4, 0.8)
    roof = np.array([[-1.1, 0, -1.1], [0, 0, slope - 1.1], [1.1, 0, -1.1]])
    roof = np.concatenate([roof - [0, 0.5, 0], roof + [0, 0.7, 0]])
    sides = np.array([[0, 1, 4, 3], [1, 2, 5, 4]])
    tiles = stage.material(tuple(tones[1]), roughness=0.7)
    stage.mesh(roof, sides, tiles, smooth=False)
    front = stage.material(tuple(tones[2]), roughness=0.8)
    stage.mesh(roof[:3], np.array([[0, 1, 2]]), front, smooth=False)
    return wide * 0.8, False


def _logs(stage: Stage) -> tuple[float, bool]:
    """Put logs and stones of a camp fire."""
    rng = stage.rng
    for index in range(rng.integers(4, 8)):
        turn = index * 2.4 + rng.uniform(0, 0.5)
        out = np.array([np.cos(turn), np.sin(turn), 0])
        path = [0.75 * out + [0, 0, -0.4], -0.1 * out + [0, 0, rng.uniform(-0.1, 0.15)]]
        brown = np.array([0.22, 0.12, 0.06]) * rng.uniform(0.3, 1.4)
        things.rod(stage, path, rng.uniform(0.07, 0.13), brown, roughness=0.9)
    for index in range(9):
        turn = 2 * np.pi * index / 9
        stone, faces = shapes.blob(rng, bumps=0.1, stretch=0.15)
        at = [0.9 * np.cos(turn), 0.9 * np.sin(turn), -0.42]
        paint = things.paint(rng, stone, things.palette(rng, 2) * 0.6)
        made = stage.material(roughness=0.9)
        stage.mesh(stone * 0.2 + at, faces, made, colour=paint)
    return 0.4, True


KINDS = {"smoke": smoke}
