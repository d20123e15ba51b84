"""Augmentations against colorsys, exact symmetries and slow plain versions."""

from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np
import pytest

from input_pipeline import augment
from tmfnet_jax.errors import InputError

STILL = {
    "rotation_degrees": 30.0,
    "rotation_min_side_px": 64,
    "scale_range": (1.0, 1.0),
    "shear_degrees": 0.0,
    "flip_probability": 0.0,
}


def random_image(rng, height=9, width=11):
    """Draw colours, every other row dark so that values reflect at 0."""
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[::2] //= 4
    return image


def plain_shift(image, alpha, hue_degrees, saturation, value):
    """Shift colours pixel by pixel with the standard library's HSV."""
    hsv = np.array([colorsys.rgb_to_hsv(*(p / 255)) for p in image.reshape(-1, 3)])
    rooms = 1.1 - hsv[alpha.ravel() > 0].mean(axis=0)
    hsv[:, 0] = (hsv[:, 0] + hue_degrees / 360) % 1
    for channel, share in ((1, saturation), (2, value)):
        shifted = np.abs(hsv[:, channel] + rooms[channel] * share)
        hsv[:, channel] = np.where(shifted > 1, 2 - shifted, shifted)
    rgb = np.array([colorsys.hsv_to_rgb(*pixel) for pixel in hsv])
    return 255 * rgb.reshape(image.shape), hsv


def warp(image, **motion):
    """Apply one affine map without interpolation."""
    height, width = image.shape[:2]
    matrix = augment.affine_matrix(height=height, width=width, **motion)
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_NEAREST)


def test_every_interpolation_is_drawn():
    rng = np.random.default_rng(0)
    drawn = {augment.random_interpolation(rng) for _ in range(100)}
    assert drawn == set(augment.INTERPOLATIONS) and len(drawn) == 5


def test_resize_gives_the_size_and_draws_once_either_way():
    image = random_image(np.random.default_rng(1))
    rng, other = np.random.default_rng(2), np.random.default_rng(2)
    assert augment.resize_randomly(image, rng, height=4, width=30).shape == (4, 30, 3)
    assert augment.resize_randomly(image, other, height=9, width=11) is image
    assert rng.bit_generator.state == other.bit_generator.state


@pytest.mark.parametrize(
    "hue, saturation, value",
    [(39, 0.1, -0.1), (-40, -0.1, 0.1), (359, 0.5, -0.5), (-180, -0.5, 0.5)],
)
def test_shift_hsv_against_plain_version(hue, saturation, value):
    rng = np.random.default_rng(3)
    image, alpha = random_image(rng), rng.integers(0, 2, (9, 11), dtype=np.uint8)
    before = image.copy()
    shifted = augment.shift_hsv(
        image, alpha, hue_degrees=hue, saturation=saturation, value=value
    )
    expected, _ = plain_shift(image, alpha, hue, saturation, value)
    assert np.abs(shifted - expected).max() < 0.51
    np.testing.assert_array_equal(image, before)


def test_saturation_and_value_are_reflected_into_range():
    image = np.array([[[255, 0, 0], [4, 4, 4], [9, 8, 8]]], np.uint8)
    alpha = np.array([[0, 9, 0]], np.uint8)  # the means are those of the dark pixel
    shifted = augment.shift_hsv(image, alpha, hue_degrees=0, saturation=0.1, value=0.1)
    # Rooms 1.1 and 1.1 - 4/255. Red: S 1 -> 1.11 -> 0.89, V 1 -> 1.1084 -> 0.8916.
    np.testing.assert_allclose(shifted[0, 0], [227, 25, 25], atol=1)
    shifted = augment.shift_hsv(image, alpha, hue_degrees=0, saturation=0, value=-0.1)
    # V 4/255 -> 0.0157 - 0.1084 -> 0.0927.
    np.testing.assert_allclose(shifted[0, 1], [24, 24, 24], atol=1)


def test_colours_do_not_depend_on_the_strips(monkeypatch):
    rng = np.random.default_rng(4)
    image, alpha = random_image(rng), rng.integers(0, 2, (9, 11), dtype=np.uint8)
    alpha[4] = 0  # a strip without a foreground
    shift = {"hue_degrees": 25, "saturation": 0.1, "value": -0.05}
    whole = augment.shift_hsv(image, alpha, **shift)
    monkeypatch.setattr(augment, "STRIP_PIXELS", 11)
    np.testing.assert_array_equal(augment.shift_hsv(image, alpha, **shift), whole)


def test_nothing_is_changed_where_there_is_no_foreground():
    image = random_image(np.random.default_rng(5))
    alpha = np.zeros((9, 11), np.uint8)
    jittered = augment.jitter_hsv(image, alpha, np.random.default_rng(6))
    np.testing.assert_array_equal(jittered, image)


