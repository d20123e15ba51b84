"""A contact sheet of cut-outs: each before a background, its alpha next to it.

    python -m experiments.contact_sheet --folder=data/subjects/test -o sheet.jpg

A kind, what KIND-SEED.png is named for, begins a row. The background is a
checkerboard, its left half light and its right half dark, or with --backgrounds the
photos of a folder in turn. Files that are no cut-outs are named and left out.
`experiments.cutout_sheet` draws photos that are cut out by a network.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
from absl import flags
from tqdm import tqdm

from experiments import launch
from experiments.panels import grey, stack
from input_pipeline.evaluation_data.open_benchmark import kind_of
from input_pipeline.training_data.image_files import (
    eight_bits,
    list_foregrounds,
    list_photos,
)
from tmfnet_jax.batch import say
from tmfnet_jax.cutout import load_background, over, quantise
from tmfnet_jax.errors import InputError, printable
from tmfnet_jax.images import check_output, read_cutout, write_image

CHECKS = 8  # squares along the longer side
LIGHT, DARK = (1.0, 0.8), (0.05, 0.2)  # greys of the halves' squares
MARGIN = 235  # grey round a thumbnail that is not square


def contact_sheet(
    folder: Path, *, backgrounds: Path | None, columns: int, size_px: int
) -> np.ndarray:
    """Draw the cut-outs of a folder.

    Args:
      folder: of images with alpha.
      backgrounds: folder of photos to lay them over; None: a checkerboard.
      columns: cut-outs in a row.
      size_px: sides of a thumbnail.
    Returns:
      uint8 [H, W, 3] RGB.
    Raises:
      InputError: a folder without images, sizes out of range, or not one cut-out.
        A bad file is named on standard error and left out.
    """
    if columns < 1 or not 32 <= size_px <= 2048:
        raise InputError(
            f"{columns} columns of {size_px} pixels; expected at least 1, of 32 to 2048"
        )
    files = list_foregrounds(folder, None).complete
    photos = None if backgrounds is None else list_photos(backgrounds)
    cells: list[tuple[str, np.ndarray]] = []
    for file in tqdm(files, unit="cut-out", disable=None):
        photo = photos[len(cells) % len(photos)] if photos else None
        try:
            cells.append((file.name, _cell(file.image, photo, size_px)))
        except InputError as error:
            say(f"left out: {printable(str(error))}")
    if not cells:
        raise InputError(f"{folder}: has no cut-out that can be drawn")
    rows: list[list[tuple[str, np.ndarray]]] = []
    cells.sort(key=lambda cell: (kind_of(cell[0]), cell[0]))
    for _, group in itertools.groupby(cells, lambda cell: kind_of(cell[0])):
        kind = [*group]
        rows += [kind[i : i + columns] for i in range(0, len(kind), columns)]
    return stack(rows, height_px=size_px)


def checkerboard(height: int, width: int) -> np.ndarray:
    """Draw a checkerboard, light to the left, dark to the right: float32 [H, W, 3]."""
    square = max(1, max(height, width) // CHECKS)
    y, x = np.mgrid[:height, :width]
    odd = (y // square + x // square) % 2
    values = np.where(x < width / 2, np.take(LIGHT, odd), np.take(DARK, odd))
    return np.repeat(values[..., None].astype(np.float32), 3, -1)


def _cell(file: Path, photo: Path | None, size_px: int) -> np.ndarray:
    rgba = eight_bits(read_cutout(file))
    height, width = rgba.shape[:2]
    if photo is None:
        background = checkerboard(height, width)
    else:
        background = load_background(str(photo), height, width)
    shown = quantise(over(rgba.astype(np.float32) / 255, background), 8)
    return np.hstack([_square(shown, size_px), _square(grey(rgba[..., 3]), size_px)])


def _square(image: np.ndarray, size_px: int) -> np.ndarray:
    """Scale an image into the middle of a square."""
    scale = size_px / max(image.shape)
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    square = np.full((size_px, size_px, 3), MARGIN, np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    square[top : top + height, left : left + width] = scaled
    return square


def main() -> None:
    """Draw the sheet."""
    options = flags.FLAGS
    check_output(options.output, channels=3, dtype="uint8")
    sheet = contact_sheet(
        Path(options.folder),
        backgrounds=Path(options.backgrounds) if options.backgrounds else None,
        columns=options.columns,
        size_px=options.size,
    )
    write_image(options.output, sheet)
    print(options.output)


if __name__ == "__main__":
    flags.DEFINE_string("folder", None, "Folder of cut-outs.", required=True)
    flags.DEFINE_string("backgrounds", None, "Folder of photos; none: checkerboard.")
    flags.DEFINE_string("output", "sheet.jpg", "Picture to write.", short_name="o")
    flags.DEFINE_integer("columns", 4, "Cut-outs in a row.")
    flags.DEFINE_integer("size", 160, "Sides of a thumbnail in pixels.")
    launch.run(main)
