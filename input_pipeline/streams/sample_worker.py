"""What a worker process does; `workers` starts it and says what to make."""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import struct
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import cv2
import numpy as np

from input_pipeline.streams.shared_rows import map_rows
from tmfnet_jax.errors import EXPECTED_ERRORS, InputError, reason
from tmfnet_jax.serving.memory import tune_allocator

TASK = struct.Struct("<qq")  # row to fill, index of the sample
PARENT_CHECK_SECONDS = 1.0


@dataclass(frozen=True)
class Setup:
    """What every worker gets at its start, pickled."""

    make: Callable[..., Mapping[str, np.ndarray]]  # called as make(index=...)
    shapes: Mapping[str, tuple[int, ...]]  # of the uint8 arrays that it gives
    rows: int


@dataclass(frozen=True)
class Failure:
    """An exception of a worker, in words."""

    text: str  # one line
    is_input: bool  # an InputError, or the like; else a bug

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Describe an exception; a bug with its type and its place."""
        if isinstance(error, InputError):
            return cls(str(error), True)
        if isinstance(error, EXPECTED_ERRORS):
            return cls(reason(error), True)
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        frames = traceback.extract_tb(error.__traceback__)
        return cls(f"{text} ({frames[-1].filename}:{frames[-1].lineno})", False)

    def exception(self) -> Exception:
        """Return the exception to raise in the parent."""
        if self.is_input:
            return InputError(self.text)
        return RuntimeError(f"a worker process failed with {self.text}")


def main(
    *, setup_file: int, rows_file: int, tasks: int, results_file: int, parent: int
) -> None:
    """Make samples until the parent closes the tasks, or ends in any way.

    Args:
      setup_file: descriptor of a file that holds a pickled `Setup`.
      rows_file: of the memory to write samples to.
      tasks: of the pipe to read tasks from, shared by all workers.
      results_file: of this worker's own pipe to the parent. Goes there: a pair of
        the row and None or its `Failure`; the row is None if nothing can be made.
      parent: process id.
    """
    threading.Thread(target=end_with_parent, args=[parent], daemon=True).start()
    cv2.setNumThreads(1)  # as many processes as cores, and no threads beside them
    tune_allocator()  # a sample's arrays take the memory of the last one's
    results = Connection(results_file, readable=False)
    with contextlib.suppress(BrokenPipeError):  # the parent has stopped listening
        try:
            setup = pickle.loads(mmap.mmap(setup_file, 0, prot=mmap.PROT_READ))
            rows = map_rows(rows_file, setup.shapes, rows=setup.rows)
        except Exception as error:
            results.send((None, _opening_failure(error)))
            return
        # All workers read one pipe: whoever is free takes the next task. Tasks are
        # short, so that reads and writes of them are never torn apart.
        while len(task := os.read(tasks, TASK.size)) == TASK.size:
            row, index = TASK.unpack(task)
            results.send((row, _fill(rows, row, setup.make, index)))


def _fill(
    rows: dict[str, np.ndarray], row: int, make: Callable, index: int
) -> Failure | None:
    """Make a sample into its row; return what went wrong."""
    try:
        sample = make(index=index)
        for name, array in rows.items():
            np.copyto(array[row], sample[name], casting="no")
    except Exception as error:
        return Failure.of(error)
    return None


def _opening_failure(error: Exception) -> Failure:
    """Word what keeps a worker from unpickling its source."""
    if isinstance(error, InputError):
        return Failure.of(error)
    return Failure(
        f"a worker process cannot open the source: {Failure.of(error).text}; its "
        "class must be in a module that can be imported, not in the script that runs",
        True,
    )


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent, whatever it is doing."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
