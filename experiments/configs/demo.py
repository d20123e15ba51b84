"""The demo's training: `synthetic.py` cut to a few minutes on two CPU cores.

Small crops from a pool of foregrounds: in so short a run the number of steps counts
more than the size of the crop and the variety of the data.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from experiments.configs import synthetic
from experiments.configs.common import finish, scale_recipe


def get_config(argument: str = "") -> ConfigDict:
    """Return a run of 1,100 steps of 8 crops of 64 x 64."""
    config = synthetic.get_config()
    with config.unlocked():
        scale_recipe(config, 64)
        config.recipe.trimap_max_kernel_px = 21
        config.optimizer.learning_rate = 0.008
        config.optimizer.steps = 1_100
        config.optimizer.warmup_steps = 50
        config.data.size_px = 144
        config.data.pool = 300
        config.data.loader = "threads"
        config.data.workers = 1
        config.log_every = 25
        config.checkpoint_every = 500
        config.validation.every = 0  # the demo measures at its end
        config.share_of_peak = False
        return finish(config, argument)
