"""The files of an evaluation: a row per image, and the manifest beside them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmfnet_jax.errors import InputError

IMAGES_FILE = "images.csv"
MANIFEST_FILE = "manifest.json"
METRICS = ("sad", "mse", "grad", "conn")
HEADINGS = ("SAD/1000", "MSE x1000", "Grad/1000", "Conn/1000")


@dataclasses.dataclass(frozen=True)
class Record:
    """What one image gave: a row of the file.

    Attributes:
      name: of the image in its set.
      variant: of the metrics, see `tmfnet_jax.metrics`.
      sad: SAD / 1000; this and the next three are NaN where the set has no alpha.
      mse: MSE x 1000.
      grad: Grad / 1000.
      conn: Conn / 1000.
      width: in pixels.
      height: in pixels.
      unknown_pixels: of the trimap; where it is 0, mse, grad and conn are 0.
      data_sha256: of the pixels of image, trimap and alpha.
      prediction_sha256: of the prediction's 8-bit pixels.
    """

    name: str
    variant: str
    sad: float
    mse: float
    grad: float
    conn: float
    width: int
    height: int
    unknown_pixels: int
    data_sha256: str
    prediction_sha256: str

    def metrics(self) -> dict[str, float]:
        """Return the four metrics by name."""
        return {metric: getattr(self, metric) for metric in METRICS}


_FIELDS = dataclasses.fields(Record)
COLUMNS = tuple(field.name for field in _FIELDS)
_PARSERS = {"str": str, "int": int, "float": float}
_MAX_BYTES = 2**26  # of a file: some 200,000 images
_MAX_VALUE = 1e12  # of a metric: beyond any image, and sums of it stay finite


def read_records(path: Path) -> list[Record]:
    """Read the rows of a file of images.

    Raises:
      InputError: no such file, another format, a damaged row, a name that occurs
        twice, or a value that no image gives.
    """
    # Not splitlines, which also parts a name at a form feed or within its quotes.
    lines = io.StringIO(_read_text(path), newline="")
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: is no CSV file ({error})") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise InputError(
            f"{path}: begins with {','.join(rows[0])[:60] if rows else 'nothing'!r}; "
            f"expected the columns {','.join(COLUMNS)}, as `tmfnet eval` writes them"
        )
    records: dict[str, Record] = {}
    for number, row in enumerate(rows[1:], start=2):
        try:
            record = _parse(row)
        except ValueError as error:
            raise InputError(
                f"{path}: row {number}: {str(error)[:120]}; delete that row or the "
                "file and evaluate again"
            ) from None
        if record.name in records:
            raise InputError(
                f"{path}: row {number}: {record.name[:80]!r} occurs twice; delete one "
                "of the two"
            )
        records[record.name] = record
    return list(records.values())


def _parse(row: Sequence[str]) -> Record:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} values instead of {len(COLUMNS)}")
    values = {
        field.name: _PARSERS[str(field.type)](text)
        for field, text in zip(_FIELDS, row, strict=True)
    }
    record = Record(**values)
    metrics = record.metrics()
    unmeasured = all(math.isnan(value) for value in metrics.values())
    for metric, value in metrics.items():
        if not unmeasured and not 0 <= value <= _MAX_VALUE:  # nor NaN
            raise ValueError(f"{metric} is {value}")
    if min(record.width, record.height) < 1 or record.unknown_pixels < 0:
        raise ValueError("width, height or unknown_pixels is too small")
    return record


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest; InputError where there is none or it is damaged."""
    text = _read_text(path)
    try:
        manifest = json.loads(text)
        json.dumps(manifest, allow_nan=False)  # loads takes NaN and Infinity
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise InputError(f"{path}: damaged; expected a manifest of `tmfnet eval`")
    return manifest


def _read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # opening a pipe could wait forever
            raise InputError(f"{path}: is not a regular file; name a file")
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: has over {_MAX_BYTES} bytes; name another file")
        # A byte order mark is what spreadsheets put in front.
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check the path and its rights"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no UTF-8 text; name another file") from None


def mean(records: Sequence[Record]) -> dict[str, float]:
    """Average each metric over at least one image: metric to value."""
    return {
        metric: math.fsum(getattr(record, metric) for record in records) / len(records)
        for metric in METRICS
    }
