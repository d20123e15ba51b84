"""One training sample as a pure function of (seed, index)."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from input_pipeline.protocol.capture import Capture, captured
from input_pipeline.protocol.composition import Sample
from input_pipeline.protocol.draws import Draws, draw
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.window_sample import assemble_window
from input_pipeline.training_data.sources import Source
from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND

SAMPLE_CHANNELS = {
    "image": 3,
    "trimap": 1,
    "alpha": 1,
    "foreground": 3,
    "background": 3,
}
ATTEMPTS = 20  # foregrounds tried for one that leaves an unknown region

Assemble = Callable[[Source, Recipe, int, Draws], Sample | None]


def make_sample(
    source: Source,
    recipe: Recipe,
    *,
    seed: int,
    index: int,
    assemble: Assemble = assemble_window,
) -> Sample:
    """Make training sample `index` of the stream `seed`.

    A source with n foregrounds gives each of them once in every n samples, in an
    order drawn anew for each epoch; one without an end gives foreground `index`.
    Backgrounds and second foregrounds are drawn at random. Should the trimap come
    out all known (an alpha without an edge, or with a hard one under the
    smallest kernels), all is drawn again with the next sample's foreground; likewise
    if less is known than `recipe.min_known`, unless no attempt does better.

    Args:
      source: of foregrounds and backgrounds.
      recipe: how to make the sample.
      seed: of the stream, at least 0.
      index: of the sample in the stream, at least 0.
      assemble: how to make it once all is drawn: `assemble_window`, or its plain
        reference `assemble_whole`.
    Returns:
      uint8 arrays: `image`, `foreground`, `background` [crop_px, crop_px, 3] RGB,
      image being the composite of the two others but for `recipe.capture`; `trimap`
      (0, 128, 255, at least one 128) and `alpha` (255 for opaque) [crop_px, crop_px,
      1]. Where the trimap is 0, `foreground` may be black instead of what the
      foreground holds there: no loss and no image shows it.
    Raises:
      InputError: if the source cannot be read or gives no unknown region.
    """
    last = None
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng(np.random.SeedSequence([seed, index, attempt]))
        draws = draw(
            recipe,
            rng,
            num_foregrounds=source.num_foregrounds,
            num_backgrounds=source.num_backgrounds,
        )
        chosen = _walk(source.num_foregrounds, seed=seed, index=index + attempt)
        sample = assemble(source, recipe, chosen, draws)
        if sample is None:
            continue
        if recipe.capture != Capture():
            sample = captured(sample, recipe.capture, rng.spawn(1)[0])
        if _knows(sample["trimap"], recipe.min_known):
            return sample
        last = sample
    if last is not None:
        return last
    raise InputError(
        f"{ATTEMPTS} foregrounds running, the last one number {chosen}, left no "
        "unknown region; their alphas must have edges between 0 and 255"
    )


def _knows(trimap: np.ndarray, share: float) -> bool:
    """Tell whether both known regions take at least this share of a trimap."""
    least = share * trimap.size
    known = (TRIMAP_BACKGROUND, TRIMAP_FOREGROUND)
    return not share or all(np.count_nonzero(trimap == k) >= least for k in known)


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
