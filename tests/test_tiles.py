"""Tiles of a window: where their pixels lie, and their way back."""

from __future__ import annotations

import numpy as np

from input_pipeline.protocol import tiles
from input_pipeline.protocol.affine import source_positions
from input_pipeline.protocol.windows import Window

SIDE = tiles.TILE_PX
WINDOW = Window(7, -3, 2 * SIDE + 5, 3 * SIDE)
INVERSE = np.array([[0.9, -0.3, 11.0], [0.2, 1.1, -4.0]])


def test_tiles_of_a_window_hold_its_positions_and_go_back_into_place():
    assert tiles.grid(WINDOW) == (3, 3)
    chosen = np.array([[0, 1, 0], [1, 0, 1], [1, 0, 0]], bool)
    some = tiles.Tiles(WINDOW, chosen)
    expected = source_positions(INVERSE, *WINDOW.grid)
    rest = np.arange(9).reshape(3, 3)
    for axis, packed in enumerate(some.positions(INVERSE)):
        placed = some.in_place(packed.astype(np.uint8), rest=rest)
        assert placed.shape == (WINDOW.height, WINDOW.width)
        for row, column in np.ndindex(WINDOW.height, WINDOW.width):
            tile = row // SIDE, column // SIDE
            value = expected[axis, row, column] % 256 if chosen[tile] else rest[tile]
            assert placed[row, column] == value


def test_tiles_in_colour_leave_zeros_elsewhere():
    chosen = np.zeros((3, 3), bool)
    chosen[1, 2] = True
    colours = np.arange(3, dtype=np.uint8) + np.ones((1, SIDE**2, 1), np.uint8)
    placed = tiles.Tiles(WINDOW, chosen).in_place(colours)
    tile = placed[SIDE : 2 * SIDE, 2 * SIDE :]
    assert (tile == [1, 2, 3]).all() and placed.sum() == tile.sum()


def test_a_tile_is_wanted_for_one_pixel():
    wanted = np.zeros((SIDE + 1, 2 * SIDE), bool)
    wanted[SIDE, SIDE - 1] = True
    assert tiles.any_in_tiles(wanted).tolist() == [[False, False], [True, False]]
