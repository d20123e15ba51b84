"""The machine's memory, and the C allocator's habits."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

GIGABYTE = 10**9
# Larger blocks are returned to the system when freed; smaller ones are kept, because
# the system clears every page it hands out: up to half of a short call's time. The
# most that glibc takes.
KEPT_BLOCK_BYTES = 32 * 2**20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


def tune_allocator() -> bool:
    """Let the process reuse freed memory instead of returning it.

    For the whole process, so for programs to call, not for the library. Does
    nothing, and returns False, where the C library is not glibc.
    """
    library = _glibc()
    if library is None:
        return False
    done = library.mallopt(_M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES)
    return bool(done and library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def release_freed() -> None:
    """Return freed memory to the system, where the C library is glibc."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc():
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def available_bytes() -> int:
    """Estimate how much more memory this process may take.

    The smaller of what Linux says is available and what a container's limit
    leaves; elsewhere half of the machine's memory.
    """
    found = [_meminfo("MemAvailable"), _container_rest()]
    known = [value for value in found if value is not None]
    if known:
        return max(0, min(known))
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 * GIGABYTE


def _meminfo(name: str) -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _container_rest() -> int | None:
    """Read what a control group (version 2) still allows."""
    try:
        folder = Path("/sys/fs/cgroup")
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return None
        cached = 0
        for line in (folder / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                cached = int(line.split()[1])
        used = int((folder / "memory.current").read_text())
        return int(limit) - used + cached
    except (OSError, ValueError, IndexError):
        return None


def peak_rss_bytes() -> int:
    """Return the most memory that this process has held so far."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):  # unlike ru_maxrss, not its parent's too
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
