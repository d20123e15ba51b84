"""The compositing equation and the merging of two foregrounds, in 8 bits."""

from __future__ import annotations

import numpy as np

from input_pipeline.augment import resize_randomly


def composite(
    foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray
) -> np.ndarray:
    """Lay a foreground over a background: I = alpha F + (1 - alpha) B.

    The result is rounded to 8 bits: the photographs a matte is asked for later
    are 8 bit too. The sum is formed in whole numbers, so it is exact up to that
    one rounding.

    Args:
      foreground: uint8 [H, W, 3].
      background: uint8 [H, W, 3].
      alpha: uint8 [H, W] or [H, W, 1], 255 for opaque.
    Returns:
      uint8 [H, W, 3].
    """
    weight = alpha.reshape(*alpha.shape[:2], 1).astype(np.uint16)
    total = weight * foreground + (255 - weight) * background
    return ((total + 127) // 255).astype(np.uint8)  # 255 * 255 + 127 fits 16 bits


def merge_foregrounds(
    foreground: np.ndarray,
    alpha: np.ndarray,
    under_foreground: np.ndarray,
    under_alpha: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay a second foreground, resized to the first, under the first.

    F = a1 F1 + (1 - a1) F2, a = 1 - (1 - a1)(1 - a2). Composited over B this is
    F1 over (F2 over B) wherever a1 is 0 or 1 or a2 is 1; elsewhere the training
    recipe departs from it on purpose: F stays defined where a is 0, and the
    sample is consistent in itself.

    Args:
      foreground: uint8 [H, W, 3], F1.
      alpha: uint8 [H, W], a1.
      under_foreground: uint8 [H2, W2, 3], F2.
      under_alpha: uint8 [H2, W2], a2.
      rng: source of the two random interpolations.
    Returns:
      F and a in the first one's size; F1 and a1 unchanged if a would be opaque
      everywhere, for then nothing would be left to matte.
    """
    size = dict(zip(("height", "width"), alpha.shape, strict=True))
    under_foreground = resize_randomly(under_foreground, rng, **size)
    under_alpha = resize_randomly(under_alpha, rng, **size)
    clear = (255 - alpha).astype(np.uint16) * (255 - under_alpha)
    merged = 255 - ((clear + 127) // 255).astype(np.uint8)
    if (merged == 255).all():
        return foreground, alpha
    return composite(foreground, under_foreground, alpha), merged
