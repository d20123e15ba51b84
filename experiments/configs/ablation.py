"""A row of the paper's tables at the width and budget of the demo.

    python -m experiments.train \
        --config=experiments/configs/ablation.py:table3-tmp-lap --workdir=runs/one

Network and loss are the row's, at the width of `lite`; data, crops, steps and schedule
are the demo's for all rows. What minutes of training tell about the paper's weeks of it
is little: `experiments/ablate.py` says how large differences between seeds are.
"""

from __future__ import annotations

import dataclasses

from ml_collections import ConfigDict

from experiments.configs import demo
from experiments.configs.common import finish, split_argument
from experiments.paper_rows import named_row
from tmfnet_jax.variants import VARIANTS

DEFAULT_ROW = "table3-tmp-glf-lap"


def get_config(argument: str = "") -> ConfigDict:
    """Return the training of the row that the argument names: "", ROW or ROW,smoke."""
    name, smoke = split_argument(argument, default=DEFAULT_ROW, what="ROW")
    row = named_row(name)
    config = demo.get_config()
    with config.unlocked():
        width = config.network.width
        config.network.update(dataclasses.asdict(VARIANTS[row.variant].config))
        config.network.width = width
        config.laplacian = row.laplacian
        return finish(config, smoke)
