"""Trimaps for training: random erosion and dilation of the alpha matte."""

from __future__ import annotations

import cv2
import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND, TRIMAP_UNKNOWN

PAPER_MAX_KERNEL_PX = 29


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


def synthesize_trimap(
    alpha: np.ndarray,
    rng: np.random.Generator,
    *,
    max_kernel_px: int = PAPER_MAX_KERNEL_PX,
) -> np.ndarray:
    """Draw a trimap: erosion and dilation by ellipses of independent random sizes.

    Args:
      alpha: uint8 [H, W], 255 for opaque.
      rng: source of the two draws.
      max_kernel_px: sizes are uniform in 1..max_kernel_px. 29 belongs to crops of
        512; take it down in proportion for smaller crops.
    Returns:
      uint8 [H, W] of 0 (background), 128 (unknown), 255 (foreground).
    Raises:
      InputError: if `max_kernel_px` is below 1.
    """
    if max_kernel_px < 1:
        raise InputError(f"max_kernel_px is {max_kernel_px}; give at least 1")
    erosion_px, dilation_px = rng.integers(1, max_kernel_px, 2, endpoint=True).tolist()
    return trimap_from_alpha(alpha, erosion_px=erosion_px, dilation_px=dilation_px)
