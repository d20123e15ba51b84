"""From linear light to the values of a photo and back, and what is out of focus."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.defocus import disc

SHOULDER = 0.55  # light above is compressed; without end it comes to 1
_BRIGHTEST = 0.985  # light that white is taken for, as compressed
_LEAST_DEVIATION = 0.08  # of sRGB values
_MOST_WHITE = 0.25  # share of a photo


def develop(light: np.ndarray) -> np.ndarray:
    """Return sRGB values of linear light, with highlights that roll off.

    Args:
      light: float, any shape, not negative; 1 is what a photo without shoulder shows
        as white.

    Returns:
      uint8 of the same shape.
    """
    over = np.maximum(light - SHOULDER, 0) / (1 - SHOULDER)
    light = np.minimum(light, SHOULDER) + (1 - SHOULDER) * (1 - np.exp(-over))
    values = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )
    return np.rint(values * 255).astype(np.uint8)


def _light_of_values() -> np.ndarray:
    values = np.arange(256) / 255
    light = np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    over = (np.minimum(light, _BRIGHTEST) - SHOULDER) / (1 - SHOULDER)
    beyond = SHOULDER - (1 - SHOULDER) * np.log1p(-np.maximum(over, 0))
    return np.where(over > 0, beyond, light).astype(np.float32)


_LIGHT = _light_of_values()


def linear_light(photo: np.ndarray) -> np.ndarray:
    """Return the light [H, W, 3], float32, that `develop` makes this photo of.

    Args:
      photo: [H, W, 3] uint8 sRGB.
    """
    return _LIGHT[photo]


def out_of_focus(light: np.ndarray, radius_px: float) -> np.ndarray:
    """Spread each point of linear light [H, W, 3], float32, over a disc."""
    blurred = cv2.filter2D(
        light, -1, disc(radius_px).astype(np.float32), borderType=cv2.BORDER_REFLECT
    )
    return np.maximum(blurred, 0)  # large kernels go through a Fourier transform


def is_bare(photo: np.ndarray) -> bool:
    """Tell whether a photo, uint8, is a bare wall or sky, or overexposed."""
    white = (photo.min(-1) > 250).mean()
    return bool(photo.std() / 255 < _LEAST_DEVIATION or white > _MOST_WHITE)
