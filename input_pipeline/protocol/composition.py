"""The compositing equation and the merging of two foregrounds, in 8 bits."""

from __future__ import annotations

import cv2
import numpy as np

Sample = dict[str, np.ndarray]  # by name: `sample.SAMPLE_CHANNELS`


def composite(
    foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray
) -> np.ndarray:
    """Lay a foreground over a background: I = alpha F + (1 - alpha) B.

    The result is rounded to 8 bits: the photographs a matte is asked for later
    are 8 bit too. That is the one rounding that shows: no sum lies nearer to a tie
    than 1/510 of a level, which float32 resolves.

    Args:
      foreground: uint8 [H, W, 3].
      background: uint8 [H, W, 3].
      alpha: uint8 [H, W] or [H, W, 1], 255 for opaque.
    Returns:
      uint8 [H, W, 3].
    """
    weight = alpha.reshape(alpha.shape[:2]).astype(np.float32)
    return cv2.blendLinear(foreground, background, weight, 255 - weight)


def merge_alphas(alpha: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Opacity of one layer over another: a = 1 - (1 - a1)(1 - a2), rounded.

    Args:
      alpha: uint8 [H, W], a1.
      under: uint8 [H, W], a2.
    Returns:
      uint8 [H, W].
    """
    return 255 - _divide_by_255(np.multiply(255 - alpha, 255 - under, dtype=np.uint16))


def _divide_by_255(total: np.ndarray) -> np.ndarray:
    """Divide and round uint16 sums up to 255 * 255, overwriting them."""
    total += 128
    total += total >> 8
    total >>= 8
    return total.astype(np.uint8)
