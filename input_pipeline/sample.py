"""One training sample as a pure function of (seed, index)."""

from __future__ import annotations

import functools

import numpy as np

from input_pipeline.augment import (
    crop_corner,
    enlarged_size,
    jitter_hsv,
    random_affine,
    resize_randomly,
)
from input_pipeline.composition import composite, merge_foregrounds
from input_pipeline.recipe import Recipe
from input_pipeline.sources import Source
from input_pipeline.trimap_synthesis import synthesize_trimap
from tmfnet_jax.errors import InputError

SAMPLE_CHANNELS = {
    "image": 3,
    "trimap": 1,
    "alpha": 1,
    "foreground": 3,
    "background": 3,
}
ATTEMPTS = 20  # foregrounds tried for one that leaves an unknown region
UNBOUNDED_DRAWS = 2**31  # random indices into a source without an end


def make_sample(
    source: Source, recipe: Recipe, *, seed: int, index: int
) -> dict[str, np.ndarray]:
    """Make training sample `index` of the stream `seed`.

    A source with n foregrounds gives each of them once in every n samples, in an
    order drawn anew for each epoch; one without an end gives foreground `index`.
    Backgrounds and second foregrounds are drawn at random. Should the trimap come
    out all known (an alpha without an edge, or with a hard one under the
    smallest kernels), all is drawn again with the next sample's foreground.

    Args:
      source: of foregrounds and backgrounds.
      recipe: how to make the sample.
      seed: of the stream, at least 0.
      index: of the sample in the stream, at least 0.
    Returns:
      uint8 arrays: `image`, `foreground`, `background` [crop_px, crop_px, 3] RGB,
      image being the composite of the two others; `trimap` (0, 128, 255, at least
      one 128) and `alpha` (255 for opaque) [crop_px, crop_px, 1].
    Raises:
      InputError: if the source cannot be read or gives no unknown region.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    for attempt in range(ATTEMPTS):
        chosen = _walk(source.num_foregrounds, seed=seed, index=index + attempt)
        sample = _try_sample(source, recipe, chosen, rng)
        if sample is not None:
            return sample
    raise InputError(
        f"{ATTEMPTS} foregrounds running, the last one number {chosen}, left no "
        "unknown region; their alphas must have edges between 0 and 255"
    )


def _try_sample(
    source: Source, recipe: Recipe, chosen: int, rng: np.random.Generator
) -> dict[str, np.ndarray] | None:
    """Make a sample of the chosen foreground; None if its trimap is all known."""
    foreground, alpha = source.foreground(chosen)
    if rng.random() < recipe.second_foreground_probability:
        under = source.foreground(_draw(source.num_foregrounds, rng))
        foreground, alpha = merge_foregrounds(foreground, alpha, *under, rng)
    if recipe.jitter:
        foreground = jitter_hsv(foreground, alpha, rng)
    if recipe.affine:
        foreground, alpha = random_affine(
            foreground,
            alpha,
            rng,
            rotation_degrees=recipe.rotation_degrees,
            rotation_min_side_px=recipe.rotation_min_side_px,
            scale_range=recipe.scale_range,
            shear_degrees=recipe.shear_degrees,
            flip_probability=recipe.flip_probability,
        )
    # Enlarged before the trimap is made, so that known pixels have alpha 0 or 255.
    height, width = enlarged_size(*alpha.shape, crop_px=recipe.crop_px)
    foreground, alpha = (
        resize_randomly(image, rng, height=height, width=width)
        for image in (foreground, alpha)
    )
    trimap = synthesize_trimap(alpha, rng, max_kernel_px=recipe.trimap_max_kernel_px)
    corner = crop_corner(trimap, rng, crop_px=recipe.crop_px)
    if corner is None:
        return None
    background = source.background(_draw(source.num_backgrounds, rng))
    # One resize straight to the final size: nothing before it looks at it.
    background = resize_randomly(background, rng, height=height, width=width)
    window = tuple(slice(start, start + recipe.crop_px) for start in corner)
    sample = {
        "trimap": trimap[window][..., np.newaxis],
        "alpha": alpha[window][..., np.newaxis],
        "foreground": foreground[window],
        "background": background[window],
    }
    sample["image"] = composite(
        sample["foreground"], sample["background"], sample["alpha"]
    )
    # Copies, lest a crop keep its whole image in memory.
    return {name: np.array(sample[name], order="C") for name in SAMPLE_CHANNELS}


def _walk(length: int | None, *, seed: int, index: int) -> int:
    """Foreground of a sample: every one once an epoch, shuffled."""
    if length is None:
        return index
    epoch, position = divmod(index, length)
    return int(_permutation(length, seed, epoch)[position])


@functools.lru_cache(maxsize=4)
def _permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    """Order of one epoch, from a stream apart from those of the samples."""
    entropy = np.random.SeedSequence([seed, epoch], spawn_key=(1,))
    return np.random.default_rng(entropy).permutation(length)


def _draw(length: int | None, rng: np.random.Generator) -> int:
    """Draw an index uniformly."""
    return int(rng.integers(UNBOUNDED_DRAWS if length is None else length))
