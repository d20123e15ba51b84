"""Checkpoints: what was saved comes back, damage is told in one line."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from tmfnet_jax.checkpointing import RunCheckpoints, read_weights
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.optim import OptimizerConfig, make_optimizer
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.sharding import data_mesh, replicate
from tmfnet_jax.train_step import create_state

TINY = TMFNetConfig(width=0.05, fusion=("lf", "glf", "static"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir with checkpoints of steps 1 to 3, of which two are kept."""
    workdir = tmp_path_factory.mktemp("run")
    optimizer = make_optimizer(OptimizerConfig())
    state = create_state(initial_network(TINY, seed=0), optimizer)
    state = replicate(data_mesh(), state)
    with RunCheckpoints(workdir, TINY, keep=2) as checkpoints:
        assert checkpoints.latest_step is None
        for step in (1, 2, 3):
            tree = state.tree()
            tree["step"] = tree["step"] + step
            checkpoints.save(step, tree)
    return workdir, state


def test_newest_comes_back_whole(run):
    workdir, state = run
    with RunCheckpoints(workdir, TINY, keep=2) as checkpoints:
        assert checkpoints.latest_step == 3
        restored = state.with_tree(checkpoints.restore_latest(state.tree()))
    assert int(restored.step) == 3
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for old, new in zip(
        jax.tree.leaves(state.optimizer),
        jax.tree.leaves(restored.optimizer),
        strict=True,
    ):
        np.testing.assert_array_equal(old, new)
        assert new.sharding == old.sharding


def test_only_the_last_are_kept(run):
    names = {p.name for p in (run[0] / "checkpoints").iterdir() if p.name.isdigit()}
    assert names == {"2", "3"}


@pytest.mark.parametrize("place", [".", "checkpoints", "checkpoints/2"])
def test_weights_are_found_from_any_level(run, place):
    config, arrays = read_weights(run[0] / place)
    assert config == TINY
    expected = run[1].arrays()
    assert set(arrays) == set(expected)
    np.testing.assert_array_equal(arrays["head.1.bias"], expected["head.1.bias"])


def test_damage_is_told(run, tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint"):
        read_weights(tmp_path)
    (tmp_path / "checkpoints" / "7").mkdir(parents=True)
    with pytest.raises(InputError, match="unreadable checkpoint"):
        read_weights(tmp_path)
