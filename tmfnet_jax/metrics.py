"""SAD, MSE, Grad and Conn, the four matting metrics, in NumPy and OpenCV.

The definitions are those of Rhemann et al., "A Perceptually Motivated Online
Benchmark for Image Matting" (CVPR 2009). Each argument is a uint8 [H, W] array:
`prediction` and `alpha` in 0..255, `trimap` with the values 0, 128 and 255 only.
The protocol expects the prediction to be 0 and 255 where the trimap knows.

Two variants are in use, and a number without its variant says little:

- "python", behind the published TMFNet numbers: SAD and MSE sum over all pixels
  (MSE divides by the unknown ones), so they differ from the other where the true
  alpha disagrees with the trimap. Of equally large components Conn takes the
  first in reading order, row by row.
- "matlab", the evaluation scripts of Xu et al., "Deep Image Matting" (CVPR 2017):
  SAD and MSE over the unknown region only; Conn takes the first of equals column
  by column.

Grad is the same in both: each image is stretched by its own extremes. A trimap
without unknown pixels gives 0 for MSE, Grad and Conn, also where the scripts
would divide by zero; a threshold that no pixel reaches leaves the source empty,
where the scripts stop with an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import (
    TRIMAP_BACKGROUND,
    TRIMAP_FOREGROUND,
    TRIMAP_UNKNOWN,
)

Variant = Literal["python", "matlab"]
VARIANTS: tuple[Variant, ...] = ("python", "matlab")

_SIGMA = 1.4  # of the Gaussian derivative in Grad, in pixels
_RADIUS = 4  # where that Gaussian falls to 1% of full scale, rounded up
_CONNECTIVITY_STEPS = 10  # Conn looks at the thresholds 0.1, 0.2, ..., 1.0
_CONNECTIVITY_TOLERANCE = 0.15  # smaller gaps count as fully connected


@dataclass(frozen=True)
class Metrics:
    """The four errors of one image; lower is better, 0 is perfect.

    Attributes:
      sad: sum of absolute differences / 1000.
      mse: mean squared difference as it is, with alpha in [0, 1]; tables
        usually print 1000 times this.
      grad: gradient error / 1000.
      conn: connectivity error / 1000.
    """

    sad: float
    mse: float
    grad: float
    conn: float


def to_8bit(alpha: np.ndarray) -> np.ndarray:
    """Clip a float alpha to [0, 1] and round it to 8 bits.

    Args:
      alpha: floating point array of any shape, finite.
    Returns:
      uint8 array of the same shape, round(255 alpha).
    Raises:
      InputError: if the dtype is not a NumPy float or a value is not finite.
    """
    alpha = np.asarray(alpha)
    if alpha.dtype.kind != "f":
        raise InputError(
            f"alpha has dtype {alpha.dtype}, expected a float array with values"
            " in [0, 1]; convert it first, for instance to float32"
        )
    if not np.isfinite(alpha).all():
        raise InputError(
            "alpha holds NaN or infinite values, expected finite ones; check the"
            " model's weights and input"
        )
    return np.rint(255 * np.clip(alpha, 0, 1)).astype(np.uint8)


def evaluate_alpha(
    prediction: np.ndarray,
    alpha: np.ndarray,
    trimap: np.ndarray,
    *,
    variant: Variant = "python",
) -> Metrics:
    """Compute all four metrics of one image.

    Args:
      prediction: [H, W] uint8, the estimated alpha.
      alpha: [H, W] uint8, the true alpha.
      trimap: [H, W] uint8 with the values 0, 128 and 255.
      variant: "python" or "matlab".
    Returns:
      The `Metrics`.
    Raises:
      InputError: if shapes, dtypes, trimap values or the variant are not as above.
    """
    _check(prediction, alpha, trimap, variant)
    difference = _difference(prediction, alpha, trimap, variant)
    return Metrics(
        sad=_sad(difference),
        mse=_mse(difference, trimap),
        grad=_gradient_error(prediction, alpha, trimap),
        conn=_connectivity_error(prediction, alpha, trimap, variant),
    )


def sad(
    prediction: np.ndarray,
    alpha: np.ndarray,
    trimap: np.ndarray,
    *,
    variant: Variant = "python",
) -> float:
    """Sum of |prediction - alpha| in [0, 1] / 1000.

    Over all pixels, known ones too where the true alpha disagrees with the trimap;
    in the "matlab" variant over the unknown region. Arguments and errors as in
    `evaluate_alpha`.
    """
    _check(prediction, alpha, trimap, variant)
    return _sad(_difference(prediction, alpha, trimap, variant))


def mse(
    prediction: np.ndarray,
    alpha: np.ndarray,
    trimap: np.ndarray,
    *,
    variant: Variant = "python",
) -> float:
    """Sum of (prediction - alpha)^2 over the pixels of `sad` / unknown pixels.

    0 where the trimap has no unknown pixel. Arguments and errors as in
    `evaluate_alpha`.
    """
    _check(prediction, alpha, trimap, variant)
    return _mse(_difference(prediction, alpha, trimap, variant), trimap)


def gradient_error(
    prediction: np.ndarray, alpha: np.ndarray, trimap: np.ndarray
) -> float:
    """Sum of squared differences of gradient magnitude, unknown pixels only / 1000.

    Gradients are first-order Gaussian derivatives with sigma 1.4, of images that
    are each stretched to [0, 1] by their own extremes. Arguments and errors as in
    `evaluate_alpha`.
    """
    _check(prediction, alpha, trimap)
    return _gradient_error(prediction, alpha, trimap)


def connectivity_error(
    prediction: np.ndarray,
    alpha: np.ndarray,
    trimap: np.ndarray,
    *,
    variant: Variant = "python",
) -> float:
    """Sum of differences in connectedness, unknown pixels only / 1000.

    A pixel's connectedness is phi = 1 - d if d >= 0.15 else 1, where d is how far
    its value lies above the last threshold at which it is joined to the source
    region: the largest 4-connected component in which both images reach the
    threshold; of equals the first row by row, in the "matlab" variant column by
    column. Arguments and errors as in `evaluate_alpha`.
    """
    _check(prediction, alpha, trimap, variant)
    return _connectivity_error(prediction, alpha, trimap, variant)


def _sad(difference: np.ndarray) -> float:
    return float(np.abs(difference).sum() / 1000)


def _mse(difference: np.ndarray, trimap: np.ndarray) -> float:
    unknown_pixels = np.count_nonzero(trimap == TRIMAP_UNKNOWN)
    if unknown_pixels == 0:
        return 0.0
    return float(np.square(difference).sum() / unknown_pixels)


def _gradient_error(
    prediction: np.ndarray, alpha: np.ndarray, trimap: np.ndarray
) -> float:
    difference = _gradient_magnitude(prediction) - _gradient_magnitude(alpha)
    return float(np.square(difference[trimap == TRIMAP_UNKNOWN]).sum() / 1000)


def _connectivity_error(
    prediction: np.ndarray, alpha: np.ndarray, trimap: np.ndarray, variant: Variant
) -> float:
    unknown = trimap == TRIMAP_UNKNOWN
    lower = np.minimum(prediction, alpha)
    level = _joined_level(lower, by_column=variant == "matlab")[unknown]

    def connectedness(values: np.ndarray) -> np.ndarray:
        gap = values / 255 - level / _CONNECTIVITY_STEPS
        return 1 - gap * (gap >= _CONNECTIVITY_TOLERANCE)

    difference = connectedness(prediction[unknown]) - connectedness(alpha[unknown])
    return float(np.abs(difference).sum() / 1000)


def _joined_level(lower: np.ndarray, *, by_column: bool) -> np.ndarray:
    """Return the last step in 0..10 before each pixel first leaves the source.

    `lower` is the smaller of both images, so `lower >= t` says that both reach t.
    """
    level = np.full(lower.shape, _CONNECTIVITY_STEPS, np.uint8)
    joined = np.ones(lower.shape, bool)
    for step in range(1, _CONNECTIVITY_STEPS + 1):
        # value / 255 >= step / 10 in whole numbers, so no rounding can decide it.
        threshold = -(-255 * step // _CONNECTIVITY_STEPS)
        left = joined & ~_largest_component(lower >= threshold, by_column)
        level[left] = step - 1
        joined &= ~left
    return level


def _largest_component(mask: np.ndarray, by_column: bool) -> np.ndarray:
    """Return the largest 4-connected component of a bool [H, W] mask as such.

    Of equals the one that has the first pixel in reading order or, `by_column`,
    down the first column, down the second, and so on.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=4
    )
    if count == 1:  # label 0 is everything outside the mask
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    # Labels follow reading order and argmax takes the first of equal areas.
    chosen = 1 + int(np.argmax(areas))
    tied = areas == areas.max()
    if by_column and np.count_nonzero(tied) > 1:
        pixels = np.concatenate([[False], tied])[labels]
        column, row = divmod(int(np.argmax(pixels.T)), len(labels))
        chosen = labels[row, column]
    return labels == chosen


