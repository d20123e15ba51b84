"""One long training of `lite` on free data, in stages of growing crops.

    python -m experiments.open_training --folder=runs/open

runs the stages one after the other as one training: step, learning rate, optimiser
and running average go on from each to the next. Many small crops first, because in the
beginning steps count most; then larger ones, in which the network sees what it will be
asked for: whole subjects with wide unknown bands.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

from ml_collections import ConfigDict

from experiments.configs.common import (
    base_config,
    finish,
    scale_recipe,
    split_argument,
)
from tmfnet_jax.errors import InputError

STEPS = 150_000  # of all stages: one cosine over everything
LEARNING_RATE = 0.004  # its peak
WARMUP_STEPS = 500
AVERAGE_DECAY = 0.9995


class Stage(NamedTuple):
    """What the stages differ in; lengths in pixels.

    Attributes:
      crop: side.
      batch: crops a step.
      share: of all steps.
      measure_every: steps from one measurement to the next: about two hours.
      sides: sizes that each rendered subject is shown at, its longer side.
      generated_share: of the samples, with a subject of the procedural source.
      generated_side: of such a subject, and of its background.
      generated: how many of them there are.
    """

    crop: int
    batch: int
    share: float
    measure_every: int
    sides: tuple[int, ...]
    generated_share: float
    generated_side: int
    generated: int


STAGES = {
    "small": Stage(128, 8, 0.60, 12_500, (768, 512, 384, 256), 0.3, 320, 3_000),
    "middle": Stage(192, 4, 0.25, 12_500, (768, 640, 512, 384), 0.25, 480, 1_500),
    "large": Stage(320, 2, 0.15, 7_500, (768, 640, 512), 0.2, 640, 1_000),
}

# Lengths of the recipe at a crop of 128, from which the others' are scaled.
_CROP = 128
_TRIMAP_KERNEL = 41
_DRAWN_REACH = 24


def get_config(argument: str = "small") -> ConfigDict:
    """Return a stage by name, or `NAME,smoke`; its data and start are not set."""
    stage, size = split_argument(argument, default="small", what="STAGE")
    if stage not in STAGES:
        raise InputError(f"stage {stage!r}; expected one of {', '.join(STAGES)}")
    config = stage_config(STAGES[stage])
    config.seed = [*STAGES].index(stage)  # each stage draws other samples
    if not size:
        config.until = ends(STAGES, STEPS)[stage]
    return finish(config, size)


def stage_config(stage: Stage) -> ConfigDict:
    """Return the config of a stage, not locked; stage data and start are not set."""
    config = base_config()
    config.batch_size = stage.batch
    config.network.width = 0.25
    config.network.confidence = True
    config.optimizer.learning_rate = LEARNING_RATE
    config.optimizer.steps = STEPS
    config.optimizer.warmup_steps = WARMUP_STEPS
    config.optimizer.warmup_ratio = 0.01
    config.optimizer.average_decay = AVERAGE_DECAY

    config.data.kind = "prepared"
    config.data.shares = f"{1 - stage.generated_share:g},{stage.generated_share:g}"
    config.data.loader = "threads"
    config.data.workers = 1

    scale_recipe(config, stage.crop)
    scale = stage.crop / _CROP
    config.recipe.rotation_min_side_px = min(stage.sides)
    config.recipe.second_foreground_probability = 0.2
    config.recipe.trimap_max_kernel_px = round(_TRIMAP_KERNEL * scale)
    config.recipe.min_known = 0.03
    config.recipe.capture.defocus = 0.4
    config.recipe.capture.matched_colours = 0.1
    config.recipe.capture.spill = 0.3
    config.recipe.capture.exposure = 0.3
    config.recipe.capture.noise = 0.5
    config.recipe.capture.jpeg = 0.3
    config.recipe.capture.drawn_trimap = 0.4
    config.recipe.capture.drawn_reach_px = round(_DRAWN_REACH * scale)

    config.log_every = 100
    config.checkpoint_every = 1_000
    config.validation.every = 0  # the weights are measured on whole images instead
    config.license = "Apache-2.0"
    config.data_license = "free; each file's is in the list that comes with the data"
    return config


def ends(stages: Mapping[str, Stage], steps: int) -> dict[str, int]:
    """Return the last step of each stage, the last one's being `steps`.

    Args:
      stages: by name, whose shares are parts of their sum.
      steps: of all of them.
    """
    whole = sum(stage.share for stage in stages.values())
    shares = itertools.accumulate(stage.share / whole for stage in stages.values())
    return {
        name: round(share * steps) for name, share in zip(stages, shares, strict=True)
    }
