"""Streams of batches of training samples, without TensorFlow."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import SAMPLE_CHANNELS, make_sample
from input_pipeline.streams.sample_worker import Setup
from input_pipeline.streams.workers import process_batches
from input_pipeline.training_data.sources import Source
from tmfnet_jax.errors import InputError

PREFETCHED_BATCHES = 2
PREFETCHED_SAMPLES = 2  # per worker: enough for all of them whatever the batch size
KINDS = ("threads", "processes")


def batches(
    source: Source,
    recipe: Recipe,
    *,
    seed: int,
    batch_size: int,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    num_workers: int = 2,
    kind: str = "threads",
) -> Generator[dict[str, np.ndarray], None, None]:
    """Stream batches without end, made by workers ahead of their use.

    Step s of the stream holds the samples [s * batch_size, (s + 1) * batch_size),
    equal to the last bit whatever the kind and the number of workers; shard (k, n)
    yields the k-th of n equal parts of each step, in order. Nothing is started
    before the first batch is asked for. Close the generator to stop its workers.

    Processes keep any number of cores busy; threads wait for each other where the
    making of a sample holds Python's lock. Processes need a source that can be
    pickled, of a class in a module that can be imported.

    Args:
      source: of foregrounds and backgrounds.
      recipe: how to make a sample.
      seed: of the stream, at least 0.
      batch_size: samples in a step over all shards.
      start_step: first step to give; a run resumes with the steps it has done.
      shard: number of this part and of all parts.
      num_workers: that make samples.
      kind: of worker, "threads" or "processes".
    Returns:
      Generator of dicts as of `make_sample` with a leading axis of
      batch_size / shards; the arrays are the receiver's own.
    Raises:
      InputError: at once for options that do not fit or a source that cannot be
        pickled; later for a bad source, or for a process that died.
      RuntimeError: for another exception in a process; threads pass it on as it is.
    """
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; expected {' or '.join(map(repr, KINDS))}")
    if num_workers < 1:
        raise InputError(f"num_workers is {num_workers}; give at least 1")
    first, part = shard_bounds(batch_size, shard, start_step=start_step)
    make = functools.partial(make_sample, source, recipe, seed=seed)
    starts = (step * batch_size + first for step in count(start_step))
    steps = (range(start, start + part) for start in starts)
    ahead = max(PREFETCHED_BATCHES, -(-PREFETCHED_SAMPLES * num_workers // part))
    if kind == "threads":
        return thread_batches(make, steps, ahead=ahead, num_workers=num_workers)
    side = recipe.crop_px
    shapes = {name: (side, side, n) for name, n in SAMPLE_CHANNELS.items()}
    setup = Setup(make, shapes, rows=ahead * part)
    return process_batches(setup, steps, num_workers=num_workers)


def thread_batches(
    make: Callable[..., dict[str, np.ndarray]],
    steps: Iterable[range],
    *,
    ahead: int,
    num_workers: int,
) -> Generator[dict[str, np.ndarray], None, None]:
    """Stream batches made by threads, in order.

    Args:
      make: called as make(index=...), gives a sample.
      steps: indices of the samples of each batch, without end.
      ahead: batches made before they are asked for.
      num_workers: threads.
    Returns:
      Generator of dicts of arrays [samples of a batch, *shape].
    """
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="make_sample")
    try:
        pending: deque = deque()
        for indices in steps:
            pending.append([pool.submit(make, index=index) for index in indices])
            if len(pending) > ahead:
                samples = [future.result() for future in pending.popleft()]
                yield {
                    name: np.stack([sample[name] for sample in samples])
                    for name in samples[0]
                }
    finally:
        pool.shutdown(cancel_futures=True)


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
