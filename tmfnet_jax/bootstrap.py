"""The interval of a mean, from the values themselves."""

from __future__ import annotations

import numpy as np

from tmfnet_jax.errors import InputError

CONFIDENCE = 0.95
# With fewer, normally distributed values, the truth lies in the interval less often
# than 92 times in 100: 90 times with 10 values, 83 with 5, 48 with 2 (simulated).
FEW_VALUES = 20
MIN_RESAMPLES, MAX_RESAMPLES = 100, 1_000_000

_CHUNK = 2**17  # values drawn at a time: 1 MiB of indices, as much of values


def bootstrap_interval(
    differences: np.ndarray, *, resamples: int = 10_000, seed: int = 0
) -> np.ndarray:
    """Find the bounds between which mean differences lie, by paired bootstrap.

    The images are drawn again, with replacement, as many as there are; percentiles of
    the means of such draws hold `CONFIDENCE` of them. Few images make the interval
    too narrow: see `FEW_VALUES`.

    Args:
      differences: [n, M] float64, of n images in M metrics, which are drawn together.
      resamples: number of draws.
      seed: of the draws: the same one gives the same bounds (with one NumPy).
    Returns:
      [2, M] float64, lower and upper bounds.
    Raises:
      InputError: no image, or resamples or seed out of range.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter
    13, the percentile interval.
    """
    if not MIN_RESAMPLES <= resamples <= MAX_RESAMPLES or seed < 0:
        raise InputError(
            f"resamples is {resamples} and seed {seed}; expected {MIN_RESAMPLES} to "
            f"{MAX_RESAMPLES} resamples and a seed from 0 up"
        )
    images, metrics = differences.shape
    if not images:
        raise InputError("no image has a difference; expected at least one")
    columns = np.ascontiguousarray(differences.T)
    means = np.empty((metrics, resamples))
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // images)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, images, (size, images))
        for column, values in enumerate(columns):
            means[column, start : start + size] = values[drawn].mean(axis=1)
    tail = 50 * (1 - CONFIDENCE)
    return np.percentile(means, (tail, 100 - tail), axis=1)
