"""Procedural backgrounds: natural spectra, clutter and defocus in many palettes."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.procedural.textures import (
    PALETTES,
    direction,
    noise,
    paint,
    palette,
)


def backdrop(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Paint a scene [H, W, 3], float32 in [0, 1]."""
    blur = 0.0 if rng.random() < 0.3 else min(shape) * 10 ** rng.uniform(-2.3, -1.1)
    shrink = 2 if blur > 4 else 1  # a defocused scene needs no fine pixels
    small = tuple(-(-side // shrink) for side in shape)
    scene = _ground(rng, small)
    for _ in range(rng.integers(0, 4)):
        scene = _CLUTTER[rng.integers(len(_CLUTTER))](rng, scene)
    if blur:
        scene = _defocus(rng, scene, blur / shrink)
    if rng.random() < 0.35:
        scene = _bokeh(rng, scene)
    if shrink > 1:
        scene = cv2.resize(scene, shape[::-1], interpolation=cv2.INTER_LINEAR)
    light = 1 + rng.uniform(0, 0.2) * noise(rng, shape, cell=max(shape), octaves=1)
    scene = scene * light[..., None]
    return np.clip(scene, 0, 1)


def _ground(rng, shape):
    """A texture, or two that meet at a wavering line, as sky and land do."""
    scene = paint(rng, shape, palette(rng))
    if rng.random() < 0.5:
        return scene
    along = direction(rng, shape, warp=max(shape) * rng.uniform(0.01, 0.3))
    split = np.quantile(along[::8, ::8], rng.uniform(0.2, 0.8))
    share = np.clip(0.5 + (along - split) / rng.uniform(1, max(shape) / 3), 0, 1)
    other = paint(rng, shape, palette(rng))
    return scene + (other - scene) * share[..., None]


def _rectangles(rng, scene):
    """Facades, window grids, frames and shelves."""
    height, width = scene.shape[:2]
    colours = palette(rng, rng.choice(["greys", "earth", "bright", "dark", "vivid"]))
    scene = np.ascontiguousarray(scene)
    for _ in range(rng.integers(1, 5)):
        x, y = rng.uniform(-0.2, 0.9) * width, rng.uniform(-0.2, 0.9) * height
        w, h = rng.uniform(0.05, 0.6, 2) * (width, height)
        rows, columns = rng.integers(1, 7, 2)
        gap, turn = rng.uniform(0.05, 0.5), np.deg2rad(rng.normal(0, 8))
        for i in range(rows * columns):
            r, c = divmod(i, columns)
            corners = np.array(
                [[c, r], [c + 1 - gap, r], [c + 1 - gap, r + 1 - gap], [c, r + 1 - gap]]
            )
            local = corners / (columns, rows) * (w, h)
            cos, sin = np.cos(turn), np.sin(turn)
            points = local @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
            colour = colours[rng.integers(len(colours))]
            _fill(scene, points, colour)
    return scene


def _leaves(rng, scene):
    """Leaf- or pebble-like clutter."""
    height, width = scene.shape[:2]
    scene = np.ascontiguousarray(scene)
    colours = palette(
        rng, rng.choice(["greens", "greens", "earth", *PALETTES]), count=8
    )
    size = min(height, width) * 10 ** rng.uniform(-1.8, -0.8)
    count = int(rng.uniform(30, 160))
    centres = rng.uniform(0, 1, (count, 2)) * (width, height)
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    slim = rng.uniform(0.2, 1)
    for centre in centres:
        angle, scale = rng.uniform(0, np.pi), size * rng.uniform(0.4, 1.5)
        local = np.stack([np.cos(turn), slim * np.sin(turn)], axis=-1) * scale
        cos, sin = np.cos(angle), np.sin(angle)
        _fill(
            scene,
            local @ np.array([[cos, sin], [-sin, cos]]) + centre,
            colours[rng.integers(8)],
        )
    return scene


def _lines(rng, scene):
    """Grass, branches, wires: lines that resemble hair."""
    height, width = scene.shape[:2]
    scene = np.ascontiguousarray(scene)
    colours = palette(rng)
    count = int(10 ** rng.uniform(0.7, 2.2))
    t = np.linspace(0, 1, 8)
    heading = (
        rng.normal(rng.uniform(0, 6.3), rng.uniform(0.1, 0.8), (count, 1))
        + rng.normal(0, 0.8, (count, 1)) * t
    )
    step = (
        np.stack([np.cos(heading), np.sin(heading)], -1)
        * min(height, width)
        * rng.uniform(0.02, 0.12)
    )
    paths = rng.uniform(-0.1, 1.1, (count, 1, 2)) * (width, height) + np.cumsum(
        step, axis=1
    )
    thickness = int(rng.integers(1, 4))
    for group, colour in zip(np.array_split(paths, len(colours)), colours, strict=True):
        if len(group):
            points = np.rint(group * 16).astype(np.int32)
            cv2.polylines(
                scene, list(points), False, colour.tolist(), thickness, cv2.LINE_8, 4
            )
    return scene


def _bokeh(rng, scene):
    """Out-of-focus lights."""
    height, width = scene.shape[:2]
    lights = np.zeros_like(scene)
    colours = palette(rng, rng.choice(["bright", "vivid", "earth", "skies"]))
    size = min(height, width) * 10 ** rng.uniform(-1.8, -0.9)
    for _ in range(rng.integers(5, 40)):
        centre = rng.uniform(0, 1, 2) * (width, height)
        colour = colours[rng.integers(len(colours))] * rng.uniform(0.2, 0.8)
        cv2.circle(
            lights,
            tuple(np.rint(centre * 16).astype(int).tolist()),
            int(size * rng.uniform(0.5, 1.2) * 16),
            colour.tolist(),
            -1,
            cv2.LINE_8,
            4,
        )
    lights = cv2.GaussianBlur(lights, (0, 0), max(size / 12, 0.7))
    return scene + lights * (1 - np.clip(scene, 0, 1))


def _defocus(rng, scene, radius):
    if rng.random() < 0.5:
        return cv2.GaussianBlur(scene, (0, 0), radius)
    side = 2 * int(radius * 1.2) + 3
    return cv2.blur(cv2.blur(scene, (side, side)), (side, side))


def _fill(scene, points, colour):
    cv2.fillConvexPoly(
        scene, np.rint(points * 16).astype(np.int32), colour.tolist(), cv2.LINE_8, 4
    )


_CLUTTER = (_rectangles, _leaves, _lines)
