"""The decoder on one tile: fusion stages and head with the margins they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tmfnet_jax.fusion import CARAFE_SIZE
from tmfnet_jax.layers import leaky_relu, pixel_shuffle
from tmfnet_jax.local_filter import GROUP_CHANNELS, filter_valid
from tmfnet_jax.serving.blocks import conv
from tmfnet_jax.serving.folding import Weights, part
from tmfnet_jax.serving.tiling import (
    Extent,
    Place,
    Span,
    inside,
    interpolation,
    keep_inside,
    window,
)

STAGES = 3
SCALES = (4, 2, 1)  # of the stages' outputs
LOCAL = ("lf", "glf", "glf_b", "glf_c")


class StageSpans(NamedTuple):
    """Rows that a stage reads and writes, relative to its tile's first row.

    Attributes:
      high: of X_h, at half the stage's resolution.
      mixed: of X_l and of the mixed feature X.
      output: of the result.
    """

    high: Span
    mixed: Span
    output: Span


def stage_spans(fusion: Sequence[str], size: int) -> list[StageSpans]:
    """Work out, from the alpha's rows back, what each stage needs.

    Args:
      fusion: kinds of the stages F1, F2, F3.
      size: rows of the tile of alpha; divisible by 16.
    """
    spans: list[StageSpans] = []
    output = Span(0, size).grown(1)  # the head's 3x3 convolution
    for kind in reversed(fusion):
        mixed = output.grown(1).even()
        high = Span(mixed.start // 2, mixed.size // 2)
        if kind not in LOCAL:  # bilinear and CARAFE read the neighbours of X_h
            high = high.grown(1)
        spans.insert(0, StageSpans(high, mixed, output))
        output = high
    return spans


def enlarge(
    x: jax.Array, first: Place, rows: Span, columns: Span, place: Place, extent: Extent
) -> jax.Array:
    """Enlarge twofold, bilinear with aligned corners of the whole image.

    Args:
      x: [B, h, w, C], part of the small image.
      first: place of x in the small image.
      rows: of the enlarged image, relative to `place`.
      columns: likewise.
      place: a place in the enlarged image.
      extent: of the small image.
    Returns:
      [B, rows.size, columns.size, C].
    """
    vertical = interpolation(
        place.row + rows.start + jnp.arange(rows.size),
        extent.height,
        first.row,
        x.shape[1],
    )
    horizontal = interpolation(
        place.column + columns.start + jnp.arange(columns.size),
        extent.width,
        first.column,
        x.shape[2],
    )
    y = jnp.einsum("yi,bijc->byjc", vertical.astype(x.dtype), x)
    return jnp.einsum("xj,byjc->byxc", horizontal.astype(x.dtype), y)


def fuse(
    kind: str,
    high: jax.Array,
    low: jax.Array,
    vector: jax.Array | None,
    weights: Weights,
    rows: StageSpans,
    columns: StageSpans,
    place: Place,
    extent: Extent,
) -> jax.Array:
    """Compute one fusion stage.

    Args:
      kind: its `TMFNetConfig.fusion`.
      high: X_h over the spans `high`.
      low: X_l over the spans `mixed`; zero outside the image.
      vector: G, [B, 1, 1, channels], or None.
      weights: of the stage.
      rows: its spans.
      columns: likewise.
      place: of the tile at the stage's resolution.
      extent: of the image at the stage's resolution.
    Returns:
      [B, H, W, outputs] over the spans `output`.
    """
    corner = Place(place.row + rows.mixed.start, place.column + columns.mixed.start)
    if kind in LOCAL:
        # The mask is the constant input that carries the bias of `mix`.
        mask = inside(corner, low.shape, extent)
        x = jnp.where(mask, pixel_shuffle(high), 0)
        one = jnp.broadcast_to(mask, (*low.shape[:3], 1)).astype(low.dtype)
        x = jnp.concatenate([x, low, one], -1)
        x = conv(x, weights["mix"])
        squeezed = conv(x, weights["squeeze"])
        if vector is not None:
            squeezed = squeezed + conv(vector, weights["embed"])
        squeezed = jnp.where(mask, leaky_relu(squeezed), 0)
        y = filter_valid(x, conv(squeezed, weights["predict"]))
        y = conv(y, weights["project"], leaky_relu)
    else:
        small = extent.reduced(2)
        source = Place(
            place.row // 2 + rows.high.start, place.column // 2 + columns.high.start
        )
        if kind == "carafe":
            up = _carafe(high, part(weights, "carafe"), source, small)
        else:
            up = enlarge(high, source, rows.mixed, columns.mixed, place, small)
        x = keep_inside(jnp.concatenate([up, low], -1), corner, extent)
        y = conv(x, weights[""], leaky_relu)
    return _crop(y, rows, columns)


def _crop(y, rows: StageSpans, columns: StageSpans):
    top, left = (s.output.start - s.mixed.start - 1 for s in (rows, columns))
    return y[:, top : top + rows.output.size, left : left + columns.output.size]


def _carafe(x, weights: Weights, place: Place, extent: Extent) -> jax.Array:
    """Enlarge a tile with one row and column more at every side."""
    b, h, w, channels = x.shape
    x = keep_inside(x, place, extent)
    compressed = conv(x, weights["compress"], leaky_relu)
    kernels = conv(keep_inside(compressed, place, extent), weights["encode"])
    kernels = pixel_shuffle(kernels)
    groups = channels // GROUP_CHANNELS
    kernels = kernels.reshape(b, 2 * h - 4, 2 * w - 4, groups, CARAFE_SIZE**2)
    kernels = jax.nn.softmax(kernels.astype(jnp.float32)).astype(x.dtype)
    parts = [
        filter_valid(x, kernels[:, dy::2, dx::2].reshape(b, h - 2, w - 2, -1))
        for dy in range(2)
        for dx in range(2)
    ]
    return pixel_shuffle(jnp.stack(parts, -1).reshape(b, h - 2, w - 2, -1))


def head(x: jax.Array, weights: Weights, corner: Place, extent: Extent) -> jax.Array:
    """Turn [B, H + 2, W + 2, C] at `corner` into alpha, [B, H, W, 1] float32."""
    x = keep_inside(x, corner, extent)
    hidden = conv(x, weights["head.0"], leaky_relu)
    return conv(hidden, weights["head.1"]).astype(jnp.float32)


def decode(
    fusion: Sequence[str],
    mined: jax.Array,
    lows: Sequence[jax.Array],
    vectors: Sequence[jax.Array | None],
    weights: Weights,
    spans: tuple[list[StageSpans], list[StageSpans]],
    place: Place,
    extent: Extent,
    stages: int = STAGES,
) -> jax.Array:
    """Decode one tile.

    Args:
      fusion: kinds of the stages.
      mined: context features of the whole image, [B, h, w, C] at 1/16.
      lows: C2, C1 and the input over the stages' `mixed` spans.
      vectors: G of each stage, or None.
      weights: of the network.
      spans: `stage_spans` of rows and columns.
      place: of the tile in the alpha; divisible by 16.
      extent: of the image.
      stages: how many to run; fewer than all return X_h of the next stage.
    Returns:
      [B, H, W, 1] float32 alpha, not clipped, or [B, h, w, C] features.
    """
    rows, columns = spans
    high = _mined_tile(mined, rows[0].high, columns[0].high, place, extent)
    for index in range(stages):
        scale = SCALES[index]
        high = fuse(
            fusion[index],
            high,
            lows[index],
            vectors[index],
            part(weights, f"fusion.{index}"),
            rows[index],
            columns[index],
            Place(place.row // scale, place.column // scale),
            extent.reduced(scale),
        )
    if stages < STAGES:
        return high
    corner = Place(place.row - 1, place.column - 1)
    return head(high, weights, corner, extent)


def _mined_tile(mined, rows: Span, columns: Span, place: Place, extent: Extent):
    """Cut the needed part of the context features and enlarge it to 1/8."""
    height, width = (
        min(span.size // 2 + 3, size)
        for span, size in zip((rows, columns), mined.shape[1:3], strict=True)
    )
    eighth = Place(place.row // 8, place.column // 8)
    top = (eighth.row + rows.start) // 2 - 1
    left = (eighth.column + columns.start) // 2 - 1
    first = Place(
        jnp.clip(top, 0, mined.shape[1] - height),
        jnp.clip(left, 0, mined.shape[2] - width),
    )
    part = window(mined, first.row, first.column, height, width)
    return enlarge(part, first, rows, columns, eighth, extent.reduced(16))
