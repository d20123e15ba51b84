"""Images of benchmarks: the original values or an error, nothing is mended."""

from __future__ import annotations

import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import TRIMAP_VALUES, one_channel


def original_values(image: np.ndarray, *, name: str) -> np.ndarray:
    """Return an image of 8 bits as it is; InputError where it has another depth."""
    if image.dtype != np.uint8:
        raise InputError(
            f"{name}: holds {image.dtype} values; expected the original file, which "
            "has 8 bits a channel"
        )
    return image


def exact_trimap(mask: np.ndarray, *, name: str) -> np.ndarray:
    """Check the trimap of a benchmark, where other values would move its scores.

    Args:
      mask: [H, W] grey or [H, W, 3] with equal channels, as `read_mask` returns it.
      name: of the file, for errors.
    Returns:
      uint8 [H, W] with values 0, 128, 255; any of them may be absent.
    Raises:
      InputError: other values, colours, or another depth than 8 bits.
    """
    try:
        labels = one_channel(original_values(mask, name=name))
    except InputError as error:
        text = str(error)
        raise InputError(text if name in text else f"{name}: {text}") from None
    counts = np.bincount(labels.ravel(), minlength=256)
    counts[list(TRIMAP_VALUES)] = 0
    if counts.any():
        raise InputError(
            f"{name}: trimap has grey values other than 0, 128 and 255 at "
            f"{counts.sum()} of {labels.size} pixels, most of them {counts.argmax()}; "
            "put the original file there"
        )
    return labels
