"""Arrays in memory that several processes share, one row to a sample."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

ALIGNMENT = 64  # bytes; a cache line, so that no two channels share one


def anonymous_file(name: str) -> BinaryIO:
    """Open a file that no folder lists and that is gone with its last user.

    The kernel frees it however its users end, kill -9 included, so nothing is left
    to clean up. On Linux it lies in memory and is not subject to the size of
    /dev/shm, which is 64 MB in most containers.

    Args:
      name: for listings of a process's open files.
    Returns:
      An empty file, open for reading and writing.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create(name), "w+b")
    return tempfile.TemporaryFile()


def map_rows(
    file: int, shapes: Mapping[str, tuple[int, ...]], *, rows: int
) -> dict[str, np.ndarray]:
    """Map a file as uint8 arrays.

    Args:
      file: descriptor of an open file; it grows to the size needed.
      shapes: of one row of each array.
      rows: of each array.
    Returns:
      Arrays of shape [rows, *shape]. All who map the same file with the same
      shapes see the same values.
    """
    starts, end = {}, 0
    for name, shape in shapes.items():
        starts[name] = end
        length = rows * int(np.prod(shape))
        end += -(-length // ALIGNMENT) * ALIGNMENT
    if os.fstat(file).st_size < end:
        os.ftruncate(file, end)
    memory = mmap.mmap(file, end)
    return {
        name: np.ndarray((rows, *shape), np.uint8, memory, offset=starts[name])
        for name, shape in shapes.items()
    }
