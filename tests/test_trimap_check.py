"""Findings about trimaps, one per fault, and the picture of one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap_check import describe_trimap, nearest_labels, overlay


def good(height=60, width=80, band=10):
    """Columns of background, a band of the given width, and foreground."""
    trimap = np.zeros((height, width), np.uint8)
    trimap[:, 30 : 30 + band] = 128
    trimap[:, 30 + band :] = 255
    return trimap


def changed(*boxes):
    """A good trimap with (rows, columns, value) painted over."""
    trimap = good()
    for rows, columns, value in boxes:
        trimap[slice(*rows), slice(*columns)] = value
    return trimap


def photo(height=60, width=80):
    return np.full((height, width, 3), (120, 100, 80), np.uint8)


def test_a_good_trimap():
    assert describe_trimap(good(), photo()) == [
        "size: 80x60 pixels, as the photo",
        "values: 0, 128, 255",
        "shares: 50.0% foreground, 12.5% unknown, 37.5% background",
        "unknown band: typically 10 px wide, 10 px at most",
    ]


def test_widths_of_a_round_band():
    y, x = np.ogrid[:200, :200]
    radius = np.hypot(y - 100, x - 100)
    ring = np.select([radius < 40, radius < 60], [255, 128], 0).astype(np.uint8)
    ring[90:110, 150:180] = 128  # wider on one side
    (band,) = (line for line in describe_trimap(ring) if line.startswith("unknown b"))
    words = band.split()
    assert abs(int(words[3]) - 20) <= 1
    assert 20 < int(words[6]) <= 32


@pytest.mark.parametrize(
    ("trimap", "expected"),
    [
        (good(band=3), "narrow: hair and blurred edges need more room"),
        (changed(((0, 20), (30, 40), 255)), "touches background at 20 pixels, first"),
        (changed(((5, 9), (60, 64), 128)), "islands: 1 in the foreground, 0 in the"),
        (changed(((5, 9), (8, 12), 128)), "islands: 0 in the foreground, 1 in the"),
        (changed(((0, 60), (0, 70), 128)), "much is unknown: mark more"),
        (changed(((0, 60), (40, 80), 0)), "no foreground (255): right for smoke"),
        (changed(((0, 60), (0, 30), 255)), "no background (0): mark some"),
        (np.pad(good(), 1, constant_values=255), "black and white may be swapped"),
        (np.where(good() == 128, 127, good()), "values: 0, 127, 255"),
        (np.where(good() == 128, 100, good()), "values: 0, 100, 255; expected 0, 128"),
        (cv2.blur(good(), (2, 2)), "anti-aliased trimap pixels between labels"),
        (np.full((9, 9), 128, np.uint8), "values: 128 alone; expected 0, 128 and 255"),
    ],
)
def test_what_deserves_a_look(trimap, expected):
    findings = describe_trimap(trimap.astype(np.uint8))
    assert sum(expected in finding for finding in findings) == 1, findings


def test_where_foreground_touches_background():
    trimap = changed(((12, 20), (30, 40), 255))
    (line,) = (f for f in describe_trimap(trimap) if "touches" in f)
    assert "at 8 pixels, first at x=30, y=12" in line


@pytest.mark.parametrize(
    "trimap",
    [
        np.where(good() > 0, np.uint8(255), np.uint8(0)),
        np.where(good() > 0, np.uint8(1), np.uint8(0)),
        good() > 0,
    ],
)
def test_a_mask_is_told_from_a_trimap(trimap):
    findings = describe_trimap(trimap)
    assert "this is a mask, not a trimap: `tmfnet trimap from-mask`" in findings[1]
    assert len(findings) == 3


def test_a_soft_mask_and_a_jpeg_are_told_apart():
    soft = cv2.GaussianBlur(np.where(good() > 0, 255, 0).astype(np.uint8), (15, 15), 4)
    assert "looks like a soft mask or an alpha" in describe_trimap(soft)[1]
    noise = np.random.default_rng(0).integers(-4, 5, good().shape)
    noisy = (good().astype(int) + noise).clip(0, 255).astype(np.uint8)
    findings = describe_trimap(noisy)
    assert "as JPEG compression or smoothing leaves them" in findings[1]
    assert findings[2:] == describe_trimap(good())[2:]
    np.testing.assert_array_equal(nearest_labels(noisy), good())


@pytest.mark.parametrize(
    ("size", "remedy"),
    [
        ((80, 60), "80x60 pixels, but the photo has 60x80: turn it by 90 degrees"),
        ((120, 160), "the photo has 160x120: scale it without smoothing"),
        ((60, 90), "the photo has 90x60: export it again"),
    ],
)
def test_sizes_that_differ(size, remedy):
    assert remedy in describe_trimap(good(), photo(*size))[0]
    with pytest.raises(InputError, match="but the photo has"):
        overlay(photo(*size), good())


@pytest.mark.parametrize(
    ("trimap", "message"),
    [
        (np.array([[0, np.nan]]), "NaN or outside"),
        (np.eye(3, dtype=np.uint8)[None] * 255, "trimap is coloured"),
        (np.zeros((0, 3), np.uint8), "trimap is empty"),
        (np.zeros((2, 2), np.int32), "type int32"),
    ],
)
def test_unusable_arrays(trimap, message):
    with pytest.raises(InputError, match=message):
        describe_trimap(trimap)


def test_overlay_shows_the_labels():
    picture = overlay(photo(), good())
    assert picture.shape == (60, 80, 3)
    assert picture.dtype == np.uint8
    background, unknown, foreground = picture[30, 10], picture[30, 35], picture[30, 70]
    # Dark and red; warm and brighter than the photo; green.
    assert background.max() < 90 and background.argmax() == 0
    assert unknown.sum() > 300 and unknown[2] < unknown[1] < unknown[0]
    assert foreground.argmax() == 1
    # Both outlines lie in the band, on its first and its last column.
    assert tuple(picture[30, 39]) == (92, 240, 150)
    assert tuple(picture[30, 30]) == (255, 84, 96)


def test_overlay_at_sixteen_bits_and_without_photo():
    deep = photo().astype(np.uint16) * 257
    np.testing.assert_array_equal(overlay(deep, good()), overlay(photo(), good()))
    grey = np.full_like(photo(), 150)
    np.testing.assert_array_equal(overlay(None, good()), overlay(grey, good()))


def test_overlay_of_one_label():
    for label in (0, 128, 255):
        picture = overlay(photo(), np.full((60, 80), label, np.uint8))
        assert (picture == picture[0, 0]).all()
