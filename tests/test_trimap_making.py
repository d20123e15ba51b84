"""Trimaps from masks, against plain loops and by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.subject_mask import snap_ends
from tmfnet_jax.trimap_making import (
    DEFAULT_BAND,
    Band,
    as_trimap,
    parse_band,
    trimap_from_mask,
)

PX = Band(8)


def disc(height=60, width=72, radius=18):
    y, x = np.ogrid[:height, :width]
    inside = (y - height // 2) ** 2 + (x - width // 2) ** 2 <= radius**2
    return np.where(inside, np.uint8(255), np.uint8(0))


def soft_disc():
    return cv2.GaussianBlur(disc(), (9, 9), 2)


def plain_trimap(mask, reach_px):
    """Label pixel by pixel: known if no other value is within the reach."""
    trimap = np.full(mask.shape, 128, np.uint8)
    for label in (0, 255):
        others = np.argwhere(mask != label)
        for y, x in np.argwhere(mask == label):
            if (((others - (y, x)) ** 2).sum(axis=1) > reach_px**2).all():
                trimap[y, x] = label
    return trimap


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("24", Band(24)),
        ("24px", Band(24)),
        (" 24 px ", Band(24)),
        ("0.5px", Band(0.5)),
        ("3%", Band(3, percent=True)),
        ("2.5 %", Band(2.5, percent=True)),
    ],
)
def test_parse_band(text, band):
    assert parse_band(text) == band
    assert parse_band(str(band)) == band


@pytest.mark.parametrize("text", ["", "wide", "-3", "3 cm", "nan", "1e3", "%", "٣"])
def test_no_band(text):
    with pytest.raises(InputError, match="expected pixels or percent .* like 24"):
        parse_band(text)


@pytest.mark.parametrize("text", ["0", "0%", "101%", "100001px", "9" * 400])
def test_band_out_of_range(text):
    with pytest.raises(InputError, match="expected more than 0 and at most") as caught:
        parse_band(text)
    assert len(str(caught.value)) < 120


def test_percent_is_of_the_square_root_of_the_area():
    assert Band(3, percent=True).pixels(200) == 6
    assert Band(3).pixels(200) == 3


@pytest.mark.parametrize("mask", [disc(), soft_disc()], ids=["hard", "soft"])
@pytest.mark.parametrize("width_px", [1, 5, 8, 13])
def test_band_against_plain_loops(mask, width_px):
    expected = plain_trimap(mask, max(width_px / 2, 1))
    assert set(np.unique(expected)) == {0, 128, 255}
    trimap = trimap_from_mask(mask, Band(width_px))
    assert trimap.dtype == np.uint8
    np.testing.assert_array_equal(trimap, expected)


def test_straight_edge_gets_exactly_the_width():
    mask = np.zeros((20, 40), np.uint8)
    mask[:, 20:] = 255
    row = trimap_from_mask(mask, Band(8))[7]
    assert row.tolist() == [0] * 16 + [128] * 8 + [255] * 16


@pytest.mark.parametrize(
    "form",
    [
        lambda m: m > 0,
        lambda m: (m > 0).astype(np.uint8),
        lambda m: (m > 0).astype(np.float32),
        lambda m: (m > 0).astype(np.float64),
        lambda m: m.astype(np.uint16) * 257,
        lambda m: m[..., None],
        lambda m: np.repeat(m[..., None], 3, -1),
    ],
)
def test_forms_of_a_mask_mean_the_same(form):
    expected = trimap_from_mask(disc(), PX)
    np.testing.assert_array_equal(trimap_from_mask(form(disc()), PX), expected)
    without_band, notices = as_trimap(form(disc()))
    np.testing.assert_array_equal(
        without_band, trimap_from_mask(disc(), Band(6, percent=True))
    )
    assert notices[0] == "no unknown pixel (128), so this is taken for a mask"


def test_percent_band_says_its_pixels():
    mask = np.zeros((300, 300), np.uint8)
    mask[50:250, 50:250] = 255
    trimap, notices = as_trimap(mask, band=Band(3, percent=True))
    np.testing.assert_array_equal(trimap, trimap_from_mask(mask, Band(6)))
    assert notices == [
        "the unknown band is 6 px wide, 3% of the subject's size; --band sets "
        "another width"
    ]


def test_sixteen_bit_alpha_is_unknown_up_to_its_ends():
    alpha = np.array([[0, 1, 40000, 65534, 65535]], np.uint16).repeat(9, axis=1)
    trimap = trimap_from_mask(alpha, Band(2))
    assert (trimap[:, (alpha[0] > 0) & (alpha[0] < 65535)] == 128).all()
    assert set(np.unique(trimap)) == {0, 128, 255}


def test_thin_subject_keeps_its_middle_and_says_so():
    mask = np.zeros((80, 80), np.uint8)
    mask[38:43, 10:70] = 255  # five rows deep: depths 1 2 3 2 1
    trimap, notices = as_trimap(mask, band=Band(24))
    assert np.unique(np.argwhere(trimap == 255)[:, 0]).tolist() == [40]
    assert notices == [
        "the band of 24 px is wider than 1 part of the subject; the middle stays known"
    ]


def test_narrow_background_keeps_its_middle():
    trimap, notices = as_trimap(255 - disc(radius=3), band=Band(20))
    assert (trimap == 0).any() and (trimap == 255).any()
    assert "1 part of the background" in notices[0]


def test_specks_vanish_in_the_band():
    mask = disc()
    mask[4, 4] = 255
    trimap, notices = as_trimap(mask, band=PX)
    assert trimap[4, 4] == 128
    assert notices == []


def test_subject_at_the_border_has_no_band_along_it():
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :20] = 255
    trimap = trimap_from_mask(mask, PX)
    assert (trimap[:, 0] == 255).all() and (trimap[:, -1] == 0).all()


def test_noise_near_the_ends_is_pointed_out_and_snapped():
    noise = np.random.default_rng(0).integers(0, 4, disc().shape).astype(np.uint8)
    noisy = np.where(disc() > 0, 255 - noise, noise)
    _, notices = as_trimap(noisy, band=PX)
    assert "--snap 4%` cleans it" in notices[-1]
    snapped = snap_ends(noisy, 0.04)
    np.testing.assert_array_equal(snapped, disc())
    assert snapped.dtype == np.uint8


def test_translucent_subject_has_no_foreground():
    trimap, notices = as_trimap(soft_disc() // 2, band=PX)
    assert set(np.unique(trimap)) == {0, 128}
    assert "largest value is 127 of 255" in notices[0]


def test_a_trimap_passes_as_it_is():
    trimap = trimap_from_mask(disc(), PX)
    labels, notices = as_trimap(trimap)
    np.testing.assert_array_equal(labels, trimap)
    assert notices == []


def test_smooth_mask_without_band_is_recognised():
    smooth = cv2.blur(disc(), (2, 2))
    labels, notices = as_trimap(smooth)
    assert (labels == 128).any()
    assert "like the smooth edge of a mask" in notices[-1]


def test_soft_mask_without_band_names_the_option():
    with pytest.raises(InputError, match="taken with --band"):
        as_trimap(np.linspace(0, 255, 300).astype(np.uint8).reshape(15, 20))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((4, 4), np.uint8), "mask is empty"),
        (np.full((4, 4), 255, np.uint8), "mask is all foreground"),
        (np.ones((4, 4)), "mask is all foreground"),
        (np.full((4, 4), 100, np.uint8), "100 to 100 but neither background"),
        (np.array([[0, np.nan]]), "1 values that are NaN or outside"),
        (np.array([[0, 1.5]], np.float32), "1 values that are NaN or outside"),
        (np.eye(3, dtype=np.uint8)[None] * 255, "mask is coloured"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (np.zeros((4, 4), np.int64), "type int64"),
    ],
)
def test_unusable_masks(mask, message):
    with pytest.raises(InputError, match=message) as caught:
        as_trimap(mask, band=DEFAULT_BAND)
    assert "\n" not in str(caught.value)
