"""Building blocks shared by the encoder, the context module and the fusion stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from tmfnet_jax.batch_norm import normalise, normalise_batch
from tmfnet_jax.convolution import convolve

CONVOLUTION = "convolution"  # names its result for rematerialisation
BATCH_NORM_MOMENTUM = 0.9  # weight of the old statistics; PyTorch writes it 0.1
LEAKY_SLOPE = 0.01
# Jitted so that a shape is traced once, not once a layer: shapes of a whole network
# are worked out whenever weights are read.
_he_normal = jax.jit(nnx.initializers.he_normal(), static_argnums=(1, 2))


def leaky_relu(x: jax.Array) -> jax.Array:
    """Return LeakyReLU(x) with the network's slope, 0.01."""
    return nnx.leaky_relu(x, LEAKY_SLOPE)


class Conv(nnx.Conv):
    """Square convolution, NHWC, padded so that stride 1 keeps the size."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        use_bias: bool = True,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            inputs,
            outputs,
            (size, size),
            use_bias=use_bias,
            kernel_init=_he_normal,
            dtype=dtype,
            rngs=rngs,
        )
        self.stride = stride
        self.dilation = dilation

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """Map [B, H, W, inputs] to [B, H / stride, W / stride, outputs]."""
        y, bias = self.in_parts(x)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)

    def in_parts(self, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """Return the result without the bias, and the bias, [outputs] or None."""
        bias = None if self.bias is None else self.bias[...]
        x, kernel, bias = self.promote_dtype(
            (x, self.kernel[...], bias), dtype=self.dtype
        )
        y = convolve(x, kernel, self.stride, self.dilation)
        return checkpoint_name(y, CONVOLUTION), bias


class BatchNorm(nnx.Module):
    """Batch normalisation whose running variance is the unbiased one.

    Differs from `nnx.BatchNorm` in that single point, which the published
    network's statistics have: a batch is normalised by its biased variance,
    while n / (n - 1) times that goes into the running average. Statistics are
    computed in float32. Under `jax.jit` over a sharded batch they are those of
    the global batch.
    """

    def __init__(self, features: int):
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))
        self.mean = nnx.BatchStat(jnp.zeros(features))
        self.var = nnx.BatchStat(jnp.ones(features))
        self.use_running_average = False
        self.groups = 1

    def set_view(
        self, use_running_average: bool | None = None, groups: int | None = None
    ) -> None:
        """Take the running statistics or the batch's: see `nnx.view`.

        With groups, sample i of a batch is normalised by the statistics of the
        samples i modulo groups, as if each group were on a device of its own; the
        running ones move towards their mean.
        """
        if use_running_average is not None:
            self.use_running_average = use_running_average
        if groups is not None:
            self.groups = groups

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise x of shape [B, H, W, C] over B, H and W."""
        scale, bias = self.scale[...], self.bias[...]
        if self.use_running_average:
            return normalise(x, self.mean[...], self.var[...], scale, bias)
        grouped = x.reshape(-1, self.groups, *x.shape[1:])
        y, mean, var = normalise_batch(grouped, scale, bias, (0, 2, 3))
        count = x.size // mean.size
        unbiased = var * (count / max(count - 1, 1))
        self._update(*(v.reshape(self.groups, -1).mean(0) for v in (mean, unbiased)))
        return y.reshape(x.shape)

    def _update(self, mean: jax.Array, unbiased_var: jax.Array) -> None:
        for running, new in ((self.mean, mean), (self.var, unbiased_var)):
            kept = BATCH_NORM_MOMENTUM * running[...]
            running[...] = lax.stop_gradient(kept + (1 - BATCH_NORM_MOMENTUM) * new)


class ConvNorm(nnx.Module):
    """Convolution, batch normalisation and, unless it is None, an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        use_bias: bool = True,
        activation: Callable[[jax.Array], jax.Array] | None = leaky_relu,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(
            inputs,
            outputs,
            size,
            stride=stride,
            dilation=dilation,
            use_bias=use_bias,
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = BatchNorm(outputs)
        self.activation = activation

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [B, H, W, inputs] to [B, H / stride, W / stride, outputs]."""
        x = self.norm(self.conv(x))
        return x if self.activation is None else self.activation(x)


