"""Affine warps: exact symmetries, OpenCV's own warp, and windows of it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from input_pipeline.protocol import affine
from input_pipeline.protocol.draws import INTERPOLATIONS
from input_pipeline.protocol.windows import Window

MOTION = {
    "rotation_degrees": 20.0,
    "scale": (0.9, 1.2),
    "shear_degrees": -7.0,
    "flip": (True, False),
}


def random_image(rng, height=9, width=11):
    """Draw colours, every other row dark so that values reflect at 0."""
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[::2] //= 4
    return image


def warp(image, window=None, interpolation=cv2.INTER_NEAREST, **motion):
    height, width = image.shape[:2]
    matrix = affine.affine_matrix(height=height, width=width, **motion)
    window = window or Window.whole(image.shape)
    positions = affine.source_positions(affine.invert(matrix), *window.grid)
    return affine.sample_at(image, positions, interpolation=interpolation)


def test_flips_are_exact_mirror_images():
    image = random_image(np.random.default_rng(8), height=6)
    np.testing.assert_array_equal(warp(image, flip=(True, False)), image[:, ::-1])
    np.testing.assert_array_equal(warp(image, flip=(False, True)), image[::-1])


def test_quarter_turn_is_clockwise():
    image = random_image(np.random.default_rng(9), width=9)
    turned = warp(image, rotation_degrees=90.0)
    np.testing.assert_array_equal(turned, np.rot90(image, -1))


def test_matrix_keeps_the_centre_and_moves_the_axes():
    matrix = affine.affine_matrix(
        height=21,
        width=11,
        rotation_degrees=20.0,
        scale=(2.0, 0.5),
        shear_degrees=10.0,
        flip=(True, False),
    )
    np.testing.assert_allclose(matrix @ (5, 10, 1), (5, 10))
    turned, sheared = math.radians(20), math.radians(30)
    np.testing.assert_allclose(
        matrix @ (6, 10, 1), (5 - 2 * math.cos(turned), 10 - 2 * math.sin(turned))
    )
    np.testing.assert_allclose(
        matrix @ (5, 11, 1), (5 - math.sin(sheared) / 2, 10 + math.cos(sheared) / 2)
    )


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_it_is_the_warp_of_opencv(interpolation):
    image = cv2.resize(random_image(np.random.default_rng(10)), (90, 70))
    matrix = affine.affine_matrix(height=70, width=90, **MOTION)
    expected = cv2.warpAffine(image, matrix, (90, 70), flags=interpolation)
    ours = warp(image, interpolation=interpolation, **MOTION)
    difference = np.abs(ours.astype(int) - expected)
    # Positions are rounded to 1/32 pixel there and here, but not in the same way.
    assert difference.mean() < (3 if interpolation == cv2.INTER_NEAREST else 0.8)
    assert (ours[0, 0] == 0).all() and ours[35, 45].any()


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_any_window_is_that_of_the_whole(interpolation):
    image = random_image(np.random.default_rng(11), 60, 80)
    whole = warp(image, interpolation=interpolation, **MOTION)
    for window in (Window(0, 0, 9, 80), Window(13, 29, 17, 23), Window(59, 79, 1, 1)):
        part = warp(image, window, interpolation, **MOTION)
        np.testing.assert_array_equal(part, whole[window.slices])


def test_a_part_of_the_image_will_do():
    image = random_image(np.random.default_rng(12), 60, 80)
    window = Window(20, 30, 10, 12)
    matrix = affine.affine_matrix(height=60, width=80, **MOTION)
    positions = affine.source_positions(affine.invert(matrix), *window.grid)
    part = affine.sample_at(
        image[10:50, 15:70], positions, interpolation=cv2.INTER_CUBIC, corner=(10, 15)
    )
    expected = affine.sample_at(image, positions, interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(part, expected)


def test_outside_is_what_nearest_finds_no_pixel_for():
    image = np.full((40, 50), 255, np.uint8)
    matrix = affine.affine_matrix(height=40, width=50, **MOTION)
    positions = affine.source_positions(
        affine.invert(matrix), *Window.whole((40, 50)).grid
    )
    nearest = affine.sample_at(image, positions, interpolation=cv2.INTER_NEAREST)
    beyond = affine.outside(positions, 40, 50)
    assert 0 < beyond.sum() < beyond.size
    np.testing.assert_array_equal(beyond, nearest == 0)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("scale", [(0.9, 1.2), (0.01, 0.03)])
def test_squares_lie_where_their_pixels_do(interpolation, scale):
    image = cv2.resize(random_image(np.random.default_rng(13)), (90, 70))
    motion = MOTION | {"scale": scale}
    inverse = affine.invert(affine.affine_matrix(height=70, width=90, **motion))
    squares, side = np.array([[-16, 0, 32, 60], [80, 0, 40, 0]]), 16
    down, across = squares[..., None] + np.arange(side)
    positions = affine.source_positions(inverse, down[:, :, None], across[:, None])
    expected, found = (
        array.reshape(4, side**2, 3).astype(int)
        for array in (
            affine.sample_at(
                image[5:, 7:],
                positions.reshape(2, 4, -1),
                interpolation=interpolation,
                corner=(5, 7),
            ),
            affine.sample_squares(
                image[5:, 7:],
                inverse,
                squares,
                side=side,
                interpolation=interpolation,
                corner=(5, 7),
            ),
        )
    )
    assert expected.any()
    differing = (found != expected).any(axis=-1)
    assert differing.mean() < 0.01
    if interpolation != cv2.INTER_NEAREST:  # 1/32 pixel is little
        assert np.abs(found - expected).max() <= 16
