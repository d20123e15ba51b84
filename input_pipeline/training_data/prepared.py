"""Prepared training data: pixels that are read without decoding.

A folder that `tmfnet prepare` writes (`input_pipeline/training_data/preparation.py`):

    index.json               format, settings, and each image: name, size, SHA-256 of
                             the files it was made of; written last
    foregrounds/N.image.npy  uint8 [H, W, 3] RGB, not compressed
    foregrounds/N.alpha.npy  uint8 [H, W]
    backgrounds/N.SUFFIX     image files, or pixels in .npy
    skipped.json             what could not be read, if anything
    settings.json  done.jsonl   for a run that goes on

Arrays are mapped into memory, not loaded: a crop costs the pages that it touches,
and processes that read the same foreground share them.
"""

from __future__ import annotations

import functools
import io
import json
import mmap
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from input_pipeline.training_data.image_files import (
    PathLike,
    collect_photos,
    read_background,
)
from tmfnet_jax.errors import InputError

FORMAT = {"format": "tmfnet-prepared", "version": 1}
INDEX_FILE = "index.json"
SETTINGS_FILE = "settings.json"
FOREGROUNDS, BACKGROUNDS = "foregrounds", "backgrounds"  # roles and folders
ARRAY_SUFFIX = ".npy"
HEADER_BYTES = 128  # of an array file that NumPy writes


@dataclass(frozen=True)
class PreparedForeground:
    """A foreground in two arrays on disk."""

    name: str  # that of its original
    image: Path
    alpha: Path
    height: int
    width: int


@dataclass(frozen=True)
class PreparedIndex:
    """What a prepared folder holds, in order of the originals."""

    foregrounds: tuple[PreparedForeground, ...]
    backgrounds: tuple[Path, ...]  # image files


class PreparedSource:
    """The foregrounds of a prepared folder, and its backgrounds or others.

    Foregrounds are read-only views of the files; pixels are read when touched. A
    pickled source holds no open file.

    Attributes:
      foregrounds: in order of the originals.
      backgrounds: image files.
    """

    def __init__(self, folder: Path, *, backgrounds: Sequence[PathLike] | None = None):
        """Read the index.

        Args:
          folder: that `tmfnet prepare` wrote.
          backgrounds: folders of photos to use instead of those of the folder; of an
            empty sequence, none.
        Raises:
          InputError: no such folder, half made, damaged, or without backgrounds.
        """
        index = read_index(folder)
        self.foregrounds = index.foregrounds
        problems: list[str] = []
        self.backgrounds = index.backgrounds
        if backgrounds is not None:
            self.backgrounds = collect_photos(backgrounds, problems)
        if not self.foregrounds:
            problems.append(f"{folder}: holds no foregrounds; prepare it anew")
        elif backgrounds is None and not self.backgrounds:
            problems.append(
                f"{folder}: was prepared without backgrounds; give a folder of photos: "
                "--config.data.backgrounds=DIR"
            )
        if problems:
            raise InputError("; ".join(problems))
        self.num_foregrounds: int | None = len(self.foregrounds)
        self.num_backgrounds: int | None = len(self.backgrounds)

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Map one foreground and its alpha.

        Args:
          index: below `num_foregrounds`.
        Returns:
          uint8 [H, W, 3] RGB and uint8 [H, W] alpha, both read-only.
        Raises:
          InputError: a file is absent, cut short or not the one that was prepared.
        """
        files = self.foregrounds[index]
        shape = (files.height, files.width)
        return _map(files.image, (*shape, 3)), _map(files.alpha, shape)

    def background(self, index: int) -> np.ndarray:
        """Read one background: uint8 [H, W, 3]; InputError if it cannot be read."""
        path = self.backgrounds[index]
        return _map(path) if path.suffix == ARRAY_SUFFIX else read_background(path)


def read_index(folder: Path) -> PreparedIndex:
    """Read what a prepared folder holds.

    Raises:
      InputError: no such folder, half made, damaged or of another format.
    """
    path = folder / INDEX_FILE
    try:
        index = json.loads(path.read_bytes())
    except OSError as error:
        if (folder / SETTINGS_FILE).is_file():
            raise InputError(
                f"{folder}: is only half prepared; run the same `tmfnet prepare` "
                "again, it goes on"
            ) from None
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give a folder that `tmfnet "
            "prepare` wrote"
        ) from None
    except ValueError:
        raise InputError(_damaged(path)) from None
    if not isinstance(index, dict):
        raise InputError(_damaged(path))
    found = {key: index.get(key) for key in FORMAT}
    if found != FORMAT:
        raise InputError(
            f"{path}: is of another format ({found}); prepare the folder anew with "
            "this version"
        )
    try:
        return PreparedIndex(
            foregrounds=tuple(
                _foreground(folder / FOREGROUNDS, entry) for entry in index[FOREGROUNDS]
            ),
            backgrounds=tuple(
                folder / BACKGROUNDS / _plain(entry["file"])
                for entry in index[BACKGROUNDS]
            ),
        )
    except (KeyError, TypeError, ValueError):
        raise InputError(_damaged(path)) from None


def _foreground(folder: Path, entry: dict[str, Any]) -> PreparedForeground:
    number, height, width = (int(entry[key]) for key in ("number", "height", "width"))
    if min(number, height - 1, width - 1) < 0:
        raise ValueError
    return PreparedForeground(
        name=str(entry["name"]),
        image=folder / image_name(number),
        alpha=folder / alpha_name(number),
        height=height,
        width=width,
    )


def image_name(number: int) -> str:
    """Return the file name of a foreground's colours."""
    return f"{number:06}.image.npy"


def alpha_name(number: int) -> str:
    """Return the file name of a foreground's alpha."""
    return f"{number:06}.alpha.npy"


def _plain(name: str) -> str:
    """Refuse a name that leads out of its folder."""
    if Path(name).name != name or "\\" in name:
        raise ValueError
    return name


def _map(path: Path, expected: tuple[int, ...] | None = None) -> np.ndarray:
    """Map an array file into memory, read-only."""
    try:
        with path.open("rb") as file:
            shape, fortran_order, dtype, offset = _layout(file.read(HEADER_BYTES))
            pixels = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        order: Literal["F", "C"] = "F" if fortran_order else "C"
        array = np.ndarray(shape, dtype, pixels, offset, order=order)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); run the same "
            "`tmfnet prepare` again"
        ) from None
    except (ValueError, EOFError, SyntaxError, TypeError, tokenize.TokenError):
        raise InputError(_damaged(path)) from None
    expected = expected or (*shape[:2], 3)
    if shape != expected or dtype != np.uint8 or fortran_order:
        raise InputError(
            f"{path}: holds {dtype} {list(shape)}, its index says uint8 "
            f"{list(expected)}; prepare the folder anew"
        )
    return array


@functools.lru_cache
def _layout(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Read shape, order, type and offset: images of one size have one header."""
    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    return *np.lib.format.read_array_header_1_0(file), file.tell()


def _damaged(path: Path) -> str:
    return f"{path}: is damaged; remove it and run the same `tmfnet prepare` again"
