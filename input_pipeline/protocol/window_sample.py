"""A training sample at the cost of what its crop shows, not of its whole images.

The decisions are those of `whole_sample`, and so are crop, alpha and trimap, but for
roundings: one position in 1500 is 1/32 pixel off. Only tiles that need it are warped:
those whose alpha the source leaves in doubt, and the colours of those that are not
background all over; the foreground stays black in the others. Colours are jittered
after the warp instead of before it, in 8 bits, by means that some of the pixels stand
for, a second foreground and the background are resized around the crop alone, and
colours are interpolated by cheaper kernels: image and foreground differ by a grey level
or so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from input_pipeline.protocol import cheaper_kernels
from input_pipeline.protocol.affine import (
    outside,
    sample_at,
    sample_squares,
    source_positions,
)
from input_pipeline.protocol.colours import colour_rooms, shift_hsv_coarsely
from input_pipeline.protocol.composition import Sample
from input_pipeline.protocol.crop_search import candidates, crop_around
from input_pipeline.protocol.draws import Draws, Jitter, Motion
from input_pipeline.protocol.known_blocks import KnownBlocks
from input_pipeline.protocol.layers import Subject
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.resizing import resize_window
from input_pipeline.protocol.tiles import (
    TILE_PX,
    Tiles,
    any_in_tiles,
    covered,
    pixels,
    tiles_of,
)
from input_pipeline.protocol.trimap_synthesis import quick_trimap, trimap_from_alpha
from input_pipeline.protocol.whole_sample import (
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
        under, under_alpha = source.foreground(draws.second)
        of_colours, of_alpha = draws.second_interpolations
        of_colours = cheaper_kernels.for_resize(
            of_colours, source=under.shape, target=alpha.shape
        )
        subject.lay_over(under, under_alpha, (of_colours, of_alpha))
    view = _View(subject, recipe, draws.motion)
    window = _find_crop(view, draws, side=recipe.crop_px)
    if window is None:
        return None

    around = window.grown(_reach(draws), alpha.shape)
    wide_alpha = view.alpha(around)
    trimap = quick_trimap(
        wide_alpha, erosion_px=draws.erosion_px, dilation_px=draws.dilation_px
    )
    crop = window.within(around).slices
    alpha, trimap = wide_alpha[crop], trimap[crop]
    if not (trimap == TRIMAP_UNKNOWN).any():
        return None  # the one unknown pixel is known, 1/32 pixel beside
    shown = any_in_tiles(trimap != TRIMAP_BACKGROUND)
    colours = view.colours(window, shown, draws.jitter)
    background = source.background(draws.background)
    background = resize_window(
        background,
        window,
        height=height,
        width=width,
        interpolation=cheaper_kernels.for_resize(
            draws.background_interpolation,
            source=background.shape,
            target=(height, width),
        ),
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
        part = self._source(covered(window))
        corner = np.reshape([part.left, part.top], (2, 1, 1))
        image = self.subject.alpha(part)
        low, high = self._shadows(tiles_of(window))
        opaque, clear = KnownBlocks(image).known(low - corner, high - corner)

        alpha_at = partial(
            sample_squares,
            image,
            self.inverse,
            side=TILE_PX,
            interpolation=self.motion.interpolations[1],
            corner=(part.top, part.left),
        )
        rest = np.where(opaque, np.uint8(255), np.uint8(0))
        return Tiles(window, ~(opaque | clear)).computed(alpha_at, rest=rest)

    def colours(
        self, window: Window, shown: np.ndarray, jitter: Jitter | None
    ) -> np.ndarray:
        """Return the colours of a window where its tiles are shown.

        Args:
          window: of the result.
          shown: bool, one for each tile; the others are black.
          jitter: of the colours.
        Returns:
          uint8 [height, width, 3].
        """
        change = self._jitter(jitter)
        if self.motion is None:
            return change(self.subject.colours(window))
        part = self._source(covered(window))
        image, interpolation = cheaper_kernels.for_warp(
            self.subject.colours(part), self.motion.interpolations[0]
        )
        warped = partial(
            sample_squares,
            image,
            self.inverse,
            side=TILE_PX,
            interpolation=interpolation,
            corner=(part.top, part.left),
        )

        def colours_at(tiles: np.ndarray) -> np.ndarray:
            colours = change(warped(tiles))
            if jitter is not None:
                self._blacken_outside(colours, tiles)
            return colours

        black = np.zeros(shown.shape, np.uint8)
        return Tiles(window, shown).computed(colours_at, rest=black, channels=(3,))

    def _blacken_outside(self, colours: np.ndarray, tiles: np.ndarray) -> None:
        """Clear what jitter made of nothing: [n, TILE_PX**2, 3] of `tiles`, [2, n]."""
        low, high = self._shadows(tiles)
        end = np.reshape(self.subject.shape[::-1], (2, 1))
        (at_edge,) = np.nonzero(((low < 0) | (high > end - 1)).any(axis=0))
        positions = source_positions(self.inverse, *pixels(tiles[:, at_edge]))
        beyond = outside(positions, *self.subject.shape).reshape(-1, TILE_PX**2)
        some, pixel = np.nonzero(beyond)
        colours[at_edge[some], pixel] = 0

    def doubtful_alpha(self, window: Window) -> np.ndarray | None:
        """Return the opacity in a window of a few pixels, unless it is plainly known.

        None only where it is opaque, or clear, all over; such a window may be missed.
        """
        part = self._source(window)
        image = self.subject.alpha(part)
        # Beyond the image it is clear: what ends with the image is not opaque.
        if not image.any() or (image.min() == 255 and self._is_inside(part)):
            return None
        if self.motion is None:
            return self.subject.alpha(window)
        return sample_at(
            image,
            source_positions(self.inverse, *window.grid),
            interpolation=self.motion.interpolations[1],
            corner=(part.top, part.left),
        )

    def _source(self, window: Window) -> Window:
        """Return what a window is interpolated from; never empty."""
        down = window.top, window.top + window.height - 1
        across = window.left, window.left + window.width - 1
        spans = []
        for (by_x, by_y, start), side in zip(
            self.inverse.tolist(), self.subject.shape[::-1], strict=True
        ):
            corners = [by_x * x + by_y * y + start for y in down for x in across]
            first = int(min(corners)) - SUPPORT_PX - 1
            end = int(max(corners)) + SUPPORT_PX + 3
            spans.append((min(max(first, 0), side - 1), max(min(end, side), 1)))
        (left, right), (top, bottom) = spans
        return Window(top, left, max(bottom - top, 1), max(right - left, 1))

    def _is_inside(self, part: Window) -> bool:
        """Tell that the image goes on around a part of it."""
        top, left, height, width = part
        around = Window(top - 1, left - 1, height + 2, width + 2)
        return part.grown(1, self.subject.shape) == around

    def _shadows(self, tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bound what tiles are interpolated from.

        Args:
          tiles: [2, ...] rows and columns of their first pixels.
        Returns:
          First and last x and y in the source: [2, ...] each.
        """
        centres = tiles[::-1] + (TILE_PX - 1) / 2
        by_x, by_y, start = self.inverse.T.reshape(3, 2, *[1] * (tiles.ndim - 1))
        centres = by_x * centres[0] + by_y * centres[1] + start
        extent = np.abs(by_x) + np.abs(by_y)
        extent = extent * (TILE_PX - 1) / 2 + SUPPORT_PX + 1
        return centres - extent, centres + extent

    def _jitter(self, jitter: Jitter | None) -> Callable[[np.ndarray], np.ndarray]:
        if jitter is None:
            return lambda colours: colours
        rooms = colour_rooms(*self.subject.sampled())
        return lambda colours: jittered(colours, rooms, jitter, shift_hsv_coarsely)


def _find_crop(view: _View, draws: Draws, *, side: int) -> Window | None:
    """Find the first candidate that is unknown, looking closely at few of them."""
    height, width = view.subject.shape
    rows, columns = candidates(height, width, draws.crop_seed)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        pixel = Window(row, column, 1, 1)
        around = pixel.grown(_reach(draws), view.subject.shape)
        alpha = view.doubtful_alpha(around)
        if alpha is None:
            continue
        trimap = trimap_from_alpha(
            alpha,
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
