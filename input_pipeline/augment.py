"""Random changes of one training foreground: resizing, colour, affine, crop.

Every image is uint8, RGB, [H, W, 3]; every alpha uint8 [H, W]. Each random
function takes its own `np.random.Generator` and leaves its inputs untouched.
Each result is rounded to 8 bits. The recipe is the paper's training
configuration; ranges a run may want to change are arguments, held in
`input_pipeline.recipe.Recipe`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import TRIMAP_UNKNOWN

INTERPOLATIONS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,  # OpenCV warps with it as with INTER_LINEAR
    cv2.INTER_LANCZOS4,
)
HUE_SHIFT_DEGREES = (-40, 39)  # whole degrees, both ends included
COLOUR_SHIFT = 0.1  # of the room COLOUR_CEILING - mean, to either side
COLOUR_CEILING = 1.1
STRIP_PIXELS = 2**15  # colours are changed by strips that stay in the cache
SEARCH_STRIDE = 4  # unknown pixels are looked for on a 1/4-size trimap
MAX_ENLARGED_PIXELS = 2**26  # a 1-pixel-high strip must not become gigabytes


def random_interpolation(rng: np.random.Generator) -> int:
    """Draw one of the five OpenCV interpolations of the recipe."""
    return INTERPOLATIONS[rng.integers(len(INTERPOLATIONS))]


def resize_randomly(
    image: np.ndarray, rng: np.random.Generator, *, height: int, width: int
) -> np.ndarray:
    """Resize to an exact size, aspect not kept, with a random interpolation.

    Args:
      image: uint8 [H, W] or [H, W, 3].
      rng: source of the draw; drawn from even when no resize is needed.
      height: of the result, pixels.
      width: of the result, pixels.
    Returns:
      uint8 [height, width] or [height, width, 3].
    """
    interpolation = random_interpolation(rng)
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=interpolation)


def shift_hsv(
    foreground: np.ndarray,
    alpha: np.ndarray,
    *,
    hue_degrees: float,
    saturation: float,
    value: float,
) -> np.ndarray:
    """Turn the hue and shift saturation and value by a share of their room.

    S' = S + (1.1 - mean of S where alpha > 0) * saturation, V' likewise, both
    reflected into [0, 1]; H' = (H + hue_degrees) mod 360.

    Args:
      foreground: uint8 [H, W, 3].
      alpha: uint8 [H, W]; if it is 0 everywhere nothing is changed.
      hue_degrees: -360 to 360.
      saturation: share of the room, -0.5 to 0.5 so that one reflection suffices.
      value: as `saturation`.
    Returns:
      uint8 [H, W, 3].
    """
    if not alpha.any():
        return foreground
    rows = max(1, STRIP_PIXELS // alpha.shape[1])
    strips = [slice(top, top + rows) for top in range(0, len(alpha), rows)]
    total = np.zeros(4)
    for strip in strips:
        if count := cv2.countNonZero(alpha[strip]):
            mean = cv2.mean(_hsv(foreground[strip]), mask=alpha[strip])
            total += np.multiply(mean, count)
    _, *rooms, _ = COLOUR_CEILING - total / cv2.countNonZero(alpha)
    result = np.empty_like(foreground)
    for strip in strips:
        hue, *channels = cv2.split(_hsv(foreground[strip]))
        hue += hue_degrees % 360
        np.subtract(hue, 360, out=hue, where=hue >= 360)
        shares = (saturation, value)
        for channel, room, share in zip(channels, rooms, shares, strict=True):
            np.add(channel, float(room * share), out=channel)
            np.abs(channel, out=channel)  # reflect at 0
            np.minimum(channel, 2 - channel, out=channel)  # and at 1
        rgb = cv2.cvtColor(cv2.merge([hue, *channels]), cv2.COLOR_HSV2RGB)
        result[strip] = cv2.convertScaleAbs(rgb, alpha=255)  # rounds and saturates
    return result


def jitter_hsv(
    foreground: np.ndarray, alpha: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Apply `shift_hsv` with random shifts: hue U{-40..39}, the others U(-0.1, 0.1).

    Args:
      foreground: uint8 [H, W, 3].
      alpha: uint8 [H, W].
      rng: source of the draws.
    Returns:
      uint8 [H, W, 3].
    """
    low, high = HUE_SHIFT_DEGREES
    hue = int(rng.integers(low, high, endpoint=True))
    saturation, value = rng.uniform(-COLOUR_SHIFT, COLOUR_SHIFT, 2)
    return shift_hsv(
        foreground, alpha, hue_degrees=hue, saturation=saturation, value=value
    )


