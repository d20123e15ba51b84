"""Resizing of whole images, and of a window of the result alone."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.protocol.affine import sample_at, source_positions
from input_pipeline.protocol.windows import Window
from tmfnet_jax.errors import InputError

MAX_ENLARGED_PIXELS = 2**26  # a 1-pixel-high strip must not become gigabytes
REACH_PX = 64  # how far from a window a cut is looked for that falls between pixels
TOLERANCE_PX = 1 / 32  # by which such a cut may miss
SUPPORT_PX = 4  # what the widest interpolation reads on either side


def resize(
    image: np.ndarray, *, height: int, width: int, interpolation: int
) -> np.ndarray:
    """Resize uint8 [H, W] or [H, W, 3] to an exact size, aspect not kept."""
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=interpolation)


def resize_window(
    image: np.ndarray, window: Window, *, height: int, width: int, interpolation: int
) -> np.ndarray:
    """Compute a window of `resize`, mostly from the part of the image under it.

    That part begins where the result's grid meets the image's, to 1/32 pixel. Where
    the two do not meet nearby, single positions are interpolated, or, for
    INTER_AREA, which averages cells, the whole image is resized. INTER_NEAREST and
    what is resized whole are equal to the bit, the others but for rounding.

    Args:
      image: uint8 [H, W] or [H, W, 3].
      window: of the result.
      height: of the whole result.
      width: likewise.
      interpolation: of OpenCV.
    Returns:
      uint8 [window.height, window.width] or [window.height, window.width, 3].
    """
    if image.shape[:2] == (height, width):
        return image[window.slices]
    if interpolation == cv2.INTER_NEAREST:
        rows, columns = (
            np.floor((start + np.arange(length)) * (source / target)).astype(int)
            for start, length, source, target in (
                (window.top, window.height, image.shape[0], height),
                (window.left, window.width, image.shape[1], width),
            )
        )
        return image[rows].take(columns, axis=1)
    vertical = _part(image.shape[0], height, window.top, window.height)
    horizontal = _part(image.shape[1], width, window.left, window.width)
    if vertical and horizontal:
        (down, above), (across, before) = vertical, horizontal
        part = image[down, across]
        resized = cv2.resize(
            part,
            None,  # by factors, not to a size: the grids need not meet at the end
            fx=width / image.shape[1],
            fy=height / image.shape[0],
            interpolation=interpolation,
        )
        if resized.shape != part.shape:  # else OpenCV copied it, whatever the factors
            return resized[
                above : above + window.height, before : before + window.width
            ]
    if interpolation == cv2.INTER_AREA:
        whole = resize(image, height=height, width=width, interpolation=interpolation)
        return whole[window.slices]
    scale = np.array([image.shape[1] / width, image.shape[0] / height])
    # Pixel centres: x' = (x + 0.5) scale - 0.5.
    inverse = np.column_stack([np.diag(scale), (scale - 1) / 2])
    return sample_at(
        image,
        source_positions(inverse, *window.grid),
        interpolation=interpolation,
        border=cv2.BORDER_REPLICATE,
    )


def _part(
    source: int, target: int, start: int, length: int
) -> tuple[slice, int] | None:
    """Find the source pixels that a stretch of the result takes to compute.

    Returns:
      Source pixels, and how far before `start` the first one begins, in pixels of the
      result; None if the two grids do not meet nearby.
    """
    scale = source / target
    margin = int(np.ceil(SUPPORT_PX * max(1, 1 / scale)))
    near = (start - margin - np.arange(REACH_PX)).clip(0)
    misses = np.abs(near * scale - np.rint(near * scale))
    met = np.flatnonzero(misses <= TOLERANCE_PX)
    if not met.size:
        return None
    first = int(near[met[0]])
    end = min(source, int(np.ceil((start + length + margin) * scale)))
    return slice(round(first * scale), end), start - first


def enlarged_size(height: int, width: int, *, crop_px: int) -> tuple[int, int]:
    """Smallest size of the same aspect that holds a square crop.

    Args:
      height: pixels.
      width: pixels.
      crop_px: side of the crop.
    Returns:
      Height and width, unchanged where the crop already fits, else rounded up.
    Raises:
      InputError: if the image is so thin that the result would be enormous.
    """
    short = min(height, width)
    if short >= crop_px:
        return height, width
    # Ceiling division in whole numbers: the short side becomes crop_px exactly.
    height, width = (-(-side * crop_px // short) for side in (height, width))
    if height * width > MAX_ENLARGED_PIXELS:
        raise InputError(
            f"an image {short} px on its short side would have to be enlarged to "
            f"{height}x{width} to hold a crop of {crop_px}; remove this strip from "
            "the training images or lower crop_px"
        )
    return height, width
