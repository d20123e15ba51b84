"""Processes that render, in Blender's interpreter."""

from __future__ import annotations

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
        self._stopped = False

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

    def stop(self) -> None:
        """End what it renders, from another thread; it renders nothing more."""
        self._stopped = True
        if process := self._process:
            process.kill()

    def close(self) -> str:
        """End the process; return the last line that it wrote to standard error."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.kill()
        _, words = process.communicate()
        return printable((words.strip().splitlines() or [""])[-1])

    def _ask(self, request: dict) -> dict:
        if self._stopped:
            raise Lost("Blender was stopped")
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
    lock, stopping = threading.Lock(), threading.Event()
    lost = 0
    waiting = iter(subjects)
    errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def work(blender: Blender) -> None:
        nonlocal lost
        while True:
            with lock:
                subject = None if stopping.is_set() else next(waiting, None)
            if subject is None:
                return
            result: np.ndarray | InputError
            try:
                result, seconds = blender.render(subject, size_px)
            except InputError as error:
                result, seconds = error, 0.0
            with lock:
                if stopping.is_set():  # Blender was ended, it did not fail
                    return
                lost = lost + 1 if isinstance(result, Lost) else 0
                if lost == LOST_RUNNING:
                    raise InputError(
                        f"{result}, over {lost} subjects running; see that Blender "
                        f"works: {python} -c 'import bpy'"
                    )
                report(subject, result, seconds)

    def guarded(blender: Blender) -> None:
        try:
            work(blender)
        except BaseException as error:  # handed to the thread that waits
            errors.put(error)
            stopping.set()
        finally:
            blender.close()

    blenders = [Blender(python, threads=threads) for _ in range(workers)]
    running = [
        threading.Thread(target=guarded, args=[blender], daemon=True)
        for blender in blenders
    ]
    try:
        for thread in running:
            thread.start()
        for thread in running:
            while thread.is_alive() and not stopping.is_set():
                thread.join(0.2)  # in pieces, so that Ctrl-C gets through
    finally:
        stopping.set()
        for blender, thread in zip(blenders, running, strict=True):
            blender.stop()
            thread.join()
    if not errors.empty():
        raise errors.get()