def affine_matrix(
    *,
    height: int,
    width: int,
    rotation_degrees: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shear_degrees: float = 0.0,
    flip: tuple[bool, bool] = (False, False),
) -> np.ndarray:
    """Matrix that takes a source position (x, y) to its place in the result.

    rotation * shear * scale * flip about the image's centre ((W-1)/2, (H-1)/2),
    so that a flip alone is an exact mirror image. Rotation turns x towards y
    (clockwise on screen); shear turns the y axis alone, by the same rule.

    Args:
      height: of the image, pixels.
      width: of the image, pixels.
      rotation_degrees: angle.
      scale: factors along x and y.
      shear_degrees: angle, between -90 and 90.
      flip: whether to mirror left-right and top-bottom.
    Returns:
      [2, 3] float64.
    """
    angle, shear = math.radians(rotation_degrees), math.radians(shear_degrees)
    axes = np.array(
        [
            [math.cos(angle), -math.sin(angle + shear)],
            [math.sin(angle), math.cos(angle + shear)],
        ]
    )
    linear = axes * np.where(flip, -1.0, 1.0) * np.asarray(scale)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.column_stack([linear, centre - linear @ centre])


def random_affine(
    foreground: np.ndarray,
    alpha: np.ndarray,
    rng: np.random.Generator,
    *,
    rotation_degrees: float,
    rotation_min_side_px: int,
    scale_range: tuple[float, float],
    shear_degrees: float,
    flip_probability: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Warp foreground and alpha by one random affine map, zero outside.

    Each of the two has its own random interpolation.

    Args:
      foreground: uint8 [H, W, 3].
      alpha: uint8 [H, W].
      rng: source of the draws.
      rotation_degrees: largest angle to either side.
      rotation_min_side_px: images whose longer side is below are not rotated.
      scale_range: lowest and highest factor, drawn for each axis.
      shear_degrees: largest angle to either side.
      flip_probability: of each of the two flips.
    Returns:
      uint8 [H, W, 3] and uint8 [H, W].
    """
    height, width = alpha.shape
    rotation = rng.uniform(-rotation_degrees, rotation_degrees)
    if max(height, width) < rotation_min_side_px:
        rotation = 0.0
    matrix = affine_matrix(
        height=height,
        width=width,
        rotation_degrees=rotation,
        scale=tuple(rng.uniform(*scale_range, 2)),
        shear_degrees=rng.uniform(-shear_degrees, shear_degrees),
        flip=tuple(rng.random(2) < flip_probability),
    )
    foreground, alpha = (
        cv2.warpAffine(image, matrix, (width, height), flags=random_interpolation(rng))
        for image in (foreground, alpha)
    )
    return foreground, alpha


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


def crop_corner(
    trimap: np.ndarray, rng: np.random.Generator, *, crop_px: int
) -> tuple[int, int] | None:
    """Place a square crop around a random unknown pixel.

    The pixel is drawn among every fourth of every fourth row, or among all where
    none of those is unknown. It is the crop's centre, except that the crop is
    moved inside the image; it always lies in the crop.

    Args:
      trimap: uint8 [H, W] in {0, 128, 255}; H, W >= crop_px.
      rng: source of the draw.
      crop_px: side of the crop.
    Returns:
      Top and left, or None if the trimap has no unknown pixel.
    """
    for stride in (SEARCH_STRIDE, 1):
        found = np.flatnonzero(trimap[::stride, ::stride] == TRIMAP_UNKNOWN)
        if found.size:
            break
    else:
        return None
    columns = -(-trimap.shape[1] // stride)
    position = divmod(int(found[rng.integers(found.size)]), columns)
    top, left = (
        min(max(stride * centre - crop_px // 2, 0), side - crop_px)
        for centre, side in zip(position, trimap.shape, strict=True)
    )
    return top, left


def _hsv(image: np.ndarray) -> np.ndarray:
    """Convert uint8 RGB to float32 hue in degrees, saturation and value in [0, 1]."""
    return cv2.cvtColor(
        np.multiply(image, 1 / 255, dtype=np.float32), cv2.COLOR_RGB2HSV
    )
