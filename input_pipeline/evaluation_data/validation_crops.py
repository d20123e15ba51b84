"""A fixed batch of crops of an evaluation set, to validate with during training."""

from __future__ import annotations

import numpy as np

from input_pipeline.evaluation_data.evaluation import EvaluationSet, Example
from input_pipeline.protocol.crop_search import crop_around
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import STRIDE
from tmfnet_jax.trimap import TRIMAP_UNKNOWN


def validation_crops(
    examples: EvaluationSet, *, count: int, crop_px: int
) -> dict[str, np.ndarray]:
    """Cut a square crop out of images spread evenly over a set.

    A crop is centred on an unknown pixel, that in the middle of the list of them by
    rows, moved inside the image. All have one size: crop_px, or less where an image is
    smaller.

    Args:
      examples: a set with true alphas.
      count: of images; all if the set has fewer.
      crop_px: side of a crop, at most.
    Returns:
      uint8 image [N, S, S, 3], trimap and alpha [N, S, S, 1]; S divisible by 16.
    Raises:
      InputError: for a set without alphas, images that are too small, or unreadable
        ones.
    """
    if not examples.has_alpha:
        raise InputError(f"set {examples.name} has no public alpha to validate with")
    if count < 1:
        raise InputError(f"validation.images is {count}; give at least 1")
    places = np.linspace(0, len(examples.names) - 1, min(count, len(examples.names)))
    loaded = [examples.load(examples.names[round(place)]) for place in places]
    shortest = min((min(example.trimap.shape) for example in loaded), default=0)
    side = min(crop_px, shortest) // STRIDE * STRIDE
    if not side:
        raise InputError(
            f"set {examples.name} has nothing to validate with: its smallest image of "
            f"{len(loaded)} is {shortest} px on the short side, expected {STRIDE}"
        )
    crops = [_crop(example, side) for example in loaded]
    return {name: np.stack([crop[name] for crop in crops]) for name in crops[0]}


def _crop(example: Example, side: int) -> dict[str, np.ndarray]:
    height, width = example.trimap.shape
    rows, columns = np.nonzero(example.trimap == TRIMAP_UNKNOWN)
    middle = len(rows) // 2
    centre = (rows[middle], columns[middle]) if len(rows) else (height // 2, width // 2)
    window = crop_around(*map(int, centre), height=height, width=width, side=side)
    assert example.alpha is not None  # the set has alphas
    return {
        "image": example.image[window.slices],
        "trimap": example.trimap[window.slices][..., None],
        "alpha": example.alpha[window.slices][..., None],
    }
