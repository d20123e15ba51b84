"""A training sample at the cost of its crop, not of its whole images.

The decisions are those of `whole_sample`, and so are crop, alpha and trimap, bit for
bit. Colours are jittered after the warp instead of before it, by means that some of
the pixels stand for, and a second foreground and the background are resized around
the crop alone: image and foreground differ by a grey level or so.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from input_pipeline.protocol.affine import STEPS, outside, sample_at
from input_pipeline.protocol.colours import colour_rooms
from input_pipeline.protocol.crop_search import candidates, crop_around
from input_pipeline.protocol.draws import Draws, Jitter, Motion
from input_pipeline.protocol.layers import Subject
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.resizing import resize_window
from input_pipeline.protocol.tiles import TILE_PX, Tiles, any_in_tiles, grid
from input_pipeline.protocol.trimap_synthesis import trimap_from_alpha
from input_pipeline.protocol.whole_sample import (
    Sample,
    assemble_whole,
    complete,
    jittered,
    motion_inverse,
)
from input_pipeline.protocol.windows import Window
from input_pipeline.training_data.sources import Source
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_UNKNOWN

SUPPORT_PX = 4  # what the widest interpolation reads on either side


def assemble_window(
    source: Source, recipe: Recipe, chosen: int, draws: Draws
) -> Sample | None:
    """Make a sample of foreground `chosen`; None if no unknown pixel was found."""
    foreground, alpha = source.foreground(chosen)
    height, width = alpha.shape
    if min(height, width) < recipe.crop_px:
        # The crop takes all of one side, so little could be saved.
        return assemble_whole(source, recipe, chosen, draws)
    subject = Subject(foreground, alpha)
    if draws.second is not None:
        under = source.foreground(draws.second)
        subject.lay_over(*under, draws.second_interpolations)
    view = _View(subject, recipe, draws.motion)
    window = _find_crop(view, draws, side=recipe.crop_px)
    if window is None:
        return None

    around = window.grown(_reach(draws), alpha.shape)
    wide_alpha = view.alpha(around)
    trimap = trimap_from_alpha(
        wide_alpha, erosion_px=draws.erosion_px, dilation_px=draws.dilation_px
    )
    crop = window.within(around).slices
    alpha, trimap = wide_alpha[crop], trimap[crop]
    shown = any_in_tiles(trimap != TRIMAP_BACKGROUND)
    colours = view.colours(window, shown, draws.jitter)
    background = resize_window(
        source.background(draws.background),
        window,
        height=height,
        width=width,
        interpolation=draws.background_interpolation,
    )
    return complete(trimap, alpha, colours, background)


class _View:
    """A subject in motion, computed window by window."""

    def __init__(self, subject: Subject, recipe: Recipe, motion: Motion | None):
        self.subject, self.motion = subject, motion
        self.inverse = np.eye(2, 3)
        if motion is not None:
            self.inverse = motion_inverse(motion, recipe, *subject.shape)

    def alpha(self, window: Window) -> np.ndarray:
        """Return the opacity in a window: uint8 [height, width]."""
        if self.motion is None:
            return self.subject.alpha(window)
        rows, columns = grid(window)
        down, across = np.mgrid[:rows, :columns].reshape(2, -1) * TILE_PX
        half = (TILE_PX - 1) / 2
        opaque, clear = self.surely(
            window.top + down + half, window.left + across + half, half
        )
        tiles = Tiles(window, ~(opaque | clear).reshape(rows, columns))
        warped = self._sampled(
            self.subject.alpha,
            tiles.positions(self.inverse),
            self.motion.interpolations[1],
        )
        known = np.where(opaque, 255, 0).reshape(rows, columns)
        return tiles.in_place(warped, rest=known)

    def colours(
        self, window: Window, shown: np.ndarray, jitter: Jitter | None
    ) -> np.ndarray:
        """Return the colours of a window where its tiles are shown, elsewhere 0.

        Args:
          window: of the result.
          shown: bool, one for each tile.
          jitter: of the colours.
        Returns:
          uint8 [height, width, 3].
        """
        if self.motion is None:
            return self._jittered(self.subject.colours(window), jitter)
        tiles = Tiles(window, shown)
        positions = tiles.positions(self.inverse)
        interpolation = self.motion.interpolations[0]
        warped = self._sampled(self.subject.colours, positions, interpolation)
        colours = self._jittered(warped, jitter)
        beyond = outside(positions, *self.subject.shape)
        if jitter is not None and beyond.any():
            colours[beyond] = 0  # where the warp finds nothing is nothing to jitter
        return tiles.in_place(colours)

    def surely(
        self, down: np.ndarray, across: np.ndarray, half: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tell which squares are opaque, and which are clear, all over.

        Args:
          down: [N] rows of their centres.
          across: [N] columns.
          half: of their sides.
        Returns:
          Two bool [N]; a square that is may be missed.
        """
        centres = self.inverse @ np.stack([across, down, np.ones(down.shape)])
        # A square's shadow in the source, and what interpolation reads around it.
        extent = np.abs(self.inverse[:, :2]).sum(1, keepdims=True) * half
        extent += SUPPORT_PX + 1
        return self.subject.surely(centres - extent, centres + extent)

    def _jittered(self, colours: np.ndarray, jitter: Jitter | None) -> np.ndarray:
        if jitter is None:
            return colours
        return jittered(colours, colour_rooms(*self.subject.sampled()), jitter)

    def _sampled(
        self,
        part: Callable[[Window], np.ndarray],
        positions: np.ndarray,
        interpolation: int,
    ) -> np.ndarray:
        """Interpolate what `part` gives for the window around the positions."""
        height, width = self.subject.shape
        if not positions.size:
            return part(Window(0, 0, 1, 1))[:0]
        (left, right), (top, bottom) = (
            (int(axis.min()) // STEPS, int(axis.max()) // STEPS + 1)
            for axis in positions
        )
        top, left = max(0, top - SUPPORT_PX), max(0, left - SUPPORT_PX)
        bottom, right = (
            min(height, bottom + SUPPORT_PX),
            min(width, right + SUPPORT_PX),
        )
        if top >= bottom or left >= right:  # they lie beside the image
            top, left, bottom, right = 0, 0, 1, 1
        image = part(Window(top, left, bottom - top, right - left))
        return sample_at(
            image, positions, interpolation=interpolation, corner=(top, left)
        )


def _find_crop(view: _View, draws: Draws, *, side: int) -> Window | None:
    """Find the first candidate that is unknown, looking closely at few of them."""
    height, width = view.subject.shape
    rows, columns = candidates(height, width, draws.crop_seed)
    reach = _reach(draws)
    opaque, clear = view.surely(rows, columns, reach)
    for i in np.flatnonzero(~(opaque | clear)):
        row, column = int(rows[i]), int(columns[i])
        pixel = Window(row, column, 1, 1)
        around = pixel.grown(reach, view.subject.shape)
        trimap = trimap_from_alpha(
            view.alpha(around),
            erosion_px=draws.erosion_px,
            dilation_px=draws.dilation_px,
        )
        top, left, _, _ = pixel.within(around)
        if trimap[top, left] == TRIMAP_UNKNOWN:
            return crop_around(row, column, height=height, width=width, side=side)
    return None


def _reach(draws: Draws) -> int:
    """How far from a pixel the ellipses look that label it."""
    return max(draws.erosion_px, draws.dilation_px) // 2
