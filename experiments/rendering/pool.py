"""Processes that render, in Blender's interpreter."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from experiments.rendering.finish import finish
from experiments.rendering.subjects import Subject
from tmfnet_jax.errors import InputError, printable

TIMEOUT_S = 1_200  # for one subject
ROOT = Path(__file__).resolve().parents[2]  # what the worker's module is found from
_WORKER = "experiments.rendering.blender.worker"

LOST_RUNNING = 5  # subjects that Blender is lost over, one after the other, at most


class Lost(InputError):
    """Blender crashed or hung: that may be the machine's fault, not the subject's."""


Report = Callable[[Subject, np.ndarray | InputError, float], None]


class Blender:
    """A process that renders one subject after the other.

    Args:
      python: interpreter that can import bpy.
      threads: of the processor for it.
    """

    def __init__(self, python: Path, *, threads: int):
        self._command = [str(python), "-m", _WORKER]
        self._threads = threads
        self._process: subprocess.Popen[str] | None = None

    def render(self, subject: Subject, size_px: int) -> tuple[np.ndarray, float]:
        """Render a subject.

        Args:
          subject: which.
          size_px: height and width.
        Returns:
          uint8 [H, W, 4] as of `finish`, and the seconds that it took.
        Raises:
          Lost: the process crashed or hung, twice.
          InputError: why the subject failed, in words.
        """
        with tempfile.TemporaryDirectory(prefix="rendering-") as folder:
            path = Path(folder) / "picture.npz"
            request = {
                "kind": subject.kind,
                "seed": subject.seed,
                "size": size_px,
                "threads": self._threads,
                "path": str(path),
            }
            try:
                answer = self._ask(request)
            except Lost:
                answer = self._ask(request)
            if "error" in answer:
                raise InputError(answer["error"])
            with np.load(path) as picture:
                colours, alpha = picture["colours"], picture["alpha"]
        return finish(colours, alpha, seed=subject.seed), answer["seconds"]

    def close(self) -> str:
        """End the process; return the last line that it wrote to standard error."""
        if self._process is None:
            return ""
        self._process.kill()
        _, words = self._process.communicate()
        self._process = None
        return printable((words.strip().splitlines() or [""])[-1])

    def _ask(self, request: dict) -> dict:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,  # Ctrl-C is for the command, not for it
            )
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None and pipe_out is not None
        ready = True
        try:
            pipe_in.write(json.dumps(request) + "\n")
            pipe_in.flush()
            ready = bool(select.select([pipe_out], [], [], TIMEOUT_S)[0])
            return json.loads(pipe_out.readline() if ready else "")
        except (OSError, ValueError):
            words = self.close()
            how = "crashed" if ready else f"took over {TIMEOUT_S} s"
            raise Lost(f"Blender {how}{f': {words}' if words else ''}") from None


def render_all(
    python: Path,
    subjects: Iterable[Subject],
    report: Report,
    *,
    size_px: int,
    workers: int,
    threads: int,
) -> None:
    """Render subjects by several processes.

    Args:
      python: interpreter that can import bpy.
      subjects: an iterator that is asked when a process is free; `report` may change
        what it gives next.
      report: called with each subject as it is done, one call at a time: its picture
        or why it failed, and seconds.
      size_px: height and width of the pictures.
      workers: processes.
      threads: of the processor for each of them.
    Raises:
      InputError: Blender does not work at all.
    """
    lock = threading.Lock()
    lost = 0
    waiting = iter(subjects)
    failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def work() -> None:
        nonlocal lost
        with contextlib.closing(Blender(python, threads=threads)) as blender:
            while failures.empty():
                with lock:
                    subject = next(waiting, None)
                if subject is None:
                    return
                result: np.ndarray | InputError
                try:
                    result, seconds = blender.render(subject, size_px)
                except InputError as error:
                    result, seconds = error, 0.0
                with lock:
                    lost = lost + 1 if isinstance(result, Lost) else 0
                    if lost == LOST_RUNNING:
                        raise InputError(
                            f"{result}, over {lost} subjects running; see that Blender "
                            f"works: {python} -c 'import bpy'"
                        )
                    report(subject, result, seconds)

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # handed to the thread that waits
            failures.put(error)

    threads_of_it = [
        threading.Thread(target=guarded, daemon=True) for _ in range(workers)
    ]
    for thread in threads_of_it:
        thread.start()
    for thread in threads_of_it:
        while thread.is_alive():  # in pieces, so that Ctrl-C gets through
            thread.join(1)
    if not failures.empty():
        raise failures.get()
