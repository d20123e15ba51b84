"""Fine-tuning of weights on a folder of foregrounds and alphas of one's own.

    python -m experiments.train --config=experiments/configs/finetune.py:lite \
        --workdir=runs/mine --config.init=WEIGHTS --config.data.foregrounds=DIR \
        --config.data.alphas=DIR --config.data.backgrounds=PHOTOS

The argument names the network of the weights (`tmfnet info` lists them; tmfnet unless
given). Small steps, smaller ones in the encoder, and a running average of the weights;
`--config.optimizer.freeze=encoder` keeps the encoder as it is. Not measured.
"""

from __future__ import annotations

import dataclasses

from ml_collections import ConfigDict

from experiments.configs.common import base_config, finish, split_argument
from tmfnet_jax.errors import InputError
from tmfnet_jax.variants import VARIANTS


def get_config(argument: str = "") -> ConfigDict:
    """Return a run of 2,000 steps of 8 crops: "", NETWORK or NETWORK,smoke."""
    name, smoke = split_argument(argument, default="tmfnet", what="NETWORK")
    if name not in VARIANTS:
        raise InputError(
            f"unknown network {name!r}; expected one of {', '.join(VARIANTS)}"
        )
    config = base_config()
    config.network.update(dataclasses.asdict(VARIANTS[name].config))
    config.batch_size = 8
    config.optimizer.learning_rate = 0.0005
    config.optimizer.steps = 2_000
    config.optimizer.warmup_steps = 100
    config.optimizer.multipliers = "encoder=0.1"
    config.optimizer.average_decay = 0.995
    config.log_every = 20
    config.checkpoint_every = 200
    config.validation.every = 200
    return finish(config, smoke)
