"""Metrics against stored values, slow plain loops and a public benchmark image."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tmfnet_jax import metrics
from tmfnet_jax.batch_metrics import batch_sad_mse
from tmfnet_jax.errors import InputError

TESTDATA = Path(__file__).parent / "testdata"
GOLDENS = np.load(TESTDATA / "metrics.npz")
# Written by experiments/benchmark_metrics.py from an implementation in GNU Octave.
OCTAVE = np.load(TESTDATA / "metrics_matlab.npz")
FUNCTIONS = (
    metrics.sad,
    metrics.mse,
    metrics.gradient_error,
    metrics.connectivity_error,
    metrics.evaluate_alpha,
)


def as_list(result: metrics.Metrics) -> list[float]:
    return [result.sad, result.mse, result.grad, result.conn]


def small_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A 9 x 12 image with smooth parts, islands and few distinct levels."""
    rng = np.random.default_rng(5)
    alpha = rng.integers(0, 11, (9, 12)) * 25.5
    alpha[:, :5] = np.linspace(255, 60, 5)
    prediction = np.clip(alpha + rng.integers(-60, 61, alpha.shape), 0, 255)
    trimap = rng.choice([0, 128, 255], alpha.shape, p=[0.1, 0.8, 0.1])
    return tuple(x.astype(np.uint8) for x in (prediction, alpha, trimap))


@pytest.mark.parametrize("name", GOLDENS["names"])
def test_golden_values(name):
    prediction, alpha, trimap = (
        GOLDENS[f"{name}_{part}"] for part in ("pred", "alpha", "trimap")
    )
    result = metrics.evaluate_alpha(prediction, alpha, trimap)
    np.testing.assert_allclose(
        as_list(result), GOLDENS[f"{name}_values"], rtol=1e-5, atol=1e-7
    )


def octave_case(name: str) -> list[np.ndarray]:
    source = OCTAVE if f"{name}_pred" in OCTAVE else GOLDENS
    return [source[f"{name}_{part}"] for part in ("pred", "alpha", "trimap")]


@pytest.mark.parametrize("name", OCTAVE["names"])
def test_matlab_variant_agrees_with_octave(name):
    result = metrics.evaluate_alpha(*octave_case(name), variant="matlab")
    expected = OCTAVE["values"][OCTAVE["names"].tolist().index(name)]
    # Octave computes Conn in single precision.
    np.testing.assert_allclose(as_list(result), expected, rtol=1e-7, atol=1e-12)


def test_variants_differ_where_they_should():
    ties, mismatch = octave_case("ties"), octave_case("known_mismatch")
    for case, names in ((ties, {"conn"}), (mismatch, {"sad", "mse"})):
        one, other = (
            dataclasses.asdict(metrics.evaluate_alpha(*case, variant=variant))
            for variant in metrics.VARIANTS
        )
        assert {k for k in one if one[k] != pytest.approx(other[k])} == names


def test_unknown_variant_is_refused():
    with pytest.raises(InputError, match="variant is 'gca'; expected one of python"):
        metrics.evaluate_alpha(*octave_case("perfect"), variant="gca")


def test_nothing_unknown_is_defined():
    prediction, alpha, _ = octave_case("smooth_small")
    trimap = np.where(alpha > 127, np.uint8(255), np.uint8(0))
    result = metrics.evaluate_alpha(prediction, alpha, trimap, variant="matlab")
    assert as_list(result) == [0, 0, 0, 0]
    python = metrics.evaluate_alpha(prediction, alpha, trimap)
    assert python.sad > 0
    assert [python.mse, python.grad, python.conn] == [0, 0, 0]


