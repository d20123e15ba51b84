"""Strips of network input, from pixels and from a resized image."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from tmfnet_jax.layers import resize_bilinear
from tmfnet_jax.model import network_input
from tmfnet_jax.serving.geometry import Geometry
from tmfnet_jax.serving.source import PixelSource, ScaledSource

GEOMETRY = Geometry(32, 3, 96, (32, 48), ("glf",) * 3)
RNG = np.random.default_rng(0)


def scene(height, width, dtype=np.uint8):
    image = RNG.integers(0, 256, (height, width, 3), np.uint8)
    trimap = RNG.choice(np.array([0, 128, 255], np.uint8), (height, width))
    return (image if dtype == np.uint8 else image / dtype(255)), trimap


def whole_input(image, trimap):
    return network_input(jnp.asarray(image)[None], jnp.asarray(trimap)[None, ..., None])


def assert_strips_are_parts_of(source, expected):
    """Expect zeros around, as wide as the buffer's margins need."""
    buffer = GEOMETRY.x
    around = np.pad(expected[0], ((buffer.margin, 300), (buffer.margin, 300), (0, 0)))
    for top in range(0, GEOMETRY.height, GEOMETRY.rows):
        strip = source.strip(top, GEOMETRY)
        assert strip.shape == (1, buffer.height, buffer.width, 6)
        part = around[top : top + buffer.height, : buffer.width]
        np.testing.assert_allclose(strip[0], part, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [(96, 96), (80, 48), (16, 16)])
def test_pixels(size, dtype):
    image, trimap = scene(*size, dtype)
    assert_strips_are_parts_of(PixelSource(image, trimap), whole_input(image, trimap))


@pytest.mark.parametrize(
    ("size", "scaled"),
    [((48, 32), (96, 64)), ((160, 96), (80, 48)), ((32, 32), (16, 16))],
)
def test_scaled_input_is_the_input_resized(size, scaled):
    image, trimap = scene(*size)
    expected = resize_bilinear(whole_input(image, trimap), scaled, align_corners=True)
    source = ScaledSource(PixelSource(image, trimap), *scaled)
    assert_strips_are_parts_of(source, expected)


def test_pixels_needed():
    trimap = np.zeros((32, 48), np.uint8)
    trimap[20, 31] = 128
    source = PixelSource(np.zeros((32, 48, 3), np.uint8), trimap)
    assert source.needs(20, 31, 1, 1)
    assert source.needs(-5, -5, 26, 37)
    for rectangle in [(0, 0, 20, 48), (21, 0, 90, 90), (0, 32, 32, 9), (-9, -9, 9, 9)]:
        assert not source.needs(*rectangle)


@pytest.mark.parametrize("scale", [2, 0.5])
def test_every_pixel_that_the_way_back_reads_is_needed(scale):
    size = (64, 96)
    scaled = tuple(int(side * scale) for side in size)
    # Row p holds the weights of the scaled alpha's rows in the result's row p.
    rows, columns = (
        np.asarray(
            resize_bilinear(jnp.eye(n)[None, ..., None], (m, n), align_corners=True)
        )[0, ..., 0]
        for n, m in zip(scaled, size, strict=True)
    )
    for y, x in itertools.product(range(0, 64, 7), range(0, 96, 5)):
        trimap = np.zeros(size, np.uint8)
        trimap[y, x] = 128
        source = ScaledSource(
            PixelSource(np.zeros((*size, 3), np.uint8), trimap), *scaled
        )
        for i, j in itertools.product(rows[y].nonzero()[0], columns[x].nonzero()[0]):
            top, left = i // 16 * 16, j // 16 * 16
            assert source.needs(int(i), int(j), 1, 1)
            assert source.needs(int(top), int(left), 16, 16)
        far = [r for r in range(0, scaled[0], 16) if abs(r + 8 - y * scale) > 16]
        assert not any(source.needs(top, 0, 16, scaled[1]) for top in far)
