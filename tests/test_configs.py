"""Every config trains; those with the same network once, as compiling takes long."""

from __future__ import annotations

import pytest

from experiments.configs import ablation, demo, finetune, paper
from experiments.paper_rows import ROWS
from experiments.train import train
from tmfnet_jax.errors import InputError
from tmfnet_jax.variants import VARIANTS

ROW_NAMES = [name for name, row in ROWS.items() if row.of is None]
CONFIGS = {
    "demo": (demo, "smoke"),
    "finetune": (finetune, "smoke"),
    "finetune-lite": (finetune, "lite,smoke"),
    **{f"paper-{name}": (paper, f"{name},smoke") for name in ROW_NAMES},
    **{f"ablation-{name}": (ablation, f"{name},smoke") for name in ROW_NAMES},
}


def smoke(name):
    module, argument = CONFIGS[name]
    config = module.get_config(argument)
    config.optimizer.steps = 1
    config.data.loader = "threads"
    config.tensorboard = False
    config.validation.every = 0
    return config


def distinct() -> list[str]:
    """Names of configs that differ in network or averaging; losses take turns."""
    seen: dict[str, str] = {}
    for name in CONFIGS:
        config = smoke(name)
        optimizer = config.optimizer
        compiled = (config.network, optimizer.average_decay)
        seen.setdefault(str(compiled), name)
    return list(seen.values())


@pytest.mark.parametrize("name", distinct())
def test_config_trains(name, tmp_path):
    config = smoke(name)
    if name != distinct()[0]:  # the encoder is the same in all: half of the compiling
        config.optimizer.freeze = "encoder"
    assert int(train(config, tmp_path).step) == 1
    assert (tmp_path / "weights.safetensors").is_file()


def test_every_network_and_both_losses_are_among_them():
    chosen = [smoke(name) for name in distinct()]
    found = {(c.network.context, tuple(c.network.fusion)) for c in chosen}
    wanted = {(v.config.context, v.config.fusion) for v in VARIANTS.values()}
    assert found == wanted
    assert {config.laplacian for config in chosen} == {True, False}


@pytest.mark.parametrize("name", ROW_NAMES)
def test_ablations_differ_in_network_and_loss_alone(name):
    row, first = (ablation.get_config(n) for n in (name, ROW_NAMES[0]))
    assert row.network.width == demo.get_config().network.width
    assert row.laplacian == ROWS[name].laplacian
    with row.unlocked(), first.unlocked():
        for config in (row, first):
            del config.network, config.laplacian
    assert row == first


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="unknown network 'big'; expected one of"):
        finetune.get_config("big")
    with pytest.raises(InputError, match="expected NETWORK or NETWORK,smoke"):
        finetune.get_config("lite,tmfnet")
