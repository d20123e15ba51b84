"""The compositing equation and the merging of two foregrounds, in 8 bits."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.protocol.strips import strips

Sample = dict[str, np.ndarray]  # by name: `sample.SAMPLE_CHANNELS`


def composite(
    foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray
) -> np.ndarray:
    """Lay a foreground over a background: I = alpha F + (1 - alpha) B.

    The result is rounded to 8 bits: the photographs a matte is asked for later
    are 8 bit too. That is the one rounding that shows: sums are exact in 16 bits, and
    none lies nearer to a tie than 1/510 of a level, which float32 resolves.

    Args:
      foreground: uint8 [H, W, 3].
      background: uint8 [H, W, 3].
      alpha: uint8 [H, W] or [H, W, 1], 255 for opaque.
    Returns:
      uint8 [H, W, 3].
    """
    result = np.empty_like(foreground, order="C")
    for rows in strips(alpha.shape):
        weight = cv2.cvtColor(alpha[rows], cv2.COLOR_GRAY2RGB)
        total = np.multiply(foreground[rows], weight, dtype=np.uint16)
        total += np.multiply(background[rows], 255 - weight, dtype=np.uint16)
        cv2.convertScaleAbs(total, dst=result[rows], alpha=1 / 255)
    return result


def merge_alphas(alpha: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Opacity of one layer over another: a = 1 - (1 - a1)(1 - a2), rounded.

    Args:
      alpha: uint8 [H, W], a1.
      under: uint8 [H, W], a2.
    Returns:
      uint8 [H, W].
    """
    return 255 - cv2.multiply(255 - alpha, 255 - under, scale=1 / 255)
