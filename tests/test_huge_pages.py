"""When a training starts itself again for huge pages."""

import platform

import pytest

from experiments import huge_pages

ON_DEMAND = "always [madvise] never\n"


@pytest.fixture(autouse=True)
def glibc(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))


def test_sets_the_variable_and_keeps_the_others():
    environment = huge_pages._environment({"A": "1"}, ON_DEMAND)
    assert environment == {"A": "1", "GLIBC_TUNABLES": huge_pages.SETTING}
    assert "hugetlb=1:" in huge_pages.SETTING


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
    assert huge_pages._environment(current, system) is None


def test_stays_without_glibc(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert huge_pages._environment({}, ON_DEMAND) is None


def test_restarts_with_the_same_arguments(monkeypatch):
    calls = []
    monkeypatch.setattr(huge_pages.os, "execve", lambda *a: calls.append(a))
    monkeypatch.setattr(huge_pages, "_environment", lambda *a: {"A": "1"})
    huge_pages.restart_with_huge_pages()
    ((program, arguments, environment),) = calls
    assert program == huge_pages.sys.executable
    assert arguments == huge_pages.sys.orig_argv
    assert environment == {"A": "1"}


@pytest.mark.parametrize(
    ("flags", "tunables", "expected"),
    [
        ("", huge_pages.SETTING, True),
        ("", "glibc.malloc.hugetlb=1", False),
        ("--xla_force_host_platform_device_count=8", huge_pages.SETTING, False),
    ],
)
def test_computes_in_the_main_thread(flags, tunables, expected):
    current = {"XLA_FLAGS": flags, "GLIBC_TUNABLES": tunables}
    assert huge_pages._in_main_thread(current) is expected
