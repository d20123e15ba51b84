"""Writing the rows of an evaluation: one by one as they come, or all at once."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import COLUMNS, Record, read_records
from tmfnet_jax.files import atomic_write

if sys.platform != "win32":
    import fcntl

_HEADER = (",".join(COLUMNS) + "\n").encode()


class RecordFile:
    """A file of images that grows by a whole row at a time.

    Rows that are there are kept; what a killed process left of a last one is cut
    off. A row is on disk when `append` returns.

    Attributes:
      records: those in the file.
    Raises:
      InputError: a file that is there is damaged, another process adds to
        it, or it cannot be written.
    """

    def __init__(self, path: Path):
        self.records: list[Record] = []
        try:
            with contextlib.ExitStack() as opened:
                self._file = opened.enter_context(path.open("ab+"))
                if sys.platform != "win32":
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._file.seek(0)
                whole = self._file.read().rfind(b"\n") + 1
                self._file.truncate(whole)
                if whole:
                    self.records = read_records(path)
                else:
                    self._write(_HEADER)
                opened.pop_all()  # stays open
        except BlockingIOError:
            raise InputError(
                f"{path}: another process adds to it; wait for its end or use another "
                "folder"
            ) from None
        except OSError as error:
            raise InputError(
                f"{path}: cannot be written ({error.strerror or error}); use another "
                "folder"
            ) from None

    def append(self, record: Record) -> None:
        """Add a row; after an OSError the file is as it was."""
        self._write(_row(record))
        self.records.append(record)

    def _write(self, line: bytes) -> None:
        end = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), end)
            raise

    def close(self) -> None:
        """Close the file, which keeps its rows."""
        with contextlib.suppress(OSError):  # bytes of a row that did not fit
            self._file.close()


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Replace a file of images by these rows, whole or not at all."""
    with atomic_write(path) as file:
        file.write(_HEADER)
        file.writelines(map(_row, records))


def _row(record: Record) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(dataclasses.astuple(record))
    return text.getvalue().encode()
