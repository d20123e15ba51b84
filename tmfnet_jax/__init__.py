"""TMFNet in JAX: trimap-based image matting.

    from tmfnet_jax import Matting
    alpha = Matting.load("weights.safetensors").alpha(image, trimap)

Importing the package touches no device and reads no weights; the names below load
their modules when first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# OpenCV reads its limits once, when first imported. It refuses larger images by
# their header; a file of a few kB can claim sizes that no machine could hold.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_WIDTH", str(2**16))
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_HEIGHT", str(2**16))

if TYPE_CHECKING:
    from tmfnet_jax.errors import InputError
    from tmfnet_jax.inference import Matting
    from tmfnet_jax.model import TMFNet, TMFNetConfig

__all__ = ["InputError", "Matting", "TMFNet", "TMFNetConfig"]

_HOMES = {
    "InputError": "errors",
    "Matting": "inference",
    "TMFNet": "model",
    "TMFNetConfig": "model",
}


def __getattr__(name: str) -> Any:
    """Import a public name's module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
