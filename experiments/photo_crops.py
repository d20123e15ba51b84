"""Crops of photos: several backgrounds out of one, some of them out of focus."""

from __future__ import annotations

import zlib

import cv2
import numpy as np

from experiments.developing import develop, is_bare, linear_light, out_of_focus
from tmfnet_jax.errors import InputError

JPEG_QUALITY = 95
SIDES_PX = (768, 1024)  # of a crop, the longer
MAGNIFICATION = 2.0  # of a photo's pixels, at most
SMALL_PX = 1300  # a photo whose longer side is less gives few different crops
_LESS = 0.7  # of the largest possible crop is one of a small photo
_ASPECTS = (1.0, 4 / 3, 3 / 4, 3 / 2)  # width by height
_DEFOCUSED = 0.45  # share of crops
_BLUR = (0.002, 0.018)  # radius of the disc, of the longer side
_TRIES = 8


def read_photo(data: bytes) -> np.ndarray:
    """Decode a photo [H, W, 3], uint8 sRGB.

    Raises:
      InputError: it cannot be decoded.
    """
    values = np.frombuffer(data, np.uint8)
    pixels = cv2.imdecode(values, cv2.IMREAD_COLOR_RGB) if data else None
    if pixels is None:
        raise InputError("not an image that can be decoded")
    return pixels


def encode_jpeg(photo: np.ndarray) -> bytes:
    """Encode a photo [H, W, 3], uint8 sRGB."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, file = cv2.imencode(".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), quality)
    return file.tobytes()


def crop_count(photo: np.ndarray, most: int) -> int:
    """Return how many crops a photo is good for: a third of most for a small one."""
    return most if max(photo.shape) >= SMALL_PX else -(-most // 3)


def crop(photo: np.ndarray, name: str, number: int) -> np.ndarray:
    """Cut a background out of a photo.

    Args:
      photo: [H, W, 3] uint8 sRGB.
      name: of the photo.
      number: of the crop; with the name it decides all that is random.

    Returns:
      [h, w, 3] uint8 sRGB, of 768 to 1024 pixels on the longer side; less of a photo
      that would have to be magnified further.
    """
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    for _ in range(_TRIES):
        part = _crop(rng, photo)
        if not is_bare(part):
            break
    return part


def _crop(rng, photo):
    height, width = photo.shape[:2]
    aspect = rng.choice(_ASPECTS)
    across = min(width, height * aspect)  # of the largest crop
    largest = across * max(1, 1 / aspect)
    side = min(int(rng.uniform(*SIDES_PX)), int(_LESS * largest * MAGNIFICATION))
    least = side / MAGNIFICATION / largest
    scale = np.exp(rng.uniform(np.log(least), 0))
    w, h = across * scale, across / aspect * scale
    x, y = rng.uniform(0, 1, 2) * (width - w, height - h)
    size = (round(side * min(1, aspect)), round(side * min(1, 1 / aspect)))
    shrinks = scale * largest > side
    part = cv2.resize(
        photo[int(y) : int(y + h), int(x) : int(x + w)],
        size,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )
    if rng.random() < 0.5:
        part = part[:, ::-1]
    if rng.random() < _DEFOCUSED:
        radius = side * np.exp(rng.uniform(*np.log(_BLUR)))
        part = develop(out_of_focus(linear_light(part), radius))
    return np.ascontiguousarray(part)
