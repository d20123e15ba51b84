"""Test-time augmentation: the mean over rotations, a flip and scales."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from tmfnet_jax.layers import resize_bilinear

Predict = Callable[[jax.Array], jax.Array]

TTA_MODES = ("none", "8", "10")
SCALES = (2, 0.5)


def augmented_prediction(predict: Predict, x: jax.Array, *, mode: str) -> jax.Array:
    """Average predictions over the members of an augmentation.

    Args:
      predict: maps [B, H, W, 6] to [B, H, W, 1].
      x: [B, H, W, 6] network input; H and W divisible by 16, for "10" by 32.
      mode: "none" is the plain prediction; "8" the four rotations of the input
        and of its left-right flip; "10" adds the scales 2 and 1/2.
    Returns:
      [B, H, W, 1], not clipped. One member is held at a time.
    """
    if mode == "none":
        return predict(x)
    total, count = jnp.zeros((*x.shape[:3], 1), jnp.float32), 0
    for member in prediction_members(predict, x, scales=SCALES if mode == "10" else ()):
        total, count = total + member, count + 1
    return total / count


def prediction_members(
    predict: Predict, x: jax.Array, *, scales: tuple[float, ...] = ()
) -> Iterator[jax.Array]:
    """Yield predictions in the frame of x: rotations, flipped rotations, scales.

    Rotation k turns by k * 90 degrees clockwise. Scales resize the whole input,
    trimap planes included, bilinear with aligned corners.
    """
    for flip in (False, True):
        flipped = x[:, :, ::-1] if flip else x
        for k in range(4):
            turned = jnp.rot90(flipped, k, axes=(2, 1))
            member = jnp.rot90(predict(turned), k, axes=(1, 2))
            yield member[:, :, ::-1] if flip else member
    h, w = x.shape[1:3]
    for scale in scales:
        size = (int(h * scale), int(w * scale))
        scaled = predict(resize_bilinear(x, size, align_corners=True))
        yield resize_bilinear(scaled, (h, w), align_corners=True)
