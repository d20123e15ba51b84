"""Where foregrounds and backgrounds come from: the protocol and image folders."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Protocol

import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_alpha, read_cutout, read_image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
NAMES_PER_MESSAGE = 5


class Source(Protocol):
    """Foregrounds with their alpha, and backgrounds, each by index.

    `num_foregrounds` and `num_backgrounds` say how many there are; None means
    that any index of at least 0 gives one. The two methods are pure functions of
    the index and are called from several threads at once.
    """

    num_foregrounds: int | None
    num_backgrounds: int | None

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return uint8 [H, W, 3] RGB and uint8 [H, W] alpha, 255 for opaque."""
        ...

    def background(self, index: int) -> np.ndarray:
        """Return uint8 [H, W, 3] RGB."""
        ...


class PooledSource:
    """The first images of another source, each made once and kept in memory.

    For generated images on machines where making one costs more than a training
    step on it; crops, affines, backgrounds and trimaps still differ every time.
    """

    def __init__(self, source: Source, *, size: int):
        """Keep `size` foregrounds and as many backgrounds, fewer if it has fewer."""
        if size < 1:
            raise InputError(f"pool size is {size}; give at least 1")
        self.num_foregrounds: int | None = min(size, source.num_foregrounds or size)
        self.num_backgrounds: int | None = min(size, source.num_backgrounds or size)
        self._foreground = functools.cache(source.foreground)
        self._background = functools.cache(source.background)

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return foreground `index` of the source."""
        return self._foreground(index)

    def background(self, index: int) -> np.ndarray:
        """Return background `index` of the source."""
        return self._background(index)


class FolderSource:
    """A folder of foregrounds, a folder of their alphas, a folder of backgrounds.

    An alpha belongs to the foreground of the same name without suffix; alphas
    without a foreground are left unused. Without a folder of alphas the
    foregrounds are cut-outs that carry their alpha themselves (RGBA). Files are
    taken in the order of their names; hidden ones and those that are no image by
    their suffix are skipped. 16-bit images are reduced to 8 bits; all else is as
    `tmfnet_jax.images` reads it.
    """

    def __init__(
        self,
        foregrounds: str | os.PathLike,
        *,
        backgrounds: str | os.PathLike,
        alphas: str | os.PathLike | None = None,
    ):
        """List the folders; images are read when asked for.

        Args:
          foregrounds: folder of foregrounds or, without `alphas`, of cut-outs.
          backgrounds: folder of images to lay them over.
          alphas: folder of alphas, or None.
        Raises:
          InputError: naming all that is wrong with the three folders at once.
        """
        problems: list[str] = []
        self._foregrounds = _list_images(foregrounds, "foregrounds", problems)
        self._backgrounds = _list_images(backgrounds, "backgrounds", problems)
        self._alphas = None
        if alphas is not None:
            found = _list_images(alphas, "alphas", problems)
            self._alphas = _match_alphas(self._foregrounds, found, alphas, problems)
        if problems:
            raise InputError("; ".join(problems))
        self.num_foregrounds: int | None = len(self._foregrounds)
        self.num_backgrounds: int | None = len(self._backgrounds)

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read one foreground and its alpha.

        Args:
          index: below `num_foregrounds`.
        Returns:
          uint8 [H, W, 3] RGB and uint8 [H, W] alpha, 255 for opaque.
        Raises:
          InputError: if a file cannot be read, a cut-out has no alpha, an alpha
            is in colour, or the two differ in size.
        """
        path = self._foregrounds[index]
        if self._alphas is None:
            cutout = eight_bits(read_cutout(path))
            return np.ascontiguousarray(cutout[..., :3]), cutout[..., 3].copy()
        alpha_path = self._alphas[index]
        image = eight_bits(read_image(path))
        alpha = np.rint(read_alpha(alpha_path) * 255).astype(np.uint8)
        if alpha.shape != image.shape[:2]:
            raise InputError(
                f"{alpha_path} is {_size(alpha)} but its foreground {path} is "
                f"{_size(image)}; both must have the same size"
            )
        return image, alpha

    def background(self, index: int) -> np.ndarray:
        """Read one background.

        Args:
          index: below `num_backgrounds`.
        Returns:
          uint8 [H, W, 3] RGB.
        Raises:
          InputError: if the file cannot be read.
        """
        return eight_bits(read_image(self._backgrounds[index]))


def _list_images(
    folder: str | os.PathLike, role: str, problems: list[str]
) -> list[Path]:
    """List the images of a folder by name; add what is wrong to `problems`."""
    folder = Path(folder)
    try:
        paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        )
    except OSError as error:
        problems.append(f"cannot list the folder of {role} {folder}: {error.strerror}")
        return []
    if not paths:
        problems.append(
            f"no images in the folder of {role} {folder}; expected "
            + " ".join(IMAGE_SUFFIXES)
        )
    return paths


def _match_alphas(
    foregrounds: list[Path],
    alphas: list[Path],
    folder: str | os.PathLike,
    problems: list[str],
) -> list[Path]:
    """Find each foreground's alpha; add missing and ambiguous ones to `problems`."""
    by_stem = {path.stem: path for path in alphas}
    stems = {path.stem for path in foregrounds}
    missing = [path.name for path in foregrounds if path.stem not in by_stem]
    if alphas and missing:
        problems.append(f"no alpha in {folder} for {_some(missing)}")
    for paths, role in ((foregrounds, "foregrounds"), (alphas, "alphas")):
        first = {path.stem: path for path in reversed(paths)}
        twice = [
            path.name
            for path in paths
            if path.stem in stems and path != first[path.stem]
        ]
        if twice:
            problems.append(
                f"{role} named alike up to their suffix, keep one of each: "
                + _some(twice)
            )
    return [by_stem[path.stem] for path in foregrounds if path.stem in by_stem]


def _some(names: list[str]) -> str:
    """Name the first few and count the rest."""
    rest = len(names) - NAMES_PER_MESSAGE
    return ", ".join(names[:NAMES_PER_MESSAGE]) + (
        f" and {rest} more" if rest > 0 else ""
    )


def _size(image: np.ndarray) -> str:
    """Width x height, as image viewers say it."""
    return f"{image.shape[1]}x{image.shape[0]}"


def eight_bits(image: np.ndarray) -> np.ndarray:
    """Round 16-bit values to the nearest of 8 bits.

    Args:
      image: uint8, returned as it is, or uint16, of any shape.

    Returns:
      uint8 of the same shape.
    """
    if image.dtype == np.uint8:
        return image
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
