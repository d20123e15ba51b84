"""The encoder's maximum pooling, with a backward pass that suits CPUs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax


def max_pool_plain(x: jax.Array) -> jax.Array:
    """Take the maximum of 3x3 windows, stride 2, one pixel of padding.

    Args:
      x: [B, H, W, C].
    Returns:
      [B, ceil(H / 2), ceil(W / 2), C].
    """
    return nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
    """Pool as `max_pool_plain`, H and W even, with a faster backward pass.

    Of equal maxima the first in reading order gets the gradient, as in autodiff,
    which expands on CPUs to arrays of indices and a scatter.
    """
    return max_pool_plain(x)


def _forward(x):
    return max_pool_plain(x), x


def _backward(x, dy):
    return jax.vjp(_by_comparison, x)[1](dy)


max_pool.defvjp(_forward, _backward)


def _by_comparison(x: jax.Array) -> jax.Array:
    """Pool along rows, then along columns: of equals the first is kept by each."""
    for axis in (2, 1):
        pairs = x.reshape(*x.shape[:axis], -1, 2, *x.shape[axis + 1 :])
        even, odd = (
            lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1)
        )
        shift = [(1, -1, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
        before = lax.pad(odd, jnp.array(-jnp.inf, x.dtype), shift)
        x = jnp.where(before >= even, before, even)
        x = jnp.where(x >= odd, x, odd)
    return x
