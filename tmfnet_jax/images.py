"""Image files as RGB arrays: read whole or refused in one line, written whole."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import DTypeLike

from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

# What each format written here can hold: types and numbers of channels.
_LOSSLESS = ((np.uint8, np.uint16), (1, 3, 4))
_WRITABLE = {
    ".png": _LOSSLESS,
    ".tif": _LOSSLESS,
    ".tiff": _LOSSLESS,
    ".jpg": ((np.uint8,), (3,)),
    ".jpeg": ((np.uint8,), (3,)),
}
# Colours without alpha, at the file's depth, turned as its EXIF data say.
_UPRIGHT = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
_READABLE_TYPES = (np.uint8, np.uint16, np.float32)
_MAX_BYTES = 2**31 - 1  # of a file; OpenCV counts them in a C int
_COLOUR_ORDERS = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}

_PathLike = str | os.PathLike[str]


def read_image(path: _PathLike) -> np.ndarray:
    """Read the colours of an image file.

    Grey is spread to three channels, a palette looked up, an alpha channel left
    aside, and JPEG, PNG and TIFF images are turned upright as their EXIF data say.
    Values stay as they are; colour profiles are not applied.

    Args:
      path: file of any format OpenCV reads: PNG, JPEG, TIFF, WebP, BMP and more.

    Returns:
      [H, W, 3] RGB, uint8 or uint16.

    Raises:
      InputError: no readable file, not an image, damaged, cut short, larger than
        the limits set in `tmfnet_jax/__init__.py`, or floating point: whether
        such colours are linear light, their file does not say.
    """
    image = _read(path, _UPRIGHT)
    _refuse_floats(path, image)
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image


def read_cutout(path: _PathLike) -> np.ndarray:
    """Read an image file that carries its alpha.

    Colours and alpha come as stored: OpenCV follows the EXIF orientation of a PNG
    only where it drops the alpha.

    Args:
      path: file of any format OpenCV reads with an alpha channel.

    Returns:
      [H, W, 4] RGBA, uint8 or uint16.

    Raises:
      InputError: as for `read_image`, or without an alpha channel.
    """
    image = _read(path, cv2.IMREAD_UNCHANGED)
    _refuse_floats(path, image)
    if image.shape[2:] != (4,):
        raise InputError(
            f"{path}: has no alpha channel; give an RGBA image, or colours and alpha "
            "in two files"
        )
    return image


def read_mask(path: _PathLike) -> np.ndarray:
    """Read the values of a trimap or another mask as the file holds them.

    A palette is looked up, one to four bits are stretched to eight, an alpha
    channel is left aside; EXIF orientation is applied as to the image.

    Args:
      path: file of any format OpenCV reads.

    Returns:
      [H, W] grey or [H, W, 3] RGB; uint8, uint16 or float32.

    Raises:
      InputError: as for `read_image`, save that floating point is accepted.
    """
    return _read(path, _UPRIGHT)


def read_alpha(path: _PathLike) -> np.ndarray:
    """Read an alpha.

    Args:
      path: grey image, or one with equal colour channels, of any format OpenCV
        reads; integers over their full range or floating point in [0, 1].

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


def write_image(path: _PathLike, image: np.ndarray) -> None:
    """Write an image; an existing file stays until the new one is complete.

    Args:
      path: file to write; its suffix says the format: .png, .tif and .tiff keep
        every value, .jpg and .jpeg take colours of 8 bits and lose some detail.
      image: [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA with straight alpha;
        uint8 or uint16.

    Raises:
      InputError: unknown format, an array it cannot hold, or a failed write.
    """
    channels = 1 if image.ndim == 2 else image.shape[-1]
    if image.ndim not in (2, 3) or not image.size:
        raise InputError(f"{path}: cannot hold an array of shape {image.shape}")
    check_output(path, channels=channels, dtype=image.dtype)
    suffix = Path(path).suffix.lower()
    if channels in _COLOUR_ORDERS:
        image = cv2.cvtColor(image, _COLOUR_ORDERS[channels])
    with _quiet():
        try:
            done, encoded = cv2.imencode(suffix, image)
        except cv2.error:
            done = False
    if not done:
        raise InputError(
            f"{path}: {image.shape[1]}x{image.shape[0]} pixels are too many for "
            f"{suffix}; choose another format or a smaller image"
        )
    with atomic_write(path) as file:
        file.write(encoded.data)


