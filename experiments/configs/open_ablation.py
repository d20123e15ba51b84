"""What each ingredient of the free data brings, on a short first stage of `open_lite`.

    python -m experiments.open_data --folder=data/open
    python -m experiments.ablate --config=experiments/configs/open_ablation.py \
        --arguments=all,no-sensor,no-light,no-defocus,even-trimaps,no-photos \
        --seeds=2 --runs=runs/open_ablation --evaluation="alphamatting DIR"

The rows `basic` and `tmp` are the network without TMP and GLF, and without GLF.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from experiments.configs import open_lite
from experiments.configs.common import finish, split_argument
from tmfnet_jax.errors import InputError
from tmfnet_jax.variants import VARIANTS

STEPS = 1_000
_BASIC_FUSION = VARIANTS["basic"].config.fusion

ROWS: dict[str, Mapping[str, Any]] = {  # fields that a row changes
    "all": {},
    "no-sensor": {"recipe.capture.noise": 0.0, "recipe.capture.jpeg": 0.0},
    "no-light": {"recipe.capture.spill": 0.0, "recipe.capture.exposure": 0.0},
    "no-defocus": {"recipe.capture.defocus": 0.0},
    "even-trimaps": {"recipe.capture.drawn_trimap": 0.0},
    "no-photos": {"data.backgrounds": None},
    "basic": {
        "network.context": VARIANTS["basic"].config.context,
        "network.fusion": _BASIC_FUSION,
    },
    "tmp": {"network.fusion": _BASIC_FUSION},
}


def get_config(argument: str = "") -> ConfigDict:
    """Return the training of a row by name: "", ROW or ROW,smoke."""
    name, smoke = split_argument(argument, default="all", what="ROW")
    if name not in ROWS:
        raise InputError(f"row {name!r}; expected one of {', '.join(ROWS)}")
    config = open_lite.get_config("small")
    with config.unlocked():
        config.optimizer.steps = STEPS
        config.validation.every = 0  # measured at the end
        config.share_of_peak = False
        config.update_from_flattened_dict(dict(ROWS[name]))
        return finish(config, smoke)
