"""Colour jitter against the standard library's HSV."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from input_pipeline.protocol import colours, strips


def random_image(rng, height=9, width=11):
    """Draw colours, every other row dark so that values reflect at 0."""
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[::2] //= 4
    return image


def plain_shift(image, alpha, hue_degrees, saturation, value):
    """Shift colours pixel by pixel, by shares of the rooms of their means."""
    hsv = np.array([colorsys.rgb_to_hsv(*(p / 255)) for p in image.reshape(-1, 3)])
    rooms = 1.1 - hsv[alpha.ravel() > 0].mean(axis=0)
    hsv[:, 0] = (hsv[:, 0] + hue_degrees / 360) % 1
    for channel, share in ((1, saturation), (2, value)):
        shifted = np.abs(hsv[:, channel] + rooms[channel] * share)
        hsv[:, channel] = np.where(shifted > 1, 2 - shifted, shifted)
    rgb = np.array([colorsys.hsv_to_rgb(*pixel) for pixel in hsv])
    return 255 * rgb.reshape(image.shape)


def shift(image, alpha, hue_degrees, saturation, value):
    rooms = colours.colour_rooms(image, alpha)
    return colours.shift_hsv(
        image,
        hue_degrees=hue_degrees,
        saturation=rooms[0] * saturation,
        value=rooms[1] * value,
    )


@pytest.mark.parametrize(
    "hue, saturation, value",
    [(39, 0.1, -0.1), (-40, -0.1, 0.1), (359, 0.5, -0.5), (-180, -0.5, 0.5)],
)
def test_shift_against_plain_version(hue, saturation, value):
    rng = np.random.default_rng(3)
    image, alpha = random_image(rng), rng.integers(0, 2, (9, 11), dtype=np.uint8)
    before = image.copy()
    shifted = shift(image, alpha, hue, saturation, value)
    expected = plain_shift(image, alpha, hue, saturation, value)
    assert np.abs(shifted - expected).max() < 0.51
    np.testing.assert_array_equal(image, before)


def test_saturation_and_value_are_reflected_into_range():
    image = np.array([[[255, 0, 0], [4, 4, 4], [9, 8, 8]]], np.uint8)
    alpha = np.array([[0, 9, 0]], np.uint8)  # the means are those of the dark pixel
    shifted = shift(image, alpha, 0, 0.1, 0.1)
    # Rooms 1.1 and 1.1 - 4/255. Red: S 1 -> 1.11 -> 0.89, V 1 -> 1.1084 -> 0.8916.
    np.testing.assert_allclose(shifted[0, 0], [227, 25, 25], atol=1)
    shifted = shift(image, alpha, 0, 0, -0.1)
    # V 4/255 -> 0.0157 - 0.1084 -> 0.0927.
    np.testing.assert_allclose(shifted[0, 1], [24, 24, 24], atol=1)


def test_colours_do_not_depend_on_the_strips(monkeypatch):
    rng = np.random.default_rng(4)
    image, alpha = random_image(rng), rng.integers(0, 2, (9, 11), dtype=np.uint8)
    alpha[4] = 0  # a strip without a foreground
    whole = shift(image, alpha, 25, 0.1, -0.05)
    monkeypatch.setattr(strips, "STRIP_PIXELS", 11)
    np.testing.assert_array_equal(shift(image, alpha, 25, 0.1, -0.05), whole)


def test_no_foreground_has_no_room():
    image = random_image(np.random.default_rng(5))
    assert colours.colour_rooms(image, np.zeros((9, 11), np.uint8)) == (0, 0)


@pytest.mark.parametrize("hue", [-40, -17, 0, 39, 359])
def test_coarse_shift_is_nearly_the_exact_one(hue):
    image = random_image(np.random.default_rng(6), 200, 300)
    how = {"hue_degrees": hue, "saturation": 0.1, "value": -0.08}
    exact = colours.shift_hsv(image, **how).astype(int)
    difference = np.abs(colours.shift_hsv_coarsely(image, **how) - exact)
    # Half a step of 256 of the hue in what is kept, and half a step in the shift.
    assert difference.mean() < 0.8 and difference.max() <= 12
