"""Defocus: what a round aperture makes of a point."""

from __future__ import annotations

import numpy as np


def disc(radius_px: float) -> np.ndarray:
    """Return a disc with a soft rim as a kernel: float64 [n, n], n odd, of sum 1."""
    reach = int(np.ceil(radius_px))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1)
    return kernel / kernel.sum()
