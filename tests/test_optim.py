"""The learning-rate schedule and the optimiser against the reference."""

from __future__ import annotations

import goldens
import jax.numpy as jnp
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.optim import (
    OptimizerConfig,
    global_norm,
    learning_rate_schedule,
    make_optimizer,
    running_average,
)

NAMES = ("encoder.stem.0.conv.kernel", "encoder.layer1.bias", "encoders", "head.kernel")


def test_schedule_meets_the_reference():
    data = goldens.load_json("lr_schedule")
    schedule = learning_rate_schedule(OptimizerConfig())
    got = [float(schedule(jnp.asarray(i))) for i in data["iters"]]
    # In float32 the very end of the cosine keeps an absolute, not a relative error.
    np.testing.assert_allclose(got, data["lr"], rtol=1e-5, atol=1e-9)


def test_no_warmup():
    config = OptimizerConfig(learning_rate=1.0, steps=10, warmup_steps=0)
    assert float(learning_rate_schedule(config)(0)) == pytest.approx(1.0)


def test_norm_counts_every_array():
    shapes = ((3, 2), (4,), (3, 2), (), (4,), (3, 2))
    rng = np.random.default_rng(0)
    arrays = {str(i): rng.standard_normal(s, np.float32) for i, s in enumerate(shapes)}
    expected = np.linalg.norm(np.concatenate([a.ravel() for a in arrays.values()]))
    named = {name: jnp.asarray(a) for name, a in arrays.items()}
    assert float(global_norm(named)) == pytest.approx(expected, rel=1e-6)


def test_first_update_is_adams():
    config = OptimizerConfig(learning_rate=0.5, steps=10, warmup_steps=0)
    optimizer = make_optimizer(config)
    params = {"w": jnp.array([1.0, -2.0])}
    updates, _ = optimizer.update(
        {"w": jnp.array([0.1, -4.0])}, optimizer.init(params), params
    )
    # Bias-corrected Adam moves by the learning rate along the sign at first.
    np.testing.assert_allclose(updates["w"], [-0.5, 0.5], rtol=1e-5)


@pytest.mark.parametrize("name", ["learning_rate", "steps"])
def test_bad_settings_are_named(name):
    with pytest.raises(InputError, match=f"optimizer.{name} is 0"):
        OptimizerConfig(**{name: 0})


def first_updates(**settings):
    config = OptimizerConfig(learning_rate=0.5, steps=10, warmup_steps=0, **settings)
    optimizer = make_optimizer(config)
    params = {name: jnp.array([2.0]) for name in NAMES}
    gradients = {name: jnp.array([3.0]) for name in NAMES}
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    return [float(updates[name][0]) for name in NAMES]


def test_longest_part_sets_the_multiplier():
    updates = first_updates(multipliers="encoder=0.1, encoder.layer1=2")
    np.testing.assert_allclose(updates, [-0.05, -1.0, -0.5, -0.5], rtol=1e-5)


def test_weight_decay_is_decoupled_and_of_kernels():
    updates = first_updates(weight_decay=0.1)
    # Adam's -0.5 and, for kernels, -0.5 * 0.1 * 2.
    np.testing.assert_allclose(updates, [-0.6, -0.5, -0.5, -0.6], rtol=1e-5)


def test_clipping_is_of_the_whole_gradient():
    config = OptimizerConfig(learning_rate=0.5, steps=10, warmup_steps=0, clip_norm=1)
    optimizer = make_optimizer(config)
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    gradients = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    _, state = optimizer.update(gradients, optimizer.init(params), params)
    (moments,) = (part for part in state if hasattr(part, "mu"))
    got = [float(moments.mu[name][0]) for name in params]
    np.testing.assert_allclose(got, [0.06, 0.08], rtol=1e-5)  # 0.1 of 3/5 and 4/5


def test_average_moves_faster_at_first():
    average = {"w": jnp.array([0.0])}
    for step, expected in ((0, 0.9), (1, 2 / 11 * 0.9 + 9 / 11)):
        average = running_average(
            average, {"w": jnp.array([1.0])}, decay=0.99, step=jnp.array(step)
        )
        assert float(average["w"][0]) == pytest.approx(expected, rel=1e-6)


def test_frozen_names_are_within_the_part():
    assert OptimizerConfig(freeze="encoder").frozen(NAMES) == set(NAMES[:2])
    assert OptimizerConfig(freeze="encoder.stem, head").frozen(NAMES) == {
        NAMES[0],
        NAMES[3],
    }
    assert OptimizerConfig().frozen(NAMES) == set()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": "decoder"}, "freeze: the network has no part 'decoder'; its parts"),
        # What the published configuration asks for, and silently gets nothing.
        (
            {"multipliers": "encoder.layers=0.1"},
            "multipliers: the network has no part 'encoder.layers'",
        ),
        ({"freeze": "encoder,encoders,head"}, "leaves nothing to train"),
    ],
)
def test_parts_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        OptimizerConfig(**settings).frozen(NAMES)


def test_multipliers_that_cannot_be_read():
    with pytest.raises(InputError, match="has 'encoder:0.1'; give PART=FACTOR"):
        OptimizerConfig(multipliers="encoder:0.1")
