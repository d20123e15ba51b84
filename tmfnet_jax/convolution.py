"""Convolution of images, with a backward pass that suits CPUs.

Autodiff makes the gradient of a kernel a convolution whose window is the whole image,
and XLA's convolutions are slow on CPUs where channels are few. Matrix products, for
wider kernels those of shifted copies, do the same work several times as fast
(docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
from jax import lax

FEW_CHANNELS = 16  # fewer do not fill the vectors of a CPU
# Shifted copies of more than this leave a CPU's caches, and the product waits for them.
MOST_COPIED_BYTES = 32 << 20


def convolve_plain(
    x: jax.Array, kernel: jax.Array, stride: int, dilation: int
) -> jax.Array:
    """Convolve with a square, odd kernel, padded so that stride 1 keeps the size.

    The padding is stated in pixels, symmetric, because "SAME" pads a stride-2
    convolution on one side only and so differs from the published network.

    Args:
      x: [B, H, W, I].
      kernel: [size, size, I, O], of the type of x.
      stride: distance of neighbouring outputs in pixels of x.
      dilation: distance of neighbouring taps in pixels of x.
    Returns:
      [B, ceil(H / stride), ceil(W / stride), O].
    """
    pad = dilation * (kernel.shape[0] // 2)
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((pad, pad), (pad, pad)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """Convolve as `convolve_plain`, with a backward pass that suits CPUs."""
    return convolve_plain(x, kernel, stride, dilation)


def _forward(x, kernel, stride, dilation):
    if kernel.shape[0] > 1:
        y = convolve_plain(x, kernel, stride, dilation)
    else:
        # As the backward pass reads x: what a CPU fuses into x is computed once.
        b, h, w, _ = x[:, ::stride, ::stride].shape
        y = (_rows(x, stride) @ kernel[0, 0]).reshape(b, h, w, -1)
    return y, (x, kernel)


def _backward(stride, dilation, residuals, dy):
    x, kernel = residuals
    if kernel.shape[0] > 1:
        return _backward_of_wide(x, kernel, dy, stride, dilation)
    dkernel = _product_over_pixels(_rows(x, stride), _rows(dy, 1))
    dx = (_rows(dy, 1) @ kernel[0, 0].T).reshape(*dy.shape[:3], -1)
    if stride > 1:
        between = [
            (0, whole - 1 - (part - 1) * stride, stride - 1)
            for whole, part in zip(x.shape[1:3], dy.shape[1:3], strict=True)
        ]
        edges = ((0, 0, 0), *between, (0, 0, 0))
        dx = lax.pad(dx, jnp.zeros((), dx.dtype), edges)
    return dx, dkernel.astype(kernel.dtype)[None, None]


convolve.defvjp(_forward, _backward)


def _backward_of_wide(x, kernel, dy, stride, dilation):
    """Return the gradients of x and of a kernel of more than one tap."""
    by_autodiff = partial(_autodiff, stride=stride, dilation=dilation)
    if stride > 1:
        return by_autodiff(x, kernel, dy)
    by_products = partial(_products, dilation=dilation)
    return lax.platform_dependent(x, kernel, dy, cpu=by_products, default=by_autodiff)


def _autodiff(x, kernel, dy, *, stride, dilation):
    plain = partial(convolve_plain, stride=stride, dilation=dilation)
    return jax.vjp(plain, x, kernel)[1](dy)


def _products(x, kernel, dy, *, dilation):
    """Return both gradients, stride 1, by products where those are faster.

    Shifts along columns of dy are copied, for both. Those along rows are copies of x
    for the kernel's gradient, sums of the product for that of x: a 3x3 kernel takes
    three copies where patches would be nine.
    """
    # Under jit what is replaced below is never computed.
    dx, dkernel = _autodiff(x, kernel, dy, stride=1, dilation=dilation)
    size, _, inputs, outputs = kernel.shape
    above = _rows(_shifted(dy, 1, range(size)[::-1], dilation), 1)
    if min(inputs, outputs) < FEW_CHANNELS:
        taps = kernel.transpose(0, 3, 1, 2).reshape(size * outputs, size * inputs)
        dx = _added((above @ taps).reshape(*x.shape[:3], size, inputs), dilation)
    if size * (x.nbytes + dy.nbytes) <= MOST_COPIED_BYTES:
        beside = _rows(_shifted(x, 2, range(size), dilation), 1)
        product = _product_over_pixels(beside, above).astype(kernel.dtype)
        dkernel = product.reshape(size, inputs, size, outputs).transpose(2, 0, 1, 3)
    return dx, dkernel


def _added(x: jax.Array, dilation: int) -> jax.Array:
    """Add what the taps along a row give to each pixel, [B, H, W, taps, C]."""
    width, size = x.shape[2:4]
    padded = _pad(x, 2, size, dilation)
    starts = (dilation * (size - 1 - tap) for tap in range(size))
    return reduce(
        add, (padded[:, :, i : i + width, tap] for tap, i in enumerate(starts))
    )


def _shifted(x: jax.Array, axis: int, taps: Sequence[int], dilation: int) -> jax.Array:
    """Join what each tap of a kernel reads along an axis, [..., taps C]."""
    length = x.shape[axis]
    padded = _pad(x, axis, len(taps), dilation)
    parts = [
        lax.slice_in_dim(padded, dilation * tap, dilation * tap + length, axis=axis)
        for tap in taps
    ]
    return jnp.concatenate(parts, -1)


def _pad(x: jax.Array, axis: int, size: int, dilation: int) -> jax.Array:
    pad = dilation * (size // 2)
    return jnp.pad(x, [(pad, pad) if i == axis else (0, 0) for i in range(x.ndim)])


def _product_over_pixels(a: jax.Array, b: jax.Array) -> jax.Array:
    """Multiply [pixels, I] with [pixels, O] to [I, O] float32."""
    contracted = (((0,), (0,)), ((), ()))
    return lax.dot_general(a, b, contracted, preferred_element_type=jnp.float32)


def _rows(x: jax.Array, stride: int) -> jax.Array:
    """Line up the pixels that a 1x1 kernel reads, [pixels, C]."""
    return x[:, ::stride, ::stride].reshape(-1, x.shape[-1])
