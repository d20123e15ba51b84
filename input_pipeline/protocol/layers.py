"""A foreground, perhaps over a second one, of which any part can be computed."""

from __future__ import annotations

import numpy as np

from input_pipeline.protocol.composition import composite, merge_alphas
from input_pipeline.protocol.resizing import resize, resize_window
from input_pipeline.protocol.windows import Window

BLOCK_PX = 16  # side of the blocks that `Subject.surely` looks at
SAMPLED_PIXELS = 2**15  # that stand for all where means of colours are wanted


class Subject:
    """What `whole_sample.merge_foregrounds` makes, part by part.

    Args:
      foreground: uint8 [H, W, 3].
      alpha: uint8 [H, W].
    """

    def __init__(self, foreground: np.ndarray, alpha: np.ndarray):
        self.shape = alpha.shape
        self._foreground, self._alpha = foreground, alpha
        self._under: tuple[np.ndarray, int] | None = None
        self._merged = alpha

    def lay_over(
        self, foreground: np.ndarray, alpha: np.ndarray, interpolations: tuple[int, int]
    ) -> None:
        """Put a second foreground under it, unless all would be opaque then."""
        height, width = self.shape
        under_alpha = resize(
            alpha, height=height, width=width, interpolation=interpolations[1]
        )
        merged = merge_alphas(self._alpha, under_alpha)
        if not (merged == 255).all():
            self._under, self._merged = (foreground, interpolations[0]), merged

    def alpha(self, window: Window) -> np.ndarray:
        """Return the opacity in a window: uint8 [height, width]."""
        return self._merged[window.slices]

    def colours(self, window: Window) -> np.ndarray:
        """Return the colours in a window: uint8 [height, width, 3]."""
        foreground = self._foreground[window.slices]
        if self._under is None:
            return foreground
        under, interpolation = self._under
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
            under, _ = self._under
            rows, columns = (
                (np.arange(0, side, step) + 0.5) * there / side
                for side, there in zip(self.shape, under.shape, strict=False)
            )
            below = under[np.ix_(rows.astype(int), columns.astype(int))]
            colours = composite(colours, below, alpha)
            alpha = self._merged[::step, ::step]
        return np.ascontiguousarray(colours), np.ascontiguousarray(alpha)

    def surely(self) -> tuple[np.ndarray, np.ndarray]:
        """Tell which blocks of the image are opaque, and which are clear, all over.

        Returns:
          Two bool maps of a block of BLOCK_PX to a side each. Blocks at the far
          borders are padded with clear pixels.
        """
        after = [(0, -side % BLOCK_PX) for side in self.shape]
        padded = np.pad(self._merged, after)
        rows, columns = (side // BLOCK_PX for side in padded.shape)
        bands = padded.reshape(rows, BLOCK_PX, -1)
        low = bands.min(1).reshape(rows, columns, BLOCK_PX).min(-1)
        high = bands.max(1).reshape(rows, columns, BLOCK_PX).max(-1)
        return low == 255, high == 0
