"""Views into panoramas: what a camera sees that stands in the place.

A panorama is equirectangular and holds linear light without an upper limit, so that
a view can be exposed, and put out of focus as a lens does it: lamps become discs.
"""

from __future__ import annotations

import base64
import re
import tempfile
import zlib
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from experiments.developing import develop, is_bare, out_of_focus
from tmfnet_jax.errors import InputError

SIDES_PX = (640, 1024)
FIELDS_DEG = (35.0, 95.0)  # of view, horizontally
ASPECTS = (1.0, 1.0, 4 / 3, 3 / 4, 3 / 2)  # width by height
MAGNIFICATION = 4.0  # of the panorama's pixels in the middle of a view, at most
PITCH_DEG = (-22.0, 28.0)
MEANS = (0.28, 0.56)  # of a view's sRGB values
NIGHT_MEANS = (0.12, 0.26)  # where the name says that it is night
_MODULE = re.compile(rb"base64,([A-Za-z0-9+/=]+)")
_TRIES = 12
_SUN = 6e4
_LAMP, _LEAST_OF_LAMP = 50.0, 0.25  # light, and its share in each channel


def exr_library() -> ModuleType:
    """Return the library that reads what panoramas are compressed with.

    Raises:
      InputError: it is not installed.
    """
    try:
        import OpenEXR
    except ImportError:
        raise InputError(
            "panoramas need the Python package OpenEXR; pip install OpenEXR"
        ) from None
    return OpenEXR


def read_panorama(data: bytes) -> np.ndarray:
    """Read a panorama.

    Args:
      data: an OpenEXR file, or a JavaScript module with one in base64.

    Returns:
      [H, W, 3] float32, RGB, linear light, not negative.

    Raises:
      InputError: it cannot be read, or is no panorama.
    """
    library = exr_library()
    packed = _MODULE.search(data) if data[:6] == b"export" else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panorama.exr"
        path.write_bytes(base64.b64decode(packed.group(1)) if packed else data)
        try:
            channels = library.File(str(path)).channels()
        except Exception as error:  # of several kinds, without a common one
            raise InputError(f"not an OpenEXR image ({error})") from None
    pixels = next((channels[n].pixels for n in ("RGB", "RGBA") if n in channels), None)
    if pixels is None or pixels.shape[1] != 2 * pixels.shape[0]:
        raise InputError("not an RGB panorama, twice as wide as high")
    image = np.nan_to_num(pixels[..., :3].astype(np.float32), nan=0, posinf=_SUN)
    brightest = image.max(-1, keepdims=True)
    # Compression may leave the sun in one channel alone.
    floor = np.where(brightest > _LAMP, brightest * _LEAST_OF_LAMP, 0)
    return np.maximum(image, floor.astype(np.float32))


def view(panorama: np.ndarray, name: str, number: int) -> np.ndarray:
    """Take a photo in a panorama's place.

    Args:
      panorama: [H, 2H, 3] float32, linear light.
      name: of the panorama.
      number: of the view; with the name it decides all that is random.

    Returns:
      [h, w, 3] uint8 sRGB, of 640 to 1024 pixels on the longer side.
    """
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    for _ in range(_TRIES):
        photo = _photo(rng, panorama, NIGHT_MEANS if "night" in name else MEANS)
        if not is_bare(photo):
            break
    return photo


def _photo(rng, panorama, means):
    per_radian = panorama.shape[1] / (2 * np.pi)
    aspect = rng.choice(ASPECTS)
    # The focal length in pixels over the panorama's pixels in a radian magnifies.
    least, most = (np.tan(np.deg2rad(field) / 2) for field in FIELDS_DEG)
    least = max(least, SIDES_PX[0] / 2 / (MAGNIFICATION * per_radian))
    half = np.exp(rng.uniform(np.log(least), np.log(max(most, least))))
    largest = 2 * half * MAGNIFICATION * per_radian
    side = int(np.clip(rng.uniform(*SIDES_PX), SIDES_PX[0], max(largest, SIDES_PX[0])))
    width, height = int(side * min(1, aspect)), int(side * min(1, 1 / aspect))
    focal = side / 2 / half
    light = np.maximum(
        _project(
            panorama,
            (height, width),
            focal,
            yaw=rng.uniform(-np.pi, np.pi),
            pitch=np.deg2rad(np.clip(rng.normal(2, 10), *PITCH_DEG)),
            roll=np.deg2rad(rng.normal(0, 1.5)),
        ),
        0,
    )
    # Out of focus at least so far that the panorama's pixels cannot be told.
    sharpest = 0.75 * focal / per_radian
    radius = np.exp(rng.uniform(np.log(sharpest), np.log(max(0.02 * side, sharpest))))
    return _exposed(out_of_focus(light, radius), rng.uniform(*means))


def _project(panorama, shape, focal, *, yaw, pitch, roll):
    """Return linear light [h, w, 3] of a pinhole camera."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x - (width - 1) / 2) / focal, (y - (height - 1) / 2) / focal
    x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
    down = y * np.cos(pitch) - np.sin(pitch)
    ahead = y * np.sin(pitch) + np.cos(pitch)
    longitude = yaw + np.arctan2(x, ahead)
    latitude = np.arctan2(down, np.hypot(x, ahead))
    rows, columns = panorama.shape[:2]
    u = (longitude / (2 * np.pi) + 0.5) % 1 * columns - 0.5
    v = (latitude / np.pi + 0.5) * rows - 0.5
    # Logarithms: a cubic overshoots at lamps otherwise. The seam is repeated.
    margin = 4
    wide = cv2.copyMakeBorder(panorama, 0, 0, margin, margin, cv2.BORDER_WRAP)
    return np.expm1(
        cv2.remap(
            np.log1p(wide),
            (u + margin).astype(np.float32),
            v.astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _exposed(light, mean):
    """Develop linear light so that the values have this mean; uint8."""
    small = light[::8, ::8]
    low, high = -20.0, 20.0  # of the gain's binary logarithm
    for _ in range(24):
        gain = (low + high) / 2
        if develop(small * 2**gain).mean() < 255 * mean:
            low = gain
        else:
            high = gain
    return develop(light * 2**low)
