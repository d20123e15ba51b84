"""Convolutions with folded normalisation, for tiles and for whole maps.

A tile carries the neighbours that its 3x3 convolutions read, and each of them
takes one row and column off at every side. A whole map is computed in bands of
rows, which are tiles as wide as the map. Both hold zeros outside the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from tmfnet_jax.serving import winograd
from tmfnet_jax.serving.folding import Affine, Weights
from tmfnet_jax.serving.tiling import Extent, Place, keep_inside, paste, window

# Pixels of a band whose features stay in a processor's cache.
BAND_PIXELS = 2048


def _identity(x: jax.Array) -> jax.Array:
    return x


def conv(
    x: jax.Array,
    layer: Affine,
    activation: Callable[[jax.Array], jax.Array] = _identity,
    *,
    stride: int = 1,
    dilation: int = 1,
) -> jax.Array:
    """Convolve without padding.

    Args:
      x: [B, H, W, inputs].
      layer: its weights; the sums' bias is added in float32.
      activation: elementwise.
      stride: 1 or 2.
      dilation: of a 3x3 kernel; in Winograd's form 1 or 2.
    Returns:
      [B, H', W', outputs] of x's type; H - 2 dilation rows for a 3x3 kernel.
    """

    def finish(y):
        return activation(y if layer.bias is None else y + layer.bias).astype(x.dtype)

    kernel = layer.kernel
    size = kernel.shape[0]
    if size == winograd.PATCH:
        if dilation == 1:
            return winograd.convolve(x, kernel, finish)
        return _every_other(x, lambda part: winograd.convolve(part, kernel, finish))
    if size == 1:
        # As a matrix product: XLA's own choice for CPUs takes up to three times as
        # long for the same sums.
        x = x[:, ::stride, ::stride]
        contraction = (((3,), (0,)), ((), ()))
        y = lax.dot_general(
            x.astype(kernel.dtype),
            kernel[0, 0],
            contraction,
            preferred_element_type=jnp.float32,
        )
        return finish(y)
    return finish(
        lax.conv_general_dilated(
            x,
            kernel.astype(x.dtype),
            (stride, stride),
            "VALID",
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
    )


def _every_other(x: jax.Array, function) -> jax.Array:
    """Apply a function to the four grids of every other pixel, and interleave."""
    x = jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
    grids = [[function(x[:, i::2, j::2]) for j in range(2)] for i in range(2)]
    y = jnp.stack([jnp.stack(row, 3) for row in grids], 2)  # [B, h, 2, w, 2, C]
    batch, h, _, w, _, channels = y.shape
    return y.reshape(batch, 2 * h, 2 * w, channels)


def bottleneck(x: jax.Array, weights: Weights, place: Place, extent: Extent):
    """Compute a residual block of layer1 on a tile.

    Args:
      x: [B, H, W, inputs] whose first pixel is at `place`.
      weights: its conv1, conv2, conv3 and, where it projects, shortcut.
      place: row and column of x in the image.
      extent: of the image at x's resolution.
    Returns:
      [B, H - 2, W - 2, outputs].
    """
    y = keep_inside(conv(x, weights["conv1"], jax.nn.relu), place, extent)
    y = conv(conv(y, weights["conv2"], jax.nn.relu), weights["conv3"])
    shortcut = x[:, 1:-1, 1:-1]
    if "shortcut" in weights:
        shortcut = conv(shortcut, weights["shortcut"])
    return jax.nn.relu(y + shortcut)


def bottleneck_map(
    x: jax.Array,
    weights: Weights,
    place: Place,
    extent: Extent,
    *,
    stride: int = 1,
    dilation: int = 1,
) -> jax.Array:
    """Compute a residual block of a deep layer on a whole map.

    Args:
      x: [B, H, W, inputs]; H and W even where the stride is 2.
      weights: as for `bottleneck`.
      place: of x in the image.
      extent: of the image at x's resolution.
      stride: 1, or 2 for a block that projects.
      dilation: of its 3x3 convolution.
    Returns:
      [B, H / stride, W / stride, outputs]; written over x if that is donated and
      of the same shape: a band's rows of x are read for that band alone.
    """
    height, width = x.shape[1] // stride, x.shape[2] // stride
    y = conv(x, weights["conv1"], jax.nn.relu)
    y = pad(keep_inside(y, place, extent), dilation)
    rows = band_rows(height, width)

    def band(row, state):
        tall = stride * (rows - 1) + 2 * dilation + 1
        z = window(y, stride * row, 0, tall, y.shape[2])
        z = conv(z, weights["conv2"], jax.nn.relu, stride=stride, dilation=dilation)
        z = conv(z[:, :rows, :width], weights["conv3"])
        if "shortcut" not in weights:
            return jax.nn.relu(z + window(state, row, 0, rows, width))
        shortcut = window(x, stride * row, 0, stride * rows, x.shape[2])
        return jax.nn.relu(z + conv(shortcut, weights["shortcut"], stride=stride))

    if "shortcut" in weights:
        outputs = weights["conv3"].kernel.shape[-1]
        shape = (x.shape[0], height, width, outputs)
        return in_bands(band, rows, jnp.zeros(shape, x.dtype))
    return in_bands(band, rows, x)


def conv_map(
    maps: Sequence[jax.Array],
    layer: Affine,
    activation: Callable[[jax.Array], jax.Array],
) -> jax.Array:
    """Convolve the concatenation of maps, 3x3, without making it whole.

    Args:
      maps: [B, H + 2, W + 2, channels] each, with a margin of zeros.
      layer: of all their channels.
      activation: elementwise.
    Returns:
      [B, H, W, outputs].
    """
    batch, height, width = maps[0].shape[0], *(n - 2 for n in maps[0].shape[1:3])
    rows = band_rows(height, width)

    def band(row, state):
        x = [window(m, row, 0, rows + 2, width + 2) for m in maps]
        return conv(jnp.concatenate(x, -1), layer, activation)

    shape = (batch, height, width, layer.kernel.shape[-1])
    return in_bands(band, rows, jnp.zeros(shape, maps[0].dtype))


def pad(x: jax.Array, margin: int) -> jax.Array:
    """Add a margin of zeros to [B, H, W, C]."""
    return jnp.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


def band_rows(height: int, width: int) -> int:
    """Rows of a band of a map of this size."""
    if jax.default_backend() != "cpu":
        return height
    count = max(1, round(height * width / BAND_PIXELS))
    return -(-height // count)


def in_bands(
    body: Callable[[jax.Array, jax.Array], jax.Array], rows: int, state: jax.Array
) -> jax.Array:
    """Replace a map's rows band by band: body(first row, map) gives [B, rows, W, C].

    The last band begins earlier where the height is no multiple; the rows that it
    shares with the band before are left as they are.
    """
    _, height, width, _ = state.shape

    def step(index, state):
        row = jnp.minimum(index * rows, height - rows)
        done = row + jnp.arange(rows) < index * rows
        old = window(state, row, 0, rows, width)
        new = body(row, state).astype(state.dtype)
        return paste(state, jnp.where(done[:, None, None], old, new), row, 0)

    return lax.fori_loop(0, -(-height // rows), step, state)
