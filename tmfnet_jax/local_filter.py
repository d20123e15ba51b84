"""Per-pixel filtering with predicted 3x3 kernels (paper Eq. 6).

Both forms compute, for channel c of group g = c // 16,

    Y(y, x, c) = sum over dy, dx in {-1, 0, 1} of
                 K(y, x, 9 g + 3 (dy + 1) + dx + 1) * X(y + dy, x + dx, c)

with X zero outside the image. K may come in two parts, a value for each pixel and a
bias for all.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import jax
import jax.numpy as jnp
from jax import lax

GROUP_CHANNELS = 16
KERNEL_SIZE = 3
TAPS = KERNEL_SIZE**2


def filter_patches(
    x: jax.Array, kernels: jax.Array, bias: jax.Array | None = None
) -> jax.Array:
    """Filter by patch extraction and einsum: the plain reference form.

    Args:
      x: [B, H, W, C] features, C divisible by 16.
      kernels: [B, H, W, 9 C / 16] kernel weights, tap fastest.
      bias: [9 C / 16], what is added to the kernels of all pixels.
    Returns:
      [B, H, W, C]. Needs memory for nine copies of x.
    """
    b, h, w, c = x.shape
    patches = lax.conv_general_dilated_patches(
        x,
        (KERNEL_SIZE,) * 2,
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    patches = patches.reshape(b, h, w, c // GROUP_CHANNELS, GROUP_CHANNELS, TAPS)
    kernels = _with(kernels, bias).reshape(b, h, w, c // GROUP_CHANNELS, TAPS)
    return jnp.einsum("bhwgct,bhwgt->bhwgc", patches, kernels).reshape(x.shape)


@jax.custom_vjp
def filter_shifts(
    x: jax.Array, kernels: jax.Array, bias: jax.Array | None = None
) -> jax.Array:
    """Filter as a sum of nine shifted products that fuse into one pass.

    Arguments and result are those of `filter_patches`; no patch is ever stored.
    Its backward pass is written out because autodiff's reduction over the
    channels of a group runs serially on CPUs (docs/benchmarks.md).
    """
    return _filter(_around(x), kernels, bias)


def filter_valid(around: jax.Array, kernels: jax.Array) -> jax.Array:
    """Filter where all neighbours are given.

    Args:
      around: [B, H + 2, W + 2, C] features with their neighbours.
      kernels: [B, H, W, 9 C / 16].
    Returns:
      [B, H, W, C].
    """
    return _filter(_grouped(around), kernels, None)


def _filter(around: jax.Array, kernels: jax.Array, bias: jax.Array | None) -> jax.Array:
    """Filter [B, H + 2, W + 2, C / 16, 16] to [B, H, W, C]."""
    h, w = kernels.shape[1:3]
    taps = kernels.reshape(*kernels.shape[:3], -1, TAPS)
    biases = None if bias is None else bias.reshape(-1, TAPS)

    def weight(tap):
        # Added to all taps before, the bias keeps a CPU's loop from vectorising.
        shared = None if biases is None else biases[:, tap]
        return _with(taps[..., tap], shared)[..., None]

    products = (_shift(around, tap, h, w) * weight(tap) for tap in range(TAPS))
    return reduce(add, products).reshape(*kernels.shape[:3], -1)


def _forward(x, kernels, bias):
    around = _around(x)  # kept as such: a second padded copy costs a pass
    return _filter(around, kernels, bias), (around, kernels, bias)


def _backward(residuals, dy):
    around, kernels, bias = residuals
    dx = _gradient_of_x(_with(kernels, bias), dy)
    dkernels = _gradient_of_kernels(around, dy)
    if bias is None:
        return dx, dkernels, None
    dbias = dkernels.sum((0, 1, 2), dtype=jnp.float32).astype(bias.dtype)
    return dx, dkernels, dbias


filter_shifts.defvjp(_forward, _backward)


def _gradient_of_x(kernels: jax.Array, dy: jax.Array) -> jax.Array:
    """Gather from the outputs that read each pixel: the taps mirrored."""
    h, w = dy.shape[1:3]
    around = _around(dy)
    padded = _pad(kernels)
    padded = padded.reshape(*padded.shape[:3], -1, TAPS)
    total = reduce(
        add,
        (
            _shift(around, TAPS - 1 - tap, h, w)
            * _shift(padded, TAPS - 1 - tap, h, w)[..., tap, None]
            for tap in range(TAPS)
        ),
    )
    return total.reshape(dy.shape)


def _gradient_of_kernels(around: jax.Array, dy: jax.Array) -> jax.Array:
    """Sum products of features and dy over the channels of each group.

    Written as a sum of channel slices, which vectorises over pixels, and
    concatenated kernel row by kernel row, because a concatenation of all nine
    taps fuses into one slow loop: together 5 to 10 times faster on a CPU than
    a reduction over a reshaped axis.
    """
    h, w = dy.shape[1:3]
    dy = _grouped(dy)

    def tap_gradient(tap):
        return sum(
            _shift(around[..., channel], tap, h, w) * dy[..., channel]
            for channel in range(GROUP_CHANNELS)
        )

    rows = [
        jnp.stack([tap_gradient(row + i) for i in range(KERNEL_SIZE)], -1)
        for row in range(0, TAPS, KERNEL_SIZE)
    ]
    gradient = jnp.concatenate(lax.optimization_barrier(rows), -1)
    return gradient.reshape(*dy.shape[:3], -1)


def _with(kernels: jax.Array, bias: jax.Array | None) -> jax.Array:
    return kernels if bias is None else kernels + bias


def _around(x: jax.Array) -> jax.Array:
    """Pad and group, in the order in which a CPU keeps one copy for all readers."""
    return _pad(_grouped(x))


def _pad(x: jax.Array) -> jax.Array:
    return jnp.pad(x, [(1, 1) if axis in (1, 2) else (0, 0) for axis in range(x.ndim)])


def _grouped(x: jax.Array) -> jax.Array:
    return x.reshape(*x.shape[:3], -1, GROUP_CHANNELS)


def _shift(padded: jax.Array, tap: int, h: int, w: int) -> jax.Array:
    y, x = divmod(tap, KERNEL_SIZE)
    return padded[:, y : y + h, x : x + w]
