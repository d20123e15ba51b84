"""Trimap synthesis against brute-force erosion and dilation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from input_pipeline.protocol import trimap_synthesis


def random_alpha(rng, height=31, width=28):
    """Draw a matte with opaque, clear and mixed areas."""
    coarse = rng.permutation(np.linspace(-1500, 1755, 12)).reshape(4, 3)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return smooth.clip(0, 255).astype(np.uint8)


def extreme(alpha, size, function):
    """Minimum or maximum over the ellipse around each pixel, inside the image."""
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    offsets = np.argwhere(ellipse) - size // 2
    result = np.empty_like(alpha)
    for y, x in np.ndindex(alpha.shape):
        places = offsets + (y, x)
        inside = ((places >= 0) & (places < alpha.shape)).all(axis=1)
        result[y, x] = function(alpha[tuple(places[inside].T)])
    return result


@pytest.mark.parametrize(
    "synthesise", [trimap_synthesis.trimap_from_alpha, trimap_synthesis.quick_trimap]
)
@pytest.mark.parametrize("erosion_px, dilation_px", [(1, 1), (2, 5), (5, 2), (9, 7)])
def test_trimaps_against_brute_force(erosion_px, dilation_px, synthesise):
    alpha = random_alpha(np.random.default_rng(erosion_px))
    trimap = synthesise(alpha, erosion_px=erosion_px, dilation_px=dilation_px)
    expected = np.full(alpha.shape, 128)
    expected[extreme(alpha, erosion_px, np.min) == 255] = 255
    expected[extreme(alpha, dilation_px, np.max) == 0] = 0
    assert set(np.unique(expected)) == {0, 128, 255}
    assert trimap.dtype == np.uint8
    np.testing.assert_array_equal(trimap, expected)


def test_smallest_kernels_keep_every_known_pixel():
    alpha = np.array([[0, 1, 254, 255]], np.uint8)
    trimap = trimap_synthesis.trimap_from_alpha(alpha, erosion_px=1, dilation_px=1)
    assert trimap.tolist() == [[0, 128, 128, 255]]


def test_the_border_of_the_image_is_neither_opaque_nor_clear():
    for value in (0, 255):
        alpha = np.full((9, 9), value, np.uint8)
        trimap = trimap_synthesis.trimap_from_alpha(alpha, erosion_px=7, dilation_px=7)
        assert (trimap == value).all()


def test_known_pixels_have_exact_alpha():
    rng = np.random.default_rng(6)
    for _ in range(20):
        alpha = random_alpha(rng)
        erosion_px, dilation_px = rng.integers(1, 5, 2).tolist()
        trimap = trimap_synthesis.trimap_from_alpha(
            alpha, erosion_px=erosion_px, dilation_px=dilation_px
        )
        known = trimap != 128
        assert known.any()
        np.testing.assert_array_equal(trimap[known], alpha[known])
