"""The files of an evaluation: read whole, or refused in one line."""

from __future__ import annotations

import math
import os

import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import (
    COLUMNS,
    mean,
    read_manifest,
    read_records,
)
from tmfnet_jax.record_file import write_records

HEADER = ",".join(COLUMNS)
ROW = "GT01,python,1.5,2.25,0.125,3.0,640,480,1000,aa,bb"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images.csv"


def test_rows_are_read_in_their_order(path):
    path.write_text(f"{HEADER}\n{ROW}\n{ROW.replace('GT01', 'GT00')}\n")
    first, second = read_records(path)
    assert (first.name, second.name) == ("GT01", "GT00")
    assert (first.variant, first.data_sha256, first.prediction_sha256) == (
        "python",
        "aa",
        "bb",
    )
    assert (first.sad, first.mse, first.grad, first.conn) == (1.5, 2.25, 0.125, 3.0)
    assert (first.width, first.height, first.unknown_pixels) == (640, 480, 1000)


@pytest.mark.parametrize(
    "name", ["a b", "folder/GT", 'say "cheese", please', "page\fbreak", "two\nlines"]
)
def test_any_name_survives_writing_and_reading(path, name):
    path.write_text(f"{HEADER}\n{ROW}\n")
    (record,) = read_records(path)
    changed = record.__class__(**{**vars(record), "name": name})
    write_records(path, [changed])
    assert read_records(path) == [changed]


def test_no_rows_are_no_error(path):
    path.write_text(f"{HEADER}\n")
    assert read_records(path) == []


def test_as_a_spreadsheet_saves_it(path):
    path.write_bytes(f"\ufeff{HEADER}\r\n{ROW}\r\n".encode())
    assert [record.name for record in read_records(path)] == ["GT01"]


def test_an_image_without_alpha_has_no_metrics(path):
    path.write_text(f"{HEADER}\nGT01,python,nan,nan,nan,nan,640,480,1000,aa,bb\n")
    (record,) = read_records(path)
    assert math.isnan(record.sad) and math.isnan(record.conn)


@pytest.mark.parametrize(
    "row, message",
    [
        (ROW.rpartition(",")[0], "10 values instead of 11"),
        (f"{ROW},", "12 values instead of 11"),
        ("", "0 values instead of 11"),
        (ROW.replace("1.5", "nan"), "sad is nan"),
        (ROW.replace("2.25", "inf"), "mse is inf"),
        (ROW.replace("0.125", "-0.1"), "grad is -0.1"),
        (ROW.replace("3.0", "1e300"), "conn is 1e"),
        (ROW.replace("1.5", "one"), "'one'"),
        (ROW.replace("640", "640.0"), "'640.0'"),
        (ROW.replace("640", "0"), "is too small"),
        (ROW.replace("1000", "-1"), "is too small"),
        (ROW.replace("1.5", "\x1b[31m" * 9999), r"\\x1b\[31m"),
    ],
)
def test_a_damaged_row_is_named(path, row, message):
    path.write_text(f"{HEADER}\n{ROW.replace('GT01', 'GT00')}\n{row}\n")
    with pytest.raises(InputError, match=message) as refusal:
        read_records(path)
    text = str(refusal.value)
    assert text.startswith(f"{path}: row 3: ")
    assert text.isprintable() and len(text) < 400


def test_a_name_that_occurs_twice(path):
    row = ROW.replace("GT01", "GT\x1b01")
    path.write_text(f"{HEADER}\n{row}\n{row}\n")
    with pytest.raises(InputError, match=r"row 3: 'GT\\x1b01' occurs twice"):
        read_records(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "begins with 'nothing'"),
        (b"\n", "begins with ''"),
        (b"name,sad\nGT01,1\n", "begins with 'name,sad'; expected the columns name,"),
        (f"{HEADER},x\n{ROW},1\n".encode(), "expected the columns"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "is no UTF-8 text"),
        (b"\x00" * 500, r"begins with '\\x00"),
        (b"x" * 200_000, "is no CSV file .field larger than"),
        (f'{HEADER}\n"GT01'.encode(), "is no CSV file .unexpected end"),
    ],
)
def test_what_is_no_file_of_images(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refusal:
        read_records(path)
    text = str(refusal.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable() and len(text) < 500


@pytest.mark.parametrize("read", [read_records, read_manifest])
def test_what_cannot_be_read(tmp_path, read):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "missing")
    with pytest.raises(InputError, match="not a regular file"):
        read(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # opening it would wait for a writer
    with pytest.raises(InputError, match="not a regular file"):
        read(pipe)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(2**27)  # takes no room on disk
    with pytest.raises(InputError, match="has over 67108864 bytes"):
        read(huge)


def test_manifest(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text('{"format": 1, "mean": null, "data": {"set": "triples"}}')
    assert read_manifest(path) == {
        "format": 1,
        "mean": None,
        "data": {"set": "triples"},
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"mean": ',
        b'{"mean": NaN}',
        b'{"mean": 1e999}',
        b'{"mean": ' + b"9" * 5000 + b"}",
        b'{"a":' * 100_000,
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_damaged_manifest(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged; expected a manifest"):
        read_manifest(path)


def test_mean(path):
    path.write_text(f"{HEADER}\n{ROW}\n{ROW.replace('GT01,python,1.5', 'b,python,2')}")
    assert mean(read_records(path)) == {
        "sad": 1.75,
        "mse": 2.25,
        "grad": 0.125,
        "conn": 3.0,
    }
