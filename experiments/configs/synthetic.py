"""`lite` on the embedded procedural data: needs no download and no GPU.

    python -m experiments.train --config=experiments/configs/synthetic.py \
        --workdir=runs/lite

The demo trains the same with fewer steps (experiments/configs/demo.py).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from experiments.configs.common import base_config, finish, scale_recipe


def get_config(argument: str = "") -> ConfigDict:
    """Return a run of 20,000 steps of 8 crops of 128 x 128."""
    config = base_config()
    config.batch_size = 8
    config.network.width = 0.25
    config.optimizer.learning_rate = 0.002  # Adam at batch 8; 0.01 is for 32 crops
    config.optimizer.steps = 20_000
    config.optimizer.warmup_steps = 200
    config.optimizer.warmup_ratio = 0.01
    config.data.kind = "synthetic"
    config.data.size_px = 224
    config.recipe.second_foreground_probability = 0.2  # each costs a generated one
    scale_recipe(config, 128)
    # Bands as wide as a person draws them, not as the crop's share of 29 pixels.
    config.recipe.trimap_max_kernel_px = 21
    config.log_every = 50
    config.checkpoint_every = 1_000
    config.validation.every = 1_000
    return finish(config, argument)
