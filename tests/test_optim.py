"""The learning-rate schedule and the optimiser against the reference."""

from __future__ import annotations

import goldens
import jax.numpy as jnp
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.optim import OptimizerConfig, learning_rate_schedule, make_optimizer


def test_schedule_meets_the_reference():
    data = goldens.load_json("lr_schedule")
    schedule = learning_rate_schedule(OptimizerConfig())
    got = [float(schedule(jnp.asarray(i))) for i in data["iters"]]
    # In float32 the very end of the cosine keeps an absolute, not a relative error.
    np.testing.assert_allclose(got, data["lr"], rtol=1e-5, atol=1e-9)


def test_no_warmup():
    config = OptimizerConfig(learning_rate=1.0, steps=10, warmup_steps=0)
    assert float(learning_rate_schedule(config)(0)) == pytest.approx(1.0)


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
