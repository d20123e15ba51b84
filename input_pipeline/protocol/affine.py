"""Affine warps whose every pixel comes out the same in any window of the result."""

from __future__ import annotations

import math

import cv2
import numpy as np

_BITS = 5  # shifts take a fifth of the time of divisions by STEPS
STEPS = 1 << _BITS  # of a pixel, between which OpenCV interpolates


def affine_matrix(
    *,
    height: int,
    width: int,
    rotation_degrees: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shear_degrees: float = 0.0,
    flip: tuple[bool, bool] = (False, False),
) -> np.ndarray:
    """Matrix that takes a source position (x, y) to its place in the result.

    rotation * shear * scale * flip about the image's centre ((W-1)/2, (H-1)/2),
    so that a flip alone is an exact mirror image. Rotation turns x towards y
    (clockwise on screen); shear turns the y axis alone, by the same rule.

    Args:
      height: of the image, pixels.
      width: of the image, pixels.
      rotation_degrees: angle.
      scale: factors along x and y.
      shear_degrees: angle, between -90 and 90.
      flip: whether to mirror left-right and top-bottom.
    Returns:
      [2, 3] float64.
    """
    angle, shear = math.radians(rotation_degrees), math.radians(shear_degrees)
    axes = np.array(
        [
            [math.cos(angle), -math.sin(angle + shear)],
            [math.sin(angle), math.cos(angle + shear)],
        ]
    )
    linear = axes * np.where(flip, -1.0, 1.0) * np.asarray(scale)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.column_stack([linear, centre - linear @ centre])


def invert(matrix: np.ndarray) -> np.ndarray:
    """Return the [2, 3] matrix that takes a position of the result to its source."""
    return cv2.invertAffineTransform(matrix)


def source_positions(
    inverse: np.ndarray, down: np.ndarray, across: np.ndarray
) -> np.ndarray:
    """Return where pixels of the result lie in the source.

    Args:
      inverse: [2, 3], see `invert`.
      down: rows of the result, in a shape that broadcasts against `across`; those of
        a window are `Window.grid`.
      across: columns of the result.
    Returns:
      [2, ...] int32: x and y in 1/32 pixel, each pixel's the same whatever else is
      asked for.
    """
    positions = np.empty((2, *np.broadcast_shapes(down.shape, across.shape)))
    for axis, (by_x, by_y, start) in enumerate(inverse):
        rows = STEPS * (by_y * down + start)
        np.add(STEPS * by_x * across, rows, out=positions[axis])
    return np.rint(positions, out=positions).astype(np.int32)


def sample_at(
    image: np.ndarray,
    positions: np.ndarray,
    *,
    interpolation: int,
    corner: tuple[int, int] = (0, 0),
    border: int = cv2.BORDER_CONSTANT,
) -> np.ndarray:
    """Interpolate an image at positions.

    Args:
      image: uint8 [H, W] or [H, W, 3]; sides below 2**15.
      positions: see `source_positions`.
      interpolation: of OpenCV; INTER_AREA counts as INTER_LINEAR.
      corner: top and left of `image` in the source, where it is a part of it.
      border: of OpenCV; by default there are zeros outside the image.
    Returns:
      uint8 [height, width] or [height, width, 3].
    """
    if interpolation == cv2.INTER_NEAREST:
        positions = positions + STEPS // 2
    # Exact in float32: a position has at most 15 bits before the point and 5 after.
    x, y = (
        np.multiply(axis, 1 / STEPS, dtype=np.float32) - np.float32(start)
        for axis, start in zip(positions, corner[::-1], strict=True)
    )
    whole, part = cv2.convertMaps(x, y, cv2.CV_16SC2)
    if interpolation == cv2.INTER_NEAREST:
        part = np.empty(0, np.uint16)
    if interpolation == cv2.INTER_AREA:
        interpolation = cv2.INTER_LINEAR
    return cv2.remap(image, whole, part, interpolation, borderMode=border)


def outside(positions: np.ndarray, height: int, width: int) -> np.ndarray:
    """Tell which positions' nearest pixel is not in an image: bool [h, w]."""
    x, y = (positions + STEPS // 2) >> _BITS
    return (x < 0) | (y < 0) | (x >= width) | (y >= height)
