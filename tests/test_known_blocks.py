"""Rectangles that blocks tell to be opaque or clear, against their pixels."""

from __future__ import annotations

import numpy as np

from input_pipeline.protocol.known_blocks import BLOCK_PX, KnownBlocks

BEYOND = 100


def alpha_of_patches(rng):
    """Draw opaque, clear and soft patches of many sizes, cut at no block."""
    alpha = np.zeros((150, 205), np.uint8)
    for _ in range(60):
        top, left = rng.integers(0, alpha.shape)
        height, width = rng.integers(10, 70, 2)
        part = alpha[top : top + height, left : left + width]
        part[:] = rng.choice([0, 0, 255, 255, 254])
    return alpha


def test_no_rectangle_is_claimed_wrongly():
    rng = np.random.default_rng(2)
    alpha = alpha_of_patches(rng)
    height, width = alpha.shape
    low = rng.uniform(-40, [[width + 40], [height + 40]], (2, 5000))
    high = low + rng.uniform(0, 40, low.shape)
    opaque, clear = KnownBlocks(alpha).known(low, high)
    assert opaque.any() and clear.any()
    padded = np.pad(alpha, BEYOND)
    first, last = (np.floor(end).astype(int) + BEYOND for end in (low, high))
    for i in range(low.shape[1]):
        part = padded[first[1, i] : last[1, i] + 1, first[0, i] : last[0, i] + 1]
        assert not opaque[i] or (part == 255).all()
        assert not clear[i] or (part == 0).all()


def test_rectangles_of_whole_blocks_are_told_exactly():
    alpha = alpha_of_patches(np.random.default_rng(3))
    rows, columns = (side // BLOCK_PX for side in alpha.shape)
    low = BLOCK_PX * np.indices((rows, columns))[::-1]
    opaque, clear = KnownBlocks(alpha).known(low, low + BLOCK_PX - 1)
    for row, column in np.ndindex(rows, columns):
        left, top = low[:, row, column]
        block = alpha[top : top + BLOCK_PX, left : left + BLOCK_PX]
        assert opaque[row, column] == (block == 255).all()
        assert clear[row, column] == (block == 0).all()
