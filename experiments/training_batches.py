"""The configured stream of training batches."""

from __future__ import annotations

from collections.abc import Generator

import jax
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.protocol.recipe import Recipe
from input_pipeline.streams.batches import KINDS, batches
from input_pipeline.training_data.sources import Source
from tmfnet_jax.errors import InputError


def make_batches(
    config: ConfigDict, source: Source, recipe: Recipe, first_step: int
) -> Generator[dict[str, np.ndarray], None, None]:
    """Stream this process's share of the batches from a step on."""
    options = {
        "seed": config.seed,
        "batch_size": config.batch_size,
        "start_step": first_step,
        "shard": (jax.process_index(), jax.process_count()),
        "num_workers": config.data.workers,
    }
    loader = config.data.loader
    if loader in KINDS:
        return batches(source, recipe, kind=loader, **options)
    if loader != "tf":
        raise InputError(
            f"config.data.loader is {loader!r}; expected 'tf', "
            + " or ".join(map(repr, KINDS))
        )
    try:
        from input_pipeline import pipeline
    except ImportError:
        raise InputError(
            "TensorFlow is not installed; install tmfnet-jax[train] or set "
            "--config.data.loader=processes"
        ) from None
    stream = pipeline.dataset(source, recipe, kind="processes", **options)
    return pipeline.as_numpy(stream)
