"""One device and four virtual ones train alike."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.sharding import check_batch_size, data_mesh, put_batch, replicate
from tmfnet_jax.train_step import create_state, make_train_step

BATCH, SIDE, STEPS = 4, 64, 5


def batches():
    source = SyntheticSource(seed=0, size=(96, 96))
    recipe = Recipe.for_crop(SIDE)
    for step in range(STEPS):
        samples = [
            make_sample(source, recipe, seed=0, index=step * BATCH + i)
            for i in range(BATCH)
        ]
        yield {name: np.stack([s[name] for s in samples]) for name in samples[0]}


@pytest.fixture(scope="module")
def runs():
    """Losses and final state after a few steps on one and on four devices.

    Plain gradient descent: Adam's first updates are nearly the signs of the
    gradient, which rounding flips where it is almost zero.
    """
    model = initial_network(TMFNetConfig(width=0.05), seed=0)
    optimizer = optax.sgd(0.01)
    step = make_train_step(model, optimizer)
    results = {}
    for count in (1, 4):
        mesh = data_mesh(jax.devices()[:count])
        state = replicate(mesh, create_state(model, optimizer))
        losses = []
        for batch in batches():
            state, metrics = step(state, put_batch(mesh, batch))
            losses.append(float(metrics["loss"]))
        results[count] = losses, state
    return results


def test_losses_agree(runs):
    assert len(jax.devices()) == 4
    np.testing.assert_allclose(runs[1][0], runs[4][0], rtol=1e-5)


def test_statistics_are_those_of_the_global_batch(runs):
    one, four = (runs[count][1].statistics for count in (1, 4))
    for name, value in one.items():
        np.testing.assert_allclose(value, four[name], rtol=1e-4, atol=1e-5)


def test_state_is_replicated_and_counts_steps(runs):
    state = runs[4][1]
    assert int(state.step) == STEPS
    assert state.params["head.1.bias"].sharding.is_fully_replicated


def test_batch_must_split_evenly():
    with pytest.raises(InputError, match="batch_size is 6; expected a multiple.*4"):
        check_batch_size(6, data_mesh())
