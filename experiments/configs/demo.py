"""The demo's training: `synthetic.py` cut to a few minutes on two CPU cores."""

from __future__ import annotations

from ml_collections import ConfigDict

from experiments.configs import synthetic
from experiments.configs.common import finish


def get_config(argument: str = "") -> ConfigDict:
    """Return a run of a few hundred steps."""
    config = synthetic.get_config()
    with config.unlocked():
        config.optimizer.steps = 400
        config.optimizer.warmup_steps = 40
        config.log_every = 20
        config.checkpoint_every = 200
        return finish(config, argument)
