"""Colour jitter of a foreground: hue, saturation and value (spec of the recipe)."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.protocol.strips import strips

COLOUR_CEILING = 1.1


def colour_rooms(foreground: np.ndarray, alpha: np.ndarray) -> tuple[float, float]:
    """Return 1.1 minus the mean of S, and of V, where alpha > 0.

    Args:
      foreground: uint8 [H, W, 3] RGB.
      alpha: uint8 [H, W]; where it is 0 everywhere the rooms are 0.
    """
    total, count = np.zeros(4), cv2.countNonZero(alpha)
    if count == 0:
        return 0.0, 0.0
    for strip in strips(alpha.shape):
        if part := cv2.countNonZero(alpha[strip]):
            total += np.multiply(cv2.mean(_hsv(foreground[strip]), alpha[strip]), part)
    _, saturation, value, _ = COLOUR_CEILING - total / count
    return float(saturation), float(value)


def shift_hsv(
    image: np.ndarray, *, hue_degrees: float, saturation: float, value: float
) -> np.ndarray:
    """Turn the hue, add to saturation and value, and reflect those into [0, 1].

    Args:
      image: uint8 [H, W, 3] RGB.
      hue_degrees: -360 to 360; H' = (H + hue_degrees) mod 360.
      saturation: what is added, -1 to 1 so that one reflection suffices.
      value: as `saturation`.
    Returns:
      uint8 [H, W, 3], rounded.
    """
    result = np.empty_like(image)
    for strip in strips(image.shape):
        hue, *channels = cv2.split(_hsv(image[strip]))
        hue += hue_degrees % 360
        np.subtract(hue, 360, out=hue, where=hue >= 360)
        for channel, shift in zip(channels, (saturation, value), strict=True):
            np.add(channel, shift, out=channel)
            np.abs(channel, out=channel)  # reflect at 0
            np.minimum(channel, 2 - channel, out=channel)  # and at 1
        rgb = cv2.cvtColor(cv2.merge([hue, *channels]), cv2.COLOR_HSV2RGB)
        result[strip] = cv2.convertScaleAbs(rgb, alpha=255)  # rounds and saturates
    return result


def shift_hsv_coarsely(
    image: np.ndarray, *, hue_degrees: float, saturation: float, value: float
) -> np.ndarray:
    """Do as `shift_hsv` in a third of the time, by 8-bit hue, saturation and value.

    Hue comes in 256 steps, so that a saturated colour may miss by up to 10 levels; on
    average colours miss by half a level.

    Args:
      image: uint8 [H, W, 3] RGB.
      hue_degrees: as `shift_hsv`.
      saturation: likewise.
      value: likewise.
    Returns:
      uint8 [H, W, 3].
    """
    hsv: np.ndarray = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    steps = [round(255 * shift) for shift in (saturation, value)]
    turn, upwards = (
        np.tile(np.array(levels, np.uint8), image.shape[1])
        for levels in (
            (round(hue_degrees * 256 / 360) % 256, 0, 0),
            (0, *(255 * (step > 0) for step in steps)),
        )
    )
    rows = hsv.reshape(len(hsv), -1)  # a view
    rows += turn  # wraps around
    # |x - s| reflects what is taken off; what is added, as seen from the upper end.
    rows ^= upwards
    cv2.absdiff(hsv, (0, *map(abs, steps), 0), dst=hsv)  # type: ignore[call-overload]
    rows ^= upwards
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _hsv(image: np.ndarray) -> np.ndarray:
    """Convert uint8 RGB to float32 hue in degrees, saturation and value in [0, 1]."""
    return cv2.cvtColor(
        np.multiply(image, 1 / 255, dtype=np.float32), cv2.COLOR_RGB2HSV
    )
