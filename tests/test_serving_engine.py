"""The network in strips and tiles against the plain one, at any size."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tmfnet_jax.model import TMFNetConfig, network_input
from tmfnet_jax.parameters import LAST_SCALE, array_shapes, network_from_arrays
from tmfnet_jax.serving import blocks, engine
from tmfnet_jax.serving.engine import StreamedNetwork
from tmfnet_jax.serving.folding import fold
from tmfnet_jax.serving.geometry import Geometry
from tmfnet_jax.serving.source import PixelSource

TINY = TMFNetConfig(width=0.05)
# One set of buffers serves all smaller images; so few programs are compiled.
WHOLE = Geometry(112, 1, 96, (112, 48), TINY.fusion)
THICK = Geometry(48, 3, 96, (48, 48), TINY.fusion)
THIN = Geometry(16, 7, 96, (16, 32), TINY.fusion)
FULL = (112, 96)
RANDOM = 16 * np.random.default_rng(4).integers(1, (8, 7), (2, 2))
SIZES = [(16, 16), FULL, *map(tuple, RANDOM.tolist())]
MIDDLE = SIZES[2]
BAND_PIXELS = 27


@contextlib.contextmanager
def quick_compilation():
    """Compile in half the time; what is compared are formulas, not code."""
    name = "jax_disable_most_optimizations"
    before = jax.config.read(name)
    jax.config.update(name, True)
    yield
    jax.config.update(name, before)


@pytest.fixture(autouse=True, scope="module")
def _settings():
    """Compute maps in bands, which only large ones are otherwise."""
    with quick_compilation(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BAND_PIXELS", BAND_PIXELS)
        yield


def lively_arrays(config):
    """Draw weights none of which is zero: each has a part in the output."""
    arrays = {}
    for name, shape in array_shapes(config).items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        # A stage multiplies features with kernels predicted from them; small ones
        # keep three such stages from running away.
        predicts = ".predict." in name
        if name.endswith(".kernel"):
            value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
            value *= 0.05 if predicts else 1
        elif name.endswith((".scale", ".var")):
            value = rng.uniform(0.5, 1.5, shape)
            value *= 0.3 if name.endswith(LAST_SCALE) else 1
        else:
            value = 0.1 * (rng.standard_normal(shape) + predicts)
        arrays[name] = np.asarray(value, np.float32)
    return arrays


@functools.cache
def lively_network(config):
    return network_from_arrays(config, lively_arrays(config), origin="test")


@functools.cache
def streamed(config):
    return StreamedNetwork(config, lively_arrays(config))


def plain_network(config):
    return nnx.view(lively_network(config), use_running_average=True)


@functools.cache
def _compiled(config):
    model = plain_network(config)
    return jax.jit(lambda x: model(x))


def plain_input(image, trimap):
    return network_input(jnp.asarray(image)[None], jnp.asarray(trimap)[None, ..., None])


def plain_alpha(config, image, trimap):
    """Return [H, W] of the plain network, whole and not clipped."""
    return np.asarray(_compiled(config)(plain_input(image, trimap)))[0, ..., 0]


def scene(height, width, seed=0):
    rng = np.random.default_rng([seed, height, width])
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), (height, width))
    trimap[::8, ::8] = 128  # in every tile
    return PixelSource(image, trimap)


def assert_same(got, expected, bound=1e-5):
    scale = np.abs(expected).max()
    assert expected.std() > scale / 100  # or else nothing would be shown
    np.testing.assert_allclose(got, expected, rtol=0, atol=bound * scale)


@functools.cache
def expected_alpha(height, width):
    source = scene(height, width)
    return plain_alpha(TINY, source.image, source.trimap)


@pytest.mark.parametrize("geometry", [WHOLE, THICK, THIN], ids=["1", "3", "7"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_strips_and_tiles_do_not_show(size, geometry):
    got = streamed(TINY).alpha([scene(*size)], geometry)
    assert_same(got[0], expected_alpha(*size))


def test_maps_are_computed_in_bands():
    """No band height divides the 14 rows at 1/8 nor the 7 rows at 1/16."""
    assert blocks.band_rows(14, 12) == 3
    assert blocks.band_rows(7, 6) == 4


def test_direct_convolution(monkeypatch):
    def direct(arrays, *, dtype, fast_convolution):
        assert fast_convolution
        return fold(arrays, dtype=dtype, fast_convolution=False)

    monkeypatch.setattr(engine, "fold", direct)
    network = StreamedNetwork(TINY, lively_arrays(TINY))
    got = network.alpha([scene(*MIDDLE)], THICK)
    assert_same(got[0], expected_alpha(*MIDDLE))


def test_images_of_a_batch_do_not_mix():
    size = MIDDLE
    sources = [scene(*size, seed) for seed in range(3)]
    together = streamed(TINY).alpha(sources, THICK)
    for source, got in zip(sources, together, strict=True):
        assert_same(got, streamed(TINY).alpha([source], THICK)[0])
    assert np.abs(together[0] - together[1]).max() > 0.1


@pytest.mark.parametrize("geometry", [WHOLE, THICK], ids=["1", "3"])
def test_only_tiles_with_unknown_pixels_are_computed(geometry):
    source = scene(*FULL)
    source.trimap[source.trimap == 128] = 0
    source.trimap[47, 95] = source.trimap[96, 47] = 128
    expected = plain_alpha(TINY, source.image, source.trimap)
    calls: list[tuple[int, int]] = []
    got = streamed(TINY).alpha([source], geometry, lambda *step: calls.append(step))
    (tall, wide), rows = geometry.tile, set()
    for top, left in itertools.product(range(0, 112, tall), range(0, 96, wide)):
        tile = slice(top, top + tall), slice(left, left + wide)
        if (source.trimap[tile] == 128).any():
            assert_same(got[0][tile], expected[tile])
            rows.add(top)
        else:
            assert (got[0][tile] == 0).all()
    # Each strip, each deep block but the first, the context, each row of tiles.
    steps = geometry.strips + 12 + 1 + len(rows)
    assert calls == [(i + 1, steps) for i in range(steps)]


def test_nothing_wanted_nothing_decoded():
    source = scene(*FULL)
    source.trimap[source.trimap == 128] = 255
    assert (streamed(TINY).alpha([source], THICK) == 0).all()


def test_bfloat16_is_near_float32():
    config = dataclasses.replace(TINY, dtype="bfloat16")
    size = MIDDLE
    got = streamed(config).alpha([scene(*size)], THICK)[0]
    expected = expected_alpha(*size)
    assert got.dtype == np.float32
    deviation = np.abs(got - expected).mean() / np.abs(expected).mean()
    assert 1e-4 < deviation < 0.05
