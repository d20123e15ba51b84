"""Both forms of the per-pixel filter against a plain loop and each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmfnet_jax.local_filter import filter_patches, filter_shifts


def draw(shape=(2, 5, 7, 32), seed=0):
    rng = np.random.default_rng(seed)
    b, h, w, c = shape
    x = rng.standard_normal(shape, np.float32)
    kernels = rng.standard_normal((b, h, w, 9 * c // 16), np.float32)
    return x, kernels, rng.standard_normal(9 * c // 16, np.float32)


def plain_loop(x, kernels, bias=0):
    b, h, w, c = x.shape
    kernels = kernels + bias
    out = np.zeros(x.shape, np.float64)
    for y, z, channel in np.ndindex(h, w, c):
        for dy, dx in np.ndindex(3, 3):
            yy, zz = y + dy - 1, z + dx - 1
            if 0 <= yy < h and 0 <= zz < w:
                tap = kernels[:, y, z, channel // 16 * 9 + dy * 3 + dx]
                out[:, y, z, channel] += tap * x[:, yy, zz, channel]
    return out


@pytest.mark.parametrize("given", [2, 3])
@pytest.mark.parametrize("form", [filter_patches, filter_shifts])
def test_forms_equal_a_plain_loop(form, given):
    arrays = draw()[:given]
    np.testing.assert_allclose(form(*arrays), plain_loop(*arrays), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "given"),
    [((1, 1, 1, 16), 2), ((1, 1, 6, 16), 3), ((2, 4, 3, 48), 2), ((2, 4, 3, 48), 3)],
)
def test_gradients_of_both_forms_agree(shape, given):
    arrays = draw(shape, seed=1)[:given]
    cotangent = np.random.default_rng(2).standard_normal(shape, np.float32)

    def gradients(form):
        return jax.jit(lambda *a: jax.vjp(form, *a)[1](cotangent))(*arrays)

    for ours, reference in zip(
        gradients(filter_shifts), gradients(filter_patches), strict=True
    ):
        assert float(jnp.abs(reference).max()) > 0
        np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-5)


def test_bfloat16_stays_bfloat16():
    y, pullback = jax.vjp(
        filter_shifts, *(jnp.asarray(a, jnp.bfloat16) for a in draw())
    )
    assert y.dtype == jnp.bfloat16
    assert [g.dtype for g in pullback(y)] == [jnp.bfloat16] * 3
