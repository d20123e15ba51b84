"""The image files of training data: which there are, and how they are read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from input_pipeline.evaluation_data.paired_files import pair_files, stems
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_alpha, read_cutout, read_image
from tmfnet_jax.jobs import IMAGE_SUFFIXES

PathLike = str | os.PathLike[str]

# Where the photos of COCO, PASCAL VOC and ADE20k lie: beside them are masks, which
# are images too.
_PHOTO_FOLDERS = (
    *("train2017", "images/train2017"),
    *("JPEGImages", "VOC2012/JPEGImages", "VOCdevkit/VOC2012/JPEGImages"),
    *("images/training", "ADEChallengeData2016/images/training"),
)
_SEARCH_DEPTH = 3  # folders below the one given


@dataclass(frozen=True)
class ForegroundFiles:
    """A foreground in files.

    Attributes:
      name: of the files, without suffix.
      image: its colours.
      alpha: its alpha; None: a cut-out, which carries its alpha itself.
    """

    name: str
    image: Path
    alpha: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of its files."""
        return (self.image,) if self.alpha is None else (self.image, self.alpha)


@dataclass(frozen=True)
class ForegroundListing:
    """The foregrounds of a folder, or of several.

    Attributes:
      complete: those whose files are all there, in order of their names.
      missing: files that are absent, or there more than once.
      surplus: files of no foreground, and files that are no images by their suffix.
    """

    complete: tuple[ForegroundFiles, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


def list_foregrounds(folder: Path, alphas: Path | None) -> ForegroundListing:
    """List the foregrounds of a folder; no image is read.

    Args:
      folder: of foregrounds or, without `alphas`, of cut-outs.
      alphas: folder of alphas named as their foregrounds, up to the suffix.
    Raises:
      InputError: a folder cannot be listed or holds no images.
    """
    folders = [folder] if alphas is None else [folder, alphas]
    for place in folders:
        if not stems(place):
            raise InputError(
                f"{place}: no images there; expected files with one of the suffixes "
                + " ".join(IMAGE_SUFFIXES)
            )
    pairing = pair_files(Path(), [str(f) for f in folders], names=stems(folder))
    return ForegroundListing(
        complete=tuple(
            ForegroundFiles(name, files[0], files[1] if len(files) > 1 else None)
            for name, files in pairing.rows.items()
        ),
        missing=pairing.missing,
        surplus=pairing.surplus,
    )


def list_photos(folder: Path) -> list[Path]:
    """List the photos of a folder and of the folders in it, in order of their paths.

    Where the folder is that of COCO, PASCAL VOC or ADE20k, or one above, only the
    photos are meant (of COCO and ADE20k, those for training), not the masks beside
    them. Hidden files and folders are passed over, three levels are searched.

    Raises:
      InputError: not a folder that can be listed, or without images.
    """
    top = next((folder / f for f in _PHOTO_FOLDERS if (folder / f).is_dir()), folder)

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename}: cannot be listed ({error.strerror}); check the path "
            "and its rights"
        )

    photos: list[Path] = []
    seen: set[str] = set()  # linked folders can be met twice
    for place, folders, names in os.walk(top, onerror=refuse, followlinks=True):
        here, real = Path(place), os.path.realpath(place)
        deep = real in seen or len(here.relative_to(top).parts) == _SEARCH_DEPTH
        folders[:] = [] if deep else sorted(f for f in folders if not f.startswith("."))
        photos += [
            here / name for name in names if _is_image(name) and real not in seen
        ]
        seen.add(real)
    if not photos:
        raise InputError(
            f"{top}: no photos there; expected files with one of the suffixes "
            + " ".join(IMAGE_SUFFIXES)
        )
    return sorted(photos)


def collect_foregrounds(
    folders: Iterable[tuple[PathLike, PathLike | None]], problems: list[str]
) -> tuple[ForegroundFiles, ...]:
    """List the foregrounds of several folders as one.

    Args:
      folders: of foregrounds, each with its folder of alphas or None, as for
        `list_foregrounds`.
      problems: gets what is wrong, so that all can be told at once.
    """
    found: list[ForegroundFiles] = []
    missing: list[str] = []
    for folder, alphas in folders:
        try:
            listing = list_foregrounds(
                Path(folder), None if alphas is None else Path(alphas)
            )
        except InputError as error:
            problems.append(f"foregrounds and alphas: {error}")
            continue
        found += listing.complete
        missing += listing.missing
    if missing:
        problems.append(f"missing, or there more than once: {some(missing)}")
    return tuple(found)


def collect_photos(
    folders: Iterable[PathLike], problems: list[str]
) -> tuple[Path, ...]:
    """List the photos of several folders as one; `problems` gets what is wrong."""
    photos: list[Path] = []
    for folder in folders:
        try:
            photos += list_photos(Path(folder))
        except InputError as error:
            problems.append(f"backgrounds: {error}")
    return tuple(photos)


def read_foreground(files: ForegroundFiles) -> tuple[np.ndarray, np.ndarray]:
    """Read a foreground and its alpha.

    Returns:
      uint8 [H, W, 3] RGB and uint8 [H, W] alpha, 255 for opaque.
    Raises:
      InputError: a file that cannot be read, a cut-out without alpha, an alpha in
        colour, of another size than its foreground, or 0 everywhere.
    """
    if files.alpha is None:
        cutout = eight_bits(read_cutout(files.image))
        image, alpha = np.ascontiguousarray(cutout[..., :3]), cutout[..., 3].copy()
    else:
        image = eight_bits(read_image(files.image))
        alpha = np.rint(read_alpha(files.alpha) * 255).astype(np.uint8)
    if alpha.shape != image.shape[:2]:
        raise InputError(
            f"{files.alpha} is {_size(alpha)} but its foreground {files.image} is "
            f"{_size(image)}; both must have the same size"
        )
    if not alpha.any():
        raise InputError(
            f"{files.paths[-1]}: is 0 everywhere, so nothing would be seen of the "
            "foreground; put its alpha there or take both away"
        )
    return image, alpha


def read_background(path: Path) -> np.ndarray:
    """Read a background: uint8 [H, W, 3] RGB; InputError if it cannot be read."""
    return eight_bits(read_image(path))


def some(names: Sequence[str], *, most: int = 5) -> str:
    """Name the first few and count the rest."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


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


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _size(image: np.ndarray) -> str:
    """Width x height, as image viewers say it."""
    return f"{image.shape[1]}x{image.shape[0]}"
