"""Classical matting of the PyMatting library, to measure against."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND

Peer = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Name and PyMatting's function; references in its documentation.
_FUNCTIONS = {
    "closed form": "estimate_alpha_cf",
    "KNN": "estimate_alpha_knn",
    "large kernel": "estimate_alpha_lkm",
}
PEERS = tuple(_FUNCTIONS)


def peer(name: str) -> Peer:
    """Return a method of PEERS: [H, W, 3] and [H, W] uint8 to [H, W] in [0, 1].

    It raises InputError for an image that PyMatting gives up on.

    Raises:
      InputError: an unknown name, or PyMatting is not installed.
    """
    if name not in PEERS:
        raise InputError(f"no method {name!r}; choose one of {', '.join(PEERS)}")
    try:
        import pymatting
    except ImportError:
        raise InputError(
            "PyMatting is not installed; pip install 'tmfnet-jax[compare]'"
        ) from None
    return functools.partial(_matte, getattr(pymatting, _FUNCTIONS[name]))


def peer_settings(name: str) -> dict[str, str]:
    """Return what defines a method, for the manifest of an evaluation."""
    return {"method": name, "library": f"PyMatting {version('pymatting')}"}


def _matte(estimate: Callable, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    # Exactly 0, 0.5 and 1: that 128 / 255 is unknown, not every method takes for sure.
    known = [trimap == TRIMAP_BACKGROUND, trimap == TRIMAP_FOREGROUND]
    try:
        # It prints its attempts at a preconditioner, over our progress.
        with contextlib.redirect_stdout(io.StringIO()):
            alpha = estimate(image / 255, np.select(known, [0.0, 1.0], 0.5))
    except ValueError as error:  # its word for what it cannot solve, too
        raise InputError(f"PyMatting failed: {error}") from None
    return np.asarray(alpha).clip(0, 1)
