"""Many photos: matte all that can be matted, reading and writing meanwhile."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from tmfnet_jax.jobs import Tally

READ_AHEAD = 1  # photos decoded before their turn: bounds the memory

Job = TypeVar("Job")  # anything that str() names in a message
Loaded = TypeVar("Loaded")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # steps done, of how many


def run_jobs(
    jobs: Sequence[Job],
    *,
    read: Callable[[Job], Loaded],
    compute: Callable[[Job, Loaded, Progress], Result],
    write: Callable[[Job, Result], None],
    tally: Tally | None = None,
) -> Tally:
    """Take each job through three steps; one that fails does not stop the others.

    `compute` runs in the calling thread, one job at a time, while another thread
    reads the next job's files and a third one writes the last one's. At most one
    job waits on either side, which bounds the memory. A progress bar on standard
    error shows the time left, if that is a terminal.

    Args:
      jobs: what to do, in this order.
      read: returns what `compute` needs; runs one job early.
      compute: gets that and a function to report its steps to.
      write: stores the result, whole or not at all.
      tally: counts to go on from, as `jobs.find_jobs` returns them.
    Returns:
      The tally. InputError, MemoryError and OSError of a step are its failures.
      After Ctrl-C it says `interrupted`: the job being computed is given up, a
      write under way is completed.
    """
    tally = tally or Tally()
    started = time.perf_counter()
    writes: list[tuple[Job, Future[None]]] = []
    with (
        ThreadPoolExecutor(1, "read") as reader,
        ThreadPoolExecutor(1, "write") as writer,
        tqdm(total=len(jobs), unit="image", disable=None, file=sys.stderr) as bar,
    ):

        def show(steps: int, of: int) -> None:
            bar.set_postfix_str(f"part {steps}/{of}" if steps < of else "")

        def settle() -> None:
            """Wait for the write under way and count its job."""
            for job, ended in writes:
                with tally.attempt(job):
                    ended.result()
                    tally.done += 1
            writes.clear()

        try:
            for job, loaded in _ahead(reader, read, jobs):
                with tally.attempt(job):
                    result = compute(job, loaded.result(), show)
                    settle()
                    writes.append((job, writer.submit(write, job, result)))
                    del result  # the writer's alone now, gone when it is written
                bar.update()
        except KeyboardInterrupt:
            tally.interrupted = True
            reader.shutdown(wait=False, cancel_futures=True)
        settle()
    tally.seconds += time.perf_counter() - started
    return tally


def say(line: str) -> None:
    """Print a line on standard error, above the progress bar if there is one."""
    tqdm.write(line, file=sys.stderr)


def _ahead(
    executor: ThreadPoolExecutor, function: Callable[[Job], Loaded], jobs: Iterable[Job]
) -> Iterator[tuple[Job, Future[Loaded]]]:
    """Yield each job with its call, which was made READ_AHEAD jobs earlier."""
    calls: deque[tuple[Job, Future[Loaded]]] = deque()
    for job in jobs:
        calls.append((job, executor.submit(function, job)))
        if len(calls) > READ_AHEAD:
            yield calls.popleft()
    while calls:
        yield calls.popleft()
