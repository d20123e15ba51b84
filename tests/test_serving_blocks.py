"""Convolutions, bands and enlargements against their plain forms."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from tmfnet_jax.layers import resize_bilinear
from tmfnet_jax.resnet import EXPANSION, Bottleneck
from tmfnet_jax.serving import blocks, winograd
from tmfnet_jax.serving.decoder import enlarge
from tmfnet_jax.serving.folding import Affine, fold
from tmfnet_jax.serving.tiling import (
    Extent,
    Place,
    Span,
    Tiles,
    for_tiles,
    interpolation,
    keep_inside,
    paste,
    whole,
)

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape, np.float32)


def plain_conv(x, kernel, stride=1, dilation=1):
    """Sum shifted products in float64."""
    size = kernel.shape[0]
    rows, columns = (n - dilation * (size - 1) for n in x.shape[1:3])
    total = np.zeros((x.shape[0], rows, columns, kernel.shape[-1]))
    for i, j in np.ndindex(size, size):
        top, left = dilation * i, dilation * j
        total += x[:, top : top + rows, left : left + columns] @ kernel[i, j]
    return total[:, ::stride, ::stride]


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 8)])
def test_winograd_form_equals_direct_sums(size, dilation):
    x = normal(2, size[0] + 2 * dilation, size[1] + 2 * dilation, 5)
    kernel, bias = normal(3, 3, 5, 4), normal(4)
    layer = Affine(jnp.asarray(winograd.transform_kernel(kernel)), jnp.asarray(bias))
    run = functools.partial(blocks.conv, activation=jax.nn.relu, dilation=dilation)
    got = jax.jit(run)(x, layer)
    expected = np.maximum(plain_conv(x, kernel, dilation=dilation) + bias, 0)
    # Dilation leaves a row and column more behind where the size is odd.
    got = got[:, : size[0], : size[1]]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * expected.max())


@pytest.mark.parametrize(
    ("size", "stride", "dilation"),
    [(3, 1, 1), (3, 2, 1), (3, 1, 4), (1, 1, 1), (1, 2, 1)],
)
def test_direct_forms(size, stride, dilation):
    x, kernel = normal(1, 11, 12, 5), normal(size, size, 5, 4)
    layer = Affine(jnp.asarray(kernel), None)
    run = functools.partial(blocks.conv, stride=stride, dilation=dilation)
    got = jax.jit(run)(x, layer)
    expected = plain_conv(x, kernel, stride, dilation)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * expected.max())


@pytest.mark.parametrize(("height", "rows"), [(6, 6), (6, 3), (7, 3), (5, 4), (1, 1)])
def test_bands_read_only_rows_not_yet_written(height, rows):
    """Each row is replaced once, by a function of its old value."""
    x = jnp.arange(height, dtype=jnp.float32)[None, :, None, None] + 1
    x = jnp.tile(x, (1, 1, 2, 3))

    def body(row, state):
        return lax.dynamic_slice_in_dim(state, row, rows, 1) * 10

    np.testing.assert_array_equal(blocks.in_bands(body, rows, x), 10 * x)


@pytest.mark.parametrize("height", range(1, 40, 3))
def test_band_rows_fit_the_map(monkeypatch, height):
    monkeypatch.setattr(blocks, "BAND_PIXELS", 48)
    rows = blocks.band_rows(height, 16)
    assert 1 <= rows <= height
    assert rows * 16 <= 1.5 * 48 or rows == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert blocks.band_rows(height, 16) == height


@functools.cache
def residual(stride, dilation, project):
    """Build a block as layer1, 2, 3 and 4 have them, and fold it."""
    inputs = 16 if project else 4 * EXPANSION
    options = {"stride": stride, "dilation": dilation, "project": project}
    graph, state = nnx.split(
        nnx.eval_shape(lambda: Bottleneck(inputs, 4, **options, rngs=nnx.Rngs(0)))
    )
    arrays, filled = {}, []
    for path, leaf in nnx.to_flat_state(state):
        kernel = path[-1] == "kernel"
        value = normal(*leaf.shape) if kernel else RNG.uniform(0.5, 1.5, leaf.shape)
        arrays[".".join(map(str, path))] = np.asarray(value, np.float32)
        filled.append((path, leaf.replace(jnp.asarray(value, jnp.float32))))
    block = nnx.merge(graph, nnx.from_flat_state(filled))
    plain = jax.jit(nnx.view(block, use_running_average=True))
    return plain, fold(arrays, dtype="float32", fast_convolution=stride == 1)


@pytest.mark.parametrize("pixels", [2048, 30])
@pytest.mark.parametrize(
    ("stride", "dilation", "project"),
    [(1, 1, False), (1, 2, False), (1, 1, True), (2, 1, True)],
)
def test_block_of_a_map_larger_than_the_image(
    monkeypatch, stride, dilation, project, pixels
):
    monkeypatch.setattr(blocks, "BAND_PIXELS", pixels)
    plain, weights = residual(stride, dilation, project)
    height, width = 10, 6
    x = np.zeros((1, 14, 10, 16), np.float32)
    x[:, :height, :width] = normal(1, height, width, 16)
    expected = np.asarray(plain(jnp.asarray(x[:, :height, :width])))
    run = functools.partial(blocks.bottleneck_map, stride=stride, dilation=dilation)
    extent = Extent(jnp.int32(height), jnp.int32(width))
    got = jax.jit(run)(x, weights, whole(), extent)
    assert got.shape[1:3] == (14 // stride, 10 // stride)
    got = got[:, : height // stride, : width // stride]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * expected.max())


def test_block_of_a_tile_at_the_images_corner():
    plain, weights = residual(1, 1, True)
    x = normal(1, 9, 8, 16)
    expected = np.asarray(plain(jnp.asarray(x)))
    place, extent = (
        Place(jnp.int32(4), jnp.int32(3)),
        Extent(jnp.int32(9), jnp.int32(8)),
    )
    around = np.pad(x[:, 4:, 3:], ((0, 0), (0, 2), (0, 2), (0, 0)))
    got = jax.jit(blocks.bottleneck)(around, weights, place, extent)
    np.testing.assert_allclose(
        got[:, :4, :4], expected[:, 5:, 4:], rtol=0, atol=1e-5 * expected.max()
    )


@pytest.mark.parametrize("pixels", [2048, 12])
def test_convolution_of_concatenated_maps(monkeypatch, pixels):
    monkeypatch.setattr(blocks, "BAND_PIXELS", pixels)
    maps, kernel = [normal(1, 9, 8, 3), normal(1, 9, 8, 2)], normal(3, 3, 5, 4)
    layer = Affine(jnp.asarray(kernel), jnp.zeros(4))
    run = functools.partial(blocks.conv_map, activation=jax.nn.relu)
    got = jax.jit(run)(maps, layer)
    expected = np.maximum(plain_conv(np.concatenate(maps, -1), kernel), 0)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * expected.max())


@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_interpolation_is_the_resize_of_the_whole(size):
    x = normal(1, size, 1, 3)
    expected = resize_bilinear(jnp.asarray(x), (2 * size, 1), align_corners=True)
    # Rows outside repeat the first and the last one; columns lie where they may.
    weights = interpolation(
        jnp.arange(-1, 2 * size + 1), jnp.int32(size), jnp.int32(-2), size + 5
    )
    around = np.pad(x[0, :, 0], ((2, 3), (0, 0)), constant_values=7)
    expected = np.pad(expected[0, :, 0], ((1, 1), (0, 0)), mode="edge")
    np.testing.assert_allclose(weights @ around, expected, atol=1e-5)


def test_enlarged_tile_is_a_part_of_the_enlarged_whole():
    x = normal(2, 9, 7, 3)
    expected = resize_bilinear(jnp.asarray(x), (18, 14), align_corners=True)
    first, place = Place(2, 1), Place(8, 4)
    got = enlarge(
        jnp.asarray(x[:, 2:8, 1:6]),
        first,
        Span(-2, 6),
        Span(-1, 5),
        place,
        Extent(jnp.int32(9), jnp.int32(7)),
    )
    np.testing.assert_allclose(got, expected[:, 6:12, 3:8], atol=1e-5)


def test_keep_inside_clears_what_is_outside():
    x = np.ones((1, 4, 5, 2), np.float32)
    got = keep_inside(jnp.asarray(x), Place(-1, -2), Extent(2, 9))
    expected = np.zeros_like(x)
    expected[:, 1:3, 2:] = 1
    np.testing.assert_array_equal(got, expected)


def test_loop_visits_the_tiles_that_count():
    tiles = Tiles.of([(0, 2), (3, 1)], 5)
    one = jnp.ones((1, 1, 1, 1))
    got = for_tiles(tiles, lambda i, j, x: paste(x, one, i, j), jnp.zeros((1, 4, 4, 1)))
    assert np.argwhere(got[0, ..., 0]).tolist() == [[0, 2], [3, 1]]
    assert for_tiles(Tiles.of([], 1), lambda i, j, x: x + 1, jnp.zeros(1)) == 0
