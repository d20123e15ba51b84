"""Building blocks against plain loops and hand-computed values."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tmfnet_jax.layers import (
    BatchNorm,
    Conv,
    adaptive_average_pool,
    average_pool_same,
    leaky_relu,
    pixel_shuffle,
    resize_bilinear,
)

RNG = np.random.default_rng(0)


def test_leaky_relu_slope():
    np.testing.assert_allclose(leaky_relu(jnp.array([-2.0, 3.0])), [-0.02, 3.0])


def test_pixel_shuffle_order():
    x = np.arange(2 * 3 * 8, dtype=np.float32).reshape(1, 2, 3, 8)
    got = np.asarray(pixel_shuffle(x))
    assert got.shape == (1, 4, 6, 2)
    for y, z, c in np.ndindex(4, 6, 2):
        expected = x[0, y // 2, z // 2, c * 4 + (y % 2) * 2 + z % 2]
        assert got[0, y, z, c] == expected


@pytest.mark.parametrize("window", [1, 3, 5, 31])
def test_average_pool_counts_no_padding(window):
    x = RNG.random((2, 6, 4, 3), np.float32)
    half = window // 2
    got = average_pool_same(jnp.asarray(x), window)
    for y, z in np.ndindex(6, 4):
        inside = x[:, max(0, y - half) : y + half + 1, max(0, z - half) : z + half + 1]
        np.testing.assert_allclose(got[:, y, z], inside.mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_adaptive_average_pool(bins):
    x = RNG.random((1, 7, 5, 2), np.float32)
    got = adaptive_average_pool(jnp.asarray(x), bins)
    for i, j in np.ndindex(bins, bins):
        rows = slice(i * 7 // bins, -(-(i + 1) * 7 // bins))
        columns = slice(j * 5 // bins, -(-(j + 1) * 5 // bins))
        expected = x[:, rows, columns].mean((1, 2))
        np.testing.assert_allclose(got[:, i, j], expected, rtol=1e-5)


def test_resize_with_aligned_corners():
    x = jnp.array([0.0, 1.0, 4.0]).reshape(1, 3, 1, 1)
    got = resize_bilinear(x, (5, 1), align_corners=True).ravel()
    np.testing.assert_allclose(got, [0, 0.5, 1, 2.5, 4])


def test_resize_with_half_pixel_centres():
    x = jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    got = resize_bilinear(x, (1, 4), align_corners=False).ravel()
    np.testing.assert_allclose(got, [0, 1, 3, 4])
    # Shrinking samples between the two middle pixels and does not average.
    row = jnp.arange(16.0).reshape(1, 1, 16, 1) ** 2
    got = resize_bilinear(row, (1, 1), align_corners=False)
    assert float(got.squeeze()) == (7**2 + 8**2) / 2


def test_stride_two_convolution_pads_both_sides():
    conv = Conv(1, 1, 3, stride=2, use_bias=False, rngs=nnx.Rngs(0))
    conv.kernel[...] = jnp.ones((3, 3, 1, 1))
    got = conv(jnp.ones((1, 4, 4, 1)))[0, ..., 0]
    np.testing.assert_allclose(got, [[4, 6], [6, 9]])


def test_batch_norm_normalises_by_the_biased_and_keeps_the_unbiased_variance():
    norm = BatchNorm(1)
    x = jnp.array([1.0, 2.0, 3.0, 6.0]).reshape(1, 2, 2, 1)
    y = norm(x)
    np.testing.assert_allclose(y.ravel(), (x.ravel() - 3) / np.sqrt(3.5 + 1e-5), 1e-5)
    np.testing.assert_allclose(norm.mean[...], [0.3], rtol=1e-6)
    np.testing.assert_allclose(norm.var[...], [0.9 + 0.1 * 14 / 3], rtol=1e-6)
    fixed = nnx.view(norm, use_running_average=True)
    expected = (x - norm.mean[...]) / jnp.sqrt(norm.var[...] + 1e-5)
    np.testing.assert_allclose(fixed(x), expected, rtol=1e-5)
    assert norm.mean[...] == pytest.approx(0.3), "evaluation must not update"


def test_batch_norm_of_one_value_is_finite():
    norm = BatchNorm(2)
    y = norm(jnp.ones((1, 1, 1, 2)))
    assert np.isfinite(y).all()
