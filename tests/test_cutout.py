"""Cut-outs: every value against its formula, backgrounds from colours and files."""

from __future__ import annotations

import numpy as np
import pytest

from tmfnet_jax.cutout import (
    linear_light,
    load_background,
    over,
    premultiply,
    quantise,
)
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import write_image


def cutout(*pixels):
    return np.array([pixels], np.float32)


def test_premultiply():
    straight = cutout((0.5, 1, 0.2, 0.5), (0.5, 1, 0.2, 0), (0.5, 1, 0.2, 1))
    kept = straight.copy()
    expected = [[(0.25, 0.5, 0.1, 0.5), (0, 0, 0, 0), (0.5, 1, 0.2, 1)]]
    np.testing.assert_allclose(premultiply(straight), expected)
    np.testing.assert_array_equal(straight, kept)


def test_over():
    straight = cutout((0.5, 1, 0.2, 0.25), (0.5, 1, 0.2, 0), (0.5, 1, 0.2, 1))
    background = np.full((1, 3, 3), 0.8, np.float32)
    expected = [[(0.725, 0.85, 0.65), (0.8, 0.8, 0.8), (0.5, 1, 0.2)]]
    found = over(straight, background)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("white", (255, 255, 255)),
        ("green", (0, 128, 0)),
        ("Grey", (128, 128, 128)),
        ("#1aF", (0x11, 0xAA, 0xFF)),
        ("#12aBf0", (0x12, 0xAB, 0xF0)),
    ],
)
def test_colour_background(text, expected):
    found = load_background(text, 2, 5)
    assert found.shape == (2, 5, 3) and found.dtype == np.float32
    np.testing.assert_array_equal(
        quantise(found, 8), np.tile(np.uint8(expected), (2, 5, 1))
    )


def stripes(*values):
    return np.repeat(np.array(values, np.uint8), 3).reshape(1, -1, 3)


def test_image_background_is_cropped_in_the_middle(tmp_path):
    path = tmp_path / "back.png"
    write_image(path, np.tile(stripes(0, 51, 102, 153, 204, 255), (2, 1, 1)))
    np.testing.assert_allclose(
        load_background(str(path), 2, 2)[..., 0], [[0.4, 0.6]] * 2
    )
    tall = tmp_path / "tall.png"
    write_image(
        tall, np.tile(stripes(0, 51, 102, 153, 204, 255), (2, 1, 1)).swapaxes(0, 1)
    )
    np.testing.assert_allclose(
        load_background(str(tall), 2, 2)[..., 0], [[0.4] * 2, [0.6] * 2]
    )


def test_image_background_is_scaled_to_cover(tmp_path):
    path = tmp_path / "back.tif"
    image = np.arange(8 * 12 * 3, dtype=np.uint16).reshape(8, 12, 3) * 200
    write_image(path, image)
    small = load_background(str(path), 2, 3)  # a mean of 4x4 pixels each
    means = image.reshape(2, 4, 3, 4, 3).mean(axis=(1, 3)) / 65535
    np.testing.assert_allclose(small, means, atol=1 / 65535)
    large = load_background(str(path), 16, 24)
    assert large.shape == (16, 24, 3) and large.dtype == np.float32
    np.testing.assert_array_equal(large[0, 0], image[0, 0] / np.float32(65535))
    np.testing.assert_array_equal(large[-1, -1], image[-1, -1] / np.float32(65535))


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (7, 3)])
def test_image_background_fits_any_shape(tmp_path, shape):
    path = tmp_path / "back.png"
    write_image(path, np.full((3, 5, 3), 51, np.uint8))
    found = load_background(str(path), *shape)
    np.testing.assert_array_equal(found, np.full((*shape, 3), 0.2, np.float32))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gren", "background is no colour .* white.* and no readable image: gren: "),
        ("#12", "colour '#12' is not of the form #rgb or #rrggbb"),
        ("#1234567", "not of the form"),
        ("#ggg", "not of the form"),
        ("", "no colour"),
    ],
)
def test_bad_background(text, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        load_background(text, 2, 2)
    assert "\n" not in str(caught.value)


def test_linear_light():
    """The standard's two pieces; 0.5 decodes to 0.21404."""
    encoded = np.array([[[0, 0.02, 0.04045], [0.5, 0.0405, 1]]], np.float32)
    expected = [[[0, 0.00154799, 0.00313080], [0.21404114, 0.00313463, 1]]]
    found = linear_light(encoded)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("bits", [8, 16])
def test_quantise_returns_every_integer(bits):
    integers = np.arange(2**bits, dtype=f"uint{bits}")[None]
    found = quantise(integers / np.float32(2**bits - 1), bits)
    assert found.dtype == integers.dtype
    np.testing.assert_array_equal(found, integers)


def test_quantise_rounds_to_the_nearest():
    values = np.array([[-0.1, 1.4, 1.6, 254.6, 255.1]], np.float32) / 255
    np.testing.assert_array_equal(quantise(values, 8), [[0, 1, 2, 255, 255]])


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_quantise_refuses(value):
    with pytest.raises(InputError, match="NaN or outside"):
        quantise(np.array([[0.5, value]], np.float32), 8)


def test_bad_arrays():
    straight = cutout((0, 0, 0, 1))
    with pytest.raises(InputError, match=r"float32 of shape \(1, 1, 3\); expected"):
        premultiply(straight[..., :3])
    with pytest.raises(InputError, match="cut-out is uint8"):
        over(straight.astype(np.uint8), straight[..., :3])
    with pytest.raises(InputError, match=r"of shape \(1, 2, 3\); expected floating"):
        over(straight, np.zeros((1, 2, 3), np.float32))
    with pytest.raises(InputError, match="background is uint8"):
        over(straight, np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(InputError, match="bits is 12; expected 8 or 16"):
        quantise(straight, 12)
