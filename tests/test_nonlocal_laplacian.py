"""Rows of the nonlocal Laplacian against a search by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tmfnet_jax import nonlocal_laplacian
from tmfnet_jax.nonlocal_laplacian import NEIGHBOURS, PLACE, laplacian_rows


def literal_laplacian(image, unknown):
    """Link each unknown pixel with the most alike ones, all being candidates."""
    height, width, _ = image.shape
    y, x = np.mgrid[:height, :width] / max(height, width) * PLACE
    features = np.dstack([image, y, x]).reshape(-1, 5)
    links = np.zeros((height * width,) * 2)
    for pixel in np.flatnonzero(unknown):
        distance = ((features - features[pixel]) ** 2).sum(1)
        for other in np.argsort(distance)[1 : NEIGHBOURS + 1]:
            links[pixel, other] += 0.5
            links[other, pixel] += 0.5
    return np.diag(links.sum(1)) - links


@pytest.mark.parametrize("size", [(6, 7), (2, 3), (1, 40)])
def test_rows_meet_the_definition(size):
    rng = np.random.default_rng(1)
    image = rng.random((*size, 3), np.float32)
    unknown = rng.random(size) < 0.5
    unknown.flat[0] = True
    got = laplacian_rows(image, unknown).toarray()
    expected = literal_laplacian(image, unknown)[unknown.ravel()]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_only_near_known_pixels_are_candidates(monkeypatch):
    monkeypatch.setattr(nonlocal_laplacian, "BAND_PX", 2)
    image = np.full((5, 30, 3), 0.5, np.float32)
    unknown = np.zeros((5, 30), bool)
    unknown[2, 2] = True
    row = laplacian_rows(image, unknown).toarray().reshape(5, 30)
    assert (row[:, 5:] == 0).all()
    assert row[2, 2] == -np.delete(row, 2 * 30 + 2).sum() > 0
