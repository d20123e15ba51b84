"""Subjects one sees through: nets, lace, veils, plastic bags and smoke."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.procedural import silhouettes
from input_pipeline.procedural.canvas import coverage, edge_coverage, over, shade, tint
from input_pipeline.procedural.textures import (
    Texture,
    body,
    colourise,
    direction,
    grid,
    noise,
    palette,
)

_CLOTHS = ("blob", "boxes", "sheet", "sheet")  # outlines; a sheet leaves the frame


def netting(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture
) -> np.ndarray:
    """Draw nets, lace or fabric with holes, on a hem or over a body."""
    outline = silhouettes.random(rng, shape, rng.choice(_CLOTHS))
    style = rng.choice(["mesh", "holes", "lace"])
    if style == "mesh":
        threads = _mesh(rng, shape)
    else:
        threads = _holes(rng, shape, lace=style == "lace")
    hem_width = rng.uniform(1, 8)
    inner = cv2.GaussianBlur(outline, (0, 0), hem_width)
    hem = outline * edge_coverage(0.85 - inner)
    alpha = np.maximum(threads * outline, hem)
    hues = str(rng.choice(["bright", "greys", "dark", "vivid", "earth"]))
    colours = palette(rng, hues)
    folds = 1 + 0.2 * noise(rng, shape, cell=max(shape) / 6, stretch=3)
    layer = shade(tint(alpha, texture(rng, shape, colours)), folds)
    if rng.random() < 0.5:
        return layer
    behind = silhouettes.random(rng, shape) * (outline > 0.5)
    return over(layer, body(rng, shape, texture, behind))


def film(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture
) -> np.ndarray:
    """Draw veils or plastic bags: large areas of part alpha with folds and glints."""
    outline = silhouettes.random(rng, shape, rng.choice(_CLOTHS))
    warp = max(shape) * rng.uniform(0.05, 0.25)
    along = direction(rng, shape, warp=warp)
    folds = np.tanh(noise(rng, (2, 1024), cell=rng.uniform(60, 400), octaves=2)[0])
    place = (along - along.min()) * np.float32(1023 / np.ptp(along))
    waves = np.take(folds, place.astype(np.int32))
    crumple = noise(rng, shape, cell=max(shape) * rng.uniform(0.1, 0.4), octaves=4)
    creases = np.clip(1 - np.abs(crumple) * rng.uniform(1, 4), 0, 1) ** 2
    thin, thick = rng.uniform(0.03, 0.35), rng.uniform(0.4, 0.95)
    share = rng.uniform(0, 1)
    amount = share * (0.5 + 0.5 * waves) ** rng.uniform(1, 3) + (1 - share) * creases
    rim = outline - cv2.GaussianBlur(outline, (0, 0), rng.uniform(2, 6)) * outline
    alpha = thin + (thick - thin) * amount + rng.uniform(0, 1.2) * rim
    sparkle = crumple + 0.7 * noise(rng, shape, cell=max(shape) / 25, octaves=3)
    glint = rng.uniform(0.3, 1) * np.clip(sparkle - rng.uniform(1.7, 3), 0, 1)
    alpha = np.clip(np.maximum(alpha, glint), 0, 1) * outline
    hues = str(rng.choice(["bright", "bright", "greys", "vivid", "dark"]))
    colours = palette(rng, hues)
    colour = colourise(0.5 + 0.3 * amount, colours)
    if rng.random() < 0.4:
        colour = texture(rng, shape, colours)
    layer = tint(alpha, colour + (1 - colour) * glint[..., None])
    core = _lump(rng, shape, texture)
    return over(layer, core) if rng.random() < 0.5 else over(core, layer)


def smoke(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture
) -> np.ndarray:
    """Draw smoke, steam or soft light without a clear edge."""
    x, y = grid(shape)
    height, width = shape
    centre = rng.uniform(0.3, 0.7, 2) * (width, height)
    spread = rng.uniform(0.22, 0.4, 2) * min(shape)
    distance = ((x - centre[0]) / spread[0]) ** 2 + ((y - centre[1]) / spread[1]) ** 2
    billows = noise(
        rng,
        shape,
        cell=min(shape) * rng.uniform(0.15, 0.5),
        octaves=6,
        persistence=rng.uniform(0.45, 0.7),
    )
    density = np.maximum(0, 1.2 - distance + rng.uniform(0.3, 0.8) * billows)
    alpha = 1 - np.exp(-rng.uniform(0.5, 2.5) * density)
    alpha = np.clip((alpha - 0.03) * 1.1, 0, 1)
    colours = palette(rng, str(rng.choice(["bright", "greys", "dark", "vivid"])))
    layer = tint(alpha, colourise(0.5 + 0.2 * billows, colours))
    return over(layer, _lump(rng, shape, texture))


def _lump(rng, shape, texture):
    """A small solid body, so that the sample has opaque pixels."""
    outline = silhouettes.blob(rng, shape, size=rng.uniform(0.07, 0.2))
    return body(rng, shape, texture, coverage([outline], shape))


def _mesh(rng, shape):
    """Return the coverage of two or three families of threads."""
    period = 10 ** rng.uniform(0.7, 1.5)
    thickness = period * rng.uniform(0.06, 0.3)
    warp = [
        period * rng.uniform(0, 1.5) * noise(rng, shape, cell=max(shape) / 2, octaves=2)
        for _ in range(2)
    ]
    x, y = grid(shape)
    first = rng.uniform(0, np.pi)
    turns = [0, np.pi / 2] if rng.random() < 0.7 else [0, np.pi / 3, 2 * np.pi / 3]
    gaps = np.ones(shape, np.float32)
    for angle in first + np.array(turns):
        along = (x + warp[0]) * np.float32(np.cos(angle)) + (y + warp[1]) * np.float32(
            np.sin(angle)
        )
        distance = np.abs(along - period * np.rint(along / period))
        thread = np.minimum(distance + thickness / 2, 0.5) - np.maximum(
            distance - thickness / 2, -0.5
        )
        gaps *= 1 - np.clip(thread, 0, 1)
    return 1 - gaps


def _holes(rng, shape, *, lace):
    """Return the coverage of cloth with a hexagonal pattern of holes."""
    period = 10 ** rng.uniform(0.75, 1.4)
    bend = period * rng.uniform(0, 1)
    warp = [bend * noise(rng, shape, cell=max(shape) / 2, octaves=2) for _ in range(2)]
    x, y = grid(shape)
    first = rng.uniform(0, np.pi)
    pattern = np.zeros(shape, np.float32)
    for angle in first + np.arange(3) * np.pi / 3:
        along = (x + warp[0]) * np.float32(np.cos(angle)) + (y + warp[1]) * np.float32(
            np.sin(angle)
        )
        pattern += np.cos(along * np.float32(2 * np.pi / period))
    level = rng.uniform(-0.9, 0.8)
    if lace:  # motifs: patches where the holes close or widen
        motif = np.cos(x * np.float32(2 * np.pi / (period * 7)) + warp[0] / 9) * np.cos(
            y * np.float32(2 * np.pi / (period * 7))
        )
        motif += 0.5 * noise(rng, shape, cell=period * 5, octaves=2)
        level = level + 3 * np.clip(4 * motif - 1, 0, 1)
    return edge_coverage((level - pattern).astype(np.float32))
