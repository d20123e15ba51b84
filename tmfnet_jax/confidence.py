"""The network's own estimate of its error, read off what it computes for alpha."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from tmfnet_jax.layers import Conv, leaky_relu, pixel_shuffle, resize_bilinear

CONFIDENCE = "confidence"  # of the head in the network: its arrays' names begin so
DILATION = 2
OWN_PLANES = 2  # of alpha, beside the network's input


class ConfidenceHead(nnx.Module):
    """Estimates |alpha - truth| for each pixel; alpha is not changed by it.

    How far from 0 and 1 a pixel's alpha is says most of its error; the rest is said by
    the kind of edge that it belongs to and by how far away the trimap knows more. The
    first is read pixel by pixel, the second from F1's features and, by a dilated
    convolution, from what is estimated 8 pixels around.

    Nothing is convolved at full resolution, where one 3x3 convolution of 16 channels
    is an eighth of the network at width 0.25. The four pixels of a square are channels
    of one at half the resolution instead, and their four estimates come out of it as
    such: in all 3 % more multiply-adds. No normalisation, which would have statistics
    to keep.

    Args:
      inputs: channels of the network's input.
      stages: channels of what F1, F2 and F3 give.
      channels: of the head's own features.
      dtype: computation type.
      rngs: for the initial values.
    """

    def __init__(
        self,
        inputs: int,
        stages: Sequence[int],
        channels: int,
        *,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ):
        conv = partial(Conv, dtype=dtype, rngs=rngs)
        # Apart, and added: joined maps would first be copied, on a CPU the larger part
        # of the head's time.
        self.stages = nnx.List([conv(n, channels, 1, use_bias=False) for n in stages])
        self.pixels = conv(4 * (inputs + OWN_PLANES), channels, 1)
        self.reduce = conv(channels, channels, 1)
        self.around = conv(channels, channels, 3, dilation=DILATION)
        self.output = conv(channels, 4, 1)

    def __call__(
        self, x: jax.Array, alpha: jax.Array, stages: Sequence[jax.Array]
    ) -> jax.Array:
        """Estimate the error; no gradient reaches what it is estimated from.

        Args:
          x: [B, H, W, 6], the network's input; H and W divisible by 4.
          alpha: [B, H, W, 1], the prediction, not clipped.
          stages: what F1, F2 and F3 give, at 1/4, 1/2 and 1 of the resolution.
        Returns:
          [B, H, W, 1] float32, the logit of the estimated error.
        """
        x, alpha, (f1, f2, f3) = lax.stop_gradient((x, alpha, tuple(stages)))
        clipped = alpha.clip(0, 1)
        fuzziness = 4 * clipped * (1 - clipped)
        pixels = jnp.concatenate([x, clipped, fuzziness], -1, dtype=f3.dtype)
        from_f1, from_f2, from_f3 = self.stages
        own = self.pixels(jnp.concatenate(_four(pixels), -1))
        own += from_f2(f2) + from_f3(_mean_of_four(f3))
        around = from_f1(f1) + self.reduce(_mean_of_four(leaky_relu(own)))
        around = self.around(leaky_relu(around))
        around = resize_bilinear(around, own.shape[1:3], align_corners=False)
        logits = self.output(leaky_relu(own + around))
        return pixel_shuffle(logits).astype(jnp.float32)


def _mean_of_four(x: jax.Array) -> jax.Array:
    """Average the pixels of each square, [B, 2H, 2W, C] to [B, H, W, C]."""
    return reduce(add, _four(x)) / 4


def _four(x: jax.Array) -> list[jax.Array]:
    """Split [B, 2H, 2W, C] into the pixels of each square, row by row."""
    return [x[:, i::2, j::2] for i, j in itertools.product(range(2), repeat=2)]
