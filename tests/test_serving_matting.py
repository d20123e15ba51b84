"""Mattes whole or in strips: one result, few programs, no memory kept."""

from __future__ import annotations

import functools
import itertools
import logging
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from test_serving_engine import TINY, lively_network, plain_alpha, quick_compilation

from tmfnet_jax import Matting
from tmfnet_jax.errors import InputError
from tmfnet_jax.parameters import named_arrays, network_from_arrays
from tmfnet_jax.serving import passes
from tmfnet_jax.serving.engine import StreamedNetwork

GAIN, SHIFT = 0.05, 0.5  # bring the output mostly into [0, 1]
SIZE = (189, 39)
PADDED = (192, 48)


@pytest.fixture(autouse=True, scope="module")
def _settings():
    with quick_compilation():
        yield


@functools.cache
def model():
    arrays = named_arrays(lively_network(TINY))
    arrays["head.1.kernel"] = arrays["head.1.kernel"] * np.float32(GAIN)
    arrays["head.1.bias"] = arrays["head.1.bias"] * np.float32(GAIN) + SHIFT
    return network_from_arrays(TINY, arrays, origin="test")


@pytest.fixture(scope="module")
def matting():
    return Matting(model(), max_memory=10**10)


@functools.cache
def scene(height, width, seed=0):
    rng = np.random.default_rng([seed, height, width])
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), (height, width))
    trimap[0, :2] = 0, 128
    return image, trimap


@functools.cache
def expected_alpha(seed=0):
    image, trimap = scene(*SIZE, seed)
    padding = [(0, after - n) for n, after in zip(SIZE, PADDED, strict=True)]
    alpha = plain_alpha(
        TINY,
        np.pad(image, (*padding, (0, 0)), mode="edge"),
        np.pad(trimap, padding, mode="edge"),
    )
    alpha = (GAIN * alpha + SHIFT)[: SIZE[0], : SIZE[1]].clip(0, 1)
    assert 0.1 < alpha.mean() < 0.9 and alpha.std() > 0.1
    return np.select([trimap == 0, trimap == 255], [0, 1], alpha)


def assert_expected(alpha, seed=0):
    np.testing.assert_allclose(alpha, expected_alpha(seed), rtol=0, atol=1e-5)


def test_whole_and_in_strips_as_memory_allows(matting):
    image, trimap = scene(*SIZE)
    plan = matting.plan(*SIZE)
    assert (plan.height, plan.width, plan.geometry.strips) == (*PADDED, 1)
    assert_expected(matting.alpha(image, trimap))
    tighter = Matting(model(), max_memory=plan.bytes - 1)
    assert tighter.plan(*SIZE).geometry.strips > 1
    assert_expected(tighter.alpha(image, trimap))


def test_too_little_memory_is_refused():
    with pytest.raises(InputError, match="48x192 pixels need .* allowed are 0.2 GB"):
        Matting(model(), max_memory=2 * 10**8).alpha(*scene(*SIZE))


def test_plan_of_augmentation_is_that_of_the_largest_member(matting):
    assert matting.plan(33, 65, tta="8") == matting.plan(48, 80)
    assert matting.plan(33, 65, tta="10") == matting.plan(128, 192)


def failing(monkeypatch, error, strips):
    """Let the network fail where it gets fewer strips; list the strips tried."""
    original, tried = StreamedNetwork.alpha, []

    def alpha(self, sources, geometry, progress=None):
        tried.append(geometry.strips)
        if geometry.strips < strips:
            raise error
        return original(self, sources, geometry, progress)

    monkeypatch.setattr(StreamedNetwork, "alpha", alpha)
    return tried


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 B"),
    ],
    ids=["host", "device"],
)
def test_out_of_memory_after_all(matting, monkeypatch, caplog, error):
    tried = failing(monkeypatch, error, strips=2)
    with caplog.at_level(logging.WARNING):
        alpha = matting.alpha(*scene(*SIZE))
    assert_expected(alpha)
    assert len(tried) == 2 and tried[0] == 1 < tried[1]
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert message.startswith("out of memory; trying ")
    assert message.endswith(" rows")


