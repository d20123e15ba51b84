"""When a training starts itself again to keep its memory."""

import platform

import pytest

from experiments import kept_memory

ON_DEMAND = "always [madvise] never\n"


@pytest.fixture(autouse=True)
def glibc(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))


def test_sets_the_variable_and_keeps_the_others():
    environment = kept_memory._environment({"A": "1"}, ON_DEMAND)
    assert environment == {"A": "1", "GLIBC_TUNABLES": kept_memory.SETTING}
    assert "hugetlb=1:" in kept_memory.SETTING


@pytest.mark.parametrize(
    ("current", "system"),
    [
        ({"GLIBC_TUNABLES": ""}, ON_DEMAND),
        ({}, "[always] madvise never\n"),
        ({}, "always madvise [never]\n"),
        ({}, ""),
    ],
)
def test_stays(current, system):
    assert kept_memory._environment(current, system) is None


def test_stays_without_glibc(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert kept_memory._environment({}, ON_DEMAND) is None


def test_restarts_with_the_same_arguments(monkeypatch):
    calls = []
    monkeypatch.setattr(kept_memory.os, "execve", lambda *a: calls.append(a))
    monkeypatch.setattr(kept_memory, "_environment", lambda *a: {"A": "1"})
    kept_memory.restart_keeping_memory()
    ((program, arguments, environment),) = calls
    assert program == kept_memory.sys.executable
    assert arguments == kept_memory.sys.orig_argv
    assert environment == {"A": "1"}


@pytest.mark.parametrize(
    ("tunables", "expected"),
    [(kept_memory.SETTING, [False]), ("glibc.malloc.hugetlb=1", []), ("", [])],
)
def test_computes_in_the_main_thread(monkeypatch, tunables, expected):
    monkeypatch.setenv(kept_memory.VARIABLE, tunables)
    calls = []
    monkeypatch.setattr(kept_memory.jax.config, "update", lambda *a: calls.append(a))
    kept_memory.restart_keeping_memory()
    assert calls == [("jax_cpu_enable_async_dispatch", value) for value in expected]
