"""Ellipses over masks, against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from input_pipeline.protocol.ellipses import touched


@pytest.mark.parametrize("shape", [(61, 70), (8, 8), (5, 3), (1, 40)])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 9, 14, 28, 29])
def test_it_is_the_dilation_of_opencv(shape, size):
    rng = np.random.default_rng(size)
    mask = np.where(rng.random(shape) < 0.01, 255, 0).astype(np.uint8)
    mask[0, -1] = 255
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    expected = cv2.dilate(mask, ellipse) > 0
    np.testing.assert_array_equal(touched(mask, size) > 0, expected)
