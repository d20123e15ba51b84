"""Streams of batches of training samples, without TensorFlow."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from input_pipeline.recipe import Recipe
from input_pipeline.sample import SAMPLE_CHANNELS, make_sample
from input_pipeline.sources import Source
from tmfnet_jax.errors import InputError

PREFETCHED_BATCHES = 2


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
