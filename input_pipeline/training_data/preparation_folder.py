"""A folder of prepared data in the making: its settings, its journal, its leftovers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from input_pipeline.training_data.prepared import (
    BACKGROUNDS,
    FOREGROUNDS,
    SETTINGS_FILE,
)
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

JOURNAL_FILE = "done.jsonl"
_PARTIAL = re.compile(r"\.[0-9a-f]{16}\.tmp")  # what atomic_write leaves when killed

# Of a prepared image: role, name, number, sha256 and stamps of the original's files,
# height, width, and of a background also its file.
Record = dict[str, Any]


class _Lines(Protocol):
    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...


def check_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder of other things, or one prepared with other settings.

    Raises:
      InputError: naming the settings that differ.
    """
    path = folder / SETTINGS_FILE
    if path.is_file():
        try:
            found = json.loads(path.read_bytes())
        except ValueError:
            found = None
        old = found if isinstance(found, dict) else {}
        differing = [
            f"{key} is {old.get(key)} there and {settings.get(key)} here"
            for key in sorted({*old, *settings})
            if old.get(key) != settings.get(key)
        ]
        if differing:
            raise InputError(
                f"{folder}: was prepared otherwise: {', '.join(differing)}; choose "
                "another folder"
            )
    elif folder.exists() and not (folder.is_dir() and _is_empty(folder)):
        raise InputError(
            f"{folder}: is not empty and holds no prepared data; choose a new folder"
        )


def make_folders(folder: Path, settings: Mapping[str, Any]) -> None:
    """Create the folders, and remove what a killed process left half written.

    Raises:
      InputError: if they cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SETTINGS_FILE, settings)
        for place in (folder, folder / FOREGROUNDS, folder / BACKGROUNDS):
            place.mkdir(exist_ok=True)
            for path in place.iterdir():
                if _PARTIAL.fullmatch(path.name):
                    path.unlink()
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be written ({error.strerror}); choose another "
            "folder"
        ) from None


def _is_empty(folder: Path) -> bool:
    return all(_PARTIAL.fullmatch(path.name) for path in folder.iterdir())


def read_journal(folder: Path) -> list[Record]:
    """Read the whole lines of the journal; of an image entered twice, the last one."""
    records: dict[tuple[str, str], Record] = {}
    try:
        lines = (folder / JOURNAL_FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            record = json.loads(line)
            key = record["role"], record["name"]
            if {"number", "stamps", "sha256", "height", "width"} <= record.keys():
                records[key] = record
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # the last line of a killed process
    return list(records.values())


def rewrite_journal(folder: Path, records: list[Record]) -> None:
    """Write the journal anew, without a line that is not whole."""
    with atomic_write(folder / JOURNAL_FILE) as file:
        for record in records:
            append(file, record)


def append(journal: _Lines, record: Record) -> None:
    """Enter an image in the open journal, once its files are there."""
    journal.write(json.dumps(record).encode() + b"\n")
    journal.flush()


def write_json(path: Path, values: object) -> None:
    """Write values as JSON, whole or not at all."""
    with atomic_write(path) as file:
        file.write(json.dumps(values, indent=1).encode() + b"\n")
