"""The convolution's own backward pass against autodiff of the plain form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmfnet_jax import convolution
from tmfnet_jax.convolution import convolve, convolve_plain


def draw(size, stride):
    rng = np.random.default_rng(size + stride)
    x = rng.standard_normal((2, 6, 9, 5), np.float32)
    kernel = rng.standard_normal((size, size, 5, 3), np.float32)
    dy = rng.standard_normal((2, -(-6 // stride), -(-9 // stride), 3), np.float32)
    return x, kernel, dy


@pytest.mark.parametrize(
    ("size", "stride", "dilation"), [(1, 1, 1), (1, 2, 1), (3, 1, 2), (3, 2, 1)]
)
def test_gradients_are_those_of_the_plain_form(size, stride, dilation):
    x, kernel, dy = draw(size, stride)

    def results(form):
        def both(x, kernel, dy):
            y, pullback = jax.vjp(lambda *a: form(*a, stride, dilation), x, kernel)
            return y, *pullback(dy)

        return jax.jit(both)(x, kernel, dy)

    for ours, plain in zip(results(convolve), results(convolve_plain), strict=True):
        assert float(jnp.abs(plain).max()) > 0
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("most_copied", "few"), [(1 << 20, 0), (0, 0), (0, 16)])
def test_every_form_gives_the_same_gradients(monkeypatch, most_copied, few):
    monkeypatch.setattr(convolution, "MOST_COPIED_BYTES", most_copied)
    monkeypatch.setattr(convolution, "FEW_CHANNELS", few)
    x, kernel, dy = draw(3, 1)
    ours = jax.vjp(lambda *a: convolve(*a, 1, 1), x, kernel)[1](dy)
    plain = jax.vjp(lambda *a: convolve_plain(*a, 1, 1), x, kernel)[1](dy)
    for got, expected in zip(ours, plain, strict=True):
        assert float(jnp.abs(expected).max()) > 0
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_gradients_are_bfloat16_and_near():
    x, kernel, dy = draw(1, 2)
    half = [jnp.asarray(a, jnp.bfloat16) for a in (x, kernel, dy)]
    pullback = jax.vjp(lambda *a: convolve(*a, 2, 1), *half[:2])[1]
    exact = jax.vjp(lambda *a: convolve_plain(*a, 2, 1), x, kernel)[1](dy)
    for ours, expected in zip(pullback(half[2]), exact, strict=True):
        assert ours.dtype == jnp.bfloat16
        error = np.linalg.norm(np.asarray(ours, np.float32) - expected)
        assert error <= 0.01 * np.linalg.norm(expected)
