"""Resizing: windows of it against the whole, and sizes by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from input_pipeline.protocol import resizing
from input_pipeline.protocol.draws import INTERPOLATIONS
from input_pipeline.protocol.windows import Window
from tmfnet_jax.errors import InputError


def photo(height, width):
    """Draw something with detail at several scales."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 12 + 2, width // 12 + 2, 3), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.add(image, rng.integers(0, 25, image.shape, np.uint8))


def test_a_size_that_fits_is_left_alone():
    image = photo(20, 30)
    resized = resizing.resize(image, height=20, width=30, interpolation=0)
    assert resized is image


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    "size", [(150, 200), (301, 403), (600, 802), (299, 401), (97, 640)]
)
def test_window_of_a_resize(interpolation, size):
    image = photo(300, 400)
    height, width = size
    whole = resizing.resize(
        image, height=height, width=width, interpolation=interpolation
    )
    for window in (
        Window(0, 0, 40, 50),
        Window(30, 57, 41, 60),
        Window(height - 33, width - 35, 33, 35),
    ):
        part = resizing.resize_window(
            image, window, height=height, width=width, interpolation=interpolation
        )
        expected = whole[window.slices].astype(int)
        assert part.shape == expected.shape
        # Nearest takes another pixel where the cut is off by a hair.
        limit = 2.5 if interpolation == cv2.INTER_NEAREST else 0.8
        assert np.abs(part - expected).mean() < limit


def test_enlarged_size_by_hand():
    assert resizing.enlarged_size(512, 600, crop_px=512) == (512, 600)
    assert resizing.enlarged_size(256, 300, crop_px=512) == (512, 600)
    assert resizing.enlarged_size(301, 100, crop_px=128) == (386, 128)
    assert resizing.enlarged_size(1, 1, crop_px=7) == (7, 7)


def test_a_strip_is_not_enlarged_to_gigabytes():
    with pytest.raises(InputError, match="1 px on its short side .* 512x30720000"):
        resizing.enlarged_size(1, 60000, crop_px=512)