def test_batch_agrees_with_single_images():
    rng = np.random.default_rng(3)
    shape = (3, 20, 24, 1)
    prediction = rng.uniform(-0.3, 1.3, shape).astype(np.float32)
    alpha = rng.integers(0, 256, shape, np.uint8)
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), shape)
    trimap[2] = 255
    sad, mse = batch_sad_mse(prediction, alpha, trimap)
    for i in range(3):
        eight_bit = metrics.to_8bit(prediction[i, ..., 0])
        known = trimap[i, ..., 0] != 128
        eight_bit[known] = trimap[i, ..., 0][known]
        images = eight_bit, alpha[i, ..., 0], trimap[i, ..., 0]
        assert float(sad[i]) == pytest.approx(metrics.sad(*images), rel=1e-5)
        assert float(mse[i]) == pytest.approx(metrics.mse(*images), rel=1e-5)


def test_real_photo():
    folder = os.environ.get("TMFNET_ALPHAMATTING")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TMFNET_ALPHAMATTING names no folder")
    alpha, trimap = (
        cv2.imread(str(Path(folder, "train", kind, "GT01.png")))[..., 0].copy()
        for kind in ("alpha", "trimap1")
    )
    prediction = alpha.astype(np.float64)
    weights = np.array([1, 4, 6, 4, 1]) / 16
    for _ in range(6):
        prediction = cv2.sepFilter2D(
            prediction, cv2.CV_64F, weights, weights, borderType=cv2.BORDER_REPLICATE
        )
    prediction = np.rint(prediction).astype(np.uint8)
    known = trimap != 128
    prediction[known] = trimap[known]
    checksums = [alpha.sum(), np.count_nonzero(trimap == 128), prediction.sum()]
    assert checksums == GOLDENS["real_checksums"].tolist()
    result = metrics.evaluate_alpha(prediction, alpha, trimap)
    np.testing.assert_allclose(as_list(result), GOLDENS["real_values"], rtol=1e-5)


def test_sad_and_mse_by_hand():
    prediction = np.array([[0, 255, 51]], np.uint8)
    alpha = np.array([[51, 255, 153]], np.uint8)
    trimap = np.array([[0, 255, 128]], np.uint8)
    # Differences 0.2, 0, 0.4; the known 0.2 counts in both sums.
    assert metrics.sad(prediction, alpha, trimap) == pytest.approx(0.6e-3)
    assert metrics.mse(prediction, alpha, trimap) == pytest.approx(0.04 + 0.16)


def test_gradient_matches_plain_loops():
    prediction, alpha, trimap = small_case()
    sigma = 1.4

    def gaussian(x):
        return math.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

    taps = range(-4, 5)
    kernel = {(i, j): -j * gaussian(i) * gaussian(j) for i in taps for j in taps}
    norm = math.sqrt(sum(k * k for k in kernel.values()))
    stored = [[GOLDENS["gauss_filter_x"][i + 4, j + 4] for j in taps] for i in taps]
    ours = [[kernel[i, j] / norm for j in taps] for i in taps]
    np.testing.assert_allclose(ours, stored, atol=1e-12)

    def magnitude(image, y, x):
        low, high = float(image.min()), float(image.max())
        gx = gy = 0.0
        for (i, j), k in kernel.items():
            row = min(max(y + i, 0), image.shape[0] - 1)
            column = min(max(x + j, 0), image.shape[1] - 1)
            gx += k / norm * (image[row, column] - low) / (high - low)
            row = min(max(y + j, 0), image.shape[0] - 1)
            column = min(max(x + i, 0), image.shape[1] - 1)
            gy += k / norm * (image[row, column] - low) / (high - low)
        return math.hypot(gx, gy)

    expected = sum(
        (magnitude(prediction, y, x) - magnitude(alpha, y, x)) ** 2
        for y, x in np.argwhere(trimap == 128)
    )
    result = metrics.gradient_error(prediction, alpha, trimap)
    assert result == pytest.approx(expected / 1000, rel=1e-9)
    assert result > 0


