"""Encoder: ResNet-50-s with a deep stem, six input channels and output stride 16."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from tmfnet_jax.layers import ConvNorm
from tmfnet_jax.max_pool import max_pool

EXPANSION = 4  # output channels of a bottleneck per plane


class Pyramid(NamedTuple):
    """Encoder features that the decoder reads, at 1/2, 1/4 and 1/16 of the input."""

    c1: jax.Array
    c2: jax.Array
    c5: jax.Array


class Bottleneck(nnx.Module):
    """1x1, 3x3 (stride and dilation), 1x1 (x4) and a shortcut."""

    def __init__(
        self,
        inputs: int,
        planes: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        project: bool = False,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        def conv(inputs, outputs, size, **options):
            return ConvNorm(
                inputs, outputs, size, use_bias=False, dtype=dtype, rngs=rngs, **options
            )

        outputs = EXPANSION * planes
        self.conv1 = conv(inputs, planes, 1, activation=nnx.relu)
        self.conv2 = conv(
            planes, planes, 3, stride=stride, dilation=dilation, activation=nnx.relu
        )
        self.conv3 = conv(planes, outputs, 1, activation=None)
        self.shortcut = nnx.data(
            conv(inputs, outputs, 1, stride=stride, activation=None)
            if project
            else None
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [B, H, W, inputs] to [B, H / stride, W / stride, 4 planes]."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return nnx.relu(self.conv3(self.conv2(self.conv1(x))) + shortcut)


class ResNet(nnx.Module):
    """The encoder of the published network (`width` scales its channels)."""

    def __init__(
        self,
        inputs: int,
        *,
        width: Callable[[int], int] = int,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        def conv(inputs, outputs, **options):
            return ConvNorm(
                inputs,
                outputs,
                3,
                use_bias=False,
                activation=nnx.relu,
                dtype=dtype,
                rngs=rngs,
                **options,
            )

        def layer(inputs, planes, *, stride, dilations):
            blocks = []
            for index, dilation in enumerate(dilations):
                first = index == 0
                blocks.append(
                    Bottleneck(
                        inputs if first else EXPANSION * planes,
                        planes,
                        stride=stride if first else 1,
                        dilation=dilation,
                        project=first,
                        dtype=dtype,
                        rngs=rngs,
                    )
                )
            return nnx.List(blocks)

        narrow, wide = width(64), width(128)
        self.stem = nnx.List(
            [conv(inputs, narrow, stride=2), conv(narrow, narrow), conv(narrow, wide)]
        )
        p1, p2, p3, p4 = (width(planes) for planes in (64, 128, 256, 512))
        self.layer1 = layer(wide, p1, stride=1, dilations=(1,) * 3)
        self.layer2 = layer(EXPANSION * p1, p2, stride=2, dilations=(1,) * 4)
        self.layer3 = layer(EXPANSION * p2, p3, stride=2, dilations=(1,) * 6)
        # Stride 1 and dilation keep 1/16; the first block is not yet dilated.
        self.layer4 = layer(EXPANSION * p3, p4, stride=1, dilations=(1, 2, 2))
        self.channels = (wide, EXPANSION * p1, EXPANSION * p4)  # of c1, c2, c5

    def __call__(self, x: jax.Array) -> Pyramid:
        """Encode [B, H, W, inputs], H and W divisible by 16."""
        for block in self.stem:
            x = block(x)
        c1 = x
        x = max_pool(x)
        for block in self.layer1:
            x = block(x)
        c2 = x
        for layer in (self.layer2, self.layer3, self.layer4):
            for block in layer:
                x = block(x)
        return Pyramid(c1, c2, x)
