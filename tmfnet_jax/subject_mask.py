"""A mask of the subject: found from strokes or in the photo alone, and cleaned."""

from __future__ import annotations

import importlib

import cv2
import numpy as np

from tmfnet_jax.errors import InputError

UNSIGNED = (np.uint8, np.uint16)  # integers that image files hold

# Values this near black or white are JPEG or network noise as a rule.
NOISE_SHARE = 0.04

# Strokes: what counts as pure colour, and as changed against the photo (of 255).
PURE_MARGIN = 25
VIVID_MARGIN = 80
CHANGED_MARGIN = 24
PLAIN_DEVIATION = 8  # standard deviation below which a layer is of one colour

GRABCUT_PIXELS = 512 * 512
GRABCUT_ROUNDS = 2
GRABCUT_SEED = 0


def mask_from_scribbles(image: np.ndarray, scribbles: np.ndarray) -> np.ndarray:
    """Segment the subject by GrabCut, seeded with strokes.

    White or green strokes mark the subject, black or red ones the background. They
    lie on a grey or transparent layer or on a copy of the photo, where only what
    differs from the photo counts. The cut runs on at most GRABCUT_PIXELS pixels;
    of its foreground, only areas that a stroke touches stay. The random seed of
    this thread's OpenCV is set, so that equal input gives equal output.

    Args:
      image: [H, W, 3] RGB, uint8 or uint16.
      scribbles: [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA, uint8 or uint16.
    Returns:
      [H, W] uint8: 255 subject, 0 background; of a large photo, values between
      cover the edge as far as the smaller cut leaves it open.
    Raises:
      InputError: other shapes or types, or not both kinds of strokes.
    Source: Rother et al., "GrabCut", SIGGRAPH 2004; OpenCV's implementation.
    """
    image = _eight_bit(image)
    subject, background = _strokes(image, _eight_bit(scribbles))
    height, width = subject.shape
    scale = min(1.0, (GRABCUT_PIXELS / (height * width)) ** 0.5)
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    small, *shares = (
        cv2.resize(np.ascontiguousarray(array), size, interpolation=cv2.INTER_AREA)
        for array in (image, subject.astype(np.float32), background.astype(np.float32))
    )
    # A stroke thinner than a small pixel still counts; the wider one wins a pixel.
    subject = (shares[0] > 0) & (shares[0] >= shares[1])
    background = (shares[1] > 0) & ~subject
    if not (subject.any() and background.any()):
        raise InputError("strokes are too thin; draw them a few pixels apart and wider")
    cut = _grab_cut(small, subject, background)
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)


def mask_from_photo(image: np.ndarray, *, model: str | None = None) -> np.ndarray:
    """Ask rembg, an optional package, for the photo's main subject.

    Args:
      image: [H, W, 3] RGB, uint8 or uint16.
      model: name of a rembg model; rembg downloads it at its first use.
    Returns:
      [H, W] uint8 soft mask, snapped to 0 and 255 near the ends.
    Raises:
      InputError: without rembg, or if it fails or gives another size.
    """
    try:
        rembg = importlib.import_module("rembg")
    except (ImportError, SystemExit):  # the latter where its onnxruntime is missing
        raise InputError(
            'the package rembg is not installed; pip install "rembg[cpu]", or give a '
            "mask to `tmfnet trimap from-mask`"
        ) from None
    try:
        session = rembg.new_session(model) if model else None
        mask = rembg.remove(_eight_bit(image), session=session, only_mask=True)
    except Exception as error:  # of any kind: network, model name, runtime
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise InputError(
            f"rembg failed ({reason}); check the model's name and the network, or "
            "give a mask to `tmfnet trimap from-mask`"
        ) from None
    mask = np.asarray(mask)
    if mask.shape != image.shape[:2] or mask.dtype != np.uint8:
        raise InputError(
            f"rembg gave a mask of shape {mask.shape}, {mask.dtype}; expected "
            f"{image.shape[:2]}, uint8: choose another model"
        )
    return snap_ends(mask, NOISE_SHARE)


def snap_ends(mask: np.ndarray, share: float) -> np.ndarray:
    """Set values that nearly are black or white to black or white.

    Args:
      mask: uint8, uint16 or bool over their full range, or float in [0, 1].
      share: of the full range, in [0, 0.5): how near counts.
    Returns:
      A mask of the same shape and type.
    Raises:
      InputError: if `share` is out of range.
    """
    if not 0 <= share < 0.5:
        raise InputError(f"snap is {share:.3g} of the range; expected 0 to below 0.5")
    top = foreground_value(mask.dtype)
    low, high = share * top, (1 - share) * top
    ends = np.where(mask <= low, mask.dtype.type(0), mask)
    return np.where(mask >= high, mask.dtype.type(top), ends)


