"""The square tiles of a window that are worth computing, packed one after another.

A warp costs by the pixel, so a window is cut into tiles and only those that somebody
needs are computed: they form an array of a row per tile, which is interpolated and
jittered as if it were an image, and put into place at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from input_pipeline.protocol.affine import source_positions
from input_pipeline.protocol.windows import Window

TILE_PX = 16
TILES_AT_ONCE = 4096  # OpenCV interpolates images of up to 2**15 rows


class Tiles:
    """Chosen tiles of a window; those at its far sides may reach beyond it.

    Args:
      window: that the tiles cover, from its corner on.
      chosen: bool, one for each tile of `grid(window)`.
    """

    def __init__(self, window: Window, chosen: np.ndarray):
        self._window = window
        self._rows, self._columns = np.nonzero(chosen)

    def computed(
        self,
        inverse: np.ndarray,
        compute: Callable[[np.ndarray], np.ndarray],
        *,
        rest: np.ndarray,
        channels: tuple[int, ...] = (),
    ) -> np.ndarray:
        """Compute what the chosen tiles hold.

        Args:
          inverse: [2, 3], see `affine.invert`.
          compute: turns `affine.source_positions` of pixels, [2, tiles, TILE_PX**2],
            into uint8 values [tiles, TILE_PX**2, *channels].
          rest: uint8, for each tile of `grid(window)`: the value of one not chosen.
          channels: of the values.
        Returns:
          uint8 [height, width, *channels] of the window.
        """
        down, across = rest.shape
        # The row of a tile is one item, copied in one piece: 1/25 of the time.
        piece = np.dtype((np.void, TILE_PX * math.prod(channels)))
        tiled = np.empty((down, TILE_PX, across), piece)
        tiled[:] = np.repeat(rest, piece.itemsize, axis=1).view(piece)[:, None]
        for first in range(0, len(self._rows), TILES_AT_ONCE):
            some = slice(first, first + TILES_AT_ONCE)
            rows, columns = self._rows[some], self._columns[some]
            values = compute(self._positions(inverse, rows, columns))
            tiled[rows, :, columns] = values.reshape(len(rows), -1).view(piece)
        image = tiled.view(np.uint8).reshape(down * TILE_PX, -1, *channels)
        return image[: self._window.height, : self._window.width]

    def _positions(
        self, inverse: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        inside = np.arange(TILE_PX)
        down = self._window.top + TILE_PX * rows[:, None] + inside
        across = self._window.left + TILE_PX * columns[:, None] + inside
        positions = source_positions(inverse, down[:, :, None], across[:, None])
        return positions.reshape(2, len(rows), TILE_PX**2)


def grid(window: Window) -> tuple[int, int]:
    """How many tiles it takes to cover a window, down and across."""
    return -(-window.height // TILE_PX), -(-window.width // TILE_PX)


def any_in_tiles(wanted: np.ndarray) -> np.ndarray:
    """Tell which tiles of an image hold a pixel that is wanted.

    Args:
      wanted: bool [height, width].
    Returns:
      bool, one for each tile.
    """
    height, width = wanted.shape
    padded = np.pad(wanted, ((0, -height % TILE_PX), (0, -width % TILE_PX)))
    rows, columns = (side // TILE_PX for side in padded.shape)
    bands = np.any(padded.reshape(rows, TILE_PX, -1), axis=1)
    tiles: np.ndarray = np.any(bands.reshape(rows, columns, TILE_PX), axis=-1)
    return tiles
