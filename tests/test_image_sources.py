"""Lists of sources: written, read, and cut down to some images."""

from __future__ import annotations

import pytest

from experiments.image_sources import (
    ImageSource,
    read_sources,
    sources_of,
    write_sources,
)
from tmfnet_jax.errors import InputError

ROWS = [
    ImageSource("test/a.jpg", "p", "1", "x/a.jpg", "Ann, 2018", "CC-BY-4.0", "00"),
    ImageSource("train/a.jpg", "p", "1", "x/b.jpg", "Bob", "CC0-1.0", "11"),
]


def test_what_is_written_is_read(tmp_path):
    write_sources(tmp_path / "sources.csv", ROWS)
    header, rows = read_sources(tmp_path / "sources.csv")
    assert header[:2] == ["image", "package"]
    assert [ImageSource(*row) for row in rows] == ROWS


@pytest.mark.parametrize("folder", ["train", "test"])
def test_a_list_above_the_folder_tells_equal_names_apart(tmp_path, folder):
    (tmp_path / folder).mkdir()
    write_sources(tmp_path / "sources.csv", ROWS)
    _, row = sources_of(tmp_path / folder, {"a.jpg"}).decode().splitlines()
    assert row.startswith(f"{folder}/a.jpg,")
    with pytest.raises(InputError, match="has no row for b.jpg"):
        sources_of(tmp_path / folder, {"a.jpg", "b.jpg"})


def test_a_list_in_the_folder_comes_first(tmp_path):
    (tmp_path / "test").mkdir()
    write_sources(tmp_path / "sources.csv", ROWS)
    (tmp_path / "test" / "sources.csv").write_text("image,licence\na.jpg,CC0-1.0\n")
    found = sources_of(tmp_path / "test", {"a.jpg"})
    assert found == b"image,licence\na.jpg,CC0-1.0\n"


def test_without_a_list(tmp_path):
    (tmp_path / "test").mkdir()
    assert sources_of(tmp_path / "test", {"a.jpg"}) is None
