"""Normalisation by the statistics of a batch, with its backward pass written out."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

BATCH_NORM_EPSILON = 1e-5


def normalise(
    x: jax.Array, mean: jax.Array, var: jax.Array, scale: jax.Array, bias: jax.Array
) -> jax.Array:
    """Return (x - mean) / sqrt(var + 1e-5) * scale + bias in the type of x.

    The others are float32, [C] or such that they broadcast with x.
    """
    factor = scale * lax.rsqrt(var + BATCH_NORM_EPSILON)
    shifted = x.astype(jnp.float32) * factor + (bias - mean * factor)
    return shifted.astype(x.dtype)


def normalise_batch_plain(
    x: jax.Array, scale: jax.Array, bias: jax.Array, axes: tuple[int, ...]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalise by the mean and biased variance over some axes.

    Args:
      x: [..., C].
      scale: [C] float32.
      bias: [C] float32.
      axes: what to average over, for [B, H, W, C] (0, 1, 2).
    Returns:
      The result, of the shape and type of x; mean and variance, float32, of the
      shape of x with 1 in place of `axes`.
    """
    wide = x.astype(jnp.float32)
    mean = wide.mean(axes, keepdims=True)
    var = jnp.square(wide - mean).mean(axes, keepdims=True)
    return normalise(x, mean, var, scale, bias), mean, var


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalise_batch(
    x: jax.Array, scale: jax.Array, bias: jax.Array, axes: tuple[int, ...]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalise as `normalise_batch_plain`; mean and variance pass no gradient on.

    The variance is that of `flax.nnx.BatchNorm`, the mean of squares less the square of
    the mean, and the backward pass the closed form. What is summed are x, its square,
    dy and dy x, never a deviation from the mean: on a CPU that would be stored first.
    """
    return _forward(x, scale, bias, axes)[0]


def _forward(x, scale, bias, axes):
    wide = x.astype(jnp.float32)
    mean = wide.mean(axes, keepdims=True)
    squares = jnp.square(wide).mean(axes, keepdims=True)
    var = jnp.maximum(squares - jnp.square(mean), 0)
    y = normalise(x, mean, var, scale, bias)
    return (y, mean, var), (x, mean, var, scale)


def _backward(axes, residuals, cotangents):
    x, mean, var, scale = residuals
    dy = cotangents[0].astype(jnp.float32)
    inverse = lax.rsqrt(var + BATCH_NORM_EPSILON)
    wide = x.astype(jnp.float32)
    shift = dy.mean(axes, keepdims=True)
    slope = ((dy * wide).mean(axes, keepdims=True) - mean * shift) * inverse
    dx = scale * inverse * (dy - shift - (wide - mean) * (slope * inverse))
    count = x.size // mean.size
    channels = tuple(range(x.ndim - 1))
    dscale, dbias = (count * total.sum(channels) for total in (slope, shift))
    return dx.astype(x.dtype), dscale, dbias


normalise_batch.defvjp(_forward, _backward)
