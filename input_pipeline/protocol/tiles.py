"""The square tiles of a window that are worth computing, packed one after another.

A warp costs by the pixel, so a window is cut into tiles and only those that somebody
needs are computed: they form an array of a row per tile, which is interpolated and
jittered as if it were an image, and put into place at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

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
        self._first_pixels = tiles_of(window)[:, chosen]

    def computed(
        self,
        compute: Callable[[np.ndarray], np.ndarray],
        *,
        rest: np.ndarray,
        channels: tuple[int, ...] = (),
    ) -> np.ndarray:
        """Compute what the chosen tiles hold.

        Args:
          compute: turns tiles, [2, n] rows and columns of their first pixels, into
            uint8 values [n, TILE_PX**2, *channels].
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
            values = compute(self._first_pixels[:, some])
            tiled[rows, :, columns] = values.reshape(len(rows), -1).view(piece)
        image = tiled.view(np.uint8).reshape(down * TILE_PX, -1, *channels)
        return image[: self._window.height, : self._window.width]


def pixels(tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows [n, TILE_PX, 1] and columns [n, 1, TILE_PX] of tiles [2, n]."""
    down, across = tiles[..., None] + np.arange(TILE_PX)
    return down[:, :, None], across[:, None]


def grid(window: Window) -> tuple[int, int]:
    """How many tiles it takes to cover a window, down and across."""
    return -(-window.height // TILE_PX), -(-window.width // TILE_PX)


def covered(window: Window) -> Window:
    """Return what the tiles of a window cover; they may reach beyond it."""
    rows, columns = grid(window)
    return window._replace(height=rows * TILE_PX, width=columns * TILE_PX)


def tiles_of(window: Window) -> np.ndarray:
    """Return rows and columns of the first pixels of all tiles: [2, down, across]."""
    corner = np.reshape([window.top, window.left], (2, 1, 1))
    return corner + TILE_PX * np.indices(grid(window))


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
