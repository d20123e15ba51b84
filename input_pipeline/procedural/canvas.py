"""Exact coverage: supersampled drawing, and layers of premultiplied colour.

A layer is float32 [H, W, 4]: RGB already multiplied by alpha, then alpha, all in
[0, 1]. Points are (x, y) in pixels; pixel i covers the interval [i, i + 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

SUPERSAMPLING = 4
_SHIFT = 4  # fractional bits of the coordinates OpenCV draws with
_TRUST_FROM = 1 / 64  # alpha from which a pixel's own colour is taken as it is


class Canvas:
    """A painter's canvas, finer than the image; later strokes hide earlier ones."""

    def __init__(self, shape: tuple[int, int]):
        self._shape = shape
        height, width = (SUPERSAMPLING * side for side in shape)
        self._pixels = np.zeros((height, width, 4), np.uint8)

    def polygons(self, points: np.ndarray, colours: np.ndarray) -> None:
        """Fill polygons [N, P, 2] with colours [N, 3] in [0, 1], one over another."""
        opaque = np.pad(np.clip(colours, 0, 1), ((0, 0), (0, 1)), constant_values=1)
        opaque = (255 * opaque).tolist()
        for outline, colour in zip(_fixed_point(points), opaque, strict=True):
            cv2.fillPoly(self._pixels, [outline], colour, cv2.LINE_8, _SHIFT)

    def strokes(
        self, paths: np.ndarray, colour: np.ndarray, *, width: float, opacity: float = 1
    ) -> None:
        """Draw polylines [N, T, 2] of one width in pixels.

        OpenCV draws odd widths only: strokes of an image pixel or less take the next
        wider line with less opacity, which leaves their coverage as asked.
        """
        fine = width * SUPERSAMPLING
        drawn = 2 * round((fine - 1) / 2) + 1
        if fine < 3:
            drawn = 1 if fine < 1.5 else 3
            opacity *= min(1.0, fine / drawn)
        rgba = [255 * opacity * min(c, 1.0) for c in (*colour.tolist(), 1.0)]
        cv2.polylines(
            self._pixels, list(_fixed_point(paths)), False,
            rgba, max(1, drawn - 1), cv2.LINE_8, _SHIFT,
        )  # fmt: skip

    def layer(self) -> np.ndarray:
        """Average the fine pixels of each image pixel."""
        height, width = self._shape
        pixels = cv2.resize(self._pixels, (width, height), interpolation=cv2.INTER_AREA)
        return pixels.astype(np.float32) / 255


def coverage(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return the area share of each pixel under the union of polygons [P, 2].

    Returns:
      float32 [H, W] in [0, 1].
    """
    fine = np.zeros([SUPERSAMPLING * side for side in shape], np.uint8)
    for points in polygons:
        cv2.fillPoly(fine, [_fixed_point(points)], (255,), cv2.LINE_8, _SHIFT)
    small = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def edge_coverage(field: np.ndarray, *, width: float | np.ndarray = 1) -> np.ndarray:
    """Return the coverage of {field > 0}, with a linear ramp `width` pixels wide."""
    dx = cv2.Sobel(field, cv2.CV_32F, 1, 0, scale=1 / 8)
    dy = cv2.Sobel(field, cv2.CV_32F, 0, 1, scale=1 / 8)
    slope = cv2.magnitude(dx, dy) * width
    slope = np.maximum(slope, 1e-4)
    return np.clip(0.5 + field / slope, 0, 1)


def tint(alpha: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Make a layer of alpha [H, W] and colour [H, W, 3] or [3]."""
    opaque = np.ones((*alpha.shape, 4), np.float32)
    opaque[..., :3] = colour
    return opaque * _four(alpha)


def over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Lay one layer over another."""
    return top + bottom * _four(1 - top[..., 3])


def shade(layer: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Multiply a layer's colour by light [H, W]; alpha stays."""
    light = light.astype(np.float32)
    return layer * cv2.merge([light, light, light, np.ones_like(light)])


def straighten(layer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide colour by alpha; where alpha is 0, continue the colours around.

    Returns:
      foreground uint8 [H, W, 3] and alpha uint8 [H, W].
    """
    foreground = np.rint(np.clip(extended_colours(layer), 0, 1) * 255)
    alpha = np.rint(np.clip(layer[..., 3], 0, 1) * 255)
    return foreground.astype(np.uint8), alpha.astype(np.uint8)


def extended_colours(
    layer: np.ndarray, *, trust_from: float = _TRUST_FROM
) -> np.ndarray:
    """Divide colours by alpha; where alpha is low, take those of coarser levels.

    Args:
      layer: [H, W, 4], premultiplied.
      trust_from: alpha from which a pixel's own colour is taken as it is.
    Returns:
      float32 [H, W, 3], straight.
    """
    height, width = layer.shape[:2]
    if min(height, width) <= 2:
        total = layer.sum(axis=(0, 1))
        mean = total[:3] / max(total[3], 1e-6)
        return np.broadcast_to(mean, (height, width, 3)).astype(np.float32)
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = cv2.resize(layer, half, interpolation=cv2.INTER_AREA)
    coarse = extended_colours(coarse, trust_from=trust_from)
    around = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    alpha = layer[..., 3]
    trust = np.minimum(alpha / trust_from, 1)
    own_share = trust / np.maximum(alpha, 1e-6)
    own = layer[..., :3] * cv2.merge([own_share] * 3)
    return own + around * cv2.merge([1 - trust] * 3)


def _four(field: np.ndarray) -> np.ndarray:
    """Repeat a field [H, W] over four channels; faster than broadcasting."""
    return cv2.merge([field.astype(np.float32)] * 4)


def _fixed_point(points: np.ndarray) -> np.ndarray:
    scale = 1 << _SHIFT
    fine = points * SUPERSAMPLING - 0.5
    return np.rint(fine * scale).astype(np.int32)
