"""The encoder's shallow part in tiles, its deep part block by block."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from tmfnet_jax.serving.blocks import bottleneck, conv
from tmfnet_jax.serving.folding import Weights, part
from tmfnet_jax.serving.tiling import Extent, Place, Span, keep_inside

STEM_MARGIN = 2  # rows of s1 (1/2) around a tile of C1
LAYER1_BLOCKS = 3


def stem_input(c1: Span) -> Span:
    """Rows of the full-size input that rows of C1 (1/2) need."""
    first = 2 * (c1.start - STEM_MARGIN) - 1
    return Span(first, 2 * (c1.size + 2 * STEM_MARGIN) + 1)


def layer1_input(c2: Span) -> Span:
    """Rows of C1 (1/2) that rows of C2 (1/4) need."""
    return Span(2 * (c2.start - LAYER1_BLOCKS) - 1, 2 * (c2.size + 6) + 1)


def stem(x: jax.Array, weights: Weights, place: Place, extent: Extent) -> jax.Array:
    """Compute a tile of C1.

    Args:
      x: [B, 2 h + 9, 2 w + 9, 6], zero outside the image (see `stem_input`).
      weights: of the encoder.
      place: of the resulting tile, in C1.
      extent: of C1.
    Returns:
      [B, h, w, channels], zero outside the image.
    """
    for index, stride in enumerate((2, 1, 1)):
        margin = STEM_MARGIN - index
        x = conv(x, weights[f"stem.{index}"], jax.nn.relu, stride=stride)
        x = keep_inside(x, Place(place.row - margin, place.column - margin), extent)
    return x


def layer1(c1: jax.Array, weights: Weights, place: Place, extent: Extent) -> jax.Array:
    """Compute a tile of C2.

    Args:
      c1: [B, 2 h + 13, 2 w + 13, channels] (see `layer1_input`); zero outside the
        image, which after a ReLU serves a maximum as well as minus infinity.
      weights: of the encoder.
      place: of the resulting tile, in C2.
      extent: of C2.
    Returns:
      [B, h, w, channels], zero outside the image.
    """
    x = lax.reduce_window(
        c1, jnp.zeros((), c1.dtype), lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID"
    )
    for index in range(LAYER1_BLOCKS):
        margin = LAYER1_BLOCKS - index
        corner = Place(place.row - margin, place.column - margin)
        x = bottleneck(x, part(weights, f"layer1.{index}"), corner, extent)
    return keep_inside(x, place, extent)


# Stride and dilation of each block of layer2, layer3 and layer4.
DEEP_BLOCKS = {
    **{f"layer2.{i}": (2 if i == 0 else 1, 1) for i in range(4)},
    **{f"layer3.{i}": (2 if i == 0 else 1, 1) for i in range(6)},
    **{f"layer4.{i}": (1, 1 if i == 0 else 2) for i in range(3)},
}
ENTRY = "layer2.0"  # computed in strips, so that C2 is never held whole
