"""Memory of the machine as Linux and containers tell it."""

from __future__ import annotations

import ctypes
import sys

import pytest

from tmfnet_jax.serving import memory

GIB = 2**30


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A machine whose files under /proc and /sys hold what a test says."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / PLACES[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    monkeypatch.setattr(memory, "Path", lambda path: tmp_path / path.lstrip("/"))
    return write


PLACES = {
    "meminfo": "proc/meminfo",
    "limit": "sys/fs/cgroup/memory.max",
    "used": "sys/fs/cgroup/memory.current",
    "stat": "sys/fs/cgroup/memory.stat",
}
MEMINFO = "MemTotal:  9 kB\nMemAvailable:    4194304 kB\nSwapTotal: 0 kB\n"


def test_this_machine_has_memory():
    assert 0 < memory.available_bytes() < 2**50
    assert 0 < memory.peak_rss_bytes() < 2**50


def test_machine_without_limit(system):
    system(meminfo=MEMINFO, limit="max\n")
    assert memory.available_bytes() == 4 * GIB


def test_the_containers_limit_counts_if_it_is_smaller(system):
    stat = f"anon 5\ninactive_file {GIB // 2}\nfile 7\n"
    system(meminfo=MEMINFO, limit=f"{2 * GIB}\n", used=f"{GIB}\n", stat=stat)
    # What is cached of files gives way.
    assert memory.available_bytes() == 3 * GIB // 2
    system(limit=f"{64 * GIB}\n")
    assert memory.available_bytes() == 4 * GIB
    system(limit=f"{GIB // 4}\n")
    assert memory.available_bytes() == 0


@pytest.mark.parametrize("text", ["", "MemAvailable:\n", "MemAvailable: much kB\n"])
def test_unreadable_files_are_passed_over(system, text):
    system(meminfo=text, limit="lots", used="", stat="inactive_file\n")
    assert memory.available_bytes() > 0  # a share of the machine's memory


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_have_no_glibc(monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    assert memory.tune_allocator() is False
    memory.release_freed()


def test_allocator_is_told_what_to_keep(monkeypatch):
    calls = {}

    class Glibc:
        gnu_get_libc_version = None

        def mallopt(self, option, value):
            calls[option] = value
            return 1

        def malloc_trim(self, kept):
            calls["trim"] = kept

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Glibc())
    assert memory.tune_allocator() is True
    memory.release_freed()
    assert calls == {-1: 2**31 - 1, -3: memory.KEPT_BLOCK_BYTES, "trim": 0}
