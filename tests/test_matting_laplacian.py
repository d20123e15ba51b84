"""Rows of the matting Laplacian against its definition, window by window."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tmfnet_jax.matting_laplacian import laplacian_rows

EPSILON = 1e-4


def literal_laplacian(image, epsilon):
    """Add up Levin et al.'s Eq. 12 over all 3x3 windows, in float64."""
    height, width, _ = image.shape
    total = np.zeros((height * width, height * width))
    for y, x in itertools.product(range(height - 2), range(width - 2)):
        pixels = [(y + i) * width + x + j for i in range(3) for j in range(3)]
        colours = image.reshape(-1, 3)[pixels].astype(np.float64)
        deviation = colours - colours.mean(0)
        covariance = deviation.T @ deviation / 9 + epsilon / 9 * np.eye(3)
        bonds = (1 + deviation @ np.linalg.inv(covariance) @ deviation.T) / 9
        total[np.ix_(pixels, pixels)] += np.eye(9) - bonds
    return total


@pytest.mark.parametrize("size", [(6, 7), (3, 3), (3, 9)])
def test_rows_meet_the_definition(size):
    rng = np.random.default_rng(0)
    image = rng.random((*size, 3), np.float32)
    unknown = rng.random(size) < 0.6
    got = laplacian_rows(image, unknown, epsilon=EPSILON).toarray()
    expected = literal_laplacian(image, EPSILON)[unknown.ravel()]
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5)


def test_rows_of_dull_colours_stay_finite_and_add_up_to_nothing():
    image = np.full((8, 8, 3), 0.5, np.float32)
    image[:, 4:] = 0.5 + 1 / 255
    rows = laplacian_rows(image, np.ones((8, 8), bool), epsilon=1e-6).toarray()
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(rows.sum(1), 0, atol=1e-5)
    np.testing.assert_allclose(rows, rows.T, atol=1e-5)


def test_no_rows_of_nothing():
    image = np.zeros((5, 5, 3), np.float32)
    rows = laplacian_rows(image, np.zeros((5, 5), bool), epsilon=EPSILON)
    assert rows.shape == (0, 25)
