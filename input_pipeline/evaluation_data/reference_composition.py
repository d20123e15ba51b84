"""The compositing rules that define the images of Composition-1k, bit by bit.

Another resize filter, another order of rounding or another place of the crop gives
another test set: reported numbers differ by several SAD for that reason alone.
"""

from __future__ import annotations

import math

import numpy as np

from input_pipeline.evaluation_data.pillow_images import resize_bicubic

RULES = (
    "background covers the foreground: enlarged by max(w/bw, h/bh) if that is over 1, "
    "rounded up, Pillow BICUBIC, cropped at the top left; "
    "trunc(a F + (1 - a) B) in float64"
)
_STRIP_PIXELS = 2**18  # composed at once, to bound the memory for float64


def cover(background: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Fit a background to a foreground: enlarge it if need be, then crop it.

    Args:
      background: uint8 [H, W, 3].
      width: of the foreground in pixels.
      height: of the foreground in pixels.
    Returns:
      uint8 [height, width, 3], the top left of the background.
    Raises:
      InputError: the enlarged background would have too many pixels.
    Source: the compositing script of the Deep Image Matting data set, Adobe, 2017.
    """
    background_height, background_width = background.shape[:2]
    ratio = max(width / background_width, height / background_height)
    if ratio > 1:
        background = resize_bicubic(
            background,
            width=math.ceil(background_width * ratio),
            height=math.ceil(background_height * ratio),
        )
    return background[:height, :width]


def compose(
    foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray
) -> np.ndarray:
    """Lay a foreground over a background: trunc(a F + (1 - a) B), a = alpha / 255.

    The sum is formed in float64 and truncated, so that it is now and then one
    below the exact value: a 100 + (1 - a) 100 gives 99 for some a. That is kept.

    Args:
      foreground: uint8 [H, W, 3].
      background: uint8 [H, W, 3].
      alpha: uint8 [H, W].
    Returns:
      uint8 [H, W, 3].
    Source: as for `cover`.
    """
    result = np.where(alpha[..., None] == 255, foreground, background)
    rows = max(1, _STRIP_PIXELS // alpha.shape[1])
    for start in range(0, alpha.shape[0], rows):
        strip = slice(start, start + rows)
        soft = (alpha[strip] > 0) & (alpha[strip] < 255)
        weight = alpha[strip][soft][:, None] / 255  # float64
        total = (
            weight * foreground[strip][soft] + (1 - weight) * background[strip][soft]
        )
        result[strip][soft] = total.astype(np.uint8)  # truncates
    return result
