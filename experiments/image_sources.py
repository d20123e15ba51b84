"""sources.csv: for each image its package, author and licence."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path, PurePosixPath

from input_pipeline.training_data.image_files import some
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

SOURCES_FILE = "sources.csv"


@dataclass(frozen=True)
class ImageSource:
    """A row of sources.csv.

    Attributes:
      image: the path below the folder of sources.csv.
      package: the package that the image, or its original, is from.
      version: of the package.
      file: the path of the original in the package.
      author: as the package states it.
      licence: of the original; of a crop or view, too.
      sha256: of the original.
    """

    image: str
    package: str
    version: str
    file: str
    author: str
    licence: str
    sha256: str


def write_sources(path: Path, rows: Iterable[ImageSource]) -> None:
    """Write a sources.csv.

    Args:
      path: of the file.
      rows: in the order that they get.
    """
    header = tuple(field.name for field in fields(ImageSource))
    with atomic_write(path) as output:
        output.write(_csv([header, *map(astuple, rows)]))


def read_sources(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read a list of sources, ours or one with other columns.

    Args:
      path: of a CSV file whose first column names images.
    Returns:
      The header, and the rows below it.
    Raises:
      InputError: no CSV file in UTF-8, or an empty one.
    """
    try:
        text = path.read_text("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no CSV file in UTF-8 ({error})") from None
    if not rows:
        raise InputError(f"{path}: is empty; expected a row for each image")
    return rows[0], rows[1:]


def sources_of(folder: Path, names: set[str]) -> bytes | None:
    """Return that part of a list of sources that is of some images.

    The list lies in the folder of the images, or in the one above. It names an image
    by its file, or by folder and file.

    Args:
      folder: of the images.
      names: of their files.
    Returns:
      A CSV file; None without a list.
    Raises:
      InputError: as of `read_sources`, or an image without a row.
    """
    places = (folder / SOURCES_FILE, folder.absolute().parent / SOURCES_FILE)
    path = next((place for place in places if place.exists()), None)
    if path is None:
        return None
    header, rows = read_sources(path)
    kept = {}
    for row in rows:
        *above, name = PurePosixPath(row[0]).parts
        if name in names and (not above or above[-1] == folder.absolute().name):
            kept[name] = row
    if lacking := sorted(names - kept.keys()):
        raise InputError(
            f"{path}: has no row for {some(lacking)}; add the source and licence, or "
            "take the photos away"
        )
    return _csv([header, *(row for _, row in sorted(kept.items()))])


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
