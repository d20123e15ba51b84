"""Context modules on a map that is larger than the image it holds.

The counterparts of `trimap_pooling` and `context`: their means count the pixels
inside the image only, whose extent is a value, not a shape.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tmfnet_jax.context import ASPP_DILATIONS, PYRAMID_BINS
from tmfnet_jax.layers import leaky_relu
from tmfnet_jax.serving.blocks import conv, conv_map, pad
from tmfnet_jax.serving.folding import Weights
from tmfnet_jax.serving.tiling import Extent, Place, inside, keep_inside, whole
from tmfnet_jax.trimap_pooling import MASK_EPSILON, POOL_WINDOWS


def _inside(x: jax.Array, extent: Extent) -> jax.Array:
    return keep_inside(x, _place(), extent)


def _place() -> Place:
    return Place(jnp.int32(-1), jnp.int32(-1))


def with_margin(x: jax.Array, extent: Extent) -> jax.Array:
    """Surround [B, H, W, C] by a pixel and clear what is outside the image."""
    return _inside(pad(x, 1), extent)


def image_mean(x: jax.Array, extent: Extent) -> jax.Array:
    """Average [B, H, W, C], zero outside the image, over it; float32 sums."""
    total = x.sum((1, 2), keepdims=True, dtype=jnp.float32)
    return (total / (extent.height * extent.width)).astype(x.dtype)


def context(
    kind: str, c5: jax.Array, mask: jax.Array, weights: Weights, extent: Extent
) -> jax.Array:
    """Compute context features.

    Args:
      kind: `TMFNetConfig.context`.
      c5: [B, H + 2, W + 2, channels] from `with_margin`.
      mask: [B, H + 2, W + 2, 1] float32, the trimap's non-background share,
        likewise.
      weights: of the context module.
      extent: of the image at 1/16.
    Returns:
      [B, H, W, outputs], zero outside the image.
    """
    if kind == "aspp":
        return _inside(_aspp(c5, weights, extent), extent)[:, 1:-1, 1:-1]
    if kind in ("mp", "ppm"):
        mask = inside(_place(), c5.shape, extent).astype(mask.dtype)
    pooled = _windows if kind in ("tmp", "mp") else _bins
    maps = [_inside(m, extent) for m in pooled(kind, c5, mask, weights, extent)]
    x = conv_map([c5, *maps], weights["merge.0"], leaky_relu)
    x = conv_map([with_margin(x, extent)], weights["merge.1"], leaky_relu)
    return keep_inside(x, whole(), extent)


def _windows(kind, c5, mask, weights, extent):
    """Pool as TMP does, or as MP where the mask is 1 in the whole image."""
    valid = inside(_place(), c5.shape, extent).astype(jnp.float32)
    maps = []
    for index, size in enumerate(POOL_WINDOWS):
        x = conv(c5, weights[f"branches.{index}"], leaky_relu)
        total = _window_sum(x.astype(jnp.float32) * mask, size)
        share = _window_sum(mask, size)
        if kind == "tmp":
            share = share + MASK_EPSILON * _window_sum(valid, size)
        maps.append((total / jnp.maximum(share, MASK_EPSILON)).astype(c5.dtype))
    return maps


def _window_sum(x: jax.Array, size: int) -> jax.Array:
    half = size // 2
    for axis in (1, 2):
        dimensions = [size if i == axis else 1 for i in range(4)]
        padding = [(half, half) if i == axis else (0, 0) for i in range(4)]
        zero = np.zeros((), x.dtype)
        x = lax.reduce_window(x, zero, lax.add, dimensions, (1,) * 4, padding)
    return x


def _bins(kind, c5, mask, weights, extent):
    """Pool as PPM does, or as TP where the mask leaves the background out."""
    height, width = c5.shape[1:3]
    maps = []
    for index, bins in enumerate(PYRAMID_BINS):
        rows = _cells(height, extent.height, bins)
        columns = _cells(width, extent.width, bins)
        cell = jnp.einsum("ph,bhwc,qw->bpqc", rows, c5 * mask, columns)
        if kind == "tp":
            share = jnp.einsum("ph,bhwc,qw->bpqc", rows, mask, columns)
            cell = cell / (share + MASK_EPSILON)
        cell = conv(cell.astype(c5.dtype), weights[f"branches.{index}"], leaky_relu)
        rows = _spread(height, extent.height, bins)
        columns = _spread(width, extent.width, bins)
        spread = jnp.einsum("hp,bpqc,wq->bhwc", rows, cell, columns)
        maps.append(spread.astype(c5.dtype))
    return maps


def _cells(size: int, length: jax.Array, bins: int) -> jax.Array:
    """Weights of adaptive average pooling, [bins, size], for a map with margins."""
    index = jnp.arange(bins)[:, None]
    position = jnp.arange(size)[None] - 1
    member = (position >= index * length // bins) & (
        position < -(-(index + 1) * length // bins)
    )
    return member / member.sum(1, keepdims=True)


def _spread(size: int, length: jax.Array, bins: int) -> jax.Array:
    """Weights of bilinear resizing with aligned corners, [size, bins]."""
    position = (jnp.arange(size) - 1) * (bins - 1) / jnp.maximum(length - 1, 1)
    distance = jnp.abs(position[:, None] - jnp.arange(bins))
    return jnp.maximum(0, 1 - distance)


def _aspp(c5, weights, extent):
    def block(x, name, dilation=1):
        margin = dilation * (weights[name].kernel.shape[0] > 1)
        return conv(pad(x, margin), weights[name], jax.nn.relu, dilation=dilation)

    maps = [block(c5, "point")]
    maps += [block(c5, f"dilated.{i}", d) for i, d in enumerate(ASPP_DILATIONS)]
    mean = block(image_mean(c5, extent), "mean")
    maps.append(jnp.broadcast_to(mean, maps[0].shape))
    x = block(jnp.concatenate(maps, -1), "project")
    return block(_inside(x, extent), "smooth")
