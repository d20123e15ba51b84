"""Batches made by processes, one to a core, in memory that they share."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from multiprocessing.connection import Connection, Pipe, wait

import numpy as np

from input_pipeline.streams.sample_worker import TASK, Failure, Setup
from input_pipeline.streams.shared_rows import anonymous_file, map_rows
from tmfnet_jax.errors import InputError

PROGRAM = """
import sys
sys.path[:] = {path}
from input_pipeline.streams.sample_worker import main
main({arguments})
"""
# Tasks in their pipe at a time: 4 kB of them, which any pipe holds, so that the
# parent never waits to write while the workers wait for it to read.
MOST_TASKS = 256
WATCH_SECONDS = 1.0  # between looks at the processes while nothing is reported
EXIT_SECONDS = 5.0  # for a process to be gone once its pipe is closed


def process_batches(
    setup: Setup, steps: Iterable[range], *, num_workers: int
) -> Generator[dict[str, np.ndarray], None, None]:
    """Stream batches made by worker processes, in order.

    The workers fill the rows of a ring in shared memory; as many batches are made
    ahead as it holds. A finished batch is copied out, so it stays what it is for as
    long as it is kept: JAX may use an array's memory as it is, or read it later.

    The processes end with the generator, at the latest a second or so after this
    process, killed or not; the memory goes with them.

    Args:
      setup: what the workers make; its rows are a multiple of a batch's length.
      steps: indices of the samples of each batch, equally many; without end.
      num_workers: processes.
    Returns:
      Generator of dicts of uint8 arrays [samples of a batch, *shape].
    Raises:
      InputError: at once if `setup` cannot be pickled; later for a bad source, or
        naming the exit status of a worker that died.
      RuntimeError: in one line, for any other exception of a worker.
    """
    if sys.platform == "win32":
        raise InputError("worker processes need Linux or macOS; use threads instead")
    try:
        pickled = pickle.dumps(setup)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the source cannot be sent to worker processes ({error}); "
            "use threads instead"
        ) from None
    return _stream(pickled, setup, iter(steps), num_workers)


def _stream(
    pickled: bytes, setup: Setup, steps: Iterator[range], num_workers: int
) -> Generator[dict[str, np.ndarray], None, None]:
    """Yield batches; the rows of each go to a later one once they are copied."""
    first = next(steps)
    steps = itertools.chain([first], steps)
    slots = [
        range(start, start + len(first)) for start in range(0, setup.rows, len(first))
    ]
    results: dict[int, Failure | None] = {}
    with contextlib.closing(WorkerPool(pickled, setup, num_workers)) as pool:
        for slot in slots:
            pool.submit(zip(slot, next(steps), strict=True))
        for slot in itertools.cycle(slots):
            while not all(row in results for row in slot):
                results |= pool.take_results()
            for row in slot:
                if failure := results.pop(row):
                    raise failure.exception()
            rows = slice(slot.start, slot.stop)
            batch = {name: array[rows].copy() for name, array in pool.rows.items()}
            pool.submit(zip(slot, next(steps), strict=True))
            yield batch


class WorkerPool:
    """Processes that make samples into rows of shared memory.

    They are started as programs of their own, not by the multiprocessing module:
    so they do not import the script that runs (and JAX with it), and no further
    process keeps track of them.

    Attributes:
      rows: arrays [rows, *shape] that the workers write to.
    """

    def __init__(self, pickled: bytes, setup: Setup, num_workers: int):
        """Start the workers.

        Args:
          pickled: the setup.
          setup: what to make, and the form of the rows.
          num_workers: processes.
        Raises:
          InputError: if they cannot be started.
        """
        self._waiting: deque[tuple[int, int]] = deque()
        self._handed_out = 0  # tasks written and without a result
        self._workers: dict[Connection, subprocess.Popen] = {}
        task_reader, task_writer = os.pipe()
        self._tasks = os.fdopen(task_writer, "wb", buffering=0)
        try:
            with (
                anonymous_file("setup") as setup_file,
                anonymous_file("samples") as rows_file,
                _blocked_signals(),
            ):
                setup_file.write(pickled)
                setup_file.flush()
                self.rows = map_rows(rows_file.fileno(), setup.shapes, rows=setup.rows)
                files = {
                    "setup_file": setup_file.fileno(),
                    "rows_file": rows_file.fileno(),
                    "tasks": task_reader,
                }
                for _ in range(num_workers):
                    self._start(files)
        except OSError as error:
            self.close()
            raise InputError(
                f"cannot start {num_workers} worker processes: {error.strerror}"
            ) from None
        except BaseException:
            self.close()
            raise
        finally:
            os.close(task_reader)

    def submit(self, tasks: Iterable[tuple[int, int]]) -> None:
        """Have samples made; whichever worker is free takes the next one.

        Args:
          tasks: pairs of the row to fill and the index of the sample.
        """
        self._waiting.extend(tasks)
        self._hand_out()

    def take_results(self) -> dict[int, Failure | None]:
        """Wait for samples.

        Returns:
          At least one of the rows that were finished since the last call, with
          what went wrong, or None.
        Raises:
          InputError: if a worker died or cannot open the source.
        """
        results: dict[int, Failure | None] = {}
        while not results:
            ready = wait(list(self._workers), timeout=WATCH_SECONDS)
            for connection in ready:
                assert isinstance(connection, Connection)
                try:
                    row, failure = connection.recv()
                except (EOFError, OSError):
                    raise _death(self._workers[connection]) from None
                if row is None:
                    raise failure.exception()
                results[row] = failure
            if not ready:
                # A death shows as the end of the worker's pipe, unless a forked
                # child of this process holds the pipe's other end open.
                for process in self._workers.values():
                    if process.poll() is not None:
                        raise _death(process)
        self._handed_out -= len(results)
        self._hand_out()
        return results

    def close(self) -> None:
        """End the workers at once; they hold nothing that would be lost."""
        for process in self._workers.values():
            process.kill()
        for connection, process in self._workers.items():
            connection.close()
            process.wait()
        self._workers.clear()
        self._tasks.close()

    def _start(self, files: dict[str, int]) -> None:
        """Start one worker."""
        reader, writer = Pipe(duplex=False)
        with writer:
            files = files | {"results_file": writer.fileno()}
            arguments = files | {"parent": os.getpid()}
            program = PROGRAM.format(
                path=[os.fspath(path) for path in sys.path],
                arguments=", ".join(f"{k}={v}" for k, v in arguments.items()),
            )
            self._workers[reader] = subprocess.Popen(
                [sys.executable, "-P", "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=tuple(files.values()),
                # Else NumPy starts a thread for every core in every worker.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )

    def _hand_out(self) -> None:
        """Write tasks to their pipe, no more than it surely holds."""
        number = min(len(self._waiting), MOST_TASKS - self._handed_out)
        tasks = b"".join(TASK.pack(*self._waiting.popleft()) for _ in range(number))
        if tasks:
            with contextlib.suppress(BrokenPipeError):  # all dead; told when waited for
                self._tasks.write(tasks)
            self._handed_out += number


def _death(process: subprocess.Popen) -> InputError:
    """Word how a worker ended."""
    try:
        status = process.wait(timeout=EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        return InputError(f"worker process {process.pid} has closed its connection")
    if status >= 0:
        how = f"ended with exit code {status}"
    else:
        known = -status in set(signal.Signals)
        name = signal.Signals(-status).name if known else f"signal {-status}"
        how = f"was killed by {name}"
        if -status == signal.SIGKILL:
            how += ", as happens when memory runs out; try fewer workers"
    return InputError(f"worker process {process.pid} {how}")


@contextlib.contextmanager
def _blocked_signals():
    """Start processes deaf to Ctrl-C and SIGTERM: this one ends them when it is time.

    Batch systems send SIGTERM to all processes of a job, and the training still
    saves its state then. A signal mask, unlike a handler, is there from the start.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
