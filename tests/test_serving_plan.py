"""Plans: memory bounds what is computed at once, whatever the size."""

from __future__ import annotations

import itertools

import jax
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.serving import plan as planning
from tmfnet_jax.serving.plan import make_plan, plans

CONFIG = TMFNetConfig()
WEIGHTS = 220_000_000  # of the published network, bytes
GB = 10**9
SIZES = [(1080, 1920), (4000, 6000), (10_000, 10_000), (30_000, 100), (100, 30_000)]


def choose(height, width, max_memory=None, **options):
    return make_plan(
        CONFIG,
        height,
        width,
        max_memory=max_memory,
        weight_bytes=WEIGHTS,
        **options,
    )


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    free_bytes(monkeypatch, 24 * GB)


def free_bytes(monkeypatch, count):
    monkeypatch.setattr(planning, "_free_bytes", lambda: count)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_thinner_strips_take_less_memory(size):
    found = list(plans(CONFIG, *size, weight_bytes=WEIGHTS))
    assert found[0].geometry.strips == 1
    for thick, thin in itertools.pairwise(found):
        assert thin.geometry.rows < thick.geometry.rows
        assert thin.geometry.strips > thick.geometry.strips
        assert thin.geometry.height >= size[0]
        assert thin.bytes < thick.bytes
    assert len(found) < 30


def test_estimates_grow_with_the_image():
    sizes = [16, 100, 500, 1000, 2000, 4000, 8000, 16_000]
    wholes = [next(plans(CONFIG, n, n, weight_bytes=WEIGHTS)).bytes for n in sizes]
    assert wholes == sorted(wholes)
    assert wholes[-1] > 30 * GB
    batches = [
        next(plans(CONFIG, 500, 500, weight_bytes=WEIGHTS, batch=n)).bytes
        for n in (1, 2, 8)
    ]
    assert batches == sorted(set(batches))


def test_half_the_bits_take_less_on_accelerators(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    full, halved = (
        next(plans(TMFNetConfig(dtype=dtype), 4000, 4000, weight_bytes=0)).bytes
        for dtype in ("float32", "bfloat16")
    )
    assert 0.4 * full < halved < 0.8 * full


@pytest.mark.parametrize("size", [(1080, 1920), (3000, 4000), *SIZES[3:]], ids=str)
def test_three_gigabytes_do_by_default(size):
    assert choose(*size).bytes <= 3 * GB


def test_small_machines_get_thinner_strips(monkeypatch):
    roomy = choose(2000, 3000)
    free_bytes(monkeypatch, 3 * GB // 2)
    tight = choose(2000, 3000)
    assert tight.geometry.strips > roomy.geometry.strips
    assert tight.bytes <= 3 * GB // 2


def test_a_hundred_megapixels_fit_a_desktop():
    assert 3 * GB < choose(10_000, 10_000).bytes <= 12 * GB
    assert choose(10_000, 10_000, 12 * GB).geometry.strips < 30


def test_more_memory_means_fewer_strips():
    counts = [choose(6000, 6000, n * GB).geometry.strips for n in (5, 6, 8, 12, 100)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1 < counts[0]


def test_too_little_memory_is_refused(monkeypatch):
    with pytest.raises(InputError) as caught:
        choose(4000, 6000, 10**9)
    message = str(caught.value)
    assert message.startswith("6000x4000 pixels need ")
    assert message.endswith(
        "allowed are 1.0 GB; this network takes 0.9 GB for any image: allow more, or "
        "scale the image down"
    )
    with pytest.raises(InputError, match="0.9 GB for any image: allow more$"):
        choose(4000, 6000, GB // 2)
    free_bytes(monkeypatch, 2 * GB)
    with pytest.raises(InputError, match="free are 2.0 GB; .* close other programs"):
        choose(10_000, 10_000)


def test_words():
    plan = choose(1080, 1920, 100 * GB)
    assert str(plan) == (
        f"1920x1080 pixels: whole, about {plan.bytes / GB:.1f} GB of memory"
    )
    plan = choose(4000, 6000, 4 * GB)
    strips, rows = plan.geometry.strips, plan.geometry.rows
    assert strips * rows >= 4000
    assert str(plan).startswith(f"6000x4000 pixels: {strips} strips of {rows} rows, ab")
    assert ": whole, 4 at a time, about" in str(choose(100, 100, batch=4))


def test_a_folder_of_photographs_needs_few_programs():
    """Compiled for each geometry anew; sizes as cameras and crops give them."""
    sizes = [(h, w) for h in range(1000, 1400, 7) for w in range(1500, 1700, 13)]
    assert len(sizes) > 900
    assert len({choose(*size).geometry for size in sizes}) <= 20
