"""What a cut-out becomes: premultiplied, laid over a background, linear, integer.

A straight cut-out is [H, W, 4] float32 in [0, 1], RGBA with colours that are not
multiplied with alpha. Compositing happens in the image's own encoding, in which the
matting equation I = alpha F + (1 - alpha) B is written and networks are trained.
All functions go row by row where they would otherwise double the memory.
"""

from __future__ import annotations

import re

import cv2
import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_image

# The basic colour keywords of CSS.
COLOURS = {
    "black": "#000000",
    "silver": "#c0c0c0",
    "gray": "#808080",
    "grey": "#808080",
    "white": "#ffffff",
    "maroon": "#800000",
    "red": "#ff0000",
    "purple": "#800080",
    "fuchsia": "#ff00ff",
    "green": "#008000",
    "lime": "#00ff00",
    "olive": "#808000",
    "yellow": "#ffff00",
    "navy": "#000080",
    "blue": "#0000ff",
    "teal": "#008080",
    "aqua": "#00ffff",
}


def premultiply(rgba: np.ndarray) -> np.ndarray:
    """Multiply the colours of a straight cut-out with its alpha.

    Args:
      rgba: [H, W, 4] float32 in [0, 1], straight.

    Returns:
      [H, W, 4] float32 in [0, 1]; alpha unchanged.

    Raises:
      InputError: another shape or type.
    """
    _check_cutout(rgba)
    result = rgba.copy()
    result[..., :3] *= rgba[..., 3:]
    return result


def over(rgba: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Lay a straight cut-out over a background: alpha F + (1 - alpha) B.

    Args:
      rgba: [H, W, 4] float32 in [0, 1], straight.
      background: [H, W, 3] floating point in [0, 1], in the encoding of `rgba`; see
        `load_background`.

    Returns:
      [H, W, 3] float32 in [0, 1].

    Raises:
      InputError: other shapes or types.
    """
    _check_cutout(rgba)
    height, width = rgba.shape[:2]
    if background.shape != (height, width, 3) or background.dtype.kind != "f":
        raise InputError(
            f"background is {background.dtype} of shape {background.shape}; expected "
            f"floating point of shape {(height, width, 3)} in [0, 1]"
        )
    result = np.empty((height, width, 3), np.float32)
    for out, front, back in zip(result, rgba, background, strict=True):
        share = front[:, 3:]
        out[:] = share * front[:, :3] + (1 - share) * back
    return result


def load_background(text: str, height: int, width: int) -> np.ndarray:
    """Make the background that a text names.

    Args:
      text: a name of `COLOURS`, #rgb, #rrggbb, or the path of an image; an image
        named like a colour needs its folder, as in ./red.
      height: of the result, in pixels.
      width: of the result, in pixels.

    Returns:
      [H, W, 3] float32 in [0, 1]; of one colour, as a read-only view that takes no
      memory, or the image, scaled to cover the whole and cropped in the middle.

    Raises:
      InputError: neither a colour nor a readable image.
    """
    colour = COLOURS.get(text.lower(), text)
    if colour.startswith("#"):
        return np.broadcast_to(_parse_hex(colour), (height, width, 3))
    try:
        image = read_image(text)
    except InputError as error:
        raise InputError(
            f"background is no colour (#rgb, #rrggbb, {', '.join(COLOURS)}) and no "
            f"readable image: {error}"
        ) from None
    top = np.float32(np.iinfo(image.dtype).max)
    return _cover(image, height, width) / top


def linear_light(rgb: np.ndarray) -> np.ndarray:
    """Decode sRGB values to linear light, as EXR files hold.

    Colours are decoded straight; premultiply afterwards.

    Args:
      rgb: [H, W, 3] floating point in [0, 1], sRGB-encoded.

    Returns:
      [H, W, 3] float32 in [0, 1].

    Source: IEC 61966-2-1.
    """
    result = np.empty(rgb.shape, np.float32)
    for out, row in zip(result, rgb, strict=True):
        out[:] = np.where(row <= 0.04045, row / 12.92, ((row + 0.055) / 1.055) ** 2.4)
    return result


def quantise(values: np.ndarray, bits: int) -> np.ndarray:
    """Round values to the integers of an image file.

    Args:
      values: [H, W] or [H, W, C], floating point in [0, 1].
      bits: 8 or 16.

    Returns:
      The same shape, uint8 or uint16 over its full range.

    Raises:
      InputError: another number of bits, NaN, or values beyond [0, 1] by more than
        the rounding forgives.
    """
    if bits not in (8, 16):
        raise InputError(f"bits is {bits}; expected 8 or 16")
    top = np.float32(2**bits - 1)
    result = np.empty(values.shape, f"uint{bits}")
    for out, row in zip(result, values, strict=True):
        steps = np.rint(row * top)
        if not ((steps >= 0) & (steps <= top)).all():  # false for NaN as well
            raise InputError(
                "values to write are NaN or outside [0, 1]; expected 0 for black and "
                "1 for white"
            )
        out[...] = steps
    return result


def _check_cutout(rgba: np.ndarray) -> None:
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.float32:
        raise InputError(
            f"cut-out is {rgba.dtype} of shape {rgba.shape}; expected float32 of "
            "shape (height, width, 4)"
        )


def _parse_hex(text: str) -> np.ndarray:
    if not re.fullmatch("#([0-9a-fA-F]{3}){1,2}", text):
        raise InputError(f"colour {text!r} is not of the form #rgb or #rrggbb")
    digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
    return np.frombuffer(bytes.fromhex(digits), np.uint8) / np.float32(255)


def _cover(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Crop the middle to the shape of the result, then scale."""
    have_height, have_width = image.shape[:2]
    scale = max(height / have_height, width / have_width)
    rows = min(have_height, max(1, round(height / scale)))
    columns = min(have_width, max(1, round(width / scale)))
    top, left = (have_height - rows) // 2, (have_width - columns) // 2
    crop = image[top : top + rows, left : left + columns]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(crop, (width, height), interpolation=method)
