"""Tiles of an image: where they lie, what is outside, and loops over them.

All sizes are static so that one program serves every image of a bucket; the
image's own height and width are values. Whatever lies outside the image is set
to zero before a convolution reads it, which is the network's zero padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Extent(NamedTuple):
    """Height and width of the image at some resolution; scalars int32."""

    height: jax.Array
    width: jax.Array

    def reduced(self, factor: int) -> Extent:
        """Return the extent of features `factor` times smaller."""
        return Extent(self.height // factor, self.width // factor)


class Span(NamedTuple):
    """Rows (or columns) of a tile: first one, relative to its origin, and count."""

    start: int
    size: int

    @property
    def stop(self) -> int:
        """One past the last."""
        return self.start + self.size

    def grown(self, margin: int) -> Span:
        """Extend at both ends."""
        return Span(self.start - margin, self.size + 2 * margin)

    def even(self) -> Span:
        """Extend to the next even bounds."""
        start = self.start - self.start % 2
        return Span(start, self.stop + self.stop % 2 - start)


class Place(NamedTuple):
    """Row and column, in the image, of a tile's first pixel; scalars int32."""

    row: jax.Array
    column: jax.Array


def whole() -> Place:
    """Return the place of a map that begins with the image's first pixel."""
    return Place(jnp.int32(0), jnp.int32(0))


def inside(place: Place, shape: Sequence[int], extent: Extent) -> jax.Array:
    """Tell which pixels of a tile of shape [B, H, W, C] the image has.

    Returns:
      [1, H, W, 1] bool.
    """
    rows = place.row + jnp.arange(shape[1])
    columns = place.column + jnp.arange(shape[2])
    in_rows = (rows >= 0) & (rows < extent.height)
    in_columns = (columns >= 0) & (columns < extent.width)
    return (in_rows[:, None] & in_columns)[None, ..., None]


def keep_inside(x: jax.Array, place: Place, extent: Extent) -> jax.Array:
    """Set [B, H, W, C] to zero outside the image."""
    return jnp.where(inside(place, x.shape, extent), x, jnp.zeros((), x.dtype))


def window(
    x: jax.Array,
    row: jax.Array | int,
    column: jax.Array | int,
    height: int,
    width: int,
) -> jax.Array:
    """Cut [B, height, width, C] out of [B, H, W, C]; must lie within."""
    return lax.dynamic_slice(
        x, (0, row, column, 0), (x.shape[0], height, width, x.shape[3])
    )


def paste(
    x: jax.Array, tile: jax.Array, row: jax.Array | int, column: jax.Array | int
) -> jax.Array:
    """Write a tile into [B, H, W, C]; in place inside a loop."""
    return lax.dynamic_update_slice(x, tile.astype(x.dtype), (0, row, column, 0))


class Tiles(NamedTuple):
    """Tiles to visit: [N, 2] int32 rows and columns, and how many of them count."""

    origins: jax.Array
    number: jax.Array

    @classmethod
    def of(cls, places: Sequence[tuple[int, int]], capacity: int) -> Tiles:
        """List places; one capacity means one program whatever their number."""
        origins = np.zeros((capacity, 2), np.int32)
        origins[: len(places)] = np.reshape(places, (-1, 2))
        return cls(jnp.asarray(origins), jnp.int32(len(places)))


def for_tiles(
    tiles: Tiles,
    body: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
    state: jax.Array,
) -> jax.Array:
    """Run state = body(row, column, state) for each tile."""

    def step(index, state):
        return body(tiles.origins[index, 0], tiles.origins[index, 1], state)

    return lax.fori_loop(0, tiles.number, step, state)


def interpolation(
    rows: jax.Array, source: jax.Array, first: jax.Array, size: int
) -> jax.Array:
    """Weights of a twofold enlargement, bilinear with aligned corners.

    Args:
      rows: [N] int32 rows of the enlarged image, 2 * `source` of them in all.
      source: rows that the small image has.
      first: row of the small image that column 0 of the result stands for.
      size: columns of the result.
    Returns:
      [N, size] float32; row i holds the weights of the small image's rows.
    """
    rows = jnp.clip(rows, 0, 2 * source - 1)
    position = rows * (source - 1) / jnp.maximum(2 * source - 1, 1)
    distance = jnp.abs(position[:, None] - (first + jnp.arange(size)))
    return jnp.maximum(0, 1 - distance)
