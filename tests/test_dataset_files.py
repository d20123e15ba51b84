"""Folders and zip files behind one interface, also damaged and hostile ones."""

from __future__ import annotations

import os
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from miniatures import zipped

from input_pipeline.evaluation_data import dataset_files
from input_pipeline.evaluation_data.dataset_files import open_files
from tmfnet_jax.errors import InputError

CONTENTS = {
    "list.txt": b"top",
    "a/list.txt": b"first",
    "a/b/c/list.txt": b"third " * 500,
    "a/b/x.bin": bytes(range(256)),
}


@pytest.fixture
def folder(tmp_path):
    for name, data in CONTENTS.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "data" / "a" / ".hidden").write_bytes(b"")
    (tmp_path / "data" / ".trash").mkdir()
    (tmp_path / "data" / ".trash" / "list.txt").write_bytes(b"")
    return tmp_path / "data"


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_both_list_and_read_alike(folder, tmp_path, kind):
    place = folder if kind == "folder" else zipped(folder, tmp_path / "data.zip")
    files = open_files(place)
    assert files.names("") == ["list.txt"]
    assert files.names("a") == ["list.txt"]
    assert files.names("a/b") == ["x.bin"]
    assert files.names("b") == []
    assert files.folders_with("list.txt") == ["", "a", "a/b/c"]
    assert files.folders_with("x") == []
    for name, data in CONTENTS.items():
        assert files.read(name) == data
    for absent in ("a/none", "a"):
        with pytest.raises(InputError, match=f"data.*{absent}: (is|cannot be)"):
            files.read(absent)


def test_a_folder_is_searched_three_folders_deep(folder):
    deep = folder / "a" / "b" / "c" / "d"
    deep.mkdir()
    (deep / "deep.txt").write_bytes(b"")
    (folder / "link").symlink_to(folder / "a" / "b")
    files = open_files(folder)
    assert files.folders_with("deep.txt") == ["link/c/d"]
    assert files.folders_with("x.bin") == ["a/b", "link"]


def test_windows_zip_files_have_other_slashes(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("top\\a b\\x.txt", b"1")
    files = open_files(tmp_path / "w.zip")
    assert files.folders_with("x.txt") == ["top/a b"]
    assert files.read("top/a b/x.txt") == b"1"


def test_places_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match="none: no such folder or zip file"):
        open_files(tmp_path / "none")
    (tmp_path / "text.zip").write_bytes(b"hello")
    with pytest.raises(InputError, match="text.zip: is cut short, damaged or no zip"):
        open_files(tmp_path / "text.zip")


def test_zip_files_that_are_cut_short(folder, tmp_path):
    data = zipped(folder, tmp_path / "data.zip").read_bytes()
    for length in (0, 30, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.zip").write_bytes(data[:length])
        with pytest.raises(InputError, match="cut.zip: is cut short"):
            open_files(tmp_path / "cut.zip")


def test_damaged_zip_files_never_end_in_another_error(folder, tmp_path):
    data = zipped(folder, tmp_path / "data.zip").read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        broken = bytearray(data)
        broken[random.integers(len(data))] = random.integers(256)
        (tmp_path / "broken.zip").write_bytes(broken)
        try:
            files = open_files(tmp_path / "broken.zip")
            for name, content in CONTENTS.items():
                assert files.read(name) == content
        except InputError:
            refused += 1
    assert 50 < refused < 400


def patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite a field in every header with this signature."""
    result, at = bytearray(data), data.find(signature)
    while at >= 0:
        result[at + offset : at + offset + len(value)] = value
        at = data.find(signature, at + 1)
    return bytes(result)


def test_encrypted_members_are_refused(folder, tmp_path):
    file = zipped(folder, tmp_path / "data.zip")
    data = patched(file.read_bytes(), b"PK\1\2", 8, b"\1\0")
    file.write_bytes(patched(data, b"PK\3\4", 6, b"\1\0"))
    files = open_files(file)
    with pytest.raises(InputError, match=r"data.zip: a/list.txt: is encrypted; unpack"):
        files.read("a/list.txt")


def test_other_compression_is_refused(folder, tmp_path):
    files = open_files(
        zipped(folder, tmp_path / "data.zip", compress_type=zipfile.ZIP_BZIP2)
    )
    with pytest.raises(InputError, match="list.txt: has compression 12, which"):
        files.read("list.txt")


def test_sizes_are_limited_and_not_believed(folder, tmp_path, monkeypatch):
    file = zipped(folder, tmp_path / "data.zip")
    true = open_files(file)
    data = file.read_bytes()
    for claimed in (4, 2**31):
        size = struct.pack("<I", claimed)
        lying = patched(data, b"PK\1\2", 24, size)
        file.with_name("lie.zip").write_bytes(lying)
        with pytest.raises(
            InputError, match=r"c/list.txt: (is damaged|has 2147483648)"
        ):
            open_files(file.with_name("lie.zip")).read("a/b/c/list.txt")
    monkeypatch.setattr(dataset_files, "MAX_FILE_BYTES", 1000)
    for files in (true, open_files(folder)):
        assert files.read("a/list.txt") == b"first"
        with pytest.raises(InputError, match="list.txt: has 3000 bytes; expected at"):
            files.read("a/b/c/list.txt")


def test_pipes_are_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    files = open_files(folder)
    assert files.names("") == ["list.txt"]
    with pytest.raises(InputError, match="pipe: is no regular file"):
        files.read("pipe")


def test_threads_read_one_zip_file(folder, tmp_path):
    files = open_files(zipped(folder, tmp_path / "data.zip"))
    names = [*CONTENTS] * 50
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(files.read, names))
    assert read == [CONTENTS[name] for name in names]
