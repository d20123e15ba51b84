"""Memory that a training on CPUs keeps from step to step, in huge pages.

A step takes its temporary arrays, some hundreds of megabytes, from the system and
gives them back, which costs a good part of its CPU time (docs/benchmarks.md). glibc
asks for huge pages, and keeps what it has, only if told so before a process starts,
hence the second start. It keeps large arrays of the main thread alone, hence steps are
computed there and not in a thread of their own.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import jax

VARIABLE = "GLIBC_TUNABLES"
SETTING = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in (("hugetlb", 1), ("mmap_max", 0), ("trim_threshold", 1 << 40))
)
_SYSTEM = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_keeping_memory() -> None:
    """Start this program again, as the same process, with memory kept in huge pages.

    Does nothing where the user has set GLIBC_TUNABLES, however, where the system has no
    huge pages on demand, or without glibc. Call it before anything is opened and before
    JAX computes.
    """
    if environment := _environment(os.environ, _system_setting()):
        os.execve(sys.executable, sys.orig_argv, environment)
    if os.environ.get(VARIABLE) == SETTING:
        jax.config.update("jax_cpu_enable_async_dispatch", False)


def _environment(current: Mapping[str, str], system: str) -> dict[str, str] | None:
    """Return the environment to start with again; None: stay."""
    useful = "[madvise]" in system and platform.libc_ver()[0] == "glibc"
    if VARIABLE in current or not useful:
        return None
    return {**current, VARIABLE: SETTING}


def _system_setting() -> str:
    return _SYSTEM.read_text() if _SYSTEM.exists() else ""