def test_jitter_draws_the_ranges_of_the_recipe(monkeypatch):
    draws = []
    monkeypatch.setattr(augment, "shift_hsv", lambda *_, **shifts: draws.append(shifts))
    rng = np.random.default_rng(7)
    for _ in range(1500):
        augment.jitter_hsv(None, None, rng)
    assert {draw["hue_degrees"] for draw in draws} == set(range(-40, 40))
    for name in ("saturation", "value"):
        shares = [draw[name] for draw in draws]
        assert -0.1 <= min(shares) < -0.099 and 0.099 < max(shares) <= 0.1


def test_flips_are_exact_mirror_images():
    image = random_image(np.random.default_rng(8), height=6)
    np.testing.assert_array_equal(warp(image, flip=(True, False)), image[:, ::-1])
    np.testing.assert_array_equal(warp(image, flip=(False, True)), image[::-1])


def test_quarter_turn_is_clockwise():
    image = random_image(np.random.default_rng(9), width=9)
    turned = warp(image, rotation_degrees=90.0)
    np.testing.assert_array_equal(turned, np.rot90(image, -1))


def test_matrix_keeps_the_centre_and_moves_the_axes():
    matrix = augment.affine_matrix(
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


def test_only_large_images_are_rotated():
    rng = np.random.default_rng(10)
    for width, still in ((63, True), (64, False)):
        alpha = rng.integers(0, 256, (20, width), dtype=np.uint8)
        image = np.repeat(alpha[..., np.newaxis], 3, axis=2)
        moved, moved_alpha = augment.random_affine(image, alpha, rng, **STILL)
        assert np.array_equal(moved, image) == still
        assert np.array_equal(moved_alpha, alpha) == still


def test_foreground_and_alpha_move_together_each_interpolated_alone(monkeypatch):
    drawn = []

    def interpolation(rng):
        drawn.append(rng)
        return cv2.INTER_NEAREST

    monkeypatch.setattr(augment, "random_interpolation", interpolation)
    rng = np.random.default_rng(11)
    alpha = rng.integers(1, 256, (70, 80), dtype=np.uint8)
    image = np.repeat(alpha[..., np.newaxis], 3, axis=2)
    motion = STILL | {"scale_range": (0.5, 0.6), "shear_degrees": 10.0}
    moved, moved_alpha = augment.random_affine(image, alpha, rng, **motion)
    np.testing.assert_array_equal(moved, np.stack([moved_alpha] * 3, axis=2))
    assert len(drawn) == 2
    assert moved_alpha[35, 40] and not moved_alpha[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_flips_are_drawn_apart_for_the_two_axes():
    rng = np.random.default_rng(12)
    alpha = rng.integers(0, 256, (6, 7), dtype=np.uint8)
    image = np.repeat(alpha[..., np.newaxis], 3, axis=2)
    seen = {
        augment.random_affine(image, alpha, rng, **STILL | {"flip_probability": 0.5})[
            1
        ].tobytes()
        for _ in range(40)
    }
    mirrored = (alpha, alpha[::-1], alpha[:, ::-1], alpha[::-1, ::-1])
    assert seen == {each.tobytes() for each in mirrored}


def test_enlarged_size_by_hand():
    assert augment.enlarged_size(512, 600, crop_px=512) == (512, 600)
    assert augment.enlarged_size(256, 300, crop_px=512) == (512, 600)
    assert augment.enlarged_size(301, 100, crop_px=128) == (386, 128)
    assert augment.enlarged_size(1, 1, crop_px=7) == (7, 7)


def test_a_strip_is_not_enlarged_to_gigabytes():
    with pytest.raises(InputError, match="1 px on its short side .* 512x30720000"):
        augment.enlarged_size(1, 60000, crop_px=512)


def test_crop_holds_the_only_unknown_pixel():
    rng = np.random.default_rng(13)
    for _ in range(300):
        height, width = rng.integers(8, 30, 2)
        trimap = rng.choice(np.array([0, 255], np.uint8), (height, width))
        y, x = rng.integers(height), rng.integers(width)
        trimap[y, x] = 128
        top, left = augment.crop_corner(trimap, rng, crop_px=8)
        assert 0 <= top <= height - 8 and 0 <= left <= width - 8
        assert top <= y < top + 8 and left <= x < left + 8
        assert top == min(max(y - 4, 0), height - 8)


def test_crop_is_drawn_evenly_among_unknown_pixels_of_the_small_trimap():
    trimap = np.zeros((33, 42), np.uint8)
    places = [(8, 12), (16, 40), (32, 0)]
    for place in (*places, (9, 13)):  # the last is off the 1/4 grid
        trimap[place] = 128
    rng = np.random.default_rng(14)
    corners = [augment.crop_corner(trimap, rng, crop_px=6) for _ in range(600)]
    expected = {(5, 9), (13, 36), (27, 0)}
    assert set(corners) == expected
    assert min(corners.count(corner) for corner in expected) > 150


def test_no_unknown_pixel_no_crop():
    trimap = np.zeros((16, 16), np.uint8)
    assert augment.crop_corner(trimap, np.random.default_rng(0), crop_px=8) is None
