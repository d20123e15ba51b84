"""Where an alpha is opaque or clear all over, told by blocks."""

from __future__ import annotations

import cv2
import numpy as np

BLOCK_PX = 8  # a word of eight pixels


class KnownBlocks:
    """Answers for rectangles of an image, in a few steps for all of them at once.

    Args:
      alpha: uint8 [H, W]; there is nothing outside it, which counts as clear.
    """

    def __init__(self, alpha: np.ndarray):
        height, width = alpha.shape
        rows, columns = -(-height // BLOCK_PX), -(-width // BLOCK_PX)
        padded = np.zeros((rows * BLOCK_PX, columns * BLOCK_PX), np.uint8)
        padded[:height, :width] = alpha
        # A word is opaque if all of its bits are set, and clear if none is.
        words = padded.view(np.uint64).reshape(rows, BLOCK_PX, columns, -1)
        every, some = (
            combine.reduce(combine.reduce(words, axis=1), axis=-1)
            for combine in (np.bitwise_and, np.bitwise_or)
        )
        opaque, clear = every == np.iinfo(np.uint64).max, some == 0
        self._opaque, self._clear = (
            cv2.integral(np.pad(known.astype(np.uint8), 1, constant_values=outside))
            for known, outside in ((opaque, 0), (clear, 1))
        )

    def known(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell which rectangles are opaque, and which are clear, all over.

        One that is may be missed; none is claimed wrongly.

        Args:
          low: [2, ...] x and y of the first pixel of each.
          high: likewise, of the last pixel.
        Returns:
          Two bool [...].
        """
        rows, columns = self._opaque.shape
        end = np.reshape([columns - 2, rows - 2], (2, *[1] * (low.ndim - 1)))
        low, high = (
            np.clip(np.floor(corner / BLOCK_PX).astype(int) + 1, 0, end)
            for corner in (low, high)
        )
        (left, top), (right, bottom) = low, high + 1
        area = (bottom - top) * (right - left)
        opaque, clear = (
            area
            == count[bottom, right]
            - count[top, right]
            - count[bottom, left]
            + count[top, left]
            for count in (self._opaque, self._clear)
        )
        return opaque, clear
