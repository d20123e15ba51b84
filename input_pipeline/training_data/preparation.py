"""Writing prepared training data (see `prepared.py`), in many goes.

A process killed at any time leaves a folder in which the next one goes on: files take
their places whole, each is entered in a journal once it is there, and the index that
makes the folder usable comes last. A file whose original has changed since is made
anew under another number, so that an index always fits its files.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from input_pipeline.training_data.ordered_threads import in_threads
from input_pipeline.training_data.originals import Original
from input_pipeline.training_data.preparation_folder import (
    JOURNAL_FILE,
    Record,
    append,
    check_folder,
    make_folders,
    read_journal,
    rewrite_journal,
    write_json,
)
from input_pipeline.training_data.prepared import (
    ARRAY_SUFFIX,
    BACKGROUNDS,
    FOREGROUNDS,
    FORMAT,
    INDEX_FILE,
    alpha_name,
    image_name,
)
from tmfnet_jax.batch import say
from tmfnet_jax.errors import EXPECTED_ERRORS, InputError, reason
from tmfnet_jax.files import atomic_write
from tmfnet_jax.images import encode_image

SKIPPED_FILE = "skipped.json"
_OWN_FIELDS = ("role", "stamps")  # of a record; the index leaves them out


@dataclass(frozen=True)
class Skipped:
    """An original that could not be read, and why."""

    role: str
    name: str
    reason: str


class Preparation:
    """A folder being prepared.

    Attributes:
      to_do: how many images of each role are not there yet.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, Any],
        foregrounds: Sequence[Original],
        backgrounds: Sequence[Original],
        background_side_px: int,
        raw_backgrounds: bool = False,
    ):
        """Look at what the folder holds; nothing is written.

        Args:
          folder: new, empty, or one that an earlier run with the same settings left.
          settings: values for JSON, on which the prepared files depend beside the
            originals.
          foregrounds: all that the folder shall hold, in order.
          backgrounds: likewise.
          background_side_px: longer side that larger backgrounds are reduced to; 0
            keeps them all. Smaller ones stay as they are, byte by byte.
          raw_backgrounds: write their pixels, as those of foregrounds.
        Raises:
          InputError: a folder of other things, or one with other settings.
        """
        self._folder, self._side = folder, background_side_px
        self._raw_backgrounds = raw_backgrounds
        self._settings = {**FORMAT, **settings}
        check_folder(folder, self._settings)
        self._journal = read_journal(folder)
        self._originals = {FOREGROUNDS: foregrounds, BACKGROUNDS: backgrounds}
        self._done = {(r["role"], r["name"]): r for r in self._journal}
        self.to_do = {
            role: [o for o in originals if not self._is_done(role, o)]
            for role, originals in self._originals.items()
        }

    def run(self, *, num_threads: int) -> list[Skipped]:
        """Prepare what is not there yet, then write the index.

        A progress bar on standard error shows the time left, if that is a terminal.

        Args:
          num_threads: images prepared at a time, each in memory as a whole.
        Returns:
          The originals that cannot be read; they are not in the index.
        Raises:
          InputError: no foreground can be read, or a file cannot be written, as on
            a full disk: what was done is kept.
        """
        make_folders(self._folder, self._settings)
        try:
            skipped = self._work(num_threads)
            self._finish(skipped)
        except OSError as error:
            raise InputError(
                f"{error.filename or self._folder}: cannot be written "
                f"({error.strerror}); make room, then the same command goes on"
            ) from None
        return skipped

    def _work(self, num_threads: int) -> list[Skipped]:
        rewrite_journal(self._folder, self._journal)
        skipped = []
        with (
            (self._folder / JOURNAL_FILE).open("ab") as journal,
            tqdm(
                total=sum(map(len, self.to_do.values())),
                unit="image",
                disable=None,
                file=sys.stderr,
            ) as bar,
        ):
            for result in in_threads(self._tasks(), num_threads):
                if isinstance(result, Skipped):
                    skipped.append(result)
                    say(f"skipped: {result.reason}")
                else:
                    append(journal, result)
                    self._done[result["role"], result["name"]] = result
                bar.update()
        return skipped

    def _tasks(self) -> Iterator[Callable[[], Record | Skipped]]:
        for role, originals in self.to_do.items():
            used = [r["number"] for r in self._journal if r["role"] == role]
            first = max(used, default=-1) + 1
            for number, original in enumerate(originals, start=first):
                yield partial(self._prepare, role, original, number)

    def _prepare(self, role: str, original: Original, number: int) -> Record | Skipped:
        """Prepare one image; what fails in reading is skipped, in writing raised."""
        stamps = original.stamps()
        try:
            image, *alpha = original.load()
            digests = [_sha256(path) for path in original.files]
            if role == BACKGROUNDS:
                suffix, data, image = self._background(original, image)
        except EXPECTED_ERRORS as error:
            return Skipped(role, original.name, reason(error))
        folder = self._folder / role
        record: Record = {"role": role, "name": original.name, "number": number}
        try:
            if role == BACKGROUNDS:
                record["file"] = f"{number:06}{suffix}"
                with atomic_write(folder / record["file"]) as file:
                    file.write(data)
            else:
                _write_array(folder / image_name(number), image)
                _write_array(folder / alpha_name(number), alpha[0])
        except InputError as error:
            raise InputError(
                f"{error}, or make room: the same command goes on"
            ) from None
        height, width = image.shape[:2]
        return record | {
            "height": height,
            "width": width,
            "sha256": digests,
            "stamps": stamps,
        }

    def _background(
        self, original: Original, image: np.ndarray
    ) -> tuple[str, bytes, np.ndarray]:
        """Return suffix, bytes and pixels of the file to keep for a background."""
        height, width = image.shape[:2]
        scale = self._side / max(height, width)
        reduced = bool(original.files) and 0 < scale < 1
        if reduced:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if self._raw_backgrounds:
            return ARRAY_SUFFIX, b"".join(_array_parts(image)), image
        if reduced:
            return ".jpg", encode_image(image, ".jpg"), image
        if not original.files:
            return ".png", encode_image(image, ".png"), image
        (path,) = original.files
        return path.suffix.lower(), path.read_bytes(), image

    def _finish(self, skipped: Sequence[Skipped]) -> None:
        index: dict[str, Any] = {**self._settings}
        for role, originals in self._originals.items():
            records = (self._done.get((role, o.name)) for o in originals)
            left_out = {s.name for s in skipped if s.role == role}
            index[role] = [
                {key: value for key, value in record.items() if key not in _OWN_FIELDS}
                for record in records
                if record is not None and record["name"] not in left_out
            ]
        path = self._folder / SKIPPED_FILE
        if skipped:
            write_json(path, [vars(entry) for entry in skipped])
        else:
            path.unlink(missing_ok=True)
        if not index[FOREGROUNDS]:
            raise InputError(
                f"{self._folder}: none of the foregrounds could be read; see {path}"
            )
        write_json(self._folder / INDEX_FILE, index)

    def _is_done(self, role: str, original: Original) -> bool:
        record = self._done.get((role, original.name))
        if record is None or record["stamps"] != original.stamps():
            return False
        number = record["number"]
        names = [record.get("file")]
        if role == FOREGROUNDS:
            names = [image_name(number), alpha_name(number)]
        return all((self._folder / role / str(name)).is_file() for name in names)


def _write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file; NumPy's own writer does not say that a disk is full."""
    with atomic_write(path) as file:
        file.writelines(_array_parts(array))


def _array_parts(array: np.ndarray) -> tuple[bytes, memoryview]:
    """Return the header and the pixels of a .npy file."""
    array = np.ascontiguousarray(array)
    header = io.BytesIO()
    fields = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue(), array.data


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
