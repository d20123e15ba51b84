"""The training step: accumulation, groups, skipping, freezing, averages."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from tiny_training import BATCH, batches, run

from tmfnet_jax.errors import InputError
from tmfnet_jax.layers import BatchNorm
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.optim import OptimizerConfig, make_optimizer
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.sharding import data_mesh
from tmfnet_jax.train_step import (
    StepConfig,
    create_state,
    make_loss,
    make_train_step,
    parameter_names,
)

TINY = TMFNetConfig(width=0.05, fusion=("lf", "static", "static"), context="mp")


def one_device():
    return data_mesh(jax.devices()[:1])


def test_four_parts_equal_the_batch():
    whole = run(one_device(), StepConfig(norm_groups=4))
    parts = run(one_device(), StepConfig(norm_groups=4, accumulation=4))
    np.testing.assert_allclose(whole[0], parts[0], rtol=1e-5)
    for name, value in whole[1].statistics.items():
        np.testing.assert_allclose(
            value, parts[1].statistics[name], rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_groups_are_normalised_each_by_itself():
    norm = BatchNorm(5)
    grouped = nnx.view(norm, groups=2)
    x = jax.random.normal(jax.random.key(0), (BATCH, 3, 4, 5)) * 3 + 1
    y = grouped(x)
    means, variances = [], []
    for group in range(2):
        part = np.asarray(x[group::2])
        mean, var = part.mean((0, 1, 2)), part.var((0, 1, 2))
        np.testing.assert_allclose(
            y[group::2], (part - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5
        )
        count = part.size // 5
        means.append(mean)
        variances.append(var * count / (count - 1))
    np.testing.assert_allclose(norm.mean[...], 0.1 * np.mean(means, 0), rtol=1e-5)
    np.testing.assert_allclose(
        norm.var[...], 0.9 + 0.1 * np.mean(variances, 0), rtol=1e-5
    )


def test_parts_cannot_share_statistics():
    with pytest.raises(InputError, match="norm_groups is 2; expected .*4"):
        StepConfig(norm_groups=2, accumulation=4)
    with pytest.raises(InputError, match="remat is 'all'"):
        StepConfig(remat="all")


@pytest.mark.parametrize(
    ("laplacian", "wrong", "right", "message"),
    [
        (True, (50, 32, 80), (64, 96), "multiple of 32, at least 64"),
        (False, (50, 0), (16, 80), "multiple of 16, at least 16"),
    ],
)
def test_crops_that_network_or_loss_cannot_take(laplacian, wrong, right, message):
    config = StepConfig(laplacian=laplacian)
    for side in wrong:
        with pytest.raises(InputError, match=f"crop_px is {side}; .*{message}"):
            config.check_crop(side)
    for side in right:
        config.check_crop(side)


def test_remat_keeps_less():
    model = initial_network(TINY, seed=0)
    kept = {}
    for remat in ("none", "convolutions"):
        loss = make_loss(model, StepConfig(remat=remat))
        state = create_state(model, optax.sgd(0.1))
        batch = next(batches())
        residuals = jax.eval_shape(
            lambda params, loss=loss, batch=batch, state=state: jax.vjp(
                lambda p: loss(p, {}, state.statistics, batch, None)[0], params
            )[1],
            state.params,
        )
        kept[remat] = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(residuals))
    assert kept["convolutions"] < 0.5 * kept["none"]


@pytest.fixture(scope="module")
def partial_run():
    """Three steps, the second of them on a batch that is not finite.

    The encoder is frozen, an average is kept.
    """
    model = initial_network(TINY, seed=0)
    settings = OptimizerConfig(
        steps=10, warmup_steps=0, freeze="encoder", average_decay=0.9
    )
    optimizer = make_optimizer(settings)
    frozen = settings.frozen(parameter_names(model))
    state = create_state(model, optimizer, frozen=frozen, averaged=True)
    step = make_train_step(
        model, optimizer, config=StepConfig(average_decay=0.9), frozen=frozen
    )
    stream = batches()
    states, metrics = [jax.tree.map(np.asarray, state)], []
    for number in range(3):
        batch = {name: jnp.asarray(x, jnp.float32) for name, x in next(stream).items()}
        batch["trimap"] = batch["trimap"].astype(jnp.uint8)
        if number == 1:
            batch["foreground"] = batch["foreground"] * jnp.nan
        state, result = step(state, batch)
        states.append(jax.tree.map(np.asarray, state))
        metrics.append({name: float(value) for name, value in result.items()})
    return states, metrics, frozen


def test_a_step_that_is_not_finite_changes_counters_only(partial_run):
    (_, first, second, third), metrics, _ = partial_run
    assert not np.isfinite(metrics[1]["loss"])
    assert [m["skipped"] for m in metrics] == [0, 1, 1]
    assert [m["skipped_running"] for m in metrics] == [0, 1, 0]
    assert (int(second.step), int(third.step)) == (2, 3)
    for field in ("params", "statistics", "average", "optimizer"):
        jax.tree.map(
            np.testing.assert_array_equal, getattr(first, field), getattr(second, field)
        )
    moved = third.params["head.1.bias"] != second.params["head.1.bias"]
    assert moved.all()


def test_what_is_frozen_stays(partial_run):
    (start, _, _, end), _, frozen = partial_run
    assert frozen == {name for name in start.params if name.startswith("encoder.")}
    for name in start.params:
        same = np.array_equal(start.params[name], end.params[name])
        assert same == (name in frozen) or name.endswith(".conv.bias"), name
    for name in start.statistics:
        same = np.array_equal(start.statistics[name], end.statistics[name])
        assert same == name.startswith("encoder."), name
    count = sum(value.size for name, value in start.params.items() if name in frozen)
    state_sizes = sum(x.size for x in jax.tree.leaves(end.optimizer))
    trained = sum(value.size for value in end.params.values()) - count
    assert state_sizes < 2 * trained + 10  # nothing is kept for frozen ones


def test_the_average_follows(partial_run):
    (start, first, _, third), _, _ = partial_run
    name = "head.0.kernel"
    # Decay min(0.9, (1 + step) / (10 + step)): 0.1, then 3/12.
    expected = 0.1 * start.params[name] + 0.9 * first.params[name]
    np.testing.assert_allclose(first.average[name], expected, rtol=1e-5, atol=1e-7)
    expected = 0.25 * expected + 0.75 * third.params[name]
    np.testing.assert_allclose(third.average[name], expected, rtol=1e-5, atol=1e-7)
    assert third.arrays() is third.average
