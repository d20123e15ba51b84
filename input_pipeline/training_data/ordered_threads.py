"""Work in threads whose results come in the order of the tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_threads(
    tasks: Iterable[Callable[[], Result]], num_threads: int
) -> Iterator[Result]:
    """Run tasks in threads, few ahead of the one whose result is yielded next.

    Args:
      tasks: functions without arguments; taken one by one.
      num_threads: that work at a time.
    Yields:
      Their results. What one raises is raised here, and no further task starts.
    """
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="in_threads")
    pending: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            pending.append(pool.submit(task))
            if len(pending) > 2 * num_threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
