"""The weights of `lite` that come with the package, trained on free data alone.

    python -m experiments.open_weights --folder=runs/open_lite

collects the data and runs the stages one after the other, each from the weights of the
one before: many small crops first, because in the beginning steps count most, then
larger ones with the wide unknown bands of trimaps drawn on photos.
"""

from __future__ import annotations

from typing import NamedTuple

from ml_collections import ConfigDict

from experiments.configs.common import (
    base_config,
    finish,
    scale_recipe,
    split_argument,
)
from tmfnet_jax.errors import InputError


class Stage(NamedTuple):
    """What the stages differ in; lengths in pixels."""

    crop: int
    batch: int
    steps: int
    learning_rate: float
    foreground: int  # side of a generated one
    pool: int  # foregrounds
    kernel: int  # of the trimap, at most
    drawn_reach: int
    defocus: float
    matched_colours: float
    min_known: float  # what a crop shows of both sides: without them it has no answer


STAGES = {
    "small": Stage(64, 16, 3_000, 0.006, 176, 3_000, 25, 8, 0.3, 0.0, 0.0),
    "large": Stage(96, 10, 4_500, 0.004, 240, 1_500, 31, 16, 0.4, 0.1, 0.03),
    "wide": Stage(128, 8, 9_000, 0.004, 320, 4_000, 41, 24, 0.4, 0.1, 0.03),
}


def get_config(argument: str = "small") -> ConfigDict:
    """Return a stage by name, or `NAME,smoke`."""
    stage, size = split_argument(argument, default="small", what="STAGE")
    if stage not in STAGES:
        raise InputError(f"stage {stage!r}; expected one of {', '.join(STAGES)}")
    its = STAGES[stage]
    config = base_config()
    config.batch_size = its.batch
    config.network.width = 0.25
    config.optimizer.learning_rate = its.learning_rate
    config.optimizer.steps = its.steps
    config.optimizer.warmup_steps = 100
    config.optimizer.warmup_ratio = 0.01
    config.optimizer.average_decay = 0.998

    config.data.kind = "synthetic"
    config.data.backgrounds = "data/open/photos"
    config.data.size_px = its.foreground
    config.data.pool = its.pool
    config.data.loader = "threads"
    config.data.workers = 1

    scale_recipe(config, its.crop)
    config.recipe.second_foreground_probability = 0.2
    config.recipe.trimap_max_kernel_px = its.kernel
    config.recipe.min_known = its.min_known
    config.recipe.capture.defocus = its.defocus
    config.recipe.capture.matched_colours = its.matched_colours
    config.recipe.capture.spill = 0.3
    config.recipe.capture.exposure = 0.3
    config.recipe.capture.noise = 0.5
    config.recipe.capture.jpeg = 0.3
    config.recipe.capture.drawn_trimap = 0.4
    config.recipe.capture.drawn_reach_px = its.drawn_reach

    config.log_every = 50
    config.checkpoint_every = 500
    config.validation.every = 1_500
    config.license = "Apache-2.0"
    config.data_license = "free; each file's is in the list that comes with the data"
    return finish(config, size)
