"""Context modules that the paper compares TMP with: PPM, TP and ASPP (Table 3).

All share TMP's interface. Where neither the paper nor its code settles a
detail, the choice made here is stated; parameter counts fix the rest.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from tmfnet_jax.layers import (
    ConvNorm,
    adaptive_average_pool,
    resize_bilinear,
    spatial_mean,
)
from tmfnet_jax.trimap_pooling import (
    MASK_EPSILON,
    PooledContext,
    TrimapPooling,
    resize_mask,
)

PYRAMID_BINS = (1, 2, 3, 6)
ASPP_DILATIONS = (6, 12, 18)


class PyramidPooling(PooledContext):
    """PPM, or with `masked=True` its variant TP that leaves the background out.

    TP averages encoder features over the non-background part of each cell
    before the 1x1 convolution, as PPM averages them over the whole cell.
    """

    def pooled(self, c5: jax.Array, non_background: jax.Array) -> list[jax.Array]:
        """Return the four pooled maps, [B, H/16, W/16, outputs] each."""
        size = c5.shape[1:3]
        mask = resize_mask(non_background, size).astype(jnp.float32)
        maps = []
        for branch, bins in zip(self.branches, PYRAMID_BINS, strict=True):
            if self.masked:
                cell = adaptive_average_pool(c5 * mask, bins)
                cell = cell / (adaptive_average_pool(mask, bins) + MASK_EPSILON)
            else:
                cell = adaptive_average_pool(c5, bins)
            cell = branch(cell.astype(c5.dtype))
            maps.append(resize_bilinear(cell, size, align_corners=True))
        return maps


class AtrousPyramid(nnx.Module):
    """ASPP: dilated 3x3 convolutions, a 1x1 one and the image mean, with ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        def conv(inputs, outputs, size, dilation=1):
            return ConvNorm(
                inputs,
                outputs,
                size,
                dilation=dilation,
                use_bias=False,
                activation=nnx.relu,
                dtype=dtype,
                rngs=rngs,
            )

        self.point = conv(inputs, outputs, 1)
        self.dilated = nnx.List([conv(inputs, outputs, 3, d) for d in ASPP_DILATIONS])
        self.mean = conv(inputs, outputs, 1)
        self.project = conv((2 + len(ASPP_DILATIONS)) * outputs, outputs, 1)
        self.smooth = conv(outputs, outputs, 3)

    def __call__(self, c5: jax.Array, non_background: jax.Array) -> jax.Array:
        """Return context features, [B, H/16, W/16, outputs]; no use of the mask."""
        del non_background
        maps = [self.point(c5), *(branch(c5) for branch in self.dilated)]
        mean = self.mean(spatial_mean(c5))
        maps.append(jnp.broadcast_to(mean, maps[0].shape))
        return self.smooth(self.project(jnp.concatenate(maps, -1)))


def make_context(
    kind: str,
    inputs: int,
    outputs: int,
    *,
    dtype: jnp.dtype | None = None,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Build the context module named in `TMFNetConfig.context`."""
    match kind:
        case "tmp" | "mp":
            return TrimapPooling(
                inputs, outputs, masked=kind == "tmp", dtype=dtype, rngs=rngs
            )
        case "ppm" | "tp":
            return PyramidPooling(
                inputs, outputs, masked=kind == "tp", dtype=dtype, rngs=rngs
            )
        case "aspp":
            return AtrousPyramid(inputs, outputs, dtype=dtype, rngs=rngs)
    raise ValueError(f"unknown context module {kind!r}")
