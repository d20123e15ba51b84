"""What a batch is measured by on the device, during training."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tmfnet_jax.losses import actual_error, sample_means
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND, TRIMAP_UNKNOWN


def batch_confidence(
    error: jax.Array, prediction: jax.Array, alpha: jax.Array, trimap: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Average the error that a network expects and the one that it makes.

    Args:
      error: [B, H, W, 1], the estimate, as `TMFNet.with_error` gives it.
      prediction: as of `batch_sad_mse`.
      alpha: likewise.
      trimap: likewise.
    Returns:
      Means over the unknown pixels of each sample, [B] float32 each; 0 without any.
    """
    unknown = jnp.asarray(trimap == TRIMAP_UNKNOWN, jnp.float32)
    actual = actual_error(prediction, alpha.astype(jnp.float32) / 255)
    return sample_means(error, unknown), sample_means(actual, unknown)


def batch_sad_mse(
    prediction: jax.Array, alpha: jax.Array, trimap: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Compute the "python" variant of `tmfnet_jax.metrics` for each sample.

    The prediction is first treated as the evaluation of files treats it: clipped,
    set to 0 and 1 where the trimap knows, rounded to 8 bits.

    Args:
      prediction: [B, H, W, 1] network output, not clipped.
      alpha: [B, H, W, 1] uint8, the truth.
      trimap: [B, H, W, 1] uint8 with the values 0, 128 and 255.
    Returns:
      SAD / 1000 and MSE, [B] float32 each; MSE is 0 without unknown pixels, and
      like `Metrics.mse` not multiplied by 1000.
    """
    clipped = jnp.clip(prediction.astype(jnp.float32), 0, 1)
    known = jnp.where(trimap == TRIMAP_FOREGROUND, 1.0, clipped)
    known = jnp.where(trimap == TRIMAP_BACKGROUND, 0.0, known)
    difference = (jnp.rint(255 * known) - alpha.astype(jnp.float32)) / 255
    axes = (1, 2, 3)
    unknown = jnp.sum(trimap == TRIMAP_UNKNOWN, axes)
    sad = jnp.sum(jnp.abs(difference), axes) / 1000
    squares = jnp.sum(jnp.square(difference), axes)
    return sad, jnp.where(unknown > 0, squares / jnp.maximum(unknown, 1), 0)
