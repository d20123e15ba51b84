"""Image files as RGB arrays: read whole or refused in one line, written whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import DTypeLike

from tmfnet_jax import exr, image_metadata, opencv_codecs
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

# What each format written here can hold: types and numbers of channels.
_INTEGERS, _COUNTS = (np.uint8, np.uint16), (1, 3, 4)
_WRITABLE = {
    ".png": (_INTEGERS, _COUNTS),
    ".tif": ((*_INTEGERS, np.float32), _COUNTS),
    ".tiff": ((*_INTEGERS, np.float32), _COUNTS),
    ".jpg": ((np.uint8,), (3,)),
    ".jpeg": ((np.uint8,), (3,)),
    ".exr": ((np.float32,), _COUNTS),
}
_COLOURS = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # no alpha, the file's depth
_READABLE_TYPES = (np.uint8, np.uint16, np.float32)
_MAX_BYTES = 2**31 - 1  # of a file; OpenCV counts them in a C int
_COLOUR_ORDERS = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
# EXIF orientations: those mirrored left to right, and the turn that follows.
_MIRRORED = (2, 4, 5, 7)
_TURNS = {
    3: cv2.ROTATE_180,
    4: cv2.ROTATE_180,
    5: cv2.ROTATE_90_COUNTERCLOCKWISE,
    6: cv2.ROTATE_90_CLOCKWISE,
    7: cv2.ROTATE_90_CLOCKWISE,
    8: cv2.ROTATE_90_COUNTERCLOCKWISE,
}

_PathLike = str | os.PathLike[str]


class Photo(NamedTuple):
    """The colours of an image file and what they mean."""

    pixels: np.ndarray  # [H, W, 3] RGB, uint8 or uint16
    profile: bytes | None  # ICC profile of these colours, where the file has one


def read_photo(path: _PathLike) -> Photo:
    """Read the colours of an image file and their profile.

    Grey is spread to three channels, a palette looked up, an alpha channel left
    aside, and JPEG, PNG, TIFF and WebP images are turned upright as their EXIF data
    say. Values stay as they are; the profile of a JPEG, PNG, TIFF or WebP is handed
    on, not applied. One that is damaged or not for RGB is left aside.

    Args:
      path: file of any format OpenCV reads: PNG, JPEG, TIFF, WebP, BMP and more.

    Returns:
      Pixels and profile.

    Raises:
      InputError: no readable file, not an image, damaged, cut short, larger than
        the limits set in `tmfnet_jax/__init__.py`, or floating point: whether
        such colours are linear light, their file does not say.
    """
    return decode_photo(_read_bytes(path), name=str(path))


def decode_photo(data: bytes, *, name: str) -> Photo:
    """Decode a file's bytes as `read_photo` does; errors call it `name`."""
    image, metadata = _decode(data, _COLOURS, name)
    _refuse_floats(name, image)
    pixels = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
    return Photo(pixels, metadata.profile)


def read_image(path: _PathLike) -> np.ndarray:
    """Read the colours of an image file: the pixels of `read_photo`."""
    return read_photo(path).pixels


def read_cutout(path: _PathLike) -> np.ndarray:
    """Read an image file that carries its alpha, turned upright.

    Args:
      path: file of any format OpenCV reads with an alpha channel.

    Returns:
      [H, W, 4] RGBA with straight alpha, uint8 or uint16.

    Raises:
      InputError: as for `read_photo`, without an alpha channel, or a TIFF that says
        that its colours are premultiplied.
    """
    image, metadata = _decode(_read_bytes(path), cv2.IMREAD_UNCHANGED, str(path))
    _refuse_floats(path, image)
    if image.shape[2:] != (4,):
        raise InputError(
            f"{path}: has no alpha channel; give an RGBA image, or colours and alpha "
            "in two files"
        )
    if image_metadata.is_premultiplied(metadata):
        raise InputError(
            f"{path}: has colours premultiplied by alpha; save it with straight alpha"
        )
    return image


