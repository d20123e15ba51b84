"""Trimap-guided multi-scale pooling: the paper's feature mining, TMP (Eqs. 1-3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from tmfnet_jax.layers import ConvNorm, average_pool_same, resize_bilinear

POOL_WINDOWS = (31, 17, 11, 5)  # in pixels of the 1/16 feature map
MASK_EPSILON = 1e-6


def resize_mask(non_background: jax.Array, size: Sequence[int]) -> jax.Array:
    """Resize the [B, H, W, 1] non-background mask to a feature map's size."""
    return resize_bilinear(non_background, size, align_corners=False)


class PooledContext(nnx.Module):
    """What TMP and PPM share: four reduced branches, merged with C5 by two 3x3s.

    Args:
      inputs: channels of the encoder's output C5.
      outputs: channels of a branch and of the result.
      masked: whether pooling leaves the trimap's background out.
      dtype: computation type.
      rngs: for the initial values.
    """

    BRANCHES = 4

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        masked: bool,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        conv = partial(ConvNorm, dtype=dtype, rngs=rngs)
        joined = inputs + self.BRANCHES * outputs
        self.masked = masked
        self.branches = nnx.List(
            [conv(inputs, outputs, 1) for _ in range(self.BRANCHES)]
        )
        self.merge = nnx.List([conv(joined, outputs, 3), conv(outputs, outputs, 3)])

    def pooled(self, c5: jax.Array, non_background: jax.Array) -> list[jax.Array]:
        """Return the four pooled maps, [B, H/16, W/16, outputs] each."""
        raise NotImplementedError

    def __call__(self, c5: jax.Array, non_background: jax.Array) -> jax.Array:
        """Return context features.

        Args:
          c5: [B, H/16, W/16, inputs] encoder output.
          non_background: [B, H, W, 1] in [0, 1], unknown plus foreground.
        Returns:
          [B, H/16, W/16, outputs].
        """
        x = jnp.concatenate([c5, *self.pooled(c5, non_background)], -1)
        for conv in self.merge:
            x = conv(x)
        return x


class TrimapPooling(PooledContext):
    """TMP, or with `masked=False` its ablation MP that ignores the trimap.

    Each branch averages reduced features over the non-background pixels of a
    window around every pixel: NBP_k = avg(F M) / (avg(M) + 1e-6).
    """

    def pooled(self, c5: jax.Array, non_background: jax.Array) -> list[jax.Array]:
        """Return the four pooled maps, [B, H/16, W/16, outputs] each."""
        if not self.masked:
            return [
                average_pool_same(branch(c5), window)
                for branch, window in zip(self.branches, POOL_WINDOWS, strict=True)
            ]
        # The ratio of two averages wants float32 also where features are bfloat16.
        mask = resize_mask(non_background, c5.shape[1:3]).astype(jnp.float32)
        maps = []
        for branch, window in zip(self.branches, POOL_WINDOWS, strict=True):
            total = average_pool_same(branch(c5) * mask, window)
            share = average_pool_same(mask, window)
            maps.append((total / (share + MASK_EPSILON)).astype(c5.dtype))
        return maps
