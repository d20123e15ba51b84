"""The stream of batches as a tf.data pipeline: the only module with TensorFlow."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Generator

import numpy as np

# TensorFlow logs the whole traceback of an error that `as_numpy` tells in one line;
# it reads this when first imported. Its own errors are still logged.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402

from input_pipeline.protocol.recipe import Recipe  # noqa: E402
from input_pipeline.protocol.sample import SAMPLE_CHANNELS, make_sample  # noqa: E402
from input_pipeline.streams.batches import (  # noqa: E402
    PREFETCHED_BATCHES,
    batches,
    shard_bounds,
)
from input_pipeline.training_data.sources import Source  # noqa: E402
from tmfnet_jax.errors import InputError  # noqa: E402


def dataset(
    source: Source,
    recipe: Recipe,
    *,
    seed: int,
    batch_size: int,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    num_workers: int = 2,
    kind: str = "threads",
) -> tf.data.Dataset:
    """Build an endless dataset of the batches that `batches.batches` gives.

    Equal to the last bit and in the same order whatever the number of workers and
    their kind. Iterate through `as_numpy`, which gives a bad source's message as it
    was raised and stops the workers in the end. TensorFlow is kept off GPUs and
    TPUs in this process: they belong to the training.

    Args:
      source: of foregrounds and backgrounds.
      recipe: how to make a sample.
      seed: of the stream, at least 0.
      batch_size: samples in a step over all shards.
      start_step: first step to give.
      shard: number of this part and of all parts.
      num_workers: that make samples; each iterator has its own.
      kind: of worker: "threads" of TensorFlow, or "processes".
    Returns:
      Dataset of dicts of uint8 tensors as of `sample.make_sample` with a leading
      axis of batch_size / shards.
    Raises:
      InputError: if the options do not fit, or the source cannot be pickled for
        processes.
    """
    for device in ("GPU", "TPU"):
        tf.config.set_visible_devices([], device)
    first, part = shard_bounds(batch_size, shard, start_step=start_step)

    def stream() -> Generator[dict[str, np.ndarray], None, None]:
        return batches(
            source,
            recipe,
            seed=seed,
            batch_size=batch_size,
            start_step=start_step,
            shard=shard,
            num_workers=num_workers,
            kind=kind,
        )

    stream()  # starts nothing; checks the options and the source

    def sample_arrays(position: np.int64) -> list[np.ndarray]:
        step, place = divmod(int(position), part)
        index = step * batch_size + first + place
        sample = make_sample(source, recipe, seed=seed, index=index)
        return [sample[name] for name in SAMPLE_CHANNELS]

    side = recipe.crop_px

    def load(position: tf.Tensor) -> dict[str, tf.Tensor]:
        types = [tf.uint8] * len(SAMPLE_CHANNELS)
        arrays = tf.numpy_function(sample_arrays, [position], types)
        return {
            name: tf.ensure_shape(array, (side, side, channels))
            for array, (name, channels) in zip(
                arrays, SAMPLE_CHANNELS.items(), strict=True
            )
        }

    options = tf.data.Options()
    options.deterministic = True
    if kind == "processes":
        signature = {
            name: tf.TensorSpec((part, side, side, channels), tf.uint8)
            for name, channels in SAMPLE_CHANNELS.items()
        }
        made = tf.data.Dataset.from_generator(stream, output_signature=signature)
    else:
        options.threading.private_threadpool_size = num_workers
        positions = tf.data.Dataset.range(start_step * part, tf.int64.max)
        made = positions.map(
            load, num_parallel_calls=num_workers, deterministic=True
        ).batch(part, drop_remainder=True)
    return made.prefetch(PREFETCHED_BATCHES).with_options(options)


def as_numpy(batches: tf.data.Dataset) -> Generator[dict[str, np.ndarray], None, None]:
    """Iterate over a dataset as NumPy arrays; its workers end with the generator.

    Args:
      batches: a dataset built by `dataset`, possibly transformed further.
    Returns:
      Generator of its elements.
    Raises:
      InputError: where a worker raised one: TensorFlow passes it on as text
        between its own lines, and this takes it out again.
    """
    iterators = [batches.as_numpy_iterator()]  # the only reference to it
    arrays = _arrays(iterators)
    # Before Python ends, too: TensorFlow's threads must not call it then.
    weakref.finalize(arrays, iterators.clear)
    return arrays


def _arrays(iterators: list) -> Generator[dict[str, np.ndarray], None, None]:
    """Yield the elements of the one iterator."""
    try:
        while True:
            batch = _next(iterators[0])
            if batch is None:
                return
            yield batch  # nothing but a `finally` around it: Python may be half gone
    finally:
        iterators.clear()


def _next(iterator) -> dict[str, np.ndarray] | None:
    """Return the next element, None after the last; raise an InputError as it was."""
    try:
        return next(iterator, None)
    except tf.errors.OpError as error:
        message = re.search(rf"\b{InputError.__name__}: (.*)", error.message or "")
        if message is None:
            raise
        raise InputError(message[1]) from None
