"""Refinement: what it keeps, what it mends, and that blocks do not show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tmfnet_jax import Matting, refinement
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.refinement import refined


def scene(height, width):
    """Return image, trimap and true alpha of a soft, wavy edge over a gradient."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    edge = width / 2 + height / 8 * np.sin(y / 9)
    alpha = np.clip(0.5 + (x - edge) / 6, 0, 1)[..., None]
    front = np.array([0.8, 0.5, 0.2], np.float32) + y[..., None] / height * 0.1
    back = np.array([0.1, 0.3, 0.6], np.float32) + x[..., None] / width * 0.1
    image = np.rint(255 * (alpha * front + (1 - alpha) * back)).astype(np.uint8)
    alpha = alpha[..., 0]
    kernel = np.ones((9, 9), np.uint8)
    trimap = np.full(alpha.shape, 128, np.uint8)
    trimap[cv2.erode((alpha == 1).astype(np.uint8), kernel) > 0] = 255
    trimap[cv2.dilate((alpha > 0).astype(np.uint8), kernel) == 0] = 0
    return image, trimap, alpha


def hesitant(alpha, trimap, seed=0):
    """Return alpha as a network gives it that hesitates in most places."""
    rng = np.random.default_rng(seed)
    guess = np.where(rng.random(alpha.shape) < 0.3, alpha, 0.5)
    return np.where(trimap == 128, guess, trimap / 255).astype(np.float32)


@pytest.mark.parametrize("size", [(96, 80), (33, 57)])
def test_colours_settle_what_the_network_left_open(size):
    image, trimap, alpha = scene(*size)
    unknown = trimap == 128
    before = hesitant(alpha, trimap)
    after = refined(image, trimap, before)
    error = [np.abs(a - alpha)[unknown].mean() for a in (before, after)]
    assert error[0] > 0.2
    assert error[1] < 0.15 * error[0]


def test_what_is_known_stays_and_values_are_alphas():
    image, trimap, alpha = scene(64, 64)
    before = hesitant(alpha, trimap)
    kept = before.copy()
    after = refined(image, trimap, before)
    np.testing.assert_array_equal(before, kept)
    np.testing.assert_array_equal(after[trimap != 128], before[trimap != 128])
    assert after.dtype == np.float32
    assert after.min() >= 0 and after.max() <= 1


def test_types_of_image_agree():
    image, trimap, alpha = scene(48, 48)
    before = hesitant(alpha, trimap)
    of_bytes = refined(image, trimap, before)
    of_floats = refined(image.astype(np.float32) / 255, trimap, before)
    # Halving rounds bytes.
    np.testing.assert_allclose(of_floats, of_bytes, atol=0.02)


@pytest.mark.parametrize("size", [(40, 50), (300, 280)])
def test_colours_without_a_covariance_stay_finite(size):
    """A lone pixel is fitted by every window it is in: nothing binds it."""
    lone, board, stripes = (np.zeros((*size, 3), np.uint8) for _ in range(3))
    lone[20, 20] = 255
    board[np.indices(size).sum(0) % 2 == 1] = 255
    stripes[:, ::2] = 255
    trimap = np.full(size, 128, np.uint8)
    trimap[:5], trimap[-5:] = 0, 255
    alpha = np.where(trimap == 128, np.float32(0.5), trimap / np.float32(255))
    for image in (lone, board, stripes):
        after = refined(image, trimap, alpha)
        assert after.min() >= 0 and after.max() <= 1  # neither holds for NaN


def test_blocks_do_not_show(monkeypatch):
    image, trimap, alpha = scene(200, 190)
    before = hesitant(alpha, trimap)
    monkeypatch.setattr(refinement, "COARSEST_PX", 100)
    whole = refined(image, trimap, before)
    monkeypatch.setattr(refinement, "WHOLE_PX", 180 * 180)  # the finest level's is more
    monkeypatch.setattr(refinement, "BLOCK_PX", 64)
    calls: list[tuple[int, int]] = []
    in_blocks = refined(image, trimap, before, progress=lambda *at: calls.append(at))
    assert calls == [(i, 12) for i in range(1, 13)]  # 4 x 3 blocks of 64
    np.testing.assert_allclose(in_blocks, whole, atol=0.01)
    assert not np.array_equal(in_blocks, whole)


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (3, 3), (513, 4)])
@pytest.mark.parametrize("value", [0, 128])
def test_any_size_and_trimap(size, value):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    trimap = np.full(size, value, np.uint8)
    alpha = np.full(size, 0.5 if value else 0, np.float32)
    after = refined(image, trimap, alpha)
    assert after.shape == size
    assert np.isfinite(after).all()


def test_a_network_with_refinement():
    model = initial_network(TMFNetConfig(width=0.05), seed=0)
    image, trimap, _ = scene(48, 64)
    plain = Matting(model).alpha(image, trimap)
    calls: list[tuple[int, int]] = []
    got = Matting(model, refine=True).alpha(
        image, trimap, progress=lambda *at: calls.append(at)
    )
    assert calls == sorted(calls)
    assert calls[-1] == (1000, 1000)
    np.testing.assert_array_equal(got, refined(image, trimap, plain))
    assert not np.array_equal(got, plain)
