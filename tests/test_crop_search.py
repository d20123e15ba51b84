"""The search for an unknown pixel: even, inside, and centred."""

from __future__ import annotations

import numpy as np

from input_pipeline.protocol.crop_search import (
    SEARCH_STRIDE,
    TRIES,
    candidates,
    crop_around,
)


def test_candidates_cover_the_grid_evenly():
    rows, columns = candidates(33, 42, 7)
    assert len(rows) == len(columns) == TRIES
    assert set(rows) == set(range(0, 33, SEARCH_STRIDE))
    assert set(columns) == set(range(0, 42, SEARCH_STRIDE))
    counts = np.unique(rows * 100 + columns, return_counts=True)[1]
    assert len(counts) == 9 * 11
    assert counts.min() > 15 and counts.max() < 75  # 41 expected
    again = candidates(33, 42, 7)
    np.testing.assert_array_equal(again[0], rows)
    assert not np.array_equal(candidates(33, 42, 8)[0], rows)


def test_the_crop_holds_its_pixel_and_stays_inside():
    rng = np.random.default_rng(13)
    for _ in range(300):
        height, width = rng.integers(8, 30, 2).tolist()
        y, x = int(rng.integers(height)), int(rng.integers(width))
        top, left, *sides = crop_around(y, x, height=height, width=width, side=8)
        assert sides == [8, 8]
        assert 0 <= top <= height - 8 and 0 <= left <= width - 8
        assert top <= y < top + 8 and left <= x < left + 8
        assert top == min(max(y - 4, 0), height - 8)
