"""Tiles of a window: where their pixels lie, and their way back."""

from __future__ import annotations

import numpy as np
import pytest

from input_pipeline.protocol import tiles
from input_pipeline.protocol.affine import source_positions
from input_pipeline.protocol.windows import Window

SIDE = tiles.TILE_PX
WINDOW = Window(7, -3, 2 * SIDE + 5, 3 * SIDE)
INVERSE = np.array([[0.9, -0.3, 11.0], [0.2, 1.1, -4.0]])


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_chosen_tiles_are_computed_and_the_others_are_what_is_said(
    monkeypatch, at_once
):
    monkeypatch.setattr(tiles, "TILES_AT_ONCE", at_once)
    assert tiles.grid(WINDOW) == (3, 3)
    chosen = np.array([[0, 1, 0], [1, 0, 1], [1, 0, 0]], bool)
    expected = source_positions(INVERSE, *WINDOW.grid).astype(np.uint8)
    rest = np.arange(9, dtype=np.uint8).reshape(3, 3)
    image = tiles.Tiles(WINDOW, chosen).computed(
        lambda some: np.stack(
            source_positions(INVERSE, *tiles.pixels(some)), axis=-1
        ).astype(np.uint8),
        rest=rest,
        channels=(2,),
    )
    assert image.shape == (WINDOW.height, WINDOW.width, 2)
    for row, column in np.ndindex(WINDOW.height, WINDOW.width):
        tile = row // SIDE, column // SIDE
        value = expected[:, row, column] if chosen[tile] else rest[tile]
        assert (image[row, column] == value).all()


def test_without_a_chosen_tile_nothing_is_computed():
    def compute(some):
        raise AssertionError(some)

    none = tiles.Tiles(WINDOW, np.zeros((3, 3), bool))
    image = none.computed(compute, rest=np.full((3, 3), 7, np.uint8))
    assert image.shape == (WINDOW.height, WINDOW.width) and (image == 7).all()


def test_a_tile_is_wanted_for_one_pixel():
    wanted = np.zeros((SIDE + 1, 2 * SIDE), bool)
    wanted[SIDE, SIDE - 1] = True
    assert tiles.any_in_tiles(wanted).tolist() == [[False, False], [True, False]]
