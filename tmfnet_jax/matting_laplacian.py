"""The matting Laplacian of closed-form matting, for the unknown pixels alone.

Levin, Lischinski, Weiss, "A Closed-Form Solution to Natural Image Matting", TPAMI 30,
2008, Eq. 12: in every 3x3 window alpha is taken for a linear function of the colours.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from scipy import sparse

WINDOW = 3
_CELLS = tuple(itertools.product(range(WINDOW), repeat=2))
_FULL = np.ones((WINDOW, WINDOW), np.uint8)


def laplacian_rows(
    image: np.ndarray, unknown: np.ndarray, *, epsilon: float
) -> sparse.csr_array:
    """Compute the Laplacian's rows of some pixels.

    Args:
      image: [H, W, 3] float32 in [0, 1], at least 3x3; windows lie within it.
      unknown: [H, W] bool, whose rows, N of them.
      epsilon: of the ridge regression in a window; larger binds across weak edges.
    Returns:
      [N, H W] float32, rows and columns in the order of pixels; each row adds up to 0.
    """
    height, width = unknown.shape
    # Windows by their first pixel, those with an unknown one among theirs.
    near = cv2.dilate(unknown.astype(np.uint8), _FULL)
    inside = near[1:-1, 1:-1] > 0
    first = np.flatnonzero(np.pad(inside, ((0, 2), (0, 2))))
    steps = [y * width + x for y, x in _CELLS]
    whitened = _whitened(image.reshape(-1, 3), first, steps, ridge=epsilon / 9)

    # A pixel's affinities by the step to the other pixel; a window gives a pair one.
    reach = WINDOW - 1
    affinity = {
        dy * width + dx: np.zeros(height * width, np.float32)
        for dy, dx in itertools.product(range(-reach, reach + 1), repeat=2)
        if (dy, dx) > (0, 0)
    }
    for a, b in itertools.combinations(range(len(_CELLS)), 2):
        bond = (1 + np.einsum("cn,cn->n", whitened[a], whitened[b])) / len(_CELLS)
        affinity[steps[b] - steps[a]][first + steps[a]] += bond
    return _assembled(affinity, np.flatnonzero(unknown))


def _assembled(affinity: dict[int, np.ndarray], rows: np.ndarray) -> sparse.csr_array:
    """Lay the affinities of some pixels out as rows of a matrix."""
    pixels = next(iter(affinity.values())).size
    steps = sorted(affinity)
    columns = np.empty((rows.size, 2 * len(steps) + 1), np.int32)
    values = np.empty(columns.shape, np.float32)
    middle = len(steps)
    for k, step in enumerate(steps):
        after, before = middle + 1 + k, middle - 1 - k
        columns[:, after], columns[:, before] = rows + step, rows - step
        values[:, after] = -affinity[step][rows]
        values[:, before] = -affinity[step][rows - step]
    # Beyond the image nothing is bound: affinities across its borders are 0, and those
    # that negative numbers reach from the end are of pixels without one.
    np.clip(columns, 0, pixels - 1, out=columns)
    columns[:, middle] = rows
    values[:, middle] = 0
    values[:, middle] = -values.sum(1)
    starts = np.arange(rows.size + 1, dtype=np.int32) * columns.shape[1]
    return sparse.csr_array(
        (values.ravel(), columns.ravel(), starts), shape=(rows.size, pixels)
    )


def _whitened(
    colours: np.ndarray, first: np.ndarray, steps: list[int], *, ridge: float
) -> list[np.ndarray]:
    """Divide windows' deviations by the Cholesky factor of covariance plus ridge.

    Products of the results are Mahalanobis products; stable in float32, other than
    those with the inverse.

    Returns:
      One [3, windows] for each cell.
    """
    planes = np.ascontiguousarray(colours.T)
    views = [planes[:, first + step] for step in steps]
    mean = sum(views) / np.float32(len(views))
    for view in views:
        view -= mean

    def covariance(i, j):
        total = sum(view[i] * view[j] for view in views) / np.float32(len(views))
        return total + np.float32(ridge) if i == j else total

    c00, c11, c22 = (covariance(i, i) for i in range(3))
    c10, c20, c21 = covariance(1, 0), covariance(2, 0), covariance(2, 1)
    least = np.float32(ridge)
    f00 = 1 / np.sqrt(c00)
    l10, l20 = c10 * f00, c20 * f00
    f11 = 1 / np.sqrt(np.maximum(c11 - l10**2, least))
    l21 = (c21 - l20 * l10) * f11
    f22 = 1 / np.sqrt(np.maximum(c22 - l20**2 - l21**2, least))
    for view in views:
        view[0] *= f00
        view[1] = (view[1] - l10 * view[0]) * f11
        view[2] = (view[2] - l20 * view[0] - l21 * view[1]) * f22
    return views