def pixel_shuffle(x: jax.Array) -> jax.Array:
    """Turn [B, H, W, 4C] into [B, 2H, 2W, C].

    Channel c * 4 + dy * 2 + dx goes to channel c of pixel (2y + dy, 2x + dx).
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, c // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(b, 2 * h, 2 * w, c // 4)


def spatial_mean(x: jax.Array) -> jax.Array:
    """Average [B, H, W, C] over H and W, in float32, to [B, 1, 1, C]."""
    return x.mean((1, 2), keepdims=True, dtype=jnp.float32).astype(x.dtype)


def resize_bilinear(
    x: jax.Array, size: Sequence[int], *, align_corners: bool
) -> jax.Array:
    """Resize [B, H, W, C] to the given (height, width), without antialiasing.

    Args:
      x: the image or feature map.
      size: target height and width in pixels.
      align_corners: True maps corner pixel centres onto each other; False maps
        image borders onto each other (half-pixel centres).
    """
    for axis, target in ((1, size[0]), (2, size[1])):
        x = _interpolate(x, axis, target, align_corners)
    return x


def _interpolate(x: jax.Array, axis: int, target: int, corners: bool) -> jax.Array:
    source = x.shape[axis]
    if source == target:
        return x
    if corners:
        position: np.ndarray = np.linspace(0, source - 1, target)
    else:
        position = (np.arange(target) + 0.5) * (source / target) - 0.5
        position = position.clip(0, source - 1)
    low = np.floor(position).astype(np.int32)
    high = np.minimum(low + 1, source - 1)
    shape = [1] * x.ndim
    shape[axis] = target
    weight = jnp.asarray((position - low).reshape(shape), x.dtype)
    below, above = (jnp.take(x, i, axis=axis, mode="clip") for i in (low, high))
    return below + weight * (above - below)


def average_pool_same(x: jax.Array, window: int) -> jax.Array:
    """Average over a window x window neighbourhood, stride 1, size kept.

    Args:
      x: [B, H, W, C] floating point.
      window: odd side of the window in pixels.
    Returns:
      [B, H, W, C]; pixels outside the image are not counted.
    Two one-dimensional `lax.reduce_window` sums: 2 * window additions per value
    in place of window ** 2.
    """
    for axis in (1, 2):
        total = _window_sum(x, axis, window)
        ones = jnp.ones([n if i == axis else 1 for i, n in enumerate(x.shape)], x.dtype)
        x = total / _window_sum(ones, axis, window)
    return x


def _window_sum(x: jax.Array, axis: int, window: int) -> jax.Array:
    half = window // 2
    dimensions = [window if i == axis else 1 for i in range(x.ndim)]
    padding = [(half, half) if i == axis else (0, 0) for i in range(x.ndim)]
    zero = np.zeros((), x.dtype)
    return lax.reduce_window(x, zero, lax.add, dimensions, [1] * x.ndim, padding)


def adaptive_average_pool(x: jax.Array, bins: int) -> jax.Array:
    """Average [B, H, W, C] into bins x bins cells, [B, bins, bins, C].

    Cell i covers rows floor(i H / bins) to ceil((i + 1) H / bins), exclusive:
    cells overlap where bins does not divide the size.
    """
    rows, columns = (_cell_averages(n, bins) for n in x.shape[1:3])
    return jnp.einsum("ph,bhwc,qw->bpqc", rows, x, columns).astype(x.dtype)


def _cell_averages(length: int, bins: int) -> np.ndarray:
    index = np.arange(bins)[:, None]
    position = np.arange(length)[None]
    inside = (position >= index * length // bins) & (
        position < -(-(index + 1) * length // bins)
    )
    return (inside / inside.sum(1, keepdims=True)).astype(np.float32)
