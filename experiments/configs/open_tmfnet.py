"""The full network on the open subjects: a recipe for a GPU, not yet run.

    python -m experiments.open_data --folder=data/open
    python -m experiments.rendering --folder=data/subjects
    python -m experiments.train --config=experiments/configs/open_tmfnet.py \
        --workdir=runs/open_tmfnet
"""

from __future__ import annotations

from ml_collections import ConfigDict

from experiments.configs.common import finish
from experiments.configs.open_training import STAGES, stage_config

CROP_PX, BATCH = 384, 32


def get_config(argument: str = "") -> ConfigDict:
    """Return a run of 100,000 steps of 32 crops of 384 x 384 in bfloat16."""
    config = stage_config(STAGES["large"]._replace(crop=CROP_PX, batch=BATCH))
    config.network.width = 1.0
    config.network.dtype = "bfloat16"
    config.optimizer.learning_rate = 0.005
    config.optimizer.steps = 100_000
    config.optimizer.warmup_steps = 2_000
    config.data.kind = "folders"
    config.data.foregrounds = "data/subjects/train"
    config.data.backgrounds = "data/open/backgrounds/train"
    config.data.loader = "processes"
    config.data.workers = 16
    return finish(config, argument)