def read_mask(path: _PathLike) -> np.ndarray:
    """Read the values of a trimap or another mask as the file holds them.

    A palette is looked up, one to four bits are stretched to eight, an alpha
    channel is left aside; EXIF orientation is applied as to the image.

    Args:
      path: file of any format OpenCV reads, or OpenEXR: its channels R, G, B, or Y,
        or A, or the only one.

    Returns:
      [H, W] grey or [H, W, 3] RGB; uint8, uint16 or float32.

    Raises:
      InputError: as for `read_photo`, save that floating point is accepted.
    """
    return decode_mask(_read_bytes(path), name=str(path))


def decode_mask(data: bytes, *, name: str) -> np.ndarray:
    """Decode a file's bytes as `read_mask` does; errors call it `name`."""
    return _decode(data, _COLOURS, name)[0]


def read_alpha(path: _PathLike) -> np.ndarray:
    """Read an alpha.

    Args:
      path: grey image, or one with equal colour channels, of any format that
        `read_mask` reads; integers over their full range or floating point in
        [0, 1].

    Returns:
      [H, W] float32 in [0, 1].

    Raises:
      InputError: as for `read_mask`, or in colour, NaN or outside [0, 1].
    """
    alpha = read_mask(path)
    if alpha.ndim == 3:
        if (alpha != alpha[..., :1]).any():
            raise InputError(f"{path}: is in colour; an alpha must be grey")
        alpha = alpha[..., 0]
    if alpha.dtype != np.float32:
        return alpha / np.float32(np.iinfo(alpha.dtype).max)
    if not ((alpha >= 0) & (alpha <= 1)).all():  # false for NaN as well
        raise InputError(f"{path}: has values that are NaN or outside [0, 1]")
    return np.ascontiguousarray(alpha)


def write_image(
    path: _PathLike,
    image: np.ndarray,
    *,
    profile: bytes | None = None,
    premultiplied: bool = False,
) -> None:
    """Write an image; an existing file stays until the new one is complete.

    Args:
      path: file to write; its suffix says the format: .png, .tif and .tiff keep
        every value, .jpg and .jpeg take colours of 8 bits and lose some detail,
        .exr takes float32, by convention linear light and premultiplied.
      image: [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA; uint8, uint16 or, for
        .tif, .tiff and .exr, float32.
      profile: ICC profile to embed. It is left out where it is for another colour
        space than the pixels', as an alpha's is, and of an .exr.
      premultiplied: whether RGBA colours are multiplied by their alpha. A .tif says
        so in the file; the other formats cannot.

    Raises:
      InputError: unknown format, an array it cannot hold, or a failed write.
    """
    check_output(path, channels=_channels(image, str(path)), dtype=image.dtype)
    suffix = Path(path).suffix.lower()
    parts = _encode(image, suffix, str(path), profile, premultiplied)
    with atomic_write(path) as file:
        for part in parts:
            file.write(part)


def encode_image(
    image: np.ndarray,
    suffix: str,
    *,
    profile: bytes | None = None,
    premultiplied: bool = False,
) -> bytes:
    """Encode an image as `write_image` does: the bytes of a file of this suffix."""
    suffix = suffix.lower()
    channels = _channels(image, f"image{suffix}")
    _check_format(f"image{suffix}", suffix, channels, image.dtype)
    parts = _encode(image, suffix, f"image{suffix}", profile, premultiplied)
    return b"".join(parts)


def check_output(path: _PathLike, *, channels: int, dtype: DTypeLike) -> None:
    """Check before long work that an image can be written to a path.

    Args:
      path: file that `write_image` will get.
      channels: 1 for grey, 3 for RGB, 4 for RGBA.
      dtype: uint8, uint16 or float32.

    Raises:
      InputError: unknown format, one that cannot hold such an image, no folder.
    """
    path = Path(path)
    _check_format(str(path), path.suffix.lower(), channels, dtype)
    if not path.parent.is_dir():
        raise InputError(f"{path}: no folder {path.parent}; create it first")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; add a file name")


