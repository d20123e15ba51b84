"""Where a strip's network input comes from: pixels, or a scaled image's pixels."""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from tmfnet_jax.model import network_input
from tmfnet_jax.serving.geometry import Geometry
from tmfnet_jax.serving.passes import assemble
from tmfnet_jax.serving.tiling import Extent, Place
from tmfnet_jax.trimap import TRIMAP_UNKNOWN


class Source(Protocol):
    """An image with its trimap, height and width divisible by 16."""

    height: int
    width: int

    def strip(self, top: int, geometry: Geometry) -> jax.Array:
        """Return [1, H, W, 6] float32, the strip at row `top` with its margins.

        Zero outside the image.
        """
        ...

    def needs(self, top: int, left: int, height: int, width: int) -> bool:
        """Return whether a rectangle holds a pixel whose alpha is wanted."""
        ...


class PixelSource:
    """The network input of an image and a trimap.

    Args:
      image: [H, W, 3] RGB, uint8 or float32 in [0, 1]; H and W divisible by 16.
      trimap: [H, W] uint8 with values 0, 128, 255.
    """

    def __init__(self, image: np.ndarray, trimap: np.ndarray):
        self.image, self.trimap = image, trimap
        self.height, self.width = trimap.shape

    def strip(self, top: int, geometry: Geometry) -> jax.Array:
        """Return a strip of input with its margins; see `Source`."""
        buffer = geometry.x
        place = Place(jnp.int32(top - buffer.margin), jnp.int32(-buffer.margin))
        extent = Extent(jnp.int32(self.height), jnp.int32(self.width))
        image, trimap = (
            _cut(pixels, top - buffer.margin, buffer.margin, *buffer.tile)
            for pixels in (self.image, self.trimap[..., None])
        )
        return assemble(image[None], trimap[None], place, extent)

    def needs(self, top: int, left: int, height: int, width: int) -> bool:
        """Return whether a rectangle has an unknown pixel."""
        part = self.trimap[max(top, 0) : top + height, max(left, 0) : left + width]
        return bool((part == TRIMAP_UNKNOWN).any())

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return rows of input, [stop - start, W, 6] float32."""
        image, trimap = self.image[start:stop], self.trimap[start:stop, :, None]
        return np.asarray(network_input(jnp.asarray(image), jnp.asarray(trimap)))


class ScaledSource:
    """The network input of another source, resized; bilinear, corners aligned.

    Args:
      source: what to resize.
      height: of the result; divisible by 16.
      width: likewise.
    """

    def __init__(self, source: PixelSource, height: int, width: int):
        self.source, self.height, self.width = source, height, width

    def strip(self, top: int, geometry: Geometry) -> jax.Array:
        """Return a strip of input with its margins; see `Source`."""
        buffer = geometry.x
        start, stop = (
            int(np.clip(row, 0, self.height))
            for row in (top - buffer.margin, top - buffer.margin + buffer.height)
        )
        x = np.zeros((*buffer.tile, 6), np.float32)
        if start < stop:
            low, weight = _positions(start, stop, self.height, self.source.height)
            rows = self.source.rows(low[0], min(low[-1] + 2, self.source.height))
            rows = _blend(rows, low - low[0], weight[:, None, None], 0)
            low, weight = _positions(0, self.width, self.width, self.source.width)
            place = start - top + buffer.margin
            x[
                place : place + stop - start,
                buffer.margin : buffer.margin + self.width,
            ] = _blend(rows, low, weight[:, None], 1)
        return jnp.asarray(x[None])

    def needs(self, top: int, left: int, height: int, width: int) -> bool:
        """Return whether a rectangle reaches a wanted pixel of the other source."""
        ratios = self.source.height / self.height, self.source.width / self.width
        # Resizing the result reads neighbours: one pixel, two for rounding.
        (top, height), (left, width) = (
            (int(first * ratio) - 2, int(size * ratio) + 5)
            for first, size, ratio in zip(
                (top, left), (height, width), ratios, strict=True
            )
        )
        return self.source.needs(top, left, height, width)


def _cut(
    pixels: np.ndarray, top: int, margin: int, height: int, width: int
) -> np.ndarray:
    """Cut [height, width, C] out of [H, W, C], zero where there is nothing."""
    cut = np.zeros((height, width, pixels.shape[2]), pixels.dtype)
    start, stop = max(top, 0), min(top + height, pixels.shape[0])
    columns = min(pixels.shape[1], width - margin)
    if start < stop:
        part = pixels[start:stop, :columns]
        cut[start - top : stop - top, margin : margin + columns] = part
    return cut


def _positions(start: int, stop: int, size: int, source: int):
    """Lower neighbours and weights of the upper ones for rows of a resized image."""
    position = np.linspace(0, source - 1, size)[start:stop]
    low = np.floor(position).astype(np.int64)
    return low, (position - low).astype(np.float32)


def _blend(x: np.ndarray, low: np.ndarray, weight: np.ndarray, axis: int):
    below = x.take(low, axis)
    above = x.take(np.minimum(low + 1, x.shape[axis] - 1), axis)
    return below + weight * (above - below)
