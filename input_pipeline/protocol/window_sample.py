"""A training sample at the cost of its crop, not of its whole images.

The decisions are those of `whole_sample`, and so are crop, alpha and trimap, bit for
bit. Colours are jittered after the warp instead of before it, by means that some of
the pixels stand for, and a second foreground and the background are resized around
the crop alone: image and foreground differ by a grey level or so.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from input_pipeline.protocol.affine import STEPS, outside, sample_at, source_positions
from input_pipeline.protocol.colours import colour_rooms
from input_pipeline.protocol.crop_search import candidates, crop_around
from input_pipeline.protocol.draws import Draws, Jitter, Motion
from input_pipeline.protocol.layers import BLOCK_PX, Subject
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.resizing import resize_window
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
from tmfnet_jax.trimap import TRIMAP_UNKNOWN

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
    colours = view.colours(window, draws.jitter)
    background = resize_window(
        source.background(draws.background),
        window,
        height=height,
        width=width,
        interpolation=draws.background_interpolation,
    )
    return complete(trimap[crop], wide_alpha[crop], colours, background)


class _View:
    """A subject in motion, computed window by window."""

    def __init__(self, subject: Subject, recipe: Recipe, motion: Motion | None):
        self.subject, self.motion = subject, motion
        self.inverse = np.eye(2, 3)
        if motion is not None:
            self.inverse = motion_inverse(motion, recipe, *subject.shape)

    def alpha(self, window: Window) -> np.ndarray:
        if self.motion is None:
            return self.subject.alpha(window)
        positions = source_positions(self.inverse, window)
        interpolation = self.motion.interpolations[1]
        return self._sampled(self.subject.alpha, positions, interpolation)

    def colours(self, window: Window, jitter: Jitter | None) -> np.ndarray:
        if self.motion is None:
            return self._jittered(self.subject.colours(window), jitter)
        positions = source_positions(self.inverse, window)
        interpolation = self.motion.interpolations[0]
        warped = self._sampled(self.subject.colours, positions, interpolation)
        colours = self._jittered(warped, jitter)
        beyond = outside(positions, *self.subject.shape)
        if jitter is not None and beyond.any():
            colours[beyond] = 0  # where the warp finds nothing is nothing to jitter
        return colours

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
    for i in np.flatnonzero(_doubtful(view, rows, columns, reach)):
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


def _doubtful(
    view: _View, rows: np.ndarray, columns: np.ndarray, reach: int
) -> np.ndarray:
    """Tell which pixels are not surely known by the blocks of the source around."""
    opaque, clear = view.subject.surely()
    # What a pixel's label depends on, in the source, in whole blocks.
    span = np.abs(view.inverse[:, :2]).sum(1).max() * (reach + 1) + SUPPORT_PX + 1
    blocks = int(np.ceil(span / BLOCK_PX))
    pad = blocks + 1
    around = np.ones((2 * blocks + 1,) * 2, np.uint8)
    doubtful = np.ones(rows.shape, bool)
    x, y = view.inverse @ np.stack([columns, rows, np.ones_like(rows)])
    for known, beyond in ((opaque, 0), (clear, 1)):
        padded = np.pad(known.astype(np.uint8), pad, constant_values=beyond)
        sure = cv2.erode(padded, around, borderValue=beyond).astype(bool)
        block_y, block_x = (
            (np.floor(position / BLOCK_PX).astype(int) + pad).clip(0, side - 1)
            for position, side in ((y, sure.shape[0]), (x, sure.shape[1]))
        )
        doubtful &= ~sure[block_y, block_x]
    return doubtful


def _reach(draws: Draws) -> int:
    """How far from a pixel the ellipses look that label it."""
    return max(draws.erosion_px, draws.dilation_px) // 2
