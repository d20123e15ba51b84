"""Trimaps for training: erosion and dilation of the alpha matte by ellipses."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.protocol.ellipses import touched
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND, TRIMAP_UNKNOWN

PAPER_MAX_KERNEL_PX = 29  # sizes are drawn from 1 to this, at crops of 512


def trimap_from_alpha(
    alpha: np.ndarray, *, erosion_px: int, dilation_px: int
) -> np.ndarray:
    """Label as known what stays opaque when eroded and clear when dilated.

    Pixels outside the image count as neither opaque nor clear. An even kernel
    reaches one pixel further up and left than down and right.

    Args:
      alpha: uint8 [H, W], 255 for opaque.
      erosion_px: size of the ellipse that erodes, at least 1 (no erosion).
      dilation_px: size of the ellipse that dilates, at least 1 (no dilation).
    Returns:
      uint8 [H, W] of 0 (background), 128 (unknown), 255 (foreground). Known
      pixels have alpha exactly 0 or 255.
    """
    erosion, dilation = (
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        for size in (erosion_px, dilation_px)
    )
    trimap = np.full_like(alpha, TRIMAP_UNKNOWN)
    trimap[cv2.erode(alpha, erosion) == 255] = TRIMAP_FOREGROUND
    trimap[cv2.dilate(alpha, dilation) == 0] = TRIMAP_BACKGROUND
    return trimap


def quick_trimap(alpha: np.ndarray, *, erosion_px: int, dilation_px: int) -> np.ndarray:
    """Do as `trimap_from_alpha` does, to the bit, in a fourth of the time."""
    not_opaque = cv2.inRange(alpha, (0,), (254,))
    not_clear = cv2.inRange(alpha, (1,), (255,))
    foreground = cv2.inRange(touched(not_opaque, erosion_px), (0,), (0,))
    rest: np.ndarray = cv2.inRange(touched(not_clear, dilation_px), (1,), (255,))
    rest &= TRIMAP_UNKNOWN  # and 0 where it is background
    return cv2.max(foreground, rest)  # foreground is TRIMAP_FOREGROUND already
