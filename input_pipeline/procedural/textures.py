"""Noise fields, palettes and painted textures; colours are RGB in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from input_pipeline.procedural.canvas import tint

Texture = Callable[[np.random.Generator, tuple[int, int], np.ndarray], np.ndarray]

# Hue range in degrees, saturation range, value range.
PALETTES = {
    "greens": ((60, 150), (0.15, 0.85), (0.08, 0.85)),
    "skies": ((190, 230), (0.05, 0.65), (0.45, 1.0)),
    "skin": ((12, 28), (0.2, 0.5), (0.3, 0.95)),
    "greys": ((0, 360), (0.0, 0.1), (0.1, 0.95)),
    "dark": ((0, 360), (0.0, 0.6), (0.01, 0.25)),
    "bright": ((0, 360), (0.0, 0.25), (0.7, 1.0)),
    "earth": ((15, 50), (0.15, 0.7), (0.1, 0.75)),
    "vivid": ((0, 360), (0.5, 1.0), (0.3, 1.0)),
    "hair": ((12, 42), (0.15, 0.75), (0.03, 0.75)),
    "grey hair": ((0, 360), (0.0, 0.12), (0.15, 0.95)),
    "black hair": ((0, 360), (0.0, 0.4), (0.01, 0.2)),
}


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    cell: float,
    octaves: int = 4,
    persistence: float = 0.5,
    stretch: float = 1.0,
) -> np.ndarray:
    """Return fractal noise [H, W], float32 of mean 0 and deviation 1.

    Args:
      rng: where the randomness comes from.
      shape: height and width in pixels.
      cell: size of the coarsest features, in pixels.
      octaves: how many times the feature size is halved.
      persistence: amplitude of an octave relative to the one before.
      stretch: features are this many times taller than wide.
    """
    height, width = shape
    rows = max(2, round(height / (cell * stretch)) + 1)
    columns = max(2, round(width / cell) + 1)
    field = rng.standard_normal((rows, columns), np.float32)
    amplitude = 1.0
    for _ in range(octaves - 1):
        if rows * columns * 4 > 2 * height * width:
            break  # finer than the pixels
        rows, columns, amplitude = 2 * rows, 2 * columns, amplitude * persistence
        coarse = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_LINEAR)
        field = coarse + amplitude * rng.standard_normal((rows, columns), np.float32)
    smooth = cv2.INTER_LINEAR if 2 * columns > width else cv2.INTER_CUBIC
    full = cv2.resize(field, (width, height), interpolation=smooth)
    mean, deviation = cv2.meanStdDev(full)
    return (full - np.float32(mean[0, 0])) / np.float32(deviation[0, 0] + 1e-6)


def palette(
    rng: np.random.Generator, name: str | None = None, *, count: int = 5
) -> np.ndarray:
    """Return float32 [count, 3] related colours, dark to bright.

    Args:
      rng: where the randomness comes from.
      name: a key of PALETTES, or None for one at random.
      count: number of colours.
    """
    if name is None:
        name = list(PALETTES)[rng.integers(len(PALETTES))]
    (hue_low, hue_high), saturations, values = PALETTES[name]
    hue = rng.uniform(hue_low, hue_high) + rng.normal(0, 8, count)
    if name != "skin" and rng.random() < 0.2:  # a second hue, as in flowers or clothes
        hue[rng.random(count) < 0.4] += rng.uniform(60, 300)
    low, high = sorted(rng.uniform(*saturations, 2))
    saturation = rng.uniform(low, high, count)
    low, high = sorted(rng.uniform(*values, 2))
    value = np.sort(rng.uniform(low, high, count))
    hsv = np.stack([hue % 360, saturation, value], axis=-1).astype(np.float32)
    return cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]


def colourise(field: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Map a field [H, W] in [0, 1] through colours [K, 3], linearly between them."""
    positions = np.linspace(0, 255, len(colours))
    steps = np.arange(256)
    table = np.stack([np.interp(steps, positions, c) for c in colours.T], axis=-1)
    index = np.clip(field * 255, 0, 255).astype(np.uint8)
    return np.take(table.astype(np.float32), index, axis=0)


def grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return x [1, W] and y [H, 1] of the pixel centres."""
    height, width = shape
    x = np.arange(width, dtype=np.float32)[None, :] + 0.5
    y = np.arange(height, dtype=np.float32)[:, None] + 0.5
    return x, y


def direction(
    rng: np.random.Generator, shape: tuple[int, int], *, warp: float = 0.0
) -> np.ndarray:
    """Return a coordinate [H, W] in pixels along a random, wavering direction."""
    x, y = grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    if warp:
        along = along + warp * noise(rng, shape, cell=max(shape) / 2, octaves=3)
    return along


def paint(
    rng: np.random.Generator, shape: tuple[int, int], colours: np.ndarray
) -> np.ndarray:
    """Paint a texture [H, W, 3] with colours [K, 3]."""
    side = max(shape)
    style = rng.choice(
        ["fractal", "gradient", "stripes", "fabric", "spots"],
        p=[0.4, 0.2, 0.15, 0.15, 0.1],
    )
    if style == "fractal":
        field = 0.5 + 0.25 * noise(
            rng, shape, cell=side / rng.uniform(1, 12), octaves=6,
            persistence=rng.uniform(0.4, 0.85), stretch=2 ** rng.uniform(-2, 2),
        )  # fmt: skip
    elif style == "gradient":
        along = direction(rng, shape, warp=side / 12)
        field = (along - along.min()) / np.ptp(along)
    elif style == "stripes":
        along = direction(rng, shape, warp=side / 40 * rng.integers(2))
        wave = np.sin(along * np.float32(2 * np.pi / rng.uniform(4, side / 4)))
        field = 0.5 + 0.5 * np.clip(wave * rng.uniform(1, 8), -1, 1)
    elif style == "fabric":
        period = rng.uniform(3, 12)
        pace = np.float32(2 * np.pi / period)
        warp, weft = direction(rng, shape), direction(rng, shape)
        weave = np.sin(warp * pace) * np.sin(weft * pace)
        field = 0.5 + 0.2 * weave + 0.15 * noise(rng, shape, cell=side / 4)
    else:
        field = 0.5 + 0.5 * np.tanh(
            rng.uniform(1, 5)
            * noise(rng, shape, cell=rng.uniform(6, side / 5), octaves=2)
        )
    texture = colourise(field, colours)
    grain = rng.uniform(0, 0.12)
    light = 1 + grain * noise(rng, shape, cell=rng.uniform(3, 16), octaves=3)
    return np.clip(texture * light[..., None], 0, 1)


def body(
    rng: np.random.Generator,
    shape: tuple[int, int],
    texture: Texture,
    mask: np.ndarray,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """Paint a mask [H, W] as a solid lit from one side."""
    colours = palette(rng) if colours is None else colours
    return tint(mask, texture(rng, shape, colours) * relief(rng, mask)[..., None])


def relief(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Return light [H, W] around 1, as on a rounded body lit from one side."""
    height, width = mask.shape
    small = cv2.resize(
        mask, (width // 4 + 1, height // 4 + 1), interpolation=cv2.INTER_AREA
    )
    depth: np.ndarray = cv2.GaussianBlur(small, (0, 0), min(small.shape) / 10)
    depth += 0.03 * noise(rng, depth.shape, cell=min(small.shape) / 3, octaves=3)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * cv2.Sobel(depth, cv2.CV_32F, 1, 0)
    slope += np.sin(angle) * cv2.Sobel(depth, cv2.CV_32F, 0, 1)
    light = 1 + rng.uniform(0.15, 0.5) * np.tanh(4 * slope)
    return cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)


def sampled(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Read a field [H, W, ...] at points [N, 2], (x, y) in pixels."""
    rows = np.clip(points[:, 1].astype(int), 0, field.shape[0] - 1)
    columns = np.clip(points[:, 0].astype(int), 0, field.shape[1] - 1)
    return field[rows, columns]
