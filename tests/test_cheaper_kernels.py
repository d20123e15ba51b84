"""Cheaper kernels against those that they stand for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from input_pipeline.protocol import cheaper_kernels
from input_pipeline.protocol.affine import (
    affine_matrix,
    invert,
    sample_at,
    source_positions,
)

HERE = (300, 400)
TURNED = invert(
    affine_matrix(
        height=HERE[0], width=HERE[1], rotation_degrees=20.0, scale=(0.9, 1.2)
    )
)


def photo(noise=0):
    """Draw something with detail at several scales, and noise at each pixel."""
    rng = np.random.default_rng(0)
    image = np.full((*HERE, 3), 128.0)
    for cell in (50, 12, 5):
        size = (HERE[0] // cell + 2, HERE[1] // cell + 2, 3)
        coarse = rng.normal(0, 3 * cell**0.5, size)
        image += cv2.resize(coarse, HERE[::-1], interpolation=cv2.INTER_CUBIC)
    image += rng.normal(0, noise, image.shape) if noise else 0
    return image.clip(0, 255).astype(np.uint8)


def warp(image, interpolation):
    down, across = np.arange(60, 240)[:, None], np.arange(80, 320)
    positions = source_positions(TURNED, down, across)
    return sample_at(image, positions, interpolation=interpolation).astype(int)


@pytest.mark.parametrize("noise", [0, 5])
@pytest.mark.parametrize("interpolation", [cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])
def test_a_warp_is_nearly_as_sharp(noise, interpolation):
    image = photo(noise)
    expected = warp(image, interpolation)
    found = warp(*cheaper_kernels.for_warp(image, interpolation))
    linear = warp(image, cv2.INTER_LINEAR)
    off, plainly_off = (np.abs(x - expected).mean() for x in (found, linear))
    assert 0 < off < 0.7 and off < plainly_off
    deviations = [x.std() for x in (found, expected)]
    np.testing.assert_allclose(*deviations, rtol=0.01)


@pytest.mark.parametrize("interpolation", [0, cv2.INTER_LINEAR, cv2.INTER_AREA])
def test_what_is_cheap_is_left_alone(interpolation):
    image = photo()
    same, kernel = cheaper_kernels.for_warp(image, interpolation)
    assert same is image and kernel == interpolation


@pytest.mark.parametrize("target", [(300, 300), (225, 390), (270, 360)])
@pytest.mark.parametrize("interpolation", [cv2.INTER_AREA, cv2.INTER_LANCZOS4])
def test_a_resize_is_nearly_the_same(target, interpolation):
    image = photo(2)
    kernel = cheaper_kernels.for_resize(
        interpolation, source=image.shape, target=target
    )
    assert kernel != interpolation
    found, expected = (
        cv2.resize(image, target[::-1], interpolation=how).astype(int)
        for how in (kernel, interpolation)
    )
    assert np.abs(found - expected).mean() < 0.6


@pytest.mark.parametrize("target", [(290, 200), (600, 390)])
def test_area_stays_where_an_image_is_enlarged_or_much_reduced(target):
    kernel = cheaper_kernels.for_resize(
        cv2.INTER_AREA, source=(300, 400, 3), target=target
    )
    assert kernel == cv2.INTER_AREA
