"""Batch normalisation's closed-form gradients against autodiff."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmfnet_jax.batch_norm import normalise_batch, normalise_batch_plain

GROUPED = (0, 2, 3)


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 4, 5, 6), (0, 1, 2)), ((2, 3, 4, 5, 6), GROUPED)]
)
def test_gradients_are_those_of_autodiff(shape, axes):
    rng = np.random.default_rng(0)
    x, dy = (3 + rng.standard_normal(shape, np.float32) for _ in range(2))
    scale, bias = rng.standard_normal((2, 6), np.float32)

    def results(form):
        def both(dy, *inputs):
            y, pullback, statistics = jax.vjp(
                lambda *a: (lambda y, *rest: (y, rest))(*form(*a, axes)),
                *inputs,
                has_aux=True,
            )
            return y, statistics, pullback(dy)

        return jax.jit(both)(dy, x, scale, bias)

    ours, plain = results(normalise_batch), results(normalise_batch_plain)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        assert a.shape == b.shape
        assert float(jnp.abs(b).max()) > 0
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_variance_of_features_far_from_zero():
    x = 10 + np.random.default_rng(0).standard_normal((8, 64, 64, 16), np.float32)
    _, mean, var = jax.jit(lambda *a: normalise_batch(*a, (0, 1, 2)))(
        x, jnp.ones(16), jnp.zeros(16)
    )
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean[0, 0, 0], exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var[0, 0, 0], exact.var((0, 1, 2)), rtol=1e-4)


def test_a_constant_channel_stays_finite():
    # Rounding makes the mean of its squares less than the square of its mean.
    x = jnp.full((4, 9, 9, 2), 0.1).at[..., 1].set(jnp.arange(9) - 4.0)
    y, pullback = jax.vjp(
        lambda *a: normalise_batch(*a, (0, 1, 2)), x, jnp.ones(2), jnp.full(2, 0.5)
    )
    assert float(y[2].min()) >= 0
    np.testing.assert_allclose(y[0][..., 0], 0.5, atol=1e-3)
    assert all(jnp.isfinite(g).all() for g in pullback(y))


def test_bfloat16_gradient_has_the_type_of_its_input():
    x = jnp.arange(24, dtype=jnp.bfloat16).reshape(1, 4, 3, 2)
    y, pullback = jax.vjp(
        lambda *a: normalise_batch(*a, (0, 1, 2))[0], x, jnp.ones(2), jnp.zeros(2)
    )
    dtypes = [y.dtype, *(g.dtype for g in pullback(y))]
    assert dtypes == [jnp.bfloat16, jnp.bfloat16, jnp.float32, jnp.float32]
