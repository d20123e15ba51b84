"""One training sample as a pure function of (seed, index), and streams of batches."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import numpy as np

from input_pipeline.augment import (
    crop_corner,
    enlarged_size,
    jitter_hsv,
    random_affine,
    resize_randomly,
)
from input_pipeline.composition import composite, merge_foregrounds
from input_pipeline.sources import Source
from input_pipeline.trimap_synthesis import PAPER_MAX_KERNEL_PX, synthesize_trimap
from tmfnet_jax.errors import InputError

SAMPLE_CHANNELS = {
    "image": 3,
    "trimap": 1,
    "alpha": 1,
    "foreground": 3,
    "background": 3,
}
PAPER_CROP_PX = 512
PAPER_ROTATION_MIN_SIDE_PX = 1024
ATTEMPTS = 20  # foregrounds tried for one that leaves an unknown region
PREFETCHED_BATCHES = 2
UNBOUNDED_DRAWS = 2**31  # random indices into a source without an end


@dataclass(frozen=True)
class Recipe:
    """How a sample is made; the defaults are the paper's.

    Raises:
      InputError: naming the field that is out of range.
    """

    crop_px: int = PAPER_CROP_PX  # side of the square sample
    second_foreground_probability: float = 0.5  # of merging two foregrounds
    jitter: bool = True  # of hue, saturation and value
    affine: bool = True  # rotation, scale, shear and flips together
    rotation_degrees: float = 30.0  # largest, to either side
    rotation_min_side_px: int = PAPER_ROTATION_MIN_SIDE_PX  # longer side to rotate at
    scale_range: tuple[float, float] = (0.8, 1.25)  # factor, drawn for each axis
    shear_degrees: float = 10.0  # largest, to either side
    flip_probability: float = 0.5  # of each of left-right and top-bottom
    trimap_max_kernel_px: int = PAPER_MAX_KERNEL_PX  # largest erosion and dilation

    def __post_init__(self):
        low, high = self.scale_range
        expected = {
            "crop_px": (self.crop_px >= 1, "at least 1"),
            "trimap_max_kernel_px": (self.trimap_max_kernel_px >= 1, "at least 1"),
            "second_foreground_probability": (
                0 <= self.second_foreground_probability <= 1,
                "from 0 to 1",
            ),
            "flip_probability": (0 <= self.flip_probability <= 1, "from 0 to 1"),
            "scale_range": (0 < low <= high, "lowest and highest, above 0"),
            "rotation_degrees": (0 <= self.rotation_degrees <= 180, "from 0 to 180"),
            "shear_degrees": (0 <= self.shear_degrees < 90, "from 0 to below 90"),
        }
        for name, (right, range_text) in expected.items():
            if not right:
                value = getattr(self, name)
                raise InputError(f"recipe.{name} is {value}; give {range_text}")

    @classmethod
    def for_crop(cls, crop_px: int, **changes) -> Recipe:
        """Scale the paper's recipe to a smaller crop of smaller images.

        Args:
          crop_px: side of the sample.
          **changes: fields to set otherwise.
        Returns:
          A recipe whose lengths in pixels keep their proportion to the crop.
        """
        scale = crop_px / PAPER_CROP_PX
        lengths = {
            "rotation_min_side_px": round(PAPER_ROTATION_MIN_SIDE_PX * scale),
            "trimap_max_kernel_px": max(3, round(PAPER_MAX_KERNEL_PX * scale)),
        }
        return cls(crop_px=crop_px, **lengths | changes)


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


def batches(
    source: Source,
    recipe: Recipe,
    *,
    seed: int,
    batch_size: int,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    num_threads: int = 2,
) -> Generator[dict[str, np.ndarray], None, None]:
    """Stream batches without end, made by threads ahead of their use.

    Step s of the stream holds the samples [s * batch_size, (s + 1) * batch_size)
    whatever the number of threads; shard (k, n) yields the k-th of n equal parts
    of each step, in order. Close the generator to stop its threads.

    Args:
      source: of foregrounds and backgrounds.
      recipe: how to make a sample.
      seed: of the stream, at least 0.
      batch_size: samples in a step over all shards.
      start_step: first step to give; a run resumes with the steps it has done.
      shard: number of this part and of all parts.
      num_threads: that make samples.
    Returns:
      Generator of dicts as of `make_sample` with a leading axis of
      batch_size / shards.
    Raises:
      InputError: at once for options that do not fit, later for a bad source.
    """
    if num_threads < 1:
        raise InputError(f"num_threads is {num_threads}; give at least 1")
    first, part = shard_bounds(batch_size, shard, start_step=start_step)

    def stream() -> Generator[dict[str, np.ndarray], None, None]:
        make = functools.partial(make_sample, source, recipe, seed=seed)
        pool = ThreadPoolExecutor(num_threads, thread_name_prefix="make_sample")
        try:
            pending: deque = deque()
            for step in count(start_step):
                start = step * batch_size + first
                pending.append(
                    [pool.submit(make, index=start + i) for i in range(part)]
                )
                if len(pending) > PREFETCHED_BATCHES:
                    samples = [future.result() for future in pending.popleft()]
                    yield {
                        name: np.stack([sample[name] for sample in samples])
                        for name in SAMPLE_CHANNELS
                    }
        finally:
            pool.shutdown(cancel_futures=True)

    return stream()


def shard_bounds(
    batch_size: int, shard: tuple[int, int], *, start_step: int = 0
) -> tuple[int, int]:
    """Locate a shard's part of a batch and check the options of a stream.

    Args:
      batch_size: samples in a step over all shards.
      shard: number of the part and of all parts.
      start_step: first step of the stream.
    Returns:
      First sample of the part within the batch, and the part's length.
    Raises:
      InputError: if there is no such part or the batch cannot be cut evenly.
    """
    number, shards = shard
    if not 0 <= number < shards:
        raise InputError(
            f"shard is ({number}, {shards}); give (k, n) with k from 0 to n - 1"
        )
    if batch_size < 1 or batch_size % shards:
        raise InputError(
            f"batch_size is {batch_size}; give a multiple of the {shards} shards"
        )
    if start_step < 0:
        raise InputError(f"start_step is {start_step}; give at least 0")
    part = batch_size // shards
    return number * part, part


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
