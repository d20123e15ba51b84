"""Fusion stages of the decoder: GLF and what the paper compares it with."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from tmfnet_jax.layers import (
    BatchNorm,
    Conv,
    ConvNorm,
    leaky_relu,
    pixel_shuffle,
    resize_bilinear,
)
from tmfnet_jax.local_filter import GROUP_CHANNELS, TAPS, filter_shifts

SQUEEZE = 4  # the kernel predictor works on 1/4 of the stage's channels
CARAFE_MIDDLE = 64
CARAFE_SIZE = 3


def upsample_double(x: jax.Array) -> jax.Array:
    """Enlarge [B, H, W, C] twofold, bilinear with aligned corners."""
    size = (2 * x.shape[1], 2 * x.shape[2])
    return resize_bilinear(x, size, align_corners=True)


class LocalFusion(nnx.Module):
    """GLF (Eqs. 4-7), or without a global vector its ablation LF.

    Args:
      high: channels of the low-resolution, high-level input X_h.
      low: channels of the high-resolution input X_l.
      middle: C3, channels of the mixed feature X; divisible by 16.
      outputs: channels of the result.
      context: channels of the global vector G, or None for LF.
    """

    def __init__(
        self,
        high: int,
        low: int,
        middle: int,
        outputs: int,
        *,
        context: int | None,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        def conv(inputs, outputs, size):
            return Conv(inputs, outputs, size, dtype=dtype, rngs=rngs)

        squeezed = middle // SQUEEZE
        self.mix = conv(high // 4 + low, middle, 1)
        self.squeeze = conv(middle, squeezed, 1)
        self.embed = nnx.data(None if context is None else conv(context, squeezed, 1))
        self.predict = conv(squeezed, TAPS * middle // GROUP_CHANNELS, 3)
        self.project = ConvNorm(middle, outputs, 1, dtype=dtype, rngs=rngs)

    def kernels(self, x: jax.Array, context: jax.Array | None) -> jax.Array:
        """Predict per-pixel kernels, [B, H, W, 9 C3 / 16], from X and G (Eq. 5)."""
        return self.predict(self._squeezed(x, context))

    def _squeezed(self, x: jax.Array, context: jax.Array | None) -> jax.Array:
        squeezed = self.squeeze(x)
        if self.embed is not None:
            squeezed = squeezed + self.embed(context)
        return leaky_relu(squeezed)

    def mixed(self, high: jax.Array, low: jax.Array) -> jax.Array:
        """Join both inputs at full resolution: X, [B, 2H, 2W, C3] (Eq. 4)."""
        return self.mix(jnp.concatenate([pixel_shuffle(high), low], -1))

    def __call__(
        self, high: jax.Array, low: jax.Array, context: jax.Array | None
    ) -> jax.Array:
        """Fuse [B, H, W, high] with [B, 2H, 2W, low] to [B, 2H, 2W, outputs].

        Args:
          high: X_h.
          low: X_l.
          context: G, [B, 1, 1, context]; ignored by LF.
        """
        x = self.mixed(high, low)
        kernels = self.predict.in_parts(self._squeezed(x, context))
        return self.project(filter_shifts(x, *kernels))


class Carafe(nnx.Module):
    """Content-aware twofold upsampling with predicted softmax kernels.

    The setting whose parameter count the paper's row fits: 64 middle channels,
    3x3 encoder, 3x3 kernels, one kernel per group of 16 channels.
    """

    def __init__(
        self, channels: int, *, dtype: jnp.dtype | None = None, rngs: nnx.Rngs
    ):
        def conv(inputs, outputs, size, activation):
            return ConvNorm(
                inputs,
                outputs,
                size,
                use_bias=False,
                activation=activation,
                dtype=dtype,
                rngs=rngs,
            )

        self.groups = channels // GROUP_CHANNELS
        kernels = 4 * self.groups * CARAFE_SIZE**2
        self.compress = conv(channels, CARAFE_MIDDLE, 1, leaky_relu)
        self.encode = conv(CARAFE_MIDDLE, kernels, 3, None)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Enlarge [B, H, W, channels] to [B, 2H, 2W, channels]."""
        b, h, w, _ = x.shape
        kernels = pixel_shuffle(self.encode(self.compress(x)))
        kernels = kernels.reshape(b, 2 * h, 2 * w, self.groups, CARAFE_SIZE**2)
        kernels = nnx.softmax(kernels.astype(jnp.float32)).astype(x.dtype)
        # Each output reads the neighbourhood of its source pixel: apply the four
        # sub-pixel kernels to the source and interleave.
        parts = [
            filter_shifts(x, kernels[:, dy::2, dx::2].reshape(b, h, w, -1))
            for dy in range(2)
            for dx in range(2)
        ]
        return pixel_shuffle(jnp.stack(parts, -1).reshape(b, h, w, -1))


class StaticFusion(nnx.Module):
    """Upsample, concatenate, 3x3 convolution: the baseline's stage, and CARAFE's.

    Bilinear upsampling aligns corners, as the published network's own does.
    """

    def __init__(
        self,
        high: int,
        low: int,
        outputs: int,
        *,
        normalise: bool,
        carafe: bool = False,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(high + low, outputs, 3, dtype=dtype, rngs=rngs)
        self.norm = nnx.data(BatchNorm(outputs) if normalise else None)
        self.carafe = nnx.data(Carafe(high, dtype=dtype, rngs=rngs) if carafe else None)

    def __call__(
        self, high: jax.Array, low: jax.Array, context: jax.Array | None
    ) -> jax.Array:
        """Fuse [B, H, W, high] with [B, 2H, 2W, low] to [B, 2H, 2W, outputs]."""
        del context
        upsample = upsample_double if self.carafe is None else self.carafe
        x = self.conv(jnp.concatenate([upsample(high), low], -1))
        return leaky_relu(x if self.norm is None else self.norm(x))
