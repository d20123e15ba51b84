"""Trimaps from what people have: a mask, an alpha, strokes, or the photo alone."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass

import cv2
import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import (
    TRIMAP_BACKGROUND,
    TRIMAP_FOREGROUND,
    TRIMAP_UNKNOWN,
    canonical_trimap,
)

MAX_BAND_PX = 100_000

# A part (connected area) of a label that the band would swallow whole keeps this
# share of its depth, unless it is smaller than PART_SHARE of the label: specks and
# gaps in hair are for the network to decide.
CORE_SHARE = 1 / 3
PART_SHARE = 0.01

_UNSIGNED = (np.uint8, np.uint16)

# Values this near black or white are JPEG or network noise as a rule, and a notice
# is due where they make up most of the grey pixels of a mask.
NOISE_SHARE = 0.04

# Strokes: what counts as pure colour, and as changed against the photo (of 255).
PURE_MARGIN = 25
VIVID_MARGIN = 80
CHANGED_MARGIN = 24
PLAIN_DEVIATION = 8  # standard deviation below which a layer is of one colour

# An unknown band this thin is the anti-aliased edge of a mask rather than a band.
SMOOTH_EDGE_PX = 4

GRABCUT_PIXELS = 512 * 512
GRABCUT_ROUNDS = 2
GRABCUT_SEED = 0


@dataclass(frozen=True)
class Band:
    """Width of the unknown band across a hard edge; half of it lies on either side.

    Attributes:
      width: in pixels, or in percent of the subject's size: the square root of the
        subject's area, soft pixels counted by their value. Unlike the sides of a
        bounding box it is small for thin subjects and blind to stray pixels.
      percent: whether `width` is in percent.
    """

    width: float
    percent: bool = False

    def pixels(self, subject_px: float) -> float:
        """Return the width in pixels for a subject of this size in pixels."""
        return self.width * subject_px / 100 if self.percent else self.width

    def __str__(self) -> str:
        return f"{self.width:g}{'%' if self.percent else 'px'}"


# On the 14 public training images of alphamatting.com, 6% round a hard mask holds
# 97% of the mixed pixels (3%: 91%, 10%: 99%) and leaves 17% of the image unknown;
# the hand-drawn trimaps there have 4% (narrow) and 7% (wide).
DEFAULT_BAND = Band(6, percent=True)


def parse_band(text: str) -> Band:
    """Read a band: "24" or "24px" in pixels, "3%" of the subject's size.

    Raises:
      InputError: anything else, zero, over 100% or over 100,000 pixels.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(px|%)?\s*", text)
    if match is None:
        raise InputError(
            f"band is {text[:40]!r}; expected pixels or percent of the subject's size, "
            "like 24, 24px or 3%"
        )
    band = Band(float(match[1]), percent=match[2] == "%")
    limit = 100 if band.percent else MAX_BAND_PX
    if not 0 < band.width <= limit:
        raise InputError(
            f"band is {text[:40]!r}; expected more than 0 and at most "
            f"{Band(limit, band.percent)}"
        )
    return band


def as_trimap(
    values: np.ndarray, *, band: Band | None = None
) -> tuple[np.ndarray, list[str]]:
    """Take a trimap as it is, and lay the unknown band round a mask.

    Without `band`, a file of two values only (0 and the maximum, or 0 and 1) is a
    mask and gets DEFAULT_BAND; anything else must be a trimap. With `band`, the
    values are always a mask: hard, soft, or an alpha.

    Args:
      values: [H, W] or [H, W, C] with equal colour channels; uint8, uint16 or bool
        over their full range, or floating point in [0, 1].
      band: width of the unknown band.
    Returns:
      [H, W] uint8 with values 0, 128, 255, and notices, one sentence each.
    Raises:
      InputError: as `canonical_trimap`; for a mask: wrong shape or type, colours,
        NaN, empty, all foreground, or nothing that is surely known.
    """
    values = np.asarray(values)
    if band is None and not _is_hard_mask(values):
        trimap, notices = canonical_trimap(values)
        return trimap, notices + _thin_notices(trimap, notices)
    mask, top = _grey_mask(values)
    notices = []
    if band is None:
        notices.append("no unknown pixel (128), so this is taken for a mask")
        band = DEFAULT_BAND
    if top == 1 and mask.dtype in _UNSIGNED:
        notices.append("values 0 and 1 count as background and foreground")
    subject_px = float(np.sqrt(mask.sum(dtype=np.float64) / top))
    # One pixel on either side at least: no edge is sharper than that.
    band_px = max(band.pixels(subject_px), 2)
    if band.percent:
        notices.append(
            f"the unknown band is {band_px:.0f} px wide, {band.width:g}% of the "
            "subject's size; --band sets another width"
        )
    trimap = np.full(mask.shape, TRIMAP_UNKNOWN, np.uint8)
    for label, level, name in (
        (TRIMAP_FOREGROUND, top, "subject"),
        (TRIMAP_BACKGROUND, 0, "background"),
    ):
        core, saved = _core(mask == level, band_px / 2)
        trimap[core] = label
        if saved:
            notices.append(
                f"the band of {band_px:.0f} px is wider than {saved} "
                f"part{'s' * (saved > 1)} of the {name}; the middle stays known"
            )
    return trimap, notices + _soft_notices(mask, top)


