"""Captioned pictures side by side, for the demo and for contact sheets."""

from __future__ import annotations

import cv2
import numpy as np

PANEL_PX = 300  # height of a panel
GAP_PX = 8
CAPTION_PX = 28


def grey(channel: np.ndarray) -> np.ndarray:
    """Repeat a grey channel as RGB."""
    return np.repeat(channel[..., None], 3, -1)


def stack(
    rows: list[list[tuple[str, np.ndarray]]], *, height_px: int = PANEL_PX
) -> np.ndarray:
    """Arrange captioned panels in rows, all at one height, on white."""
    drawn = [
        np.hstack([panel(*content, height_px=height_px) for content in row])
        for row in rows
    ]
    width = max(row.shape[1] for row in drawn)
    pads = [((0, 0), (0, width - row.shape[1]), (0, 0)) for row in drawn]
    return np.vstack(
        [
            np.pad(row, pad, constant_values=255)
            for row, pad in zip(drawn, pads, strict=True)
        ]
    )


def panel(caption: str, image: np.ndarray, *, height_px: int = PANEL_PX) -> np.ndarray:
    """Scale an image to the panel height under its caption."""
    height, width = image.shape[:2]
    size = (round(width * height_px / height), height_px)
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    framed = np.full(
        (CAPTION_PX + height_px + GAP_PX, size[0] + GAP_PX, 3), 255, np.uint8
    )
    framed[CAPTION_PX : CAPTION_PX + height_px, : size[0]] = scaled
    place = (2, CAPTION_PX - 9)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(framed, caption, place, font, 0.55, (40, 40, 40), 1, cv2.LINE_AA)
    return framed
