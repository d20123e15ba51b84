"""Where the crop goes: around an unknown pixel, all of them equally likely.

Pixels of a quarter-size grid are drawn until one is unknown: each unknown one has
the same chance, as if it were drawn from a list of them, but only a few pixels of
the trimap need to be known.
"""

from __future__ import annotations

import numpy as np

from input_pipeline.protocol.windows import Window

SEARCH_STRIDE = 4  # the recipe looks for unknown pixels on a 1/4-size trimap
TRIES = 4096  # a region below 1/1000 of the image may not be found; one in 60 times


def candidates(height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw pixels to try, in order: rows and columns, [TRIES] each."""
    rows, columns = -(-height // SEARCH_STRIDE), -(-width // SEARCH_STRIDE)
    drawn = np.random.default_rng(seed).integers(rows * columns, size=TRIES)
    y, x = np.divmod(drawn, columns)
    return SEARCH_STRIDE * y, SEARCH_STRIDE * x


def crop_around(row: int, column: int, *, height: int, width: int, side: int) -> Window:
    """Centre a square crop on a pixel, moved inside the image: it holds the pixel."""
    top, left = (
        min(max(centre - side // 2, 0), length - side)
        for centre, length in ((row, height), (column, width))
    )
    return Window(top, left, side, side)
