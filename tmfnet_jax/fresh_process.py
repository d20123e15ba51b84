"""Calls in a process of their own, whose memory is theirs alone."""

from __future__ import annotations

import multiprocessing
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tmfnet_jax.errors import InputError


def in_fresh_process(
    function: Callable, *arguments, timeout_s: float | None = None
) -> Any:
    """Call a function in a new interpreter and return what it returns.

    Raises:
      InputError: raised there.
      RuntimeError: in one line, for any other failure there, or after the timeout.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, function, *arguments))
    process.start()
    sender.close()  # so that a child that dies ends the wait
    try:
        if receiver.poll(timeout_s):
            kind, value = receiver.recv()
        else:
            process.kill()
            kind, value = "failure", f"stopped after {timeout_s:.0f} s"
    except EOFError:
        process.join()
        kind, value = "failure", _death(process.exitcode or 0)
    process.join()
    if kind == "result":
        return value
    raise (InputError if kind == "input" else RuntimeError)(value)


def _answer(sender, function: Callable, *arguments) -> None:
    _volunteer_when_memory_ends()
    try:
        answer = ("result", function(*arguments))
    except InputError as error:
        answer = ("input", str(error))
    except Exception as error:  # whatever fails is a row of the table
        text = f"{type(error).__name__}: {error}"
        answer = ("failure", textwrap.shorten(text, 120))
    sender.send(answer)


def _volunteer_when_memory_ends() -> None:
    """Have Linux end this process, no other one, when memory runs out."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        return


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed, most likely out of memory"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
