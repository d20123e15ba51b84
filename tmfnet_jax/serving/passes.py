"""The compiled programs: each runs one part of the network over tiles or bands."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from tmfnet_jax.model import network_input
from tmfnet_jax.serving import decoder
from tmfnet_jax.serving.blocks import band_rows, bottleneck_map
from tmfnet_jax.serving.context import context, image_mean, with_margin
from tmfnet_jax.serving.encoder import layer1, stem
from tmfnet_jax.serving.tiling import (
    Place,
    for_tiles,
    keep_inside,
    paste,
    whole,
    window,
)

OUTPUT_STRIDE = 16


@jax.jit
def assemble(image, trimap, place, extent):
    """Make network input of pixels; zero outside the image."""
    return keep_inside(network_input(image, trimap), place, extent)


@partial(jax.jit, static_argnames="geometry")
def shallow(weights, x, stem_tiles, layer1_tiles, row, extent, *, geometry):
    """Compute C1 and C2 of the strip that begins at `row`, with their margins."""
    c1, c2 = geometry.c1, geometry.c2
    half, quarter = extent.reduced(2), extent.reduced(4)

    def stem_tile(i, j, state):
        tall, wide = c1.tile
        # Buffers begin at their margins: row i of C1's is row 2 i of x's.
        tile = window(x, 2 * i, 2 * (j + c1.margin), 2 * tall + 9, 2 * wide + 9)
        place = Place(row // 2 - c1.margin + i, j)
        return paste(state, stem(tile, weights, place, half), i, j + c1.margin)

    def layer1_tile(i, j, state):
        tall, wide = c2.tile
        first = c1.margin - 2 * c2.margin - 7
        tile = window(
            c1_map,
            2 * i + first,
            2 * (j + c2.margin) + first,
            2 * tall + 13,
            2 * wide + 13,
        )
        place = Place(row // 4 - c2.margin + i, j)
        return paste(state, layer1(tile, weights, place, quarter), i, j + c2.margin)

    def empty(buffer, layer):
        channels = weights[layer].kernel.shape[-1]
        return jnp.zeros((x.shape[0], buffer.height, buffer.width, channels), x.dtype)

    c1_map = for_tiles(stem_tiles, stem_tile, empty(c1, "stem.2"))
    c2_map = for_tiles(layer1_tiles, layer1_tile, empty(c2, "layer1.0.conv3"))
    return c1_map, c2_map


@partial(jax.jit, static_argnames="geometry", donate_argnums=1)
def enter(weights, deep, c2, row, extent, *, geometry):
    """Run layer2's first block on a strip of C2, into its rows of `deep` (1/8)."""
    margin, rows, width = geometry.c2.margin, geometry.rows // 8, geometry.width // 8
    tall = band_rows(rows, width)

    def band(index, deep):
        first = jnp.minimum(index * tall, rows - tall)
        # One row above is read by the 3x3 convolution, which strides over two.
        top = margin + 2 * first - 2
        x = window(c2, top, margin, 2 * tall + 2, 2 * width)
        place = Place(row // 4 + 2 * first - 2, jnp.int32(0))
        y = bottleneck_map(x, weights, place, extent.reduced(4), stride=2)
        return paste(deep, y[:, 1:], row // 8 + first, 0)

    return lax.fori_loop(0, -(-rows // tall), band, deep)


@partial(jax.jit, static_argnames="geometry")
def reduced_mask(x, *, geometry):
    """Reduce a strip's non-background planes to 1/16: [B, rows / 16, width / 16, 1].

    Bilinear with half-pixel centres, as the network resizes it: the mean of the
    four pixels in the middle of each cell.
    """
    margin, (rows, width) = geometry.x.margin, (geometry.rows, geometry.width)
    planes = x[:, margin : margin + rows, margin : margin + width, 4:]
    side = OUTPUT_STRIDE
    cells = planes.astype(jnp.float32).sum(-1)
    cells = cells.reshape(x.shape[0], rows // side, side, width // side, side)
    return cells[:, :, 7:9, :, 7:9].mean((2, 4))[..., None]


def _block(weights, x, extent, stride, dilation):
    return bottleneck_map(x, weights, whole(), extent, stride=stride, dilation=dilation)


_static = ("stride", "dilation")
project = jax.jit(_block, static_argnames=_static)  # to another shape
refine = jax.jit(_block, static_argnames=_static, donate_argnames="x")  # in place
surround = jax.jit(with_margin)


@partial(jax.jit, static_argnames="kind")
def mine(weights, c5, mask, extent, *, kind):
    """Return context features, and the means of them and of C5."""
    mined = context(kind, c5, with_margin(mask, extent), weights, extent)
    return mined, image_mean(mined, extent), image_mean(c5, extent)


def _tile(weights, mined, maps, vectors, i, j, row, extent, geometry, stages):
    """Decode the tile at (i, j) of the strip that begins at `row`."""
    rows, columns = geometry.spans
    buffers = (geometry.c2, geometry.c1, geometry.x)
    lows = [
        window(
            features,
            i // scale + buffer.margin + y.mixed.start,
            j // scale + buffer.margin + x.mixed.start,
            y.mixed.size,
            x.mixed.size,
        )
        for features, buffer, scale, y, x in zip(
            maps, buffers, decoder.SCALES, rows, columns, strict=True
        )
    ]
    return decoder.decode(
        geometry.fusion,
        mined,
        lows,
        vectors,
        weights,
        geometry.spans,
        Place(row + i, j),
        extent,
        stages,
    )


@partial(jax.jit, static_argnames="geometry", donate_argnums=1)
def decode(weights, alpha, mined, maps, vectors, tiles, row, extent, *, geometry):
    """Decode tiles of a strip into its alpha, [B, rows, width, 1] float32.

    Args:
      weights: of the decoder.
      alpha: where to put the tiles; donated.
      mined: context features of the whole image.
      maps: C2, C1 and input of the strip, with their margins.
      vectors: G of each stage, or None.
      tiles: of the strip.
      row: the strip's first row.
      extent: of the image.
      geometry: of the buffers.
    """

    def tile(i, j, state):
        y = _tile(
            weights, mined, maps, vectors, i, j, row, extent, geometry, decoder.STAGES
        )
        return paste(state, y, i, j)

    return for_tiles(tiles, tile, alpha)


@partial(jax.jit, static_argnames=("geometry", "stage"))
def high_sum(weights, mined, maps, vectors, tiles, row, extent, *, geometry, stage):
    """Sum a stage's X_h over tiles of a strip, [B, 1, 1, C] float32, for GLF(B)."""
    spans = geometry.spans
    scale = 2 * decoder.SCALES[stage]

    def tile(i, j, total):
        high = _tile(weights, mined, maps, vectors, i, j, row, extent, geometry, stage)
        for axis, (side, span) in enumerate(zip(geometry.tile, spans, strict=True), 1):
            start = -span[stage].high.start
            high = lax.slice_in_dim(high, start, start + side // scale, axis=axis)
        place = Place((row + i) // scale, j // scale)
        high = keep_inside(high, place, extent.reduced(scale))
        return total + high.sum((1, 2), keepdims=True, dtype=jnp.float32)

    channels = jax.eval_shape(
        partial(_tile, geometry=geometry, stages=stage),
        *(weights, mined, maps, vectors, row, row, row, extent),
    ).shape[-1]
    return for_tiles(
        tiles, tile, jnp.zeros((mined.shape[0], 1, 1, channels), jnp.float32)
    )
