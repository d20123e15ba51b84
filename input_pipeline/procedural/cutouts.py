"""Photographed subjects with alpha, from files, placed as layers."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from input_pipeline.procedural.canvas import straighten, tint
from input_pipeline.training_data.image_files import ForegroundFiles, read_foreground

_SIDE = 512  # longer side of a cut-out kept in memory, in pixels
_KEPT = 64  # of up to 4 MB each
_SCALE = (0.7, 1.5)  # of its longer side, in those of the layer
_TURN_DEGREES = 30


def cutout(rng: np.random.Generator, shape: tuple[int, int], path: Path) -> np.ndarray:
    """Place a cut-out, turned and mirrored, in a layer of this shape.

    Args:
      rng: where its place comes from.
      shape: height and width.
      path: of an image with alpha.
    Raises:
      InputError: if the file cannot be read or has no alpha.
    """
    layer = _layer(path)
    height, width = layer.shape[:2]
    scale = rng.uniform(*_SCALE) * max(shape) / max(height, width)
    turn = np.deg2rad(rng.uniform(-_TURN_DEGREES, _TURN_DEGREES))
    mirror = 1 if rng.random() < 0.5 else -1
    turned = scale * np.array(
        [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    )
    turned[:, 0] *= mirror
    centre = np.array(shape[::-1]) * rng.uniform(0.35, 0.65, 2)
    start = centre - turned @ np.array([width / 2, height / 2])
    if scale < 0.5:  # the warp reads four pixels: reduce to about the size first
        layer = cv2.resize(
            layer, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
        turned = turned @ np.diag([width / layer.shape[1], height / layer.shape[0]])
    return cv2.warpAffine(
        layer, np.column_stack([turned, start]), shape[::-1], flags=cv2.INTER_LINEAR
    )


@lru_cache(_KEPT)
def _layer(path: Path) -> np.ndarray:
    """Read a cut-out as a layer, without the outermost pixel of its edge.

    There the colours of the scene that it was cut from shine through; those of the
    inside are continued to the new edge.
    """
    colours, alpha = read_foreground(ForegroundFiles(path.stem, path, None))
    shrink = min(1, _SIDE / max(alpha.shape))
    whole = tint(alpha.astype(np.float32) / 255, colours.astype(np.float32) / 255)
    whole = cv2.resize(whole, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    core = cv2.erode(whole[..., 3], np.ones((3, 3), np.uint8))
    inside = whole * (np.minimum(core, 1) / np.maximum(whole[..., 3], 1e-6))[..., None]
    colours, _ = straighten(inside)
    return tint(core, colours.astype(np.float32) / 255)
