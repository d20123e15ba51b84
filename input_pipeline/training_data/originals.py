"""What is to be prepared: images by name, from files or generated."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from input_pipeline.procedural.canvas import straighten
from input_pipeline.training_data.image_files import (
    ForegroundFiles,
    read_background,
    read_foreground,
)
from input_pipeline.training_data.sources import Source
from tmfnet_jax.errors import EXPECTED_ERRORS

_SAMPLED = 16  # foregrounds decoded to estimate the size of all


@dataclass(frozen=True)
class Original:
    """An image to prepare.

    Attributes:
      name: unique in its role.
      files: that it is made of; none if it is generated.
      load: returns uint8 [H, W, 3] RGB and, of a foreground, uint8 [H, W] alpha.
    """

    name: str
    files: tuple[Path, ...]
    load: Callable[[], tuple[np.ndarray, ...]]

    def stamps(self) -> list[list[int]] | None:
        """Return what tells that its files have changed; None where one is gone."""
        try:
            stats = [os.stat(path) for path in self.files]
        except OSError:
            return None
        return [[stat.st_size, stat.st_mtime_ns] for stat in stats]


def foregrounds_in_files(foregrounds: Sequence[ForegroundFiles]) -> list[Original]:
    """Name each foreground by its path below the folder that holds them all."""
    names = _relative([files.image for files in foregrounds])
    return [
        Original(name, files.paths, partial(read_foreground, files))
        for name, files in zip(names, foregrounds, strict=True)
    ]


def backgrounds_in_files(photos: Sequence[Path]) -> list[Original]:
    """Name each photo by its path below the folder that holds them all."""
    return [
        Original(name, (path,), partial(_alone, read_background, path))
        for name, path in zip(_relative(photos), photos, strict=True)
    ]


def at_sides(originals: Sequence[Original], sides: Sequence[int]) -> list[Original]:
    """Take each foreground at several sizes, so that crops show it near and far.

    Args:
      originals: foregrounds.
      sides: longer side of each size in pixels; smaller originals stay as they are.
    Returns:
      For each original one of each size, reduced by averaging what is seen, with the
      colours around where nothing is.
    """
    return [
        Original(f"{o.name}@{side}", o.files, partial(_reduced, o.load, side))
        for o in originals
        for side in sides
    ]


def generated(source: Source, count: int) -> tuple[list[Original], list[Original]]:
    """Return the first foregrounds and backgrounds of an endless source."""
    return (
        [Original(str(i), (), partial(source.foreground, i)) for i in range(count)],
        [
            Original(str(i), (), partial(_alone, source.background, i))
            for i in range(count)
        ],
    )


def estimate_bytes(
    foregrounds: Sequence[Original],
    backgrounds: Sequence[Original],
    *,
    raw_side: int | None = None,
) -> int:
    """Estimate the disk space that originals will take once prepared.

    Args:
      foregrounds: of which some are decoded to learn their size.
      backgrounds: of which the files' sizes are looked up; of generated ones, one
        is made.
      raw_side: longer side that backgrounds are reduced to, 0 for none, where their
        pixels will be written; then some of them are decoded as well.
    """
    total = _extrapolate(foregrounds)
    if raw_side is not None:
        return round(total + _extrapolate(backgrounds, side=raw_side))
    made = [original for original in backgrounds if not original.files]
    if made:
        total += len(made) * _pixel_bytes(made[0])
    for original in backgrounds:
        total += sum(size for size, _ in original.stamps() or [])
    return round(total)


def _extrapolate(originals: Sequence[Original], *, side: int = 0) -> float:
    """Bytes of the pixels of all, by some of them; sides above `side` are reduced."""
    places = np.linspace(0, len(originals) - 1, min(_SAMPLED, len(originals)))
    sizes = [_pixel_bytes(originals[round(place)], side) for place in places]
    known = [size for size in sizes if size]
    return len(originals) * sum(known) / max(1, len(known))


def _reduced(
    load: Callable[[], tuple[np.ndarray, ...]], side: int
) -> tuple[np.ndarray, np.ndarray]:
    image, alpha = load()
    layer = np.dstack([image, alpha]).astype(np.float32) / 255
    layer[..., :3] *= layer[..., 3:]
    height, width = alpha.shape
    scale = side / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return straighten(cv2.resize(layer, size, interpolation=cv2.INTER_AREA))
    return straighten(layer)


def _alone(function: Callable[..., np.ndarray], key: object) -> tuple[np.ndarray]:
    return (function(key),)


def _relative(paths: Sequence[Path]) -> list[str]:
    if not paths:
        return []
    top = os.path.commonpath([os.path.abspath(path.parent) for path in paths])
    return [Path(os.path.relpath(path, top)).as_posix() for path in paths]


def _pixel_bytes(original: Original, side: int = 0) -> float:
    """Return the size of the pixels; 0 if they cannot be read."""
    try:
        arrays = original.load()
    except EXPECTED_ERRORS:
        return 0
    scale = min(1, side / max(arrays[0].shape[:2])) if side else 1
    return scale**2 * sum(array.nbytes for array in arrays)
