"""Batch normalisation folded into the convolution before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tmfnet_jax.batch_norm import BATCH_NORM_EPSILON
from tmfnet_jax.confidence import CONFIDENCE
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.serving.winograd import PATCH, transform_kernel

# 3x3 convolutions that Winograd's form does not serve: strided, or widely dilated.
DIRECT = (
    "encoder.stem.0",
    "encoder.layer2.0.conv2",
    "encoder.layer3.0.conv2",
    "context.dilated",
)


class Affine(NamedTuple):
    """A convolution with its normalisation.

    Attributes:
      kernel: [k, k, inputs, outputs]; k is 4 for a 3x3 kernel in Winograd's form.
      bias: [outputs], or None where the kernel's last input is a constant 1 inside
        the image: the bias then needs no pass of its own and is 0 outside.
    """

    kernel: jax.Array
    bias: jax.Array | None


Weights = dict[str, Affine]


def fold(
    arrays: Mapping[str, np.ndarray], *, dtype: str, fast_convolution: bool
) -> Weights:
    """Fold running statistics, scales and shifts into kernels and biases.

    The confidence head, which alpha does not need, is left out.

    Args:
      arrays: a network's arrays by name, as `parameters.named_arrays` returns.
      dtype: type of the kernels; biases stay float32.
      fast_convolution: put 3x3 kernels into Winograd's form.
    Returns:
      Kernels and biases by the name of the layer, for example
      `encoder.layer1.0.conv1` or `fusion.0.predict`.
    """
    weights = {}
    for name in arrays:
        if not _is_served(name):
            continue
        conv = name.removesuffix(".kernel")
        layer = conv.removesuffix(".conv")
        kernel = np.asarray(arrays[name], np.float32)
        zero = np.zeros(kernel.shape[-1], np.float32)
        bias = np.asarray(arrays.get(f"{conv}.bias", zero), np.float32)
        if f"{layer}.norm.scale" in arrays:
            scale, shift, mean, var = (
                np.asarray(arrays[f"{layer}.norm.{part}"], np.float32)
                for part in ("scale", "bias", "mean", "var")
            )
            factor = scale / np.sqrt(var + BATCH_NORM_EPSILON)
            kernel, bias = kernel * factor, (bias - mean) * factor + shift
        if layer.endswith(".mix"):
            kernel = np.concatenate([kernel, bias[None, None, None]], 2)
            weights[layer] = Affine(jnp.asarray(kernel, dtype), None)
            continue
        if fast_convolution and _has_fast_form(layer, kernel.shape):
            kernel = transform_kernel(kernel)
        weights[layer] = Affine(jnp.asarray(kernel, dtype), jnp.asarray(bias))
    return weights


def folded_bytes(shapes: Mapping[str, tuple[int, ...]], config: TMFNetConfig) -> int:
    """Count the bytes of a network's folded weights, to a few kB, from its shapes."""
    total = 0.0
    for name, shape in shapes.items():
        if _is_served(name):
            layer = name.removesuffix(".kernel").removesuffix(".conv")
            fast = is_fast() and _has_fast_form(layer, shape)
            total += math.prod(shape) * ((PATCH / 3) ** 2 if fast else 1)
    return int(total * np.dtype(jnp.dtype(config.dtype)).itemsize)


def is_fast() -> bool:
    """Tell whether 3x3 convolutions take Winograd's form.

    Libraries for accelerators choose such forms themselves.
    """
    return jax.default_backend() == "cpu"


def feature_dtype(config: TMFNetConfig) -> jnp.dtype:
    """Return the type of the features between convolutions.

    CPUs have bfloat16 products at best: only kernels, and what is multiplied with
    them, are of that type there.
    """
    cpu = jax.default_backend() == "cpu"
    return jnp.dtype("float32" if cpu else config.dtype)


def _is_served(name: str) -> bool:
    return name.endswith(".kernel") and not name.startswith(f"{CONFIDENCE}.")


def _has_fast_form(layer: str, shape: tuple[int, ...]) -> bool:
    return shape[0] == 3 and not layer.startswith(DIRECT)


def part(weights: Weights, prefix: str) -> Weights:
    """Select the layers under a prefix and drop it; a layer of that name is ""."""
    return {
        name.removeprefix(prefix).removeprefix("."): value
        for name, value in weights.items()
        if name == prefix or name.startswith(prefix + ".")
    }