def foreground_value(dtype: np.dtype) -> int:
    """Return what means full foreground in a mask of this type.

    Raises:
      InputError: neither uint8, uint16, bool nor floating point.
    """
    if dtype.kind in "bf":
        return 1
    if dtype in UNSIGNED:
        return int(np.iinfo(dtype).max)
    raise InputError(f"mask has type {dtype}; expected uint8, uint16, bool or float")


def _eight_bit(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint16:
        return np.round(image / 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise InputError(f"image has type {image.dtype}; expected uint8 or uint16")
    return image


def _strokes(image: np.ndarray, scribbles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the strokes of the subject and of the background, [H, W] bool each."""
    if scribbles.ndim == 2:
        scribbles = np.repeat(scribbles[..., None], 3, axis=-1)
    if scribbles.ndim != 3 or scribbles.shape[2] not in (3, 4) or not scribbles.size:
        raise InputError(
            f"scribbles have shape {scribbles.shape}; expected (height, width, 3 or 4)"
        )
    if scribbles.shape[:2] != image.shape[:2]:
        (height, width), (got_height, got_width) = image.shape[:2], scribbles.shape[:2]
        raise InputError(
            f"scribbles are {got_width}x{got_height} pixels, the photo is "
            f"{width}x{height}; draw on a layer or copy of the photo's size"
        )
    colours = np.ascontiguousarray(scribbles[..., :3])
    red, green, blue = cv2.split(colours)
    vivid_green = cv2.subtract(green, cv2.max(red, blue)) >= VIVID_MARGIN
    vivid_red = cv2.subtract(red, cv2.max(green, blue)) >= VIVID_MARGIN
    white = cv2.min(cv2.min(red, green), blue) >= 255 - PURE_MARGIN
    black = cv2.max(cv2.max(red, green), blue) <= PURE_MARGIN
    subject, background = white | vivid_green, black | vivid_red
    drawn = np.ones(subject.shape, bool)
    if scribbles.shape[2] == 4 and (scribbles[..., 3] < 255).any():
        drawn = scribbles[..., 3] >= 128
    else:
        rest = (~(subject | background)).astype(np.uint8)
        if cv2.meanStdDev(colours, mask=rest)[1].max() > PLAIN_DEVIATION:  # a copy
            drawn = cv2.absdiff(image, colours).max(axis=-1) > CHANGED_MARGIN
    subject &= drawn
    background &= drawn
    for strokes, name, marks in (
        (subject, "subject", "white or green"),
        (background, "background", "black or red"),
    ):
        if not strokes.any():
            raise InputError(
                f"scribbles mark no {name}; draw some {marks} strokes over it"
            )
    if (subject | background).all():
        raise InputError(
            "scribbles leave no pixel open; draw strokes on a grey or transparent "
            "layer, or on a copy of the photo"
        )
    return subject, background


def _grab_cut(
    image: np.ndarray, subject: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """Return [H, W] uint8, 255 where the cut and a stroke say foreground."""
    cv2.setRNGSeed(GRABCUT_SEED)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    no_rectangle = (0, 0, 0, 0)
    labels = np.full(subject.shape, cv2.GC_PR_BGD, np.uint8)
    labels[subject] = cv2.GC_FGD
    labels[background] = cv2.GC_BGD
    # The colour models start from the strokes alone: what nobody marked is no
    # background yet. One cut by those, then the models learn from what it found.
    marked = subject | background
    colours, kinds = image[marked][None], labels[marked][None]
    cv2.grabCut(colours, kinds, no_rectangle, *models, 0, cv2.GC_INIT_WITH_MASK)
    cv2.grabCut(image, labels, no_rectangle, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    cv2.grabCut(image, labels, no_rectangle, *models, GRABCUT_ROUNDS, cv2.GC_EVAL)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    inside = np.asarray(cv2.medianBlur(found, 5))
    inside[subject] = 1
    inside[background] = 0
    count, parts = cv2.connectedComponents(inside)
    touched = np.zeros(count, bool)
    touched[parts[subject]] = True
    return np.where(touched[parts], np.uint8(255), np.uint8(0))
