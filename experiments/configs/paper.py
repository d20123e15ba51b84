"""The paper's training of one row of its Tables 1 to 5.

    python -m experiments.train --config=experiments/configs/paper.py:table3-tmp-glf \
        --workdir=runs/paper/table3-tmp-glf --config.data.folder=DIR \
        --config.data.backgrounds=DIR

DIR are Composition-1k, for Table 2 CIOM, and COCO; `--config.data.kind=folders` takes
other foregrounds, and so on (docs/data.md). `experiments/paper_rows.py` has the rows,
and `python -m experiments.paper table3 --commands` the commands of a table. Without a
row it is table3-tmp-glf-lap: TMFNet with all three losses, where the paper has SAD 24.0
and MSE 4.1 on Composition-1k; not measured here. ":ROW,smoke" is four tiny steps of a
row.
"""

from __future__ import annotations

import dataclasses

from ml_collections import ConfigDict

from experiments.configs.common import base_config, finish, split_argument
from experiments.paper_rows import named_row
from tmfnet_jax.variants import VARIANTS

DEFAULT_ROW = "table3-tmp-glf-lap"


def get_config(argument: str = "") -> ConfigDict:
    """Return the training of the row that the argument names: "", ROW or ROW,smoke."""
    name, smoke = split_argument(argument, default=DEFAULT_ROW, what="ROW")
    row = named_row(name)

    config = base_config()
    config.batch_size = row.batch_size
    config.laplacian = row.laplacian
    config.network.update(dataclasses.asdict(VARIANTS[row.variant].config))
    config.data.kind = row.training_data
    return finish(config, smoke)
