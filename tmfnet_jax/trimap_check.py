"""What to know about a trimap before matting: findings in words, and a picture."""

from __future__ import annotations

import cv2
import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import (
    TRIMAP_BACKGROUND,
    TRIMAP_FOREGROUND,
    TRIMAP_UNKNOWN,
    TRIMAP_VALUES,
    canonical_trimap,
    eight_bit,
    one_channel,
)

NEAR_LABEL = 12  # of 255: as far as JPEG compression moves a label's value
NARROW_PX = 6
FEW_LEVELS = 5
MUCH_UNKNOWN = 0.5
FRAME_SHARE = 0.9
_AROUND = np.ones((3, 3), np.uint8)

# How the picture shows each label: the share of the photo's colour, the share of
# its grey, and the tint (RGB) added.
_LOOKS = {
    TRIMAP_FOREGROUND: (0.82, 0.04, (0, 36, 14)),
    TRIMAP_UNKNOWN: (0.76, 0.08, (56, 38, 0)),
    TRIMAP_BACKGROUND: (0.12, 0.24, (36, 8, 10)),
}
_OUTLINES = {TRIMAP_FOREGROUND: (92, 240, 150), TRIMAP_BACKGROUND: (255, 84, 96)}
_PLAIN_GREY = 150
_OUTLINE_SHARE = 1 / 600  # of the longer side


def describe_trimap(trimap: np.ndarray, image: np.ndarray | None = None) -> list[str]:
    """Say what a trimap holds, and what to do about what looks wrong.

    Args:
      trimap: values of a file: forms as for `canonical_trimap`, but any grey values.
      image: [H, W, 3], the photo that it belongs to.
    Returns:
      Findings, a line each: size, values, shares of the labels, width of the
      unknown band, and what else deserves a look.
    Raises:
      InputError: wrong shape or type, colours, NaN, or empty.
    """
    labels = nearest_labels(trimap)
    counts = {label: int((labels == label).sum()) for label in TRIMAP_VALUES}
    foreground, unknown, background = (
        counts[label] / labels.size
        for label in (TRIMAP_FOREGROUND, TRIMAP_UNKNOWN, TRIMAP_BACKGROUND)
    )
    values, is_trimap = _values(trimap)
    findings = [
        _size(labels, image),
        values,
        f"shares: {foreground:.1%} foreground, {unknown:.1%} unknown, "
        f"{background:.1%} background",
    ]
    if not is_trimap:
        return findings
    if unknown > MUCH_UNKNOWN:
        findings.append(
            "much is unknown: mark more of what surely is subject or background, the "
            "network has little to go by"
        )
    if foreground == 0:
        findings.append(
            "no foreground (255): right for smoke or glass; otherwise mark the inside "
            "of the subject"
        )
    if background == 0:
        findings.append("no background (0): mark some of what surely is background")
    if foreground or background:
        findings.append(_band(labels))
    if foreground and background:
        findings += _contacts(labels) + _islands(labels) + _frame(labels)
    return findings


def nearest_labels(trimap: np.ndarray) -> np.ndarray:
    """Give each pixel a label, whatever grey values a file holds.

    Args:
      trimap: forms as for `canonical_trimap`, but any grey values.
    Returns:
      [H, W] uint8: 0 what is black or nearly so, 255 what is white or nearly so,
      128 all between.
    Raises:
      InputError: wrong shape or type, colours, NaN, or empty.
    """
    grey = _grey(trimap)
    labels = np.full(grey.shape, TRIMAP_UNKNOWN, np.uint8)
    labels[grey <= NEAR_LABEL] = TRIMAP_BACKGROUND
    labels[grey >= 255 - NEAR_LABEL] = TRIMAP_FOREGROUND
    return labels


def overlay(image: np.ndarray | None, trimap: np.ndarray) -> np.ndarray:
    """Draw a trimap over its photo.

    The foreground is tinted green, the background dark and red, the unknown band
    stays bright and warm between a green and a red outline.

    Args:
      image: [H, W, 3] RGB, uint8 or uint16; None for plain grey.
      trimap: [H, W] uint8 with values 0, 128, 255.
    Returns:
      [H, W, 3] RGB uint8.
    Raises:
      InputError: if the sizes differ.
    """
    if image is None:
        image = np.full((*trimap.shape, 3), _PLAIN_GREY, np.uint8)
    if image.shape[:2] != trimap.shape:
        raise InputError(_size(trimap, image))
    if image.dtype == np.uint16:
        image = np.round(image / 257).astype(np.uint8)
    picture = np.zeros_like(image)
    for label, (colour, grey, tint) in _LOOKS.items():
        matrix = np.column_stack([colour * np.eye(3) + grey / 3, tint])
        shown = cv2.transform(image, matrix)
        cv2.copyTo(shown, (trimap == label).astype(np.uint8), picture)
    for label, line in _OUTLINES.items():
        _draw_outline(picture, trimap == label, line)
    return picture


def _draw_outline(
    picture: np.ndarray, inside: np.ndarray, colour: tuple[int, int, int]
) -> None:
    """Draw a smooth line round an area, just outside of it, in place."""
    if not inside.any() or inside.all():
        return
    width_px = max(1.0, max(inside.shape) * _OUTLINE_SHARE)
    away = _depth(~inside)
    line = (away > 0) & (away < width_px + 1)
    share = np.minimum(width_px + 1 - away[line], 1)[:, None]
    mixed = picture[line] * (1 - share) + np.array(colour, np.float32) * share
    picture[line] = np.round(mixed).astype(np.uint8)


