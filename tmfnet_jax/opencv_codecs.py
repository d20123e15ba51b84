"""OpenCV's image codecs: errors in one line, and nothing on the terminal."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from tmfnet_jax import image_metadata
from tmfnet_jax.errors import InputError


def decode(data: bytes, flags: int, name: str) -> np.ndarray:
    """Decode a file.

    Args:
      data: the whole file.
      flags: of `cv2.imdecode`.
      name: of the file, for errors.

    Returns:
      [H, W] grey, [H, W, 3] BGR or, if `flags` keep it, [H, W, 4] BGRA.

    Raises:
      InputError: damaged, no image, or larger than OpenCV's limits.
    """
    image = None
    values = np.frombuffer(data, np.uint8)
    with _quiet():
        try:
            image = cv2.imdecode(values, flags)
            if image is None and data.startswith(image_metadata.TIFF):
                # OpenCV drops an alpha of integers only.
                image = cv2.imdecode(values, cv2.IMREAD_UNCHANGED)
                if image is not None and flags != cv2.IMREAD_UNCHANGED:
                    image = image[..., :3]
        except cv2.error as error:
            if limit := re.search(r"CV_(IO_MAX_IMAGE_[A-Z]+)", str(error)):
                variable = f"OPENCV_{limit[1]}"
                raise InputError(
                    f"{name}: is larger than the limit "
                    f"{variable}={os.environ.get(variable)}; scale it down, or set "
                    "that environment variable"
                ) from None
    if image is None:
        raise InputError(
            f"{name}: is damaged or no image that OpenCV reads; save it as PNG"
        )
    return image


def encode(
    suffix: str, image: np.ndarray, options: Sequence[int] = ()
) -> memoryview | None:
    """Encode [H, W] grey, [H, W, 3] BGR or [H, W, 4] BGRA; None if too large."""
    with _quiet():
        try:
            done, encoded = cv2.imencode(suffix, image, options)
        except cv2.error:
            return None
    return encoded.data if done else None


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
