"""Generated foregrounds: exact coverage, purity in (seed, index), promised values."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from input_pipeline.procedural import subjects, synthetic
from input_pipeline.procedural.canvas import (
    Canvas,
    coverage,
    edge_coverage,
    over,
    straighten,
    tint,
)
from input_pipeline.procedural.cutouts import cutout
from input_pipeline.procedural.silhouettes import ellipse
from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.procedural.textures import paint
from tmfnet_jax.errors import InputError

SIZE = (64, 96)
MAGENTA = (255, 0, 255)


def _digest(source: SyntheticSource, index: int) -> str:
    arrays = [*source.foreground(index), source.background(index)]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.full((80, 120, 3), MAGENTA[::-1], np.uint8))
    return path


def test_samples_are_uint8_of_the_size_asked_for():
    source = SyntheticSource(seed=0, size=SIZE)
    foreground, alpha = source.foreground(3)
    background = source.background(3)
    assert foreground.shape == background.shape == (*SIZE, 3)
    assert alpha.shape == SIZE
    assert foreground.dtype == alpha.dtype == background.dtype == np.uint8
    assert source.num_foregrounds is None
    assert source.num_backgrounds is None


def test_sample_depends_on_seed_and_index_alone():
    source = SyntheticSource(seed=5, size=SIZE)
    forwards = [_digest(source, i) for i in range(6)]
    np.random.seed(1)
    cv2.setRNGSeed(1)
    again = SyntheticSource(seed=5, size=SIZE)
    backwards = [_digest(again, i) for i in reversed(range(6))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 6
    assert _digest(SyntheticSource(seed=6, size=SIZE), 0) != forwards[0]


def test_another_process_draws_the_same():
    code = (
        "from tests.test_synthetic import SyntheticSource, _digest\n"
        "source = SyntheticSource(seed=5, size=(64, 96))\n"
        "print(*[_digest(source, i) for i in (4, 9)])"
    )
    child = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    source = SyntheticSource(seed=5, size=SIZE)
    assert child.stdout.split() == [_digest(source, i) for i in (4, 9)]


def test_drawing_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()
    source = SyntheticSource(seed=2, size=SIZE)
    for index in range(4):
        _digest(source, index)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_every_alpha_has_opaque_clear_and_mixed_pixels():
    source = SyntheticSource(seed=1, size=(96, 96))
    for index in range(40):
        foreground, alpha = source.foreground(index)
        assert alpha.max() >= 250, index
        assert alpha.min() <= 5, index
        assert np.count_nonzero((alpha > 5) & (alpha < 250)) >= 20, index
        assert 0.07 < alpha.mean() / 255 < 0.73, index
        assert foreground.std() > 0, index


def test_foregrounds_and_backgrounds_vary_in_brightness():
    source = SyntheticSource(seed=1, size=(64, 64))
    backgrounds = [source.background(i).mean() for i in range(60)]
    assert min(backgrounds) < 50
    assert max(backgrounds) > 180


@pytest.mark.parametrize("name", subjects.KINDS)
def test_every_kind_gives_a_valid_layer_at_odd_sizes(name):
    kind, weight = subjects.KINDS[name]
    layer = kind(np.random.default_rng(3), (67, 93), paint)
    assert weight > 0
    assert layer.shape == (67, 93, 4)
    assert layer.dtype == np.float32
    assert np.isfinite(layer).all()
    assert layer.min() >= 0
    assert 0.5 < layer[..., 3].max() <= 1 + 1e-5


def test_unusable_attempts_end_in_a_plain_disc(monkeypatch):
    def nothing(rng, shape, texture):
        return np.zeros((*shape, 4), np.float32)

    monkeypatch.setattr(synthetic, "KINDS", {"nothing": (nothing, 1.0)})
    _, alpha = SyntheticSource(seed=0, size=(100, 100)).foreground(0)
    assert alpha.sum() / 255 == pytest.approx(np.pi * 30**2, rel=0.02)


@pytest.mark.parametrize("radius", [10.0, 20.3, 35.7])
def test_coverage_of_a_disc_is_its_area(radius):
    alpha = coverage([ellipse((48.2, 47.6), (radius, radius))], (96, 96))
    assert alpha.sum() == pytest.approx(np.pi * radius**2, rel=0.03)
    # Linear in the distance to the centre, but for the corners of a pixel; drawing
    # includes the outline, an eighth of a pixel wide.
    y, x = np.mgrid[:96, :96] + 0.5
    expected = np.clip(radius + 0.5 - np.hypot(x - 48.2, y - 47.6), 0, 1)
    np.testing.assert_allclose(alpha, expected, atol=0.35)
    assert np.abs(alpha - expected)[expected % 1 > 0].mean() < 0.15


@pytest.mark.parametrize("width", [0.1, 0.25, 0.5, 0.75, 1.25, 2.25])
def test_coverage_of_strands_is_width_times_length(width):
    # OpenCV's line width depends on its direction, so the mean over many is taken.
    areas, peaks = [], []
    for angle in np.linspace(0, np.pi, 24, endpoint=False):
        half = 40 * np.array([np.cos(angle), np.sin(angle)])
        canvas = Canvas((96, 96))
        path = np.stack([48 - half, 48 + half])[None]
        canvas.strokes(path, np.ones(3), width=width)
        alpha = canvas.layer()[..., 3]
        areas.append(alpha.sum())
        peaks.append(alpha.max())
    assert np.mean(areas) == pytest.approx(80 * width, rel=0.12)
    assert max(peaks) <= min(1, 2 * width + 0.15)


def test_edge_coverage_of_a_half_plane_is_exact():
    x = np.broadcast_to(np.arange(12, dtype=np.float32) + 0.5, (8, 12))
    alpha = edge_coverage(3 * (x - 5.25))
    expected = np.clip(np.arange(12) + 1 - 5.25, 0, 1)
    np.testing.assert_allclose(alpha[2:-2, 1:-1], np.tile(expected[1:-1], (4, 1)))


def test_over_is_the_compositing_equation():
    top = tint(np.full((2, 2), 0.25), np.array([1.0, 0, 0]))
    bottom = tint(np.full((2, 2), 0.5), np.array([0, 1.0, 0]))
    np.testing.assert_allclose(over(top, bottom)[0, 0], [0.25, 0.375, 0, 0.625])


def test_straighten_divides_by_alpha_and_continues_colours():
    alpha = np.zeros((40, 50))
    alpha[10:20, 10:20] = 0.4
    colour = np.array([0.8, 0.2, 0.6])
    foreground, quantised = straighten(tint(alpha, colour))
    expected = np.broadcast_to(np.rint(255 * colour), foreground.shape)
    np.testing.assert_allclose(foreground, expected, atol=1)
    np.testing.assert_array_equal(quantised, np.rint(255 * alpha))


def test_straightened_sample_composites_as_its_layer():
    layer = subjects.KINDS["furry"][0](np.random.default_rng(0), (64, 64), paint)
    layer[..., :3] = np.minimum(layer[..., :3], layer[..., 3:])
    foreground, alpha = straighten(layer)
    premultiplied = foreground / 255 * (alpha[..., None] / 255)
    np.testing.assert_allclose(premultiplied, layer[..., :3], atol=1.1 / 255)


def test_photos_become_backgrounds_and_textures(photo):
    source = SyntheticSource(seed=0, size=SIZE, photos=[photo])
    plain = SyntheticSource(seed=0, size=SIZE)

    def share(draw):
        close = np.abs(draw.astype(int) - MAGENTA).max(axis=-1) < 40
        return close.mean()

    backgrounds = [share(source.background(i)) > 0.9 for i in range(12)]
    assert 4 <= sum(backgrounds) < 12
    assert not any(share(plain.background(i)) > 0.9 for i in range(12))
    # A texture is lit like the body it covers: its green stays 0.
    greenless = [(source.foreground(i)[0][..., 1] < 8).mean() > 0.5 for i in range(12)]
    assert any(greenless)


def test_small_photos_are_enlarged(tmp_path):
    path = tmp_path / "small.png"
    cv2.imwrite(str(path), np.full((5, 7), 90, np.uint8))
    source = SyntheticSource(seed=0, size=SIZE, photos=[path])
    assert {source.background(i).shape for i in range(6)} == {(*SIZE, 3)}


def test_missing_photo_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.jpg"):
        SyntheticSource(seed=0, photos=[tmp_path / "nowhere.jpg"])


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n not really"])
def test_damaged_photo_is_named(tmp_path, content):
    path = tmp_path / "damaged.png"
    path.write_bytes(content)
    source = SyntheticSource(seed=0, size=SIZE, photos=[path])
    with pytest.raises(InputError, match=r"damaged\.png"):
        for index in range(20):
            source.background(index)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"seed": -1}, "seed"), ({"seed": 0, "size": (8, 64)}, "size")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        SyntheticSource(**options)


def test_negative_index_is_refused():
    with pytest.raises(InputError, match="index"):
        SyntheticSource(seed=0).background(-1)


@pytest.fixture
def stamp(tmp_path):
    """A magenta square with a hard edge, its fringe green: another scene's colour."""
    pixels = np.zeros((60, 60, 4), np.uint8)
    pixels[10:50, 10:50] = (0, 255, 0, 255)
    pixels[11:49, 11:49] = (*MAGENTA[::-1], 255)
    path = tmp_path / "stamp.png"
    cv2.imwrite(str(path), pixels)
    return path


def test_cutouts_are_subjects_among_the_others(stamp):
    source = SyntheticSource(seed=4, size=(96, 96), cutouts=[stamp])
    shares = []
    for index in range(24):
        foreground, alpha = source.foreground(index)
        core = foreground[alpha >= 250].astype(int)
        shares.append((np.abs(core - MAGENTA).max(1) < 40).mean())
    found = sum(share > 0.8 for share in shares)
    assert 2 <= found <= 12
    plain = SyntheticSource(seed=4, size=(96, 96))
    other = next(i for i, share in enumerate(shares) if share < 0.01)
    assert plain.foreground(other)[1].any()


def test_a_cutout_loses_its_fringe_and_keeps_its_colour(stamp):
    layer = cutout(np.random.default_rng(0), (96, 96), stamp)
    colours, alpha = straighten(layer)
    assert 0.05 < alpha.mean() / 255 < 0.9
    visible = colours[alpha > 0].astype(int)
    assert np.abs(visible - MAGENTA).max() < 12


def test_an_absent_cutout_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.png"):
        SyntheticSource(seed=0, cutouts=[tmp_path / "gone.png"])
