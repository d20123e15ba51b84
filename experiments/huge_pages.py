"""Huge pages for the arrays of a training on CPUs.

A step takes its temporary arrays, some hundreds of megabytes, from the system and
gives them back. In pages of 4 kB the system spends about a fifth of the step's CPU
time on that. glibc asks for huge ones only if told so before a process starts, and
nothing inside it can make up for that, hence the second start.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "GLIBC_TUNABLES"
SETTING = "glibc.malloc.hugetlb=1"
_SYSTEM = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_huge_pages() -> None:
    """Start this program again, as the same process, with huge pages.

    Does nothing where the user has set GLIBC_TUNABLES, however, where the system has no
    huge pages on demand, or without glibc. Call it before anything is opened.
    """
    if environment := _environment(os.environ, _system_setting()):
        os.execve(sys.executable, sys.orig_argv, environment)


def _environment(current: Mapping[str, str], system: str) -> dict[str, str] | None:
    """Return the environment to start with again; None: stay."""
    useful = "[madvise]" in system and platform.libc_ver()[0] == "glibc"
    if VARIABLE in current or not useful:
        return None
    return {**current, VARIABLE: SETTING}


def _system_setting() -> str:
    return _SYSTEM.read_text() if _SYSTEM.exists() else ""
