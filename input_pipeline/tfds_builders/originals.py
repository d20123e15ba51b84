"""The original files of training foregrounds, in folders or in a zip file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from input_pipeline.evaluation_data.dataset_files import ZipFiles, join
from input_pipeline.training_data.image_files import (
    ForegroundFiles,
    list_foregrounds,
    read_foreground,
)
from input_pipeline.training_data.training_sets import TRAINING_SETS, set_folders
from tmfnet_jax.errors import InputError

# Folders that a zip file may hold everything in.
_ZIP_TOPS = ("", "Adobe_Deep_Matting_Dataset")


class Foreground(NamedTuple):
    """A foreground that was read.

    Attributes:
      image: uint8 [H, W, 3] RGB.
      alpha: uint8 [H, W], 255 for opaque.
      records: of its files, by their paths: {"bytes": size, "sha256": in hex}.
    """

    image: np.ndarray
    alpha: np.ndarray
    records: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Originals:
    """Foregrounds in a fixed order, and what was found beside them.

    Attributes:
      names: unique; with the folder's, "Other/lace", where there are several.
      missing: files that are absent, or there more than once.
      surplus: files of no foreground.
    """

    names: tuple[str, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    _files: tuple[ForegroundFiles, ...]
    _root: Path  # paths in records are below it
    _zip: ZipFiles | None = None

    def read(self, index: int) -> Foreground:
        """Read a foreground, as `image_files.read_foreground` does.

        Raises:
          InputError: as it does, or the zip file is damaged there.
        """
        files = self._files[index]
        with contextlib.ExitStack() as copies:
            for path in files.paths if self._zip else ():
                copies.enter_context(self._copied(path))
            try:
                image, alpha = read_foreground(files)
                records = {self._below(path): _record(path) for path in files.paths}
            except InputError as error:
                raise InputError(self._worded(str(error))) from None
        return Foreground(image, alpha, records)

    @contextlib.contextmanager
    def _copied(self, path: Path) -> Iterator[None]:
        """Fill the empty file that stands for one of the zip file."""
        assert self._zip is not None
        path.write_bytes(self._zip.read(self._below(path)))
        try:
            yield
        finally:
            path.write_bytes(b"")

    def _below(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _worded(self, message: str) -> str:
        """Name files by where the user has them, not by their copies."""
        if self._zip is None:
            return message
        return message.replace(f"{self._root}/", self._zip.describe("") + ": ")


@contextlib.contextmanager
def published(name: str, place: Path) -> Iterator[Originals]:
    """List a published set that a user has put somewhere; no image is read.

    Args:
      name: one of TRAINING_SETS.
      place: folder that holds the unpacked set or, else, its zip file.
    Returns:
      Context in which its foregrounds can be read.
    Raises:
      InputError: neither is there, a folder of the set is missing, or there are
        several zip files.
    """
    archive = _archive(name, place)
    if archive is None:
        yield _listed(place, set_folders(name, place))
        return
    with tempfile.TemporaryDirectory(prefix="originals") as mirror:
        yield _mirrored(name, archive, Path(mirror).resolve())


@contextlib.contextmanager
def folder(foregrounds: Path, alphas: Path | None) -> Iterator[Originals]:
    """List a folder as of `image_files.list_foregrounds`; no image is read."""
    foregrounds = foregrounds.absolute()
    if alphas is None:
        yield _listed(foregrounds, [(foregrounds, None)])
        return
    alphas = alphas.absolute()
    root = Path(os.path.commonpath([foregrounds, alphas]))
    yield _listed(root, [(foregrounds, alphas)])


def _archive(name: str, place: Path) -> Path | None:
    """Return the zip file to read; None: the set lies there unpacked."""
    layouts = TRAINING_SETS[name].layouts
    if any((place / layout[0]).is_dir() for layout in layouts) or not place.is_dir():
        return None
    archives = sorted(
        p for p in place.iterdir() if p.suffix.lower() == ".zip" and p.is_file()
    )
    if len(archives) > 1:
        raise InputError(
            f"{place}: has the zip files {', '.join(p.name for p in archives)}; keep "
            f"that of {name} only, or unpack it there"
        )
    return archives[0] if archives else None


def _mirrored(name: str, archive: Path, mirror: Path) -> Originals:
    """List a zip file by way of a folder with an empty file for each of its own.

    Every check of folders then holds for zip files too, and so does reading, from a
    copy of one foreground at a time.
    """
    packed = ZipFiles(archive)
    for top in _ZIP_TOPS:
        for layout in TRAINING_SETS[name].layouts:
            if not packed.names(join(top, layout[0])):
                continue
            for below in layout:
                place = mirror / top / below
                place.mkdir(parents=True)
                for file in packed.names(join(top, below)):
                    try:
                        (place / file).touch()
                    except (OSError, ValueError):
                        raise InputError(
                            f"{archive}: has the file name {file[:100]!a}, which "
                            "cannot be written here; get the original zip file"
                        ) from None
            pairs = set_folders(name, mirror / top)
            try:
                return _listed(mirror, pairs, packed)
            except InputError as error:
                text = str(error).replace(f"{mirror}/", f"{archive}: ")
                raise InputError(text) from None
    folders = "; or ".join(", ".join(f) for f in TRAINING_SETS[name].layouts)
    raise InputError(
        f"{archive}: holds no foregrounds of {name}; expected the folders {folders}"
    )


def _listed(
    root: Path,
    folders: Sequence[tuple[Path, Path | None]],
    packed: ZipFiles | None = None,
) -> Originals:
    files: list[ForegroundFiles] = []
    names, missing, surplus = [], [], []
    for foregrounds, alphas in folders:
        listing = list_foregrounds(foregrounds, alphas)
        prefix = f"{foregrounds.parent.name}/" if len(folders) > 1 else ""
        names += [f"{prefix}{entry.name}" for entry in listing.complete]
        files += listing.complete
        missing += [path.removeprefix(f"{root}/") for path in listing.missing]
        surplus += [path.removeprefix(f"{root}/") for path in listing.surplus]
    return Originals(
        names=tuple(names),
        missing=tuple(missing),
        surplus=tuple(surplus),
        _files=tuple(files),
        _root=root,
        _zip=packed,
    )


def _record(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return {"bytes": file.tell(), "sha256": digest.hexdigest()}
