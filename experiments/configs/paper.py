"""The paper's training of TMFNet on a folder of foregrounds and of backgrounds.

    python -m experiments.train --config=experiments/configs/paper.py \
        --workdir=runs/paper --config.data.foregrounds=DIR \
        --config.data.alphas=DIR --config.data.backgrounds=DIR

Expected on Composition-1k: SAD 24.0, MSE 4.1 (paper, Table 3, +TMP+GLF with the
Laplacian loss); not measured here. For another row of the tables set
config.network to the variant that `tmfnet info` lists.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from experiments.configs.common import base_config, finish


def get_config(argument: str = "") -> ConfigDict:
    """Return the paper's values as they are."""
    return finish(base_config(), argument)