def _gradient_magnitude(values: np.ndarray) -> np.ndarray:
    """Return the Gaussian-derivative magnitude of a stretched uint8 image."""
    low, high = int(values.min()), int(values.max())
    stretched = (values.astype(np.float64) - low) / max(high - low, 1)
    x = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float64)
    gaussian = np.exp(-(x**2) / (2 * _SIGMA**2))
    derivative = -x * gaussian
    # The 2-D filter is an outer product, so unit vectors give it a unit norm.
    gaussian /= np.linalg.norm(gaussian)
    derivative /= np.linalg.norm(derivative)

    def correlate(kernel_x: np.ndarray, kernel_y: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(
            stretched, cv2.CV_64F, kernel_x, kernel_y, borderType=cv2.BORDER_REPLICATE
        )

    return np.hypot(correlate(derivative, gaussian), correlate(gaussian, derivative))


def _difference(
    prediction: np.ndarray, alpha: np.ndarray, trimap: np.ndarray, variant: Variant
) -> np.ndarray:
    """Return prediction - alpha, both in [0, 1], at the pixels the variant counts."""
    counted = trimap == TRIMAP_UNKNOWN if variant == "matlab" else ...
    return (prediction[counted].astype(np.float64) - alpha[counted]) / 255


def _check(
    prediction: np.ndarray,
    alpha: np.ndarray,
    trimap: np.ndarray,
    variant: str = VARIANTS[0],
) -> None:
    """Refuse whatever the metrics are not defined for."""
    if variant not in VARIANTS:
        raise InputError(
            f"metric variant is {variant!r}; expected one of {', '.join(VARIANTS)}"
        )
    named = {"prediction": prediction, "alpha": alpha, "trimap": trimap}
    for name, array in named.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            got = getattr(array, "dtype", type(array).__name__)
            raise InputError(
                f"{name} is {got}, expected a NumPy uint8 array; convert a float"
                " alpha with to_8bit"
            )
        if array.ndim != 2 or array.size == 0:
            raise InputError(
                f"{name} has shape {array.shape}, expected [H, W] with at least one"
                " pixel; pass a single channel"
            )
    if not prediction.shape == alpha.shape == trimap.shape:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in named.items())
        raise InputError(
            f"shapes differ: {shapes}; expected one size, so crop or pair the files"
            " again"
        )
    labels = (TRIMAP_BACKGROUND, TRIMAP_UNKNOWN, TRIMAP_FOREGROUND)
    histogram = np.bincount(trimap.ravel(), minlength=256)
    others = [int(v) for v in np.flatnonzero(histogram) if v not in labels]
    if others:
        raise InputError(
            f"trimap has {int(histogram[others].sum())} pixels with other values"
            f" (first {others[0]}), expected only 0, 128 and 255; snap it to those"
        )
