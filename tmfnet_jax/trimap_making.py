"""Trimaps from what people have: the unknown band round a mask or an alpha."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.subject_mask import (
    NOISE_SHARE,
    UNSIGNED,
    foreground_value,
)
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

# An unknown band this thin is the anti-aliased edge of a mask rather than a band.
SMOOTH_EDGE_PX = 4


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
    if top == 1 and mask.dtype in UNSIGNED:
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
    top = foreground_value(mask.dtype)
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


def _is_label_map(mask: np.ndarray) -> bool:
    return mask.dtype in UNSIGNED and int(mask.max()) == 1


def _is_hard_mask(values: np.ndarray) -> bool:
    if not values.size or not (values.dtype.kind in "bf" or values.dtype in UNSIGNED):
        return False
    top = 1 if _is_label_map(values) else foreground_value(values.dtype)
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
