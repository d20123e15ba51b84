"""Affine warps whose every pixel comes out the same in any window of the result."""

from __future__ import annotations

import math

import cv2
import numpy as np

_BITS = 5  # shifts take a fifth of the time of divisions by STEPS
STEPS = 1 << _BITS  # of a pixel, between which OpenCV interpolates
_FINE_BITS = 16
_FINE = 1 << _FINE_BITS  # steps of a pixel on the ways through a square


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
    return _interpolate(image, whole, part, interpolation, border)


def sample_squares(
    image: np.ndarray,
    inverse: np.ndarray,
    squares: np.ndarray,
    *,
    side: int,
    interpolation: int,
    corner: tuple[int, int] = (0, 0),
) -> np.ndarray:
    """Interpolate an image at the pixels of squares of the result, zero outside it.

    As `sample_at` with `source_positions`, in a fourth of the time for the positions:
    all squares share the way from their first pixel to the others, in whole numbers
    of 2**-16 pixel. One position in 1500 lands on the next 1/32 pixel.

    Args:
      image: uint8 [H, W] or [H, W, 3]; sides below 2**15.
      inverse: [2, 3], see `invert`.
      squares: [2, n] rows and columns of their first pixels.
      side: of the squares.
      interpolation: of OpenCV; INTER_AREA counts as INTER_LINEAR.
      corner: top and left of `image` in the source, where it is a part of it.
    Returns:
      uint8 [n, side**2] or [n, side**2, 3].
    """
    half = 1 / STEPS / 2 + 1 / _FINE  # cut off, so as to round
    if interpolation == cv2.INTER_NEAREST:
        half += 1 / 2
    linear, inside = inverse[:, :2], np.arange(side)
    ways = linear @ np.stack([np.tile(inside, side), np.repeat(inside, side)])
    starts = linear @ squares[::-1] + inverse[:, 2:] + half
    starts -= np.reshape(corner[::-1], (2, 1))
    starts = starts.clip(-(2**14), 2**15 - 1 - np.abs(ways).max())  # in 16 bits
    wholes, parts = [], []
    for start, way in zip(starts[..., None], ways, strict=True):
        (near, rest), (far, more) = _split(start), _split(way)
        part = rest + more
        whole = near + far
        whole += part < more  # the sum has wrapped around
        wholes.append(whole)
        part >>= _FINE_BITS - _BITS
        parts.append(part)
    x, y = parts
    y <<= _BITS
    y |= x
    return _interpolate(image, cv2.merge(wholes), y, interpolation)


def _split(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split lengths into whole pixels, int16, and parts of 2**-16, uint16."""
    whole = np.floor(lengths)
    return whole.astype(np.int16), ((lengths - whole) * _FINE).astype(np.uint16)


def _interpolate(image, whole, part, interpolation, border=cv2.BORDER_CONSTANT):
    """Interpolate at the fixed-point positions that `cv2.convertMaps` describes."""
    if interpolation == cv2.INTER_NEAREST:
        part = np.empty(0, np.uint16)
    if interpolation == cv2.INTER_AREA:
        interpolation = cv2.INTER_LINEAR
    return cv2.remap(image, whole, part, interpolation, borderMode=border)


def outside(positions: np.ndarray, height: int, width: int) -> np.ndarray:
    """Tell which positions' nearest pixel is not in an image: bool [h, w]."""
    x, y = (positions + STEPS // 2) >> _BITS
    return (x < 0) | (y < 0) | (x >= width) | (y >= height)
