"""Foreground colours: unmixed as a plain slow version does it, at any tile size."""

from __future__ import annotations

import numpy as np
import pytest

from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.protocol.composition import composite
from tmfnet_jax import foreground as module
from tmfnet_jax.errors import InputError
from tmfnet_jax.foreground import estimate_foreground


def sample(index, side=96, seed=11):
    """Photo, alpha and true foreground, all uint8."""
    source = SyntheticSource(seed=seed, size=(side, side))
    colours, alpha = source.foreground(index)
    return composite(colours, source.background(index + 100), alpha), alpha, colours


def box_mean(values):
    padded = np.pad(values, ((2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = values.shape[:2]
    shifts = [padded[y : y + height, x : x + width] for y in range(5) for x in range(5)]
    return sum(shifts) / 25


def doubled(layer, shape):
    """Sample the layer at half of each coordinate, held at the far edge."""
    for axis, side in enumerate(shape):
        at = np.arange(side)
        low = np.take(layer, at // 2, axis)
        high = np.take(layer, np.minimum((at + 1) // 2, layer.shape[axis] - 1), axis)
        layer = (low + high) / 2
    return layer


def plain_estimate(image, alpha):
    """The method in float64, on the whole image, as its description reads."""
    image, alpha = image / 255, alpha[..., None] / 255
    layers = []
    for sure in (
        alpha[..., 0] >= min(0.9, alpha.max()),
        alpha[..., 0] <= max(0.1, alpha.min()),
    ):
        layers.append(image[sure].mean(axis=0).reshape(1, 1, 3))
    for level in reversed(range(max(image.shape[:2]).bit_length())):
        photo, a = (v[:: 2**level, :: 2**level] for v in (image, alpha))
        f, b = (doubled(layer, a.shape[:2]) for layer in layers)
        for _ in range({0: 2, 1: 4}.get(level, 8)):
            wf, wb = a**2, (1 - a) ** 2
            f = (box_mean(f * wf) + 1e-6 * f) / (box_mean(wf) + 1e-6)
            b = (box_mean(b * wb) + 1e-6 * b) / (box_mean(wb) + 1e-6)
            rest = photo - a * f - (1 - a) * b
            rest = rest / (a**2 + (1 - a) ** 2 + 0.01 * 4 * a * (1 - a))
            f, b = np.clip(f + a * rest, 0, 1), np.clip(b + (1 - a) * rest, 0, 1)
        layers = [np.where(a == 1, photo, f), np.where(a == 0, photo, b)]
    return layers[0]


def noise(height, width):
    """Colours and alpha, both at random; about a fifth of the alpha is 0 or 255."""
    rng = np.random.default_rng(0)
    alpha = np.clip(rng.integers(-30, 286, (height, width)), 0, 255).astype(np.uint8)
    return rng.integers(0, 256, (height, width, 3), np.uint8), alpha


@pytest.mark.parametrize(
    ("image", "alpha"),
    [
        sample(0)[:2],
        *(noise(*shape) for shape in ((33, 70), (1, 9), (5, 1), (4, 4), (1, 1))),
    ],
)
def test_equals_the_plain_version(image, alpha):
    expected = plain_estimate(image, alpha)
    assert expected.shape == (*alpha.shape, 3)
    found = estimate_foreground(image, alpha)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("tile_px", [16, 50])
def test_tiles_leave_no_trace(tile_px, monkeypatch):
    image, alpha, _ = sample(1, side=160)
    monkeypatch.setattr(module, "_TILE_PX", 1024)
    whole = estimate_foreground(image, alpha)
    monkeypatch.setattr(module, "_TILE_PX", tile_px)
    np.testing.assert_allclose(estimate_foreground(image, alpha), whole, atol=1e-6)


def test_is_the_image_where_alpha_is_one():
    image, alpha = noise(40, 60)
    opaque = alpha == 255
    assert opaque.any()
    found = estimate_foreground(image, alpha)
    np.testing.assert_array_equal(found[opaque], image[opaque] / np.float32(255))


def test_keeps_the_old_background_out():
    """A red disc with a soft edge on green: red everywhere, beyond the edge too."""
    y, x = np.mgrid[:200, :200]
    alpha = np.clip((60 - np.hypot(y - 90, x - 110)) / 8 + 0.5, 0, 1).astype(np.float32)
    red, green = np.array([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2]], np.float32)
    image = alpha[..., None] * red + (1 - alpha[..., None]) * green
    assert np.abs(estimate_foreground(image, alpha) - red).max() < 0.01


def test_continues_the_nearest_colours():
    """Half of the subject red, half blue: so is what lies beyond its edge."""
    image = np.zeros((64, 128, 3), np.uint8)
    image[...] = (0, 255, 0)
    image[16:48, 16:64] = (255, 0, 0)
    image[16:48, 64:112] = (0, 0, 255)
    alpha = np.zeros((64, 128), np.uint8)
    alpha[16:48, 16:112] = 255
    found = estimate_foreground(image, alpha)
    assert found[..., 1].max() < 0.01  # nothing of the green background
    assert found[12, 16:56, 0].min() > 0.9
    assert found[12, 72:112, 2].min() > 0.9


# Means over the samples below, measured; the photo's own colours have 28.8 and 3.76,
# PyMatting 1.1.16 has 8.3 and 0.44, with its best settings 7.0 and 0.27.
COLOUR_ERROR, SQUARED_ERROR = 6.46, 0.235


def test_error_on_generated_samples():
    colour, squared = [], []
    for index in range(6):
        image, alpha, true = sample(index, side=192)
        mixed = (alpha > 0) & (alpha < 255)
        share = alpha[mixed][:, None] / 255
        error = estimate_foreground(image, alpha)[mixed] - true[mixed] / 255
        colour.append(255 * (share * np.abs(error)).sum() / share.sum() / 3)
        squared.append(1e3 * np.square(share * error).mean())
    assert np.mean(colour) < 1.01 * COLOUR_ERROR
    assert np.mean(squared) < 1.01 * SQUARED_ERROR


def test_number_types_agree():
    image, alpha, _ = sample(3)
    expected = estimate_foreground(image, alpha)
    wide = (v.astype(np.uint16) * 257 for v in (image, alpha))
    np.testing.assert_allclose(estimate_foreground(*wide), expected, atol=1e-6)
    double = estimate_foreground(image / 255, alpha / 255)
    np.testing.assert_allclose(double, expected, atol=1e-6)
    mixed = estimate_foreground(image[..., ::-1], alpha / np.float32(255))
    np.testing.assert_allclose(mixed[..., ::-1], expected, atol=1e-6)


@pytest.mark.parametrize("value", [0, 255])
def test_plain_alpha(value):
    image, alpha, _ = sample(4)
    found = estimate_foreground(image, np.full_like(alpha, value))
    if value:
        np.testing.assert_array_equal(found, image / np.float32(255))
    else:  # no subject to continue: some colour of the image
        np.testing.assert_allclose(found, np.broadcast_to(found[0, 0], found.shape))


ONES = np.ones((4, 4, 3), np.float32)


@pytest.mark.parametrize(
    ("image", "alpha", "words"),
    [
        (ONES, ONES[:3, :, 0], r"image has shape \(4, 4, 3\) and alpha \(3, 4\)"),
        (ONES[..., 0], ONES[..., 0], "expected .height, width, 3."),
        (ONES[:0], ONES[:0, :, 0], r"image has shape \(0, 4, 3\)"),
        (2 * ONES, ONES[..., 0], "image has values that are NaN or outside"),
        (ONES, np.nan * ONES[..., 0], "alpha has values that are NaN or outside"),
        (ONES.astype(np.int32), ONES[..., 0], "image has type int32; expected uint8"),
        (ONES, ONES[..., 0] > 0, "alpha has type bool; expected uint8"),
    ],
)
def test_bad_input(image, alpha, words):
    with pytest.raises(InputError, match=words):
        estimate_foreground(image, alpha)