def trimap_from_mask(mask: np.ndarray, band: Band) -> np.ndarray:
    """Lay the unknown band round a mask by exact Euclidean distance.

    Known stays what is farther than half the band from every pixel that is not of
    the same pure label; pixels strictly between the labels are always unknown.
    The border of the image is no edge. Large parts never vanish: CORE_SHARE.

    Args:
      mask: hard mask, soft mask or alpha; forms as for `as_trimap`.
      band: width of the unknown band.
    Returns:
      [H, W] uint8 with values 0, 128, 255.
    Raises:
      InputError: as for `as_trimap`.
    """
    return as_trimap(mask, band=band)[0]


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
    top = _top(mask.dtype)
    low, high = share * top, (1 - share) * top
    ends = np.where(mask <= low, mask.dtype.type(0), mask)
    return np.where(mask >= high, mask.dtype.type(top), ends)


def trimap_from_scribbles(
    image: np.ndarray, scribbles: np.ndarray, band: Band
) -> np.ndarray:
    """Find the subject from strokes and lay the unknown band round it.

    Args:
      image: [H, W, 3] RGB, uint8 or uint16.
      scribbles: strokes, as for `mask_from_scribbles`.
      band: width of the unknown band.
    Returns:
      [H, W] uint8 with values 0, 128, 255.
    Raises:
      InputError: as for `mask_from_scribbles` and `as_trimap`.
    """
    return trimap_from_mask(mask_from_scribbles(image, scribbles), band)


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


def _grey_mask(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Check a mask; return it as [H, W] and the value that means foreground."""
    mask = values
    if mask.ndim == 3 and mask.shape[2] in (1, 3, 4):
        if not (mask[..., :3] == mask[..., :1]).all():
            raise InputError(
                "mask is coloured; expected grey: 0 background, white foreground "
                "(convert it to one channel)"
            )
        mask = mask[..., 0]
    if mask.ndim != 2 or not mask.size:
        raise InputError(f"mask has shape {values.shape}; expected (height, width)")
    top = _top(mask.dtype)
    if mask.dtype.kind == "f":
        bad = ~((mask >= 0) & (mask <= 1))  # true for NaN as well
        if bad.any():
            raise InputError(
                f"mask has {int(bad.sum())} values that are NaN or outside [0, 1]; "
                "expected 0 background to 1 foreground"
            )
    elif _is_label_map(mask):
        top = 1
    low, high = mask.min(), mask.max()
    if high == 0:
        raise InputError("mask is empty: all background (0); mark the subject white")
    if low == top:
        raise InputError("mask is all foreground; mark the background black (0)")
    if low > 0 and high < top:
        raise InputError(
            f"mask has values {low} to {high} but neither background (0) nor "
            f"foreground ({top}); stretch its contrast, or snap its ends"
        )
    return mask, top


def _top(dtype: np.dtype) -> int:
    if dtype.kind in "bf":
        return 1
    if dtype in _UNSIGNED:
        return int(np.iinfo(dtype).max)
    raise InputError(f"mask has type {dtype}; expected uint8, uint16, bool or float")


def _is_label_map(mask: np.ndarray) -> bool:
    return mask.dtype in _UNSIGNED and int(mask.max()) == 1


def _is_hard_mask(values: np.ndarray) -> bool:
    if not values.size or not (values.dtype.kind in "bf" or values.dtype in _UNSIGNED):
        return False
    top = 1 if _is_label_map(values) else _top(values.dtype)
    zeros, tops = values == 0, values == top
    return bool(zeros.any() and tops.any() and (zeros | tops).all())


def _core(pure: np.ndarray, reach_px: float) -> tuple[np.ndarray, int]:
    """Keep what lies deeper than the reach; return it, and the parts saved."""
    bits = pure.astype(np.uint8)
    depth = cv2.distanceTransform(bits, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    core = pure & (depth > reach_px)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(bits)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0  # what is not pure
    large = (area > 0) & (area >= min(PART_SHARE * area.sum(), area.max()))
    large[parts[core]] = False
    for part in np.flatnonzero(large):
        x, y, width, height = stats[part, :4]
        window = np.s_[y : y + height, x : x + width]
        inside = np.where(parts[window] == part, depth[window], 0)
        core[window] |= inside > (1 - CORE_SHARE) * inside.max()
    return core, int(large.sum())


def _soft_notices(mask: np.ndarray, top: int) -> list[str]:
    notices = []
    if mask.max() < top:
        notices.append(
            f"no pixel of the mask is fully foreground: its largest value is "
            f"{mask.max()} of {top}; the trimap has no foreground either"
        )
    between = (mask > 0) & (mask < top)
    noise = between & ((mask <= NOISE_SHARE * top) | (mask >= (1 - NOISE_SHARE) * top))
    many = noise.mean() > 0.01 and noise.sum() > 0.5 * between.sum()
    if many:
        notices.append(
            f"{int(noise.sum())} pixels are nearly but not quite black or white and "
            "count as unknown; if that is noise, `tmfnet trimap from-mask --snap "
            f"{NOISE_SHARE:.0%}` cleans it"
        )
    return notices


def _thin_notices(trimap: np.ndarray, warnings: list[str]) -> list[str]:
    """Recognise a mask with smooth edges among the trimaps with warnings."""
    unknown = (trimap == TRIMAP_UNKNOWN).astype(np.uint8)
    if not warnings or not unknown.any():
        return []
    depth = cv2.distanceTransform(unknown, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if depth.max() > SMOOTH_EDGE_PX / 2:
        return []
    return [
        f"the unknown band is at most {2 * depth.max():.0f} px wide, like the smooth "
        f"edge of a mask; if this is one, give it a band, like --band {DEFAULT_BAND}"
    ]


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