def _check_format(name: str, suffix: str, channels: int, dtype: DTypeLike) -> None:
    if suffix not in _WRITABLE:
        raise InputError(
            f"{name}: has an unknown format {suffix!r}; expected one of "
            + " ".join(_WRITABLE)
        )
    types, channel_counts = _WRITABLE[suffix]
    if channels not in channel_counts or np.dtype(dtype) not in types:
        raise InputError(
            f"{name}: cannot hold {channels} channels of {np.dtype(dtype)}; {suffix} "
            f"takes {' or '.join(map(str, channel_counts))} "
            f"channels of {' or '.join(t.__name__ for t in types)}"
        )


def _channels(image: np.ndarray, name: str) -> int:
    if image.ndim not in (2, 3) or not image.size:
        raise InputError(f"{name}: cannot hold an array of shape {image.shape}")
    return 1 if image.ndim == 2 else image.shape[-1]


def _encode(
    image: np.ndarray,
    suffix: str,
    name: str,
    profile: bytes | None,
    premultiplied: bool,
) -> list[bytes | memoryview]:
    """Encode an image that was checked; return the file in parts."""
    if suffix == ".exr":
        return [exr.encode_exr(image)]
    channels = _channels(image, name)
    if channels in _COLOUR_ORDERS:
        image = cv2.cvtColor(image, _COLOUR_ORDERS[channels])
    # OpenCV's own choice for PNG, its fastest, packs smooth alphas within a tenth
    # of a second per 10 megapixels, and about as small as its levels do. Before 5
    # it keeps float32 colours in TIFF with loss unless told not to compress.
    plain = (cv2.IMWRITE_TIFF_COMPRESSION, 1) if image.dtype == np.float32 else ()
    encoded = opencv_codecs.encode(suffix, image, plain)
    if encoded is None:
        raise InputError(
            f"{name}: {image.shape[1]}x{image.shape[0]} pixels are too many for "
            f"{suffix}; choose another format or a smaller image"
        )
    return image_metadata.add_metadata(
        encoded,
        profile=image_metadata.fitting_profile(profile, channels=channels),
        premultiplied=premultiplied if channels == 4 else None,
    )


def _refuse_floats(name: _PathLike, image: np.ndarray) -> None:
    if image.dtype == np.float32:
        raise InputError(
            f"{name}: holds float32 values; save it with 8 or 16 bits a channel"
        )


def _decode(
    data: bytes, flags: int, name: str
) -> tuple[np.ndarray, image_metadata.Metadata]:
    """Decode a file: [H, W] grey, [H, W, 3] RGB or, if `flags` keep it, RGBA."""
    if not data:
        raise InputError(f"{name}: is empty; copy or download the file again")
    if len(data) > _MAX_BYTES:
        raise InputError(f"{name}: has over {_MAX_BYTES} bytes; scale it down")
    if not image_metadata.is_whole(data):
        raise InputError(f"{name}: is cut short; copy or download the file again")
    metadata = image_metadata.read_metadata(data)
    if data.startswith(exr.MAGIC):
        return exr.decode_exr(data, name=name), metadata
    if metadata.orientation and flags != cv2.IMREAD_UNCHANGED:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    image = opencv_codecs.decode(image_metadata.without_marks(data), flags, name)
    if image.dtype not in _READABLE_TYPES:
        raise InputError(
            f"{name}: holds {image.dtype} values; save it with 8 or 16 bits a channel"
        )
    if image.ndim == 3 and image.shape[2] in _COLOUR_ORDERS:
        image = cv2.cvtColor(image, _COLOUR_ORDERS[image.shape[2]])
    if metadata.orientation in _MIRRORED:
        image = cv2.flip(image, 1)
    if metadata.orientation in _TURNS:
        image = cv2.rotate(image, _TURNS[metadata.orientation])
    return image, metadata


def _read_bytes(path: _PathLike) -> bytes:
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # opening a pipe could wait forever
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise InputError(f"{path}: is {kind}; name an image file")
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: has over {_MAX_BYTES} bytes; scale it down")
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check the path and its rights"
        ) from None
