"""What counts as a trimap, and what the messages about the rest say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import canonical_trimap


def square(size=64, unknown=128):
    trimap = np.zeros((size, size), np.uint8)
    trimap[8:-8, 8:-8] = unknown
    trimap[20:-20, 20:-20] = 255
    return trimap


@pytest.mark.parametrize(
    "form",
    [
        lambda t: t,
        lambda t: t[..., None],
        lambda t: np.repeat(t[..., None], 3, -1),
        lambda t: np.dstack([t, t, t, np.full_like(t, 255)]),
        lambda t: t.astype(np.uint16) * 257,
        lambda t: np.select([t == 0, t == 128], [0.0, 0.5], 1.0),
        lambda t: np.select([t == 0, t == 128], [0.0, 0.5], 1.0).astype(np.float32),
        lambda t: np.where(t == 128, np.uint8(127), t),
    ],
)
def test_accepted_forms_mean_the_same(form):
    labels, warnings = canonical_trimap(form(square()))
    np.testing.assert_array_equal(labels, square())
    assert labels.dtype == np.uint8
    assert warnings == []


def test_antialiased_pixels_become_unknown_with_a_count():
    smooth = cv2.blur(square(), (3, 3))
    strays = int((~np.isin(smooth, (0, 127, 128, 255))).sum())
    labels, warnings = canonical_trimap(smooth)
    assert strays > 100
    assert warnings == [
        f"{strays} anti-aliased trimap pixels between labels count as unknown"
    ]
    assert set(np.unique(labels)) == {0, 128, 255}
    assert (labels[~np.isin(smooth, (0, 127, 128, 255))] == 128).all()


def test_other_grey_values_are_listed():
    trimap = square(unknown=100)
    trimap[0, 0] = 7
    with pytest.raises(InputError) as caught:
        canonical_trimap(trimap)
    count = int((trimap == 100).sum())
    assert f"100 ({count} pixels), 7 (1 pixels)" in str(caught.value)
    assert "expected 0 background, 128 unknown, 255 foreground" in str(caught.value)


def test_jpeg_noise_is_refused_with_the_remedy():
    noisy = square().astype(int) + np.random.default_rng(0).integers(-3, 4, (64, 64))
    with pytest.raises(InputError, match="without JPEG compression"):
        canonical_trimap(noisy.clip(0, 255).astype(np.uint8))


def test_nothing_known():
    with pytest.raises(InputError, match="trimap has no known pixel"):
        canonical_trimap(np.full((4, 4), 128, np.uint8))


def test_nothing_unknown_warns():
    labels, warnings = canonical_trimap(np.where(square() > 0, np.uint8(255), 0))
    assert set(np.unique(labels)) == {0, 255}
    assert warnings == [
        "trimap has no unknown pixel (128), so the alpha is the trimap itself"
    ]


@pytest.mark.parametrize(
    ("trimap", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\); expected"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (np.zeros((0, 4), np.uint8), "trimap is empty"),
        (np.zeros((4, 4), np.int64), "type int64"),
        (np.array([[0, np.nan]]), "1 values that are NaN or outside"),
        (np.array([[0, 2.0]]), "1 values that are NaN or outside"),
        (np.eye(3, dtype=np.uint8)[None] * 255, "trimap is coloured"),
    ],
)
def test_unusable_arrays(trimap, message):
    with pytest.raises(InputError, match=message):
        canonical_trimap(trimap)
