"""Foreground colours of a photo from its alpha: cut-outs without colour fringes.

A pixel that the subject covers in part shows a mixture of subject and background;
laid over a new background as it is, it brings the old one along. The unmixing of
I = alpha F + (1 - alpha) B goes from coarse to fine like the multi-level estimation
of Germer et al. (ICPR 2020). At each pixel F and B start as weighted box means of
their surroundings, as in the blur fusion of Forte (ICIP 2021), and are then
corrected to explain the photo. `python -m experiments.benchmark_foreground`
compares errors and times.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import product

import cv2
import numpy as np

from tmfnet_jax.errors import InputError

ITERATIONS = (2, 4, 8)  # at the full, the half and every smaller size
WINDOW_PX = 5
SLACK = 0.01  # how far F and B may fall short of explaining a half-covered pixel

_OWN_WEIGHT = 1e-6  # of a pixel's own colour, for a window that has no other
_TILE_PX = 128  # even; the dozen arrays of a tile should stay in the cache


def estimate_foreground(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Estimate the colours of the subject alone.

    The work goes tile by tile; their size changes no more than the rounding. Beside
    the result it takes half the result's memory; a tile of plain background or plain
    subject costs next to nothing.

    Args:
      image: [H, W, 3] RGB; uint8 or uint16 over their full range, or floating
        point in [0, 1].
      alpha: [H, W]; of the same types.

    Returns:
      [H, W, 3] float32 in [0, 1], not premultiplied, in the image's encoding. Where
      alpha is 1 it is the image; where alpha is 0 it continues the subject's
      colours nearby.

    Raises:
      InputError: wrong shapes or types, values that are NaN or outside [0, 1].
    """
    image, alpha = _checked(image, "image"), _checked(alpha, "alpha")
    if image.shape != (*alpha.shape, 3) or not alpha.size:
        raise InputError(
            f"image has shape {image.shape} and alpha {alpha.shape}; expected "
            "(height, width, 3) and (height, width)"
        )
    # The surest pixels, of which there is always one, give the coarsest colours.
    layers = [
        _mean_colour(image, alpha >= min(0.9 * _top(alpha), alpha.max())),
        _mean_colour(image, alpha <= max(0.1 * _top(alpha), alpha.min())),
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for level in reversed(range(max(alpha.shape).bit_length())):
            # Every 2nd, 4th ... pixel: averages would leave no pixel unmixed.
            step = 2**level
            layers = _refine(
                layers,
                image[::step, ::step],
                alpha[::step, ::step],
                iterations=ITERATIONS[min(level, len(ITERATIONS) - 1)],
                count=2 if level else 1,  # the background has served in the end
                pool=pool,
            )
    return layers[0]


def _refine(
    layers: list[np.ndarray],
    image: np.ndarray,
    alpha: np.ndarray,
    *,
    iterations: int,
    count: int,
    pool: Executor,
) -> list[np.ndarray]:
    """Bring F and B from half the size to that of `alpha`; return `count` of them."""
    results = [np.empty(image.shape, np.float32) for _ in range(count)]
    margin = WINDOW_PX // 2 * iterations  # from how far a pixel is influenced; even

    def refine_tile(corner: tuple[int, int]) -> None:
        tile = tuple(slice(at, at + _TILE_PX) for at in corner)
        wide = tuple(
            slice(max(0, at - margin), at + _TILE_PX + margin) for at in corner
        )
        inner = tuple(
            slice(t.start - w.start, t.stop - w.start)
            for t, w in zip(tile, wide, strict=True)
        )
        coverage = _unit(alpha[wide])
        solved = _solve(
            _unit(image[wide]),
            coverage,
            *(_doubled(layer, wide, coverage.shape) for layer in layers),
            iterations=iterations,
        )
        for result, part in zip(results, solved, strict=False):
            result[tile] = part[inner]

    corners = product(*(range(0, side, _TILE_PX) for side in alpha.shape))
    for _ in pool.map(refine_tile, corners):  # raises what a tile raised
        pass
    return results


def _solve(
    image: np.ndarray,
    alpha: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
    *,
    iterations: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Improve F and B in place.

    One iteration replaces both by their means, weighted with the squared share s of
    the layer (s = alpha for F, 1 - alpha for B), and gives each its part
    s / (alpha^2 + (1 - alpha)^2 + slack) of what I = alpha F + (1 - alpha) B still
    misses: the least change that satisfies it, were there no slack.
    """
    low, high = alpha.min(), alpha.max()
    if low == high and low in (0, 1):  # known, and nothing around to learn from
        return (image, background) if low else (foreground, image)
    clear = 1 - alpha
    gain = 1 / (1 - (2 - 4 * SLACK) * alpha * clear)
    layers = [
        (colours, *_factors(share, gain))
        for colours, share in ((foreground, alpha), (background, clear))
    ]
    rest, term = np.empty_like(image), np.empty_like(image)
    for _ in range(iterations):
        np.copyto(rest, image)
        for colours, share, weight, scale, own, _ in layers:
            np.multiply(colours, weight, out=term)
            colours *= own
            colours += np.multiply(_box_mean(term), scale, out=term)
            rest -= np.multiply(colours, share, out=term)
        for colours, *_, part in layers:
            colours += np.multiply(rest, part, out=term)
            np.clip(colours, 0, 1, out=colours)
    np.copyto(foreground, image, where=(alpha == 1)[..., None])
    return foreground, background


def _factors(share: np.ndarray, gain: np.ndarray) -> list[np.ndarray]:
    weight = share * share
    scale = 1 / (_box_mean(weight) + _OWN_WEIGHT)
    factors = (share, weight, scale, _OWN_WEIGHT * scale, share * gain)
    # Spread to three channels: with [..., None] products are several times slower.
    return [cv2.merge([factor] * 3) for factor in factors]


def _box_mean(values: np.ndarray) -> np.ndarray:
    return cv2.blur(values, (WINDOW_PX, WINDOW_PX), borderType=cv2.BORDER_REPLICATE)


def _doubled(
    layer: np.ndarray, area: tuple[slice, ...], shape: tuple[int, ...]
) -> np.ndarray:
    """Cut an area of even start out of a layer interpolated to twice its size."""
    part = layer[tuple(slice(s.start // 2, (s.stop + 1) // 2 + 1) for s in area)]
    return cv2.warpAffine(
        part,
        np.array([[0.5, 0, 0], [0, 0.5, 0]]),
        shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _mean_colour(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    mean = cv2.mean(image, mask.view(np.uint8))[:3]
    return np.array(mean, np.float32).reshape(1, 1, 3) / _top(image)


def _top(values: np.ndarray) -> np.float32:
    """Return the value that stands for 1."""
    return np.float32(np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1)


def _unit(values: np.ndarray) -> np.ndarray:
    return values / _top(values)


def _checked(values: np.ndarray, name: str) -> np.ndarray:
    """Return uint8, uint16 or float32 in an order that OpenCV takes."""
    if values.dtype not in (np.uint8, np.uint16):
        if values.dtype.kind != "f":
            raise InputError(
                f"{name} has type {values.dtype}; expected uint8, uint16 or float"
            )
        if values.size and not (values.min() >= 0 and values.max() <= 1):  # or NaN
            raise InputError(
                f"{name} has values that are NaN or outside [0, 1]; scale it to [0, 1]"
            )
        values = values.astype(np.float32, copy=False)
    return np.ascontiguousarray(values)
