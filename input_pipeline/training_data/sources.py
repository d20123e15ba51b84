"""Where foregrounds and backgrounds come from: the protocol, folders, mixtures."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from input_pipeline.training_data.image_files import (
    PathLike,
    collect_foregrounds,
    collect_photos,
    read_background,
    read_foreground,
)
from tmfnet_jax.errors import InputError


class Source(Protocol):
    """Foregrounds with their alpha, and backgrounds, each by index.

    `num_foregrounds` and `num_backgrounds` say how many there are; None means
    that any index of at least 0 gives one. The two methods are pure functions of
    the index and are called from several threads at once. Sources can be pickled:
    worker processes get copies.
    """

    num_foregrounds: int | None
    num_backgrounds: int | None

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return uint8 [H, W, 3] RGB and uint8 [H, W] alpha, 255 for opaque.

        The arrays may be read-only.
        """
        ...

    def background(self, index: int) -> np.ndarray:
        """Return uint8 [H, W, 3] RGB, which may be read-only."""
        ...


class PooledSource:
    """The first images of another source, each made once and kept in memory.

    For generated images on machines where making one costs more than a training
    step on it; crops, affines, backgrounds and trimaps still differ every time. A
    pickled pool leaves its images behind: each process makes its own.
    """

    def __init__(self, source: Source, *, size: int):
        """Keep `size` foregrounds and as many backgrounds, fewer if it has fewer."""
        if size < 1:
            raise InputError(f"pool size is {size}; give at least 1")
        self._source, self._size = source, size
        self.num_foregrounds: int | None = min(size, source.num_foregrounds or size)
        self.num_backgrounds: int | None = min(size, source.num_backgrounds or size)
        self._foreground = functools.cache(source.foreground)
        self._background = functools.cache(source.background)

    def __reduce__(self):
        return functools.partial(type(self), size=self._size), (self._source,)

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return foreground `index` of the source."""
        return self._foreground(index)

    def background(self, index: int) -> np.ndarray:
        """Return background `index` of the source."""
        return self._background(index)


class MixedSource:
    """Several sources in one, each with its share of foregrounds and backgrounds.

    Without an end: any index gives an image of the source that the index draws, which
    of a source with an end is any of its images, again and again.
    """

    num_foregrounds: int | None = None
    num_backgrounds: int | None = None

    def __init__(self, sources: Sequence[Source], shares: Sequence[float]):
        """Mix sources.

        Args:
          sources: at least one.
          shares: of each, above 0; their sum counts as the whole.
        Raises:
          InputError: not one share for each source, or one that is not above 0.
        """
        if len(shares) != len(sources) or not sources:
            raise InputError(
                f"{len(sources)} sources and {len(shares)} shares; give one share for "
                "each source"
            )
        if not all(0 < share < float("inf") for share in shares):
            raise InputError(f"shares are {[*shares]}; give numbers above 0")
        self._sources = tuple(sources)
        self._bounds = np.cumsum(shares) / sum(shares)

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the foreground that the index draws."""
        source, number = self._draw(0, index)
        return source.foreground(_within(number, source.num_foregrounds))

    def background(self, index: int) -> np.ndarray:
        """Return the background that the index draws."""
        source, number = self._draw(1, index)
        return source.background(_within(number, source.num_backgrounds))

    def _draw(self, stream: int, index: int) -> tuple[Source, int]:
        """Return a source and a number of at least 0 by an index of a stream."""
        rng = np.random.default_rng([stream, index])
        place = np.searchsorted(self._bounds, rng.random(), side="right")
        last = len(self._sources) - 1  # where rounding has left the last bound below 1
        return self._sources[min(int(place), last)], int(rng.integers(2**31))


class FolderSource:
    """Folders of foregrounds, folders of their alphas, folders of backgrounds.

    An alpha belongs to the foreground of the same name without suffix; alphas
    without a foreground are left unused. Without a folder of alphas the
    foregrounds are cut-outs that carry their alpha themselves (RGBA). Several
    folders are one source: the foregrounds of the first, then those of the next.
    Files are taken in the order of their names; hidden ones and those that are no
    image by their suffix are skipped. 16-bit images are reduced to 8 bits; all
    else is as `tmfnet_jax.images` reads it.

    Attributes:
      foregrounds: the files of each foreground.
      backgrounds: the files of the backgrounds.
    """

    def __init__(
        self,
        foregrounds: PathLike | Sequence[PathLike],
        *,
        backgrounds: PathLike | Sequence[PathLike],
        alphas: PathLike | Sequence[PathLike | None] | None = None,
    ):
        """List the folders once; images are read when asked for.

        Args:
          foregrounds: a folder of foregrounds or of cut-outs, or several.
          backgrounds: a folder of photos as of `image_files.list_photos`, or
            several.
          alphas: of each folder of foregrounds its folder of alphas, or None where
            it is one of cut-outs; None alone: all are.
        Raises:
          InputError: naming all that is wrong with the folders at once.
        """
        folders = _several(foregrounds)
        opacities = [None] * len(folders) if alphas is None else _several(alphas)
        problems: list[str] = []
        pairs = zip(folders, opacities, strict=True)
        self.foregrounds = collect_foregrounds(pairs, problems)
        self.backgrounds = collect_photos(_several(backgrounds), problems)
        if problems:
            raise InputError("; ".join(problems))
        self.num_foregrounds: int | None = len(self.foregrounds)
        self.num_backgrounds: int | None = len(self.backgrounds)

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read one foreground and its alpha.

        Args:
          index: below `num_foregrounds`.
        Returns:
          uint8 [H, W, 3] RGB and uint8 [H, W] alpha, 255 for opaque.
        Raises:
          InputError: as for `image_files.read_foreground`.
        """
        return read_foreground(self.foregrounds[index])

    def background(self, index: int) -> np.ndarray:
        """Read one background.

        Args:
          index: below `num_backgrounds`.
        Returns:
          uint8 [H, W, 3] RGB.
        Raises:
          InputError: if the file cannot be read.
        """
        return read_background(self.backgrounds[index])


def _within(number: int, length: int | None) -> int:
    return number if length is None else number % length


def _several(folders: Any) -> list[Any]:
    return [folders] if isinstance(folders, str | os.PathLike) else [*folders]