def test_memory_for_no_strips_at_all(matting, monkeypatch):
    tried = failing(monkeypatch, MemoryError(), strips=10**6)
    with pytest.raises(MemoryError, match="out of memory at 48x192 pixels"):
        matting.alpha(*scene(*SIZE))
    assert len(tried) > 2 and tried == sorted(set(tried))


@pytest.mark.parametrize(
    "error", [jax.errors.JaxRuntimeError("INTERNAL: bug"), ValueError("bug")]
)
def test_other_errors_pass_and_the_next_call_works(matting, monkeypatch, error):
    with monkeypatch.context() as patch:
        tried = failing(patch, error, strips=10**6)
        with pytest.raises(type(error), match="bug"):
            matting.alpha(*scene(*SIZE))
        assert tried == [1]
    assert_expected(matting.alpha(*scene(*SIZE)))


def test_threads_share_a_network(matting):
    seeds = [0, 1, 0, 1, 0, 1, 0, 1]
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(matting.alpha, *scene(*SIZE, seed)) for seed in seeds]
        for future, seed in zip(futures, seeds, strict=True):
            assert_expected(future.result(), seed)
    assert np.abs(expected_alpha(0) - expected_alpha(1)).max() > 0.1


def test_progress_grows_to_its_end(matting):
    calls: list[tuple[int, int]] = []
    matting.alpha(*scene(*SIZE), progress=lambda *step: calls.append(step))
    done, steps = zip(*calls, strict=True)
    assert len(calls) > 10
    assert list(done) == sorted(done)
    assert set(steps) == {done[-1]}


def test_augmentation_is_the_mean_of_rotations_and_flips(matting):
    image, trimap = scene(32, 32)
    total = np.zeros((32, 32))
    for flip, turns in itertools.product((False, True), range(4)):
        sources = [np.rot90(x[:, ::-1] if flip else x, turns) for x in (image, trimap)]
        alpha = np.rot90(GAIN * plain_alpha(TINY, *sources) + SHIFT, -turns)
        total += alpha[:, ::-1] if flip else alpha
    unknown = trimap == 128
    got = matting.alpha(image, trimap, tta="8")
    expected = (total / 8).clip(0, 1)
    np.testing.assert_allclose(got[unknown], expected[unknown], rtol=0, atol=1e-5)


def test_cutout_has_the_alpha_and_colours(matting):
    image, trimap = scene(*SIZE)
    cutout = matting.cutout(image, trimap)
    assert cutout.shape == (*SIZE, 4)
    assert cutout.dtype == np.float32
    assert_expected(cutout[..., 3])
    assert ((cutout >= 0) & (cutout <= 1)).all()
    opaque = trimap == 255
    np.testing.assert_allclose(cutout[opaque, :3], image[opaque] / 255, atol=0.02)


def programs():
    return {
        name: program._cache_size()
        for name, program in vars(passes).items()
        if hasattr(program, "_cache_size")
    }


def test_a_folder_of_sizes_needs_few_programs_and_keeps_no_memory(matting):
    """These sizes are of one bucket."""
    matting.alpha(*scene(177, 33))
    before, arrays = programs(), len(jax.live_arrays())
    assert {"assemble", "shallow", "enter", "refine", "mine", "decode"} <= set(before)
    for size in [(180, 40), SIZE, (192, 48), (177, 45)]:
        alpha = matting.alpha(*scene(*size))
        assert alpha.shape == size
    assert programs() == before
    assert len(jax.live_arrays()) == arrays


def test_panorama(matting):
    size = (30_000, 100)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    trimap = np.zeros(size, np.uint8)
    trimap[-40:, -40:] = 255
    trimap[-20:, -60:] = 128
    alpha = matting.alpha(image, trimap)
    assert alpha.shape == size
    unknown = trimap == 128
    assert ((alpha == trimap / 255) | unknown).all()
    assert alpha[unknown].std() > 0.05
