"""Draw trimap.png for photo.png: an outline by hand, then a band around it.

    python experiments/demo/make_trimap.py

Inside the outline is foreground (255), outside is background (0), and a band
along the outline is unknown (128), wider along the hair. Repeating it rewrites
the same file. Coordinates are x, y in pixels of photo.png.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tmfnet_jax.images import read_image

FOLDER = Path(__file__).parent
EDGE_BAND_PX = 9  # full width; the outline is within 2 px of the visible edge
METAL_BAND_PX = 5  # narrow, for its highlights have the backdrop's colour
HAIR_BAND_PX = 19

# Clockwise from the bottom left; the first and last points lie below the photo,
# so the band reaches its border and the border itself gets none.
LEFT_SHOULDER = """
    10,350 12,336 15,328 18,318 22,306 24,295 28,284 33,272 40,260 45,251 52,243
    60,236 70,229 80,221 86,215 91,209 95,206"""
LEFT_COLLAR = """
    97,201 97,192 96,186 103,185 106,179 110,172 114,165 119,159 127,153 135,150
    145,148 157,148 168,149"""
LEFT_CHEEK = "167,140 166,133 161,131 157,127 154,121"
HAIR = """
    153,117 146,111 142,106 140,100 138,90 137,82 137,70 139,62 143,55 150,49
    158,43 166,38 172,34 176,30 183,25 192,21 200,19 208,16 216,15 226,17 236,19
    246,23 256,29 264,34 271,41 276,48 280,57 283,68 285,80 285,90 283,100 281,108
    276,114 270,120 264,126"""
RIGHT_CHEEK = "261,131 257,135 251,136 250,142 248,150 244,157 241,165 240,172"
RIGHT_COLLAR = "248,177 256,183 264,191 272,201 279,211 284,221 287,230"
RIGHT_SHOULDER = """
    288,234 295,238 302,242 308,248 317,255 323,262 328,271 331,280 336,287 338,296
    340,305 341,315 343,322 346,331 346,350"""
# The brightest highlights, which are surely foreground.
HIGHLIGHTS = (
    "109,188 109,178 110,174 112,169 114,166 117,163",  # rim of the collar
    "100,188 101,196 102,204",  # its clasp
)


def points(text: str) -> np.ndarray:
    """Return "x,y x,y ..." as an int32 [N, 2] array."""
    return np.array([pair.split(",") for pair in text.split()], np.int32)


def draw_trimap(height: int, width: int) -> np.ndarray:
    """Return the uint8 [height, width] trimap with the values 0, 128 and 255."""
    parts = [
        (points(LEFT_SHOULDER), EDGE_BAND_PX),
        (points(LEFT_COLLAR), METAL_BAND_PX),
        (points(LEFT_CHEEK), EDGE_BAND_PX),
        (points(HAIR), HAIR_BAND_PX),
        (points(RIGHT_CHEEK), EDGE_BAND_PX),
        (points(RIGHT_COLLAR), EDGE_BAND_PX),
        (points(RIGHT_SHOULDER), EDGE_BAND_PX),
    ]
    outline = np.concatenate([part for part, _ in parts])
    trimap = np.zeros((height, width), np.uint8)
    cv2.fillPoly(trimap, [outline], (255,))
    cv2.polylines(trimap, [outline], False, (128,), METAL_BAND_PX)  # joins the parts
    for part, width_px in parts:
        cv2.polylines(trimap, [part], False, (128,), width_px)
    for stroke in HIGHLIGHTS:
        cv2.polylines(trimap, [points(stroke)], False, (255,), 1)
    return trimap


if __name__ == "__main__":
    height, width = read_image(FOLDER / "photo.png").shape[:2]
    cv2.imwrite(str(FOLDER / "trimap.png"), draw_trimap(height, width))
