"""A rectangle of pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """Rows top to top + height, columns left to left + width."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Window:
        """Cover an image of this shape."""
        return cls(0, 0, shape[0], shape[1])

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image with."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows [height, 1] and columns [width]."""
        down = np.arange(self.top, self.top + self.height)
        return down[:, None], np.arange(self.left, self.left + self.width)

    def grown(self, margin: int, shape: tuple[int, ...]) -> Window:
        """Add a margin on all sides, as far as an image of this shape reaches."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        bottom = min(shape[0], self.top + self.height + margin)
        right = min(shape[1], self.left + self.width + margin)
        return Window(top, left, bottom - top, right - left)

    def within(self, outer: Window) -> Window:
        """Return it as seen from the corner of a window around it."""
        return self._replace(top=self.top - outer.top, left=self.left - outer.left)
