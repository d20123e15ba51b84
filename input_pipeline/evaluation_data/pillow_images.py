"""Images decoded and resized as Pillow does it, for sets that are defined by it.

Pillow is an optional dependency and imported when first needed. Orientation marks
and colour profiles are left alone, as the programs that these sets come from did.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from tmfnet_jax.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

# Larger images are refused by their header: the limit that
# tmfnet_jax/__init__.py gives to OpenCV.
MAX_PIXELS = 2**28

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_COLOURS = ("RGB", "RGBA")
_DEEP_MODES = ("I", "F")  # Pillow's names of 16 bits and more begin so
_FAILURES = (
    ArithmeticError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    SyntaxError,  # Pillow's word for a broken file
    TypeError,
    ValueError,
)


def require_pillow(purpose: str) -> None:
    """Raise InputError with the way to install Pillow where it is absent."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise InputError(
            f"{purpose} needs Pillow, which is not installed; install it with "
            "pip install 'tmfnet-jax[eval]'"
        ) from None


def decode_colours(data: bytes, *, name: str) -> np.ndarray:
    """Decode the colours of a PNG or JPEG file of 8 bits.

    Args:
      data: the whole file.
      name: of the file, for errors.
    Returns:
      uint8 [H, W, 3] RGB: an alpha channel is left aside, all else is what
      Pillow's conversion to RGB gives.
    Raises:
      InputError: another format, damaged, cut short, too large or of 16 bits.
    """
    image = _decode(data, name)
    return _array(image if image.mode in _COLOURS else _to_rgb(image), name)[..., :3]


def decode_first_channel(data: bytes, *, name: str) -> np.ndarray:
    """Decode an alpha: the values of a grey file, or the first of several channels.

    Args:
      data: of a PNG or JPEG file of 8 bits; a palette is looked up.
      name: of the file, for errors.
    Returns:
      uint8 [H, W].
    Raises:
      InputError: as for `decode_colours`.
    """
    image = _decode(data, name)
    if image.mode == "P":
        image = _to_rgb(image)
    elif image.mode == "1":
        image = image.convert("L")
    array = _array(image, name)
    return array if array.ndim == 2 else np.ascontiguousarray(array[..., 0])


def resize_bicubic(image: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Resize with Pillow's BICUBIC, which averages where it shrinks.

    Args:
      image: uint8 [H, W, 3].
      width: of the result in pixels.
      height: of the result in pixels.
    Returns:
      uint8 [height, width, 3].
    Raises:
      InputError: a result of over MAX_PIXELS.
    """
    from PIL import Image

    if width * height > MAX_PIXELS:
        raise InputError(
            f"an image of {image.shape[1]}x{image.shape[0]} cannot be resized to "
            f"{width}x{height}: over {MAX_PIXELS} pixels; put the original file there"
        )
    resized = Image.fromarray(np.ascontiguousarray(image)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.asarray(resized)


def _decode(data: bytes, name: str) -> Image.Image:
    # Image.open would warn of or refuse large images by a limit of the whole
    # process; the formats' classes, which it calls, leave that to the caller.
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    if not data.startswith((_PNG, _JPEG)):
        raise InputError(f"{name}: is no PNG or JPEG file; put the original file there")
    try:
        kind = PngImageFile if data.startswith(_PNG) else JpegImageFile
        image = kind(io.BytesIO(data))
    except _FAILURES as error:
        raise InputError(_damaged(name, error)) from None
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            f"{name}: is {image.width}x{image.height}, over {MAX_PIXELS} pixels; put "
            "the original file there"
        )
    # Pillow drops the low byte of 16-bit colours; byte 24 of a PNG is the depth.
    if image.mode.startswith(_DEEP_MODES) or (kind is PngImageFile and data[24] > 8):
        raise InputError(
            f"{name}: has more than 8 bits a channel; expected the original file, "
            "which has 8"
        )
    try:
        image.load()
    except _FAILURES as error:
        raise InputError(_damaged(name, error)) from None
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    image.info.pop("transparency", None)  # of no use, and Pillow warns of some
    return image.convert("RGB")


def _array(image: Image.Image, name: str) -> np.ndarray:
    array = np.asarray(image)
    if array.dtype != np.uint8 or not array.size:
        raise InputError(
            f"{name}: has no pixels of 8 bits; put the original file there"
        )
    return array


def _damaged(name: str, error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{name}: is damaged or cut short ({words}); put the original file there"
