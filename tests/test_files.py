"""Atomic writes: complete or not there, with the rights a plain open would give."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, content=b"new"):
    with atomic_write(path) as file:
        file.write(content)


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "büro ünd 写真.bin"
    write(path, b"old")
    assert path.read_bytes() == b"old"
    write(str(path))
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == [path.name]


def test_longest_file_name_is_writable(tmp_path):
    path = tmp_path / ("n" * 255)
    write(path)
    assert path.read_bytes() == b"new"


def test_relative_path_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("here")
    assert (tmp_path / "here").read_bytes() == b"new"


def test_nothing_shows_before_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, b"old"])
def test_error_inside_leaves_what_was_there(tmp_path, error, old):
    path = tmp_path / "file"
    if old:
        path.write_bytes(old)
    with pytest.raises(error), atomic_write(path) as file:
        file.write(b"half")
        raise error
    assert names(tmp_path) == (["file"] if old else [])
    assert not old or path.read_bytes() == old


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(InputError) as caught:
        write(path)
    assert str(caught.value) == (
        f"{path}: cannot be written (No space left on device); nothing was changed, "
        "choose another place"
    )
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_folders_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for place, reason in (
        (tmp_path, "not a regular file"),
        (tmp_path / "missing" / "file", "No such file"),
        (tmp_path / "file" / "file", "Not a directory"),
    ):
        with pytest.raises(InputError, match=rf"cannot be written \({reason}"):
            write(place)
    assert names(tmp_path) == ["file"]


def test_devices_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        write(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_rights_are_those_of_a_plain_open(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o604)
    before = os.umask(0o027)
    try:
        write(new)
        write(old)
    finally:
        os.umask(before)
    assert rights(new) == 0o640
    assert rights(old) == 0o604
    assert old.read_bytes() == b"new"


def test_protected_file_and_folder_are_respected(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    # The superuser may write anywhere; here it may not.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="protected from writing"):
        write(path)
    monkeypatch.undo()
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(InputError, match="Permission denied"):
            write(path)
        tmp_path.chmod(0o700)
    assert path.read_bytes() == b"old"


def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