def check_output(path: _PathLike, *, channels: int, dtype: DTypeLike) -> None:
    """Check before long work that an image can be written to a path.

    Args:
      path: file that `write_image` will get.
      channels: 1 for grey, 3 for RGB, 4 for RGBA.
      dtype: uint8 or uint16.

    Raises:
      InputError: unknown format, one that cannot hold such an image, no folder.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _WRITABLE:
        raise InputError(
            f"{path}: has an unknown format {suffix!r}; expected one of "
            + " ".join(_WRITABLE)
        )
    types, channel_counts = _WRITABLE[suffix]
    if channels not in channel_counts or np.dtype(dtype) not in types:
        raise InputError(
            f"{path}: cannot hold {channels} channels of {np.dtype(dtype)}; {suffix} "
            f"takes {' or '.join(map(str, channel_counts))} "
            f"channels of {' or '.join(t.__name__ for t in types)}"
        )
    if not path.parent.is_dir():
        raise InputError(f"{path}: no folder {path.parent}; create it first")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; add a file name")


def _refuse_floats(path: _PathLike, image: np.ndarray) -> None:
    if image.dtype == np.float32:
        raise InputError(
            f"{path}: holds float32 values; save it with 8 or 16 bits a channel"
        )


def _read(path: _PathLike, flags: int) -> np.ndarray:
    """Decode a file: [H, W] grey, [H, W, 3] RGB or, if `flags` keep it, RGBA."""
    data = _read_bytes(path)
    kind = next((kind for kind in _WHOLE if data.startswith(kind)), None)
    if kind and not _WHOLE[kind](data):
        raise InputError(f"{path}: is cut short; copy or download the file again")
    image = None
    with _quiet():
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error as error:
            if limit := re.search(r"CV_(IO_MAX_IMAGE_[A-Z]+)", str(error)):
                name = f"OPENCV_{limit[1]}"
                raise InputError(
                    f"{path}: is larger than the limit {name}={os.environ.get(name)}; "
                    "scale it down, or set that environment variable"
                ) from None
    if image is None:
        raise InputError(
            f"{path}: is damaged or no image that OpenCV reads; save it as PNG"
        )
    if image.dtype not in _READABLE_TYPES:
        raise InputError(
            f"{path}: holds {image.dtype} values; save it with 8 or 16 bits a channel"
        )
    if image.ndim == 3 and image.shape[2] in _COLOUR_ORDERS:
        image = cv2.cvtColor(image, _COLOUR_ORDERS[image.shape[2]])
    return image


def _read_bytes(path: _PathLike) -> bytes:
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # opening a pipe could wait forever
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise InputError(f"{path}: is {kind}; name an image file")
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: has over {_MAX_BYTES} bytes; scale it down")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check the path and its rights"
        ) from None
    if not data:
        raise InputError(f"{path}: is empty; copy or download the file again")
    return data


def _is_whole_png(data: bytes) -> bool:
    """Walk the chunks (length, kind, data, checksum) to the last one."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IEND":
            return end <= len(data)
        at = end
    return False


def _is_whole_jpeg(data: bytes) -> bool:
    """Look for the end marker behind the start of the pixels.

    OpenCV before 5 takes a JPEG that is cut short and leaves the rest grey. The
    segments before the pixels, which can hold a whole thumbnail, are skipped.
    """
    at = 2
    while data[at : at + 1] == b"\xff":
        if data[at + 1 : at + 2] == b"\xda":
            return data.find(b"\xff\xd9", at) > 0
        padding = data[at + 1 : at + 2] == b"\xff"
        at += 1 if padding else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True  # oddly built: for the decoder to judge


# By the first bytes of the file.
_WHOLE = {b"\x89PNG\r\n\x1a\n": _is_whole_png, b"\xff\xd8\xff": _is_whole_jpeg}

_quiet_lock = threading.Lock()
_quiet_users = 0
_loud_level = 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from printing what an InputError says already.

    Its log level is one for the process, so the last thread out restores it.
    """
    global _quiet_users, _loud_level
    log = cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2  # 5, 4
    with _quiet_lock:
        if not _quiet_users:
            _loud_level = log.getLogLevel()
            log.setLogLevel(0)
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if not _quiet_users:
                log.setLogLevel(_loud_level)
