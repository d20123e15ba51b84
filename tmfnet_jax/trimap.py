"""Trimap conventions: label values and the check of what users bring."""

from __future__ import annotations

import cv2
import numpy as np

from tmfnet_jax.errors import InputError

TRIMAP_BACKGROUND = 0
TRIMAP_UNKNOWN = 128
TRIMAP_FOREGROUND = 255
TRIMAP_VALUES = (TRIMAP_BACKGROUND, TRIMAP_UNKNOWN, TRIMAP_FOREGROUND)

# Grey pixels count as anti-aliasing where labels this near lie on both sides.
ANTIALIAS_WINDOW_PX = 7
ANTIALIAS_SHARE = 0.9
LISTED_VALUES = 5


def canonical_trimap(trimap: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Check a trimap and give its labels their exact values.

    Args:
      trimap: [H, W], or [H, W, C] with equal colour channels (a fourth one is
        dropped); uint8, uint16 or bool over their full range, or floating point
        in [0, 1]. Expected are background 0, unknown a half, foreground the
        maximum; 127 is taken for 128. Grey pixels between two labels, as
        anti-aliased drawing leaves them, become unknown.
    Returns:
      [H, W] uint8 with values 0, 128, 255, and warnings, one sentence each.
    Raises:
      InputError: wrong shape or type, colours, other grey values, NaN, or not
        a single known pixel.
    """
    grey = eight_bit(one_channel(np.asarray(trimap)))
    if grey.size == 0:
        raise InputError("trimap is empty; expected at least one pixel")
    labels = np.where(grey == TRIMAP_UNKNOWN - 1, np.uint8(TRIMAP_UNKNOWN), grey)
    exact = np.isin(labels, TRIMAP_VALUES)
    strays = int(exact.size - exact.sum())
    warnings = []
    if strays:
        if _antialiased_share(labels, exact) < ANTIALIAS_SHARE:
            raise InputError(_stray_message(labels[~exact], labels.size))
        labels = np.where(exact, labels, np.uint8(TRIMAP_UNKNOWN))
        warnings.append(
            f"{strays} anti-aliased trimap pixels between labels count as unknown"
        )
    unknown = int((labels == TRIMAP_UNKNOWN).sum())
    if unknown == labels.size:
        raise InputError(
            "trimap has no known pixel; expected some background (0) or foreground "
            "(255) beside the unknown region (128)"
        )
    if unknown == 0:
        warnings.append(
            "trimap has no unknown pixel (128), so the alpha is the trimap itself"
        )
    return labels, warnings


def one_channel(trimap: np.ndarray) -> np.ndarray:
    """Return [H, W] of a grey image, also of one with equal colour channels."""
    if trimap.ndim == 3 and trimap.shape[2] in (1, 3, 4):
        colours = trimap[..., :3]
        if not (colours == colours[..., :1]).all():
            raise InputError(
                "trimap is coloured; expected grey values 0 (background), "
                "128 (unknown) and 255 (foreground)"
            )
        trimap = colours[..., 0]
    if trimap.ndim != 2:
        raise InputError(f"trimap has shape {trimap.shape}; expected (height, width)")
    return trimap


def eight_bit(trimap: np.ndarray) -> np.ndarray:
    """Bring [H, W] uint8, uint16, bool or floating point in [0, 1] to uint8."""
    if trimap.dtype == np.uint8:
        return trimap
    if trimap.dtype == bool:
        return trimap.astype(np.uint8) * np.uint8(255)
    if trimap.dtype == np.uint16:
        return np.round(trimap / 257).astype(np.uint8)
    if np.issubdtype(trimap.dtype, np.floating):
        bad = ~((trimap >= 0) & (trimap <= 1))  # true for NaN as well
        if bad.any():
            raise InputError(
                f"trimap has {int(bad.sum())} values that are NaN or outside [0, 1]; "
                "expected 0, 0.5 and 1"
            )
        return np.round(trimap * 255).astype(np.uint8)
    raise InputError(f"trimap has type {trimap.dtype}; expected uint8, uint16 or float")


def _antialiased_share(labels: np.ndarray, exact: np.ndarray) -> float:
    window = np.ones((ANTIALIAS_WINDOW_PX,) * 2, np.uint8)
    below = cv2.erode(np.where(exact, labels, np.uint8(255)), window)
    above = cv2.dilate(np.where(exact, labels, np.uint8(0)), window)
    between = (below < labels) & (labels < above)
    return float(between[~exact].mean())


def _stray_message(strays: np.ndarray, total: int) -> str:
    values, counts = np.unique(strays, return_counts=True)
    order = counts.argsort()[::-1]
    listed = ", ".join(
        f"{values[i]} ({counts[i]} pixels)" for i in order[:LISTED_VALUES]
    )
    more = (
        f" and {len(values) - LISTED_VALUES} more"
        if len(values) > LISTED_VALUES
        else ""
    )
    return (
        f"trimap has grey values other than 0, 128 and 255 at {strays.size} of {total} "
        f"pixels: {listed}{more}; expected 0 background, 128 unknown, 255 foreground "
        "(save it without JPEG compression or smoothing; a soft mask or an alpha is "
        "taken with --band, like --band 6%)"
    )


def size_mismatch(image: np.ndarray, trimap: np.ndarray) -> str:
    """Word the error for an image and a trimap of different sizes."""
    (ih, iw), (th, tw) = image.shape[:2], trimap.shape[:2]
    return (
        f"image is {iw}x{ih} and trimap is {tw}x{th} pixels; expected equal sizes: "
        "export the trimap at the image's size"
    )
