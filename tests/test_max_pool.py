"""Maximum pooling's backward pass against autodiff of the plain form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmfnet_jax.max_pool import max_pool, max_pool_plain


@pytest.mark.parametrize("ties", [False, True])
def test_gradient_goes_to_the_first_maximum(ties):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 8, 6, 3), np.float32)
    if ties:  # as after ReLU, and among values above zero
        x = np.round(x).clip(0)
    y = max_pool_plain(x)
    dy = rng.standard_normal(y.shape, np.float32)

    def gradient(form):
        return jax.jit(lambda x: jax.vjp(form, x)[1](dy)[0])(x)

    np.testing.assert_array_equal(max_pool(x), y)
    assert float(jnp.abs(gradient(max_pool)).max()) > 0
    np.testing.assert_allclose(
        gradient(max_pool), gradient(max_pool_plain), rtol=1e-6, atol=1e-6
    )