def _grey(trimap: np.ndarray) -> np.ndarray:
    grey = eight_bit(one_channel(np.asarray(trimap)))
    if not grey.size:
        raise InputError("trimap is empty; expected at least one pixel")
    if trimap.dtype != bool and trimap.max() == 1 and grey.max() < NEAR_LABEL:
        grey = np.where(grey > 0, np.uint8(255), np.uint8(0))  # of 0 and 1 alone
    return grey


def _depth(area: np.ndarray) -> np.ndarray:
    """Return each pixel's distance in pixels to the nearest one outside an area."""
    bits = area.astype(np.uint8)
    return cv2.distanceTransform(bits, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _beside(area: np.ndarray) -> np.ndarray:
    return cv2.dilate(area.astype(np.uint8), _AROUND) > 0


def _size(labels: np.ndarray, image: np.ndarray | None) -> str:
    height, width = labels.shape
    if image is None:
        return f"size: {width}x{height} pixels"
    photo_height, photo_width = image.shape[:2]
    if (photo_height, photo_width) == (height, width):
        return f"size: {width}x{height} pixels, as the photo"
    remedy = "export it again at the photo's size"
    if (photo_height, photo_width) == (width, height):
        remedy = "turn it by 90 degrees"
    elif abs(photo_height * width - photo_width * height) <= max(height, width):
        remedy = "scale it without smoothing (nearest neighbour)"
    return (
        f"size: {width}x{height} pixels, but the photo has "
        f"{photo_width}x{photo_height}: {remedy}"
    )


def _values(trimap: np.ndarray) -> tuple[str, bool]:
    """Describe the values, and say whether they are those of a trimap."""
    grey = _grey(trimap)
    levels, counts = np.unique(grey, return_counts=True)
    levels = levels.tolist()
    if len(levels) == 1:
        return f"values: {levels[0]} alone; expected 0, 128 and 255", False
    if levels == [TRIMAP_BACKGROUND, TRIMAP_FOREGROUND]:
        return (
            "values: 0 and 255 alone, so this is a mask, not a trimap: "
            "`tmfnet trimap from-mask` lays the unknown band along its edge",
            False,
        )
    try:
        warnings = canonical_trimap(grey)[1]
    except InputError:
        return _stray_values(levels, counts)
    return "; ".join([f"values: {_listed(levels)}", *warnings]), True


def _stray_values(levels: list[int], counts: np.ndarray) -> tuple[str, bool]:
    if len(levels) <= FEW_LEVELS:
        return f"values: {_listed(levels)}; expected 0, 128 and 255", True
    away = np.abs(np.subtract.outer(levels, TRIMAP_VALUES))
    near = away.min(axis=1) <= NEAR_LABEL
    near_unknown = counts[away[:, 1] <= NEAR_LABEL].sum()
    # A soft mask passes through the middle greys; a trimap dwells there.
    if near_unknown > counts[~near].sum():
        return (
            f"values: {len(levels)}, most of them close to 0, 128 and 255, as JPEG "
            "compression or smoothing leaves them: save the trimap as PNG",
            True,
        )
    return (
        f"values: {len(levels)} grey levels, so this looks like a soft mask or an "
        "alpha: `tmfnet trimap from-mask` makes a trimap of it",
        False,
    )


def _listed(levels: list[int]) -> str:
    more = ", ..." if len(levels) > FEW_LEVELS else ""
    return ", ".join(map(str, levels[:FEW_LEVELS])) + more


def _band(labels: np.ndarray) -> str:
    depth = _depth(labels == TRIMAP_UNKNOWN)
    # The middle of the band: as deep as any neighbour.
    middle = (depth > 0) & (depth >= cv2.dilate(depth, _AROUND))
    widths = 2 * depth[middle]
    typical, widest = np.median(widths), widths.max()
    finding = f"unknown band: typically {typical:.0f} px wide, {widest:.0f} px at most"
    if typical < NARROW_PX:
        finding += "; narrow: hair and blurred edges need more room"
    return finding


def _contacts(labels: np.ndarray) -> list[str]:
    contact = (labels == TRIMAP_FOREGROUND) & _beside(labels == TRIMAP_BACKGROUND)
    count = int(contact.sum())
    if not count:
        return []
    y, x = np.unravel_index(contact.argmax(), contact.shape)
    return [
        f"foreground touches background at {count} pixels, first at x={x}, y={y}: the "
        "alpha will be cut hard there; paint unknown over that edge"
    ]


def _islands(labels: np.ndarray) -> list[str]:
    unknown = labels == TRIMAP_UNKNOWN
    count, parts = cv2.connectedComponents(unknown.astype(np.uint8))
    touches = np.zeros((2, count), bool)
    for row, label in enumerate((TRIMAP_FOREGROUND, TRIMAP_BACKGROUND)):
        touches[row, parts[unknown & _beside(labels == label)]] = True
    inside, outside = (int((a & ~b).sum()) for a, b in (touches, touches[::-1]))
    if not inside + outside:
        return []
    return [
        f"unknown islands: {inside} in the foreground, {outside} in the background; "
        "right for holes and loose hair, otherwise paint over them"
    ]


def _frame(labels: np.ndarray) -> list[str]:
    frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    if (frame == TRIMAP_FOREGROUND).mean() < FRAME_SHARE:
        return []
    return ["foreground all along the frame: black and white may be swapped"]