def plain_connectivity(prediction, alpha, trimap) -> float:
    """Conn by flood fill in pure Python, reading order, first of equal areas."""
    height, width = alpha.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    joined = dict.fromkeys(pixels)
    for step in range(1, 11):
        reached = {p for p in pixels if 10 * min(prediction[p], alpha[p]) >= 255 * step}
        largest = set()
        for start in pixels:
            if start not in reached:
                continue
            component, stack = set(), [start]
            while stack:
                pixel = stack.pop()
                if pixel in reached:
                    reached.remove(pixel)
                    component.add(pixel)
                    y, x = pixel
                    stack += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            if len(component) > len(largest):
                largest = component
        for pixel in pixels:
            if joined[pixel] is None and pixel not in largest:
                joined[pixel] = (step - 1) / 10

    def phi(value, pixel):
        gap = value / 255 - (1.0 if joined[pixel] is None else joined[pixel])
        return 1 - gap if gap >= 0.15 else 1.0

    errors = [
        abs(phi(int(prediction[p]), p) - phi(int(alpha[p]), p))
        for p in pixels
        if trimap[p] == 128
    ]
    return sum(errors) / 1000


def test_connectivity_matches_flood_fill():
    prediction, alpha, trimap = (x.astype(int) for x in small_case())
    expected = plain_connectivity(prediction, alpha, trimap)
    result = metrics.connectivity_error(*small_case())
    assert result == pytest.approx(expected, rel=1e-9)
    assert result > 0


@pytest.mark.parametrize("turns", range(4))
def test_connectivity_takes_first_of_equal_components(turns):
    # Two components of three pixels: an L and a bar. Only the pixels outside the
    # chosen one show the error of the prediction there.
    alpha = np.zeros((6, 7), np.uint8)
    alpha[1, 1:3] = alpha[2, 1] = alpha[3:6, 5] = 255
    prediction = alpha.copy()
    prediction[1, 1:3] = 204
    prediction[3:5, 5] = 128
    prediction, alpha = (np.rot90(x, turns).copy() for x in (prediction, alpha))
    trimap = np.full(alpha.shape, 128, np.uint8)
    expected = plain_connectivity(prediction.astype(int), alpha.astype(int), trimap)
    result = metrics.connectivity_error(prediction, alpha, trimap)
    assert result == pytest.approx(expected, rel=1e-9)
    assert result > 0


def test_constant_images_have_no_gradient():
    trimap = np.full((5, 6), 128, np.uint8)
    flat = [np.full((5, 6), value, np.uint8) for value in (7, 200)]
    assert metrics.gradient_error(*flat, trimap) == 0


def test_to_8bit_clips_and_rounds():
    alpha = np.array([[-0.5, 0.0, 0.1, 0.499, 1.0, 1.7]], np.float32)
    result = metrics.to_8bit(alpha)
    assert result.dtype == np.uint8
    assert result.tolist() == [[0, 0, 26, 127, 255, 255]]  # 25.5 goes to even


def test_to_8bit_refuses_other_input():
    with pytest.raises(InputError, match="dtype uint8, expected a float"):
        metrics.to_8bit(np.zeros((2, 2), np.uint8))
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="NaN or infinite"):
            metrics.to_8bit(np.array([0.5, bad]))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_refuses_bad_arguments(function):
    image = np.zeros((4, 5), np.uint8)
    trimap = np.full((4, 5), 128, np.uint8)
    with pytest.raises(InputError, match="prediction is float32, .* to_8bit"):
        function(image.astype(np.float32), image, trimap)
    with pytest.raises(InputError, match="alpha is list"):
        function(image, image.tolist(), trimap)
    with pytest.raises(InputError, match=r"alpha has shape \(4, 5, 1\)"):
        function(image, image[..., None], trimap)
    with pytest.raises(InputError, match=r"shape \(0, 5\), .* at least one pixel"):
        function(image[:0], image[:0], trimap[:0])
    with pytest.raises(InputError, match=r"shapes differ: prediction \(4, 4\)"):
        function(image[:, :4], image, trimap)
    trimap[0, :2] = 127, 254
    with pytest.raises(InputError, match=r"2 pixels with other values \(first 127\)"):
        function(image, image, trimap)
