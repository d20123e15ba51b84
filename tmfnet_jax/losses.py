"""Training losses: the paper's (Eq. 2) for alpha, and one for the estimated error.

Those of the paper are alpha, composition and Laplacian pyramid. All compare a
prediction [B, H, W, 1], not clipped, with the true alpha over the unknown region, a
mask [B, H, W, 1] of zeros and ones, in float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

ALPHA_WEIGHT = 0.5
COMPOSITION_WEIGHT = 1.5
LAPLACIAN_WEIGHT = 0.2
CHARBONNIER_EPSILON = 1e-12
LAPLACIAN_LEVELS = 5
LAPLACIAN_STRIDE = 2**LAPLACIAN_LEVELS  # of heights and widths
LAPLACIAN_LEAST = 2 * LAPLACIAN_STRIDE
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def alpha_loss(pred: jax.Array, alpha: jax.Array, unknown: jax.Array) -> jax.Array:
    """Mean |pred - alpha| over each sample's unknown pixels, averaged over samples.

    A sample without unknown pixels contributes 0 and still counts.
    """
    return sample_means(_charbonnier(pred - alpha), unknown).mean()


def actual_error(pred: jax.Array, alpha: jax.Array) -> jax.Array:
    """Return |pred - alpha| with pred clipped, as it is used: within [0, 1]."""
    return jnp.abs(pred.clip(0, 1) - alpha)


def confidence_loss(
    logit: jax.Array, pred: jax.Array, alpha: jax.Array, unknown: jax.Array
) -> jax.Array:
    """Cross-entropy of an estimated error and the actual one.

    Over all pixels that look the same to the estimate it is least where the estimate
    is their mean error; there it is not 0. Averaged as `alpha_loss`.

    Args:
      logit: [B, H, W, 1], of the estimate.
      pred: what was predicted; no gradient reaches it.
      alpha: the truth.
      unknown: the mask.
    """
    error = lax.stop_gradient(actual_error(pred, alpha))
    return sample_means(jax.nn.softplus(logit) - error * logit, unknown).mean()


def composition_loss(
    pred: jax.Array,
    image: jax.Array,
    foreground: jax.Array,
    background: jax.Array,
    unknown: jax.Array,
) -> jax.Array:
    """Mean |pred F + (1 - pred) B - I| over unknown pixels and channels.

    Colours are [B, H, W, 3] in [0, 1]; averaged sample by sample as `alpha_loss`.
    """
    # By channel: the gradient's sum over an axis of three is slow on CPUs.
    colours = (jnp.split(x, 3, -1) for x in (image, foreground, background))
    errors = (
        _charbonnier(pred * f + (1 - pred) * b - i)
        for i, f, b in zip(*colours, strict=True)
    )
    return sample_means(reduce(add, errors), unknown).mean() / 3


def laplacian_loss(
    pred: jax.Array,
    alpha: jax.Array,
    unknown: jax.Array,
    counts: Sequence[jax.Array] | None = None,
) -> jax.Array:
    """Weighted L1 distance of five Laplacian pyramid levels, sum of 2^i l_i.

    Level i is averaged over the unknown pixels of the whole batch; its mask is
    every second pixel of the level above. H and W: multiples of 32, at least 64.
    `counts`: `unknown_counts` of the batch that these samples are a part of.
    """
    return reduce(add, laplacian_levels(pred, alpha, unknown, counts))


def laplacian_levels(
    pred: jax.Array,
    alpha: jax.Array,
    unknown: jax.Array,
    counts: Sequence[jax.Array] | None = None,
) -> list[jax.Array]:
    """Return the five terms of `laplacian_loss`, finest first."""
    counts = unknown_counts(unknown) if counts is None else counts
    # The pyramid is linear: one pyramid of the difference serves both images.
    terms = []
    for i, band in enumerate(laplacian_pyramid(pred - alpha)):
        difference = unknown * jnp.abs(band)
        terms.append(2**i * difference.sum() / (counts[i] + 1e-8))
        unknown = unknown[:, ::2, ::2]
    return terms


def unknown_counts(unknown: jax.Array) -> list[jax.Array]:
    """Count the unknown pixels of [B, H, W, 1] at each level of the pyramid."""
    return [unknown[:, :: 2**i, :: 2**i].sum() for i in range(LAPLACIAN_LEVELS)]


def laplacian_pyramid(x: jax.Array) -> list[jax.Array]:
    """Split [B, H, W, 1] into five band-pass images, finest first.

    The remaining low-pass image is dropped. Binomial 5x5 filter with reflected
    borders; enlarging inserts zeros and filters with four times the kernel. Both are
    products with small matrices, on a CPU several times as fast as shifted sums.
    """
    h, w = x.shape[1:3]
    if min(h, w) < LAPLACIAN_LEAST or h % LAPLACIAN_STRIDE or w % LAPLACIAN_STRIDE:
        raise ValueError(
            f"Laplacian loss got {h}x{w}; expected multiples of {LAPLACIAN_STRIDE}, "
            f"at least {LAPLACIAN_LEAST}"
        )
    bands = []
    for _ in range(LAPLACIAN_LEVELS):
        rows, columns = map(_smoothing, x.shape[1:3])
        low = _product(rows[::2], x, columns[::2])
        bands.append(x - _product(2 * rows[:, ::2], low, 2 * columns[:, ::2]))
        x = low
    return bands


def total_loss(
    pred: jax.Array,
    batch: Mapping[str, jax.Array],
    *,
    laplacian: bool = True,
    share: float = 1.0,
    counts: Sequence[jax.Array] | None = None,
    error_logit: jax.Array | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Combine the losses: 0.5 L_alpha + 1.5 L_comp + 0.2 L_lap.

    Where the network estimates its error, the loss of that is added; no gradient of
    it reaches the prediction.

    With `share` and `counts` the losses of the parts of a batch add up to that of
    the whole.

    Args:
      pred: [B, H, W, 1] network output.
      batch: float32 arrays alpha and unknown [B, H, W, 1]; image, foreground
        and background [B, H, W, 3].
      laplacian: False leaves the third term out (the base loss of Table 3).
      share: of the whole batch's samples that these are.
      counts: `unknown_counts` of the whole batch.
      error_logit: [B, H, W, 1], logit of the network's estimate of its error.
    Returns:
      The total and its weighted terms by name.
    """
    pred = pred.astype(jnp.float32)
    unknown = batch["unknown"]
    composition = composition_loss(
        pred, batch["image"], batch["foreground"], batch["background"], unknown
    )
    terms = {
        "loss_alpha": share * ALPHA_WEIGHT * alpha_loss(pred, batch["alpha"], unknown),
        "loss_comp": share * COMPOSITION_WEIGHT * composition,
    }
    if laplacian:
        terms["loss_lap"] = LAPLACIAN_WEIGHT * laplacian_loss(
            pred, batch["alpha"], unknown, counts
        )
    if error_logit is not None:
        confidence = confidence_loss(error_logit, pred, batch["alpha"], unknown)
        terms["loss_confidence"] = share * confidence
    return reduce(add, terms.values()), terms


def _charbonnier(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.square(x) + CHARBONNIER_EPSILON)


def sample_means(error: jax.Array, unknown: jax.Array) -> jax.Array:
    """Average [B, H, W, C] over each sample's unknown pixels, to [B]; 0 without any."""
    channels = error.shape[-1]
    total = (error * unknown).sum((1, 2, 3))
    count = channels * unknown.sum((1, 2, 3))
    return total / (count + 1e-12)


def _smoothing(size: int) -> np.ndarray:
    """Return the binomial filter with reflected borders as a matrix, [size, size]."""
    padded = np.pad(np.eye(size, dtype=np.float32), ((2, 2), (0, 0)), mode="reflect")
    shifted = (padded[i : i + size] for i in range(len(_BINOMIAL)))
    return reduce(add, (w * x for w, x in zip(_BINOMIAL, shifted, strict=True)))


def _product(rows: np.ndarray, x: jax.Array, columns: np.ndarray) -> jax.Array:
    """Apply a matrix to the rows of [B, H, W, 1] and one to its columns."""
    exact = lax.Precision.HIGHEST  # accelerators would round factors to fewer bits
    return jnp.einsum("ph,bhwc,qw->bpqc", rows, x, columns, precision=exact)
