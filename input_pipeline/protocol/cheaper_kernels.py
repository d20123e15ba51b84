"""Kernels to interpolate colours by, each replaced by a cheaper one that is as sharp.

How far photos are off then, in grey levels on average, and photos with noise of 5
levels at each pixel:

    Lanczos        by cubic                            0.2  0.6  (1/4 of the time)
    cubic, a warp  by linear in a sharpened source     0.2  0.6  (1/3)
    area           by linear, reduced to 3/4 and more  0.3  0.5  (1/6)

Linear in place of cubic without sharpening: 0.3 and 1.
"""

from __future__ import annotations

import cv2
import numpy as np

# What a cubic kernel adds to linear interpolation is a share of the second difference
# that depends on the place between two pixels; this one, of 0.06 to 0.16, does best.
SHARPENING = 0.1
AREA_REDUCTION = 1.5  # from which on a mean over cells is not replaced; nor below 1

_KERNEL = np.array([-SHARPENING, 1 + 2 * SHARPENING, -SHARPENING])


def for_warp(image: np.ndarray, interpolation: int) -> tuple[np.ndarray, int]:
    """Return what to interpolate, and how, for a warp of a similar size.

    Args:
      image: uint8 [H, W, 3].
      interpolation: of OpenCV, that is to be replaced.
    Returns:
      The image, sharpened where a cubic kernel is replaced, and an interpolation.
    """
    if interpolation == cv2.INTER_CUBIC:
        return cv2.sepFilter2D(image, -1, _KERNEL, _KERNEL), cv2.INTER_LINEAR
    if interpolation == cv2.INTER_LANCZOS4:
        return image, cv2.INTER_CUBIC
    return image, interpolation


def for_resize(
    interpolation: int, *, source: tuple[int, ...], target: tuple[int, ...]
) -> int:
    """Return how to resize an image of one shape to another.

    Args:
      interpolation: of OpenCV, that is to be replaced.
      source: height and width; more is ignored.
      target: likewise.
    Returns:
      An interpolation of OpenCV.
    """
    if interpolation == cv2.INTER_LANCZOS4:
        return cv2.INTER_CUBIC
    reduced = (there / here for there, here in zip(source, target[:2], strict=False))
    if interpolation == cv2.INTER_AREA and all(
        1 <= times < AREA_REDUCTION for times in reduced
    ):
        return cv2.INTER_LINEAR
    return interpolation
