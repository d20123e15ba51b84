"""The full network on the free data of `open_lite`: a recipe for a GPU, not yet run.

    python -m experiments.open_data --folder=data/open
    python -m experiments.train --config=experiments/configs/open_tmfnet.py \
        --workdir=runs/open_tmfnet
"""

from __future__ import annotations

from ml_collections import ConfigDict

from experiments.configs import open_lite
from experiments.configs.common import finish, scale_recipe


def get_config(argument: str = "") -> ConfigDict:
    """Return a run of 100,000 steps of 32 crops of 384 x 384 in bfloat16."""
    config = open_lite.get_config("large")
    with config.unlocked():
        config.network.width = 1.0
        config.network.dtype = "bfloat16"
        config.batch_size = 32
        config.optimizer.learning_rate = 0.005
        config.optimizer.steps = 100_000
        config.optimizer.warmup_steps = 2_000
        config.optimizer.average_decay = 0.9995
        config.data.size_px = 640
        config.data.pool = 0
        config.data.loader = "processes"
        config.data.workers = 16
        scale_recipe(config, 384)
        config.recipe.trimap_max_kernel_px = 61
        config.recipe.capture.drawn_reach_px = 60
        return finish(config, argument)
