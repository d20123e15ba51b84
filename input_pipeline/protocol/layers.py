"""A foreground, perhaps over a second one, of which any part can be computed."""

from __future__ import annotations

import numpy as np

from input_pipeline.protocol.composition import composite, merge_alphas
from input_pipeline.protocol.resizing import resize, resize_window
from input_pipeline.protocol.windows import Window

OPACITY_STRIDE = 64
SAMPLED_PIXELS = 2**11  # that stand for all where means of colours are wanted


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

    def lay_over(
        self, foreground: np.ndarray, alpha: np.ndarray, interpolations: tuple[int, int]
    ) -> None:
        """Put a second foreground under it, unless all would be opaque then."""
        height, width = self.shape
        alpha = resize(
            alpha, height=height, width=width, interpolation=interpolations[1]
        )
        for step in (OPACITY_STRIDE, 1):  # a look at a few pixels mostly is enough
            seen = merge_alphas(self._alpha[::step, ::step], alpha[::step, ::step])
            if (seen < 255).any():
                self._under = foreground, alpha, interpolations[0]
                return

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
