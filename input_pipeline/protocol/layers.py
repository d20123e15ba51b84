"""A foreground, perhaps over a second one, of which any part can be computed."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.protocol.composition import composite, merge_alphas
from input_pipeline.protocol.resizing import resize, resize_window
from input_pipeline.protocol.windows import Window

BLOCK_PX = 16  # side of the blocks that `Subject.surely` looks at
SAMPLED_PIXELS = 2**13  # that stand for all where means of colours are wanted


class Subject:
    """What `whole_sample.merge_foregrounds` makes, part by part.

    Args:
      foreground: uint8 [H, W, 3].
      alpha: uint8 [H, W].
    """

    def __init__(self, foreground: np.ndarray, alpha: np.ndarray):
        self.shape = alpha.shape
        self._foreground, self._alpha = foreground, alpha
        self._under: tuple[np.ndarray, np.ndarray, int] | None = None
        self._opaque, self._clear = _known_blocks(alpha)

    def lay_over(
        self, foreground: np.ndarray, alpha: np.ndarray, interpolations: tuple[int, int]
    ) -> None:
        """Put a second foreground under it, unless all would be opaque then."""
        height, width = self.shape
        alpha = resize(
            alpha, height=height, width=width, interpolation=interpolations[1]
        )
        opaque, clear = _known_blocks(alpha)
        opaque, clear = opaque | self._opaque, clear & self._clear
        if clear.any() or (merge_alphas(self._alpha, alpha) < 255).any():
            self._under = foreground, alpha, interpolations[0]
            self._opaque, self._clear = opaque, clear

    def alpha(self, window: Window) -> np.ndarray:
        """Return the opacity in a window: uint8 [height, width]."""
        alpha = self._alpha[window.slices]
        if self._under is None:
            return alpha
        return merge_alphas(alpha, self._under[1][window.slices])

    def colours(self, window: Window) -> np.ndarray:
        """Return the colours in a window: uint8 [height, width, 3]."""
        foreground = self._foreground[window.slices]
        if self._under is None:
            return foreground
        under, _, interpolation = self._under
        height, width = self.shape
        part = resize_window(
            under, window, height=height, width=width, interpolation=interpolation
        )
        return composite(foreground, part, self._alpha[window.slices])

    def sampled(self) -> tuple[np.ndarray, np.ndarray]:
        """Return colours and alpha at some evenly spaced pixels."""
        height, width = self.shape
        step = max(1, int((height * width / SAMPLED_PIXELS) ** 0.5))
        alpha, colours = self._alpha[::step, ::step], self._foreground[::step, ::step]
        if self._under is not None:
            under, under_alpha, _ = self._under
            rows, columns = (
                (np.arange(0, side, step) + 0.5) * there / side
                for side, there in zip(self.shape, under.shape, strict=False)
            )
            below = under[np.ix_(rows.astype(int), columns.astype(int))]
            colours = composite(colours, below, alpha)
            alpha = merge_alphas(alpha, under_alpha[::step, ::step])
        return np.ascontiguousarray(colours), np.ascontiguousarray(alpha)

    def surely(
        self, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tell which rectangles are opaque, and which are clear, all over.

        Answers by blocks: a rectangle that is may be missed, none is claimed wrongly.

        Args:
          low: [2, N] x and y of the first pixel of each; there is nothing outside
            the image, so that is clear.
          high: likewise, of the last pixel.
        Returns:
          Two bool [N].
        """
        end = np.array(self._opaque.shape)[::-1, None] + 1
        low, high = (
            np.clip(np.floor(corner / BLOCK_PX).astype(int) + 1, 0, end)
            for corner in (low, high)
        )
        (left, top), (right, bottom) = low, high + 1
        answers = []
        for known, outside in ((self._opaque, 0), (self._clear, 1)):
            padded = np.pad(known.astype(np.uint8), 1, constant_values=outside)
            counts = cv2.integral(padded)
            count = counts[bottom, right] - counts[top, right]
            count += counts[top, left] - counts[bottom, left]
            answers.append(count == (bottom - top) * (right - left))
        return answers[0], answers[1]


def _known_blocks(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell which blocks of an image are opaque, and which are clear, all over.

    Returns:
      Two bool maps of a block of BLOCK_PX to a side each. Blocks at the far borders
      are filled up with clear pixels.
    """
    height, width = alpha.shape
    rows, columns = -(-height // BLOCK_PX), -(-width // BLOCK_PX)
    padded = np.zeros((rows * BLOCK_PX, columns * BLOCK_PX), np.uint8)
    padded[:height, :width] = alpha
    # Eight pixels are one word: all opaque if all its bits are set, clear if none.
    words = padded.view(np.uint64).reshape(rows, BLOCK_PX, columns, -1)
    every, some = (
        combine.reduce(combine.reduce(words, axis=1), axis=-1)
        for combine in (np.bitwise_and, np.bitwise_or)
    )
    return every == np.iinfo(np.uint64).max, some == 0
