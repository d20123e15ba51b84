"""Lists of file names that come with a data set: text from outside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from input_pipeline.evaluation_data.dataset_files import DatasetFiles
from tmfnet_jax.errors import InputError


def read_names(
    files: DatasetFiles, path: str, *, expected: int | None = None
) -> list[str]:
    """Read one file name per line; blank lines and spaces around names are dropped.

    Args:
      files: holds the list.
      path: of the list in `files`.
      expected: how many names there must be; None: any number but none.
    Raises:
      InputError: absent, no text, another number of names, or a name that leads out
        of its folder or cannot be shown.
    """
    called = files.describe(path)
    try:
        text = files.read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{called}: is no text in UTF-8; put the original file there"
        ) from None
    names = [line.strip() for line in text.splitlines() if line.strip()]
    for name in names:
        if name.startswith(".") or {"/", "\\"} & set(name) or not name.isprintable():
            raise InputError(
                f"{called}: has the line {name[:100]!a}; expected plain file names, "
                "put the original file there"
            )
    if expected is None and not names:
        raise InputError(f"{called}: has no names; put the original file there")
    if expected is not None and len(names) != expected:
        raise InputError(
            f"{called}: has {len(names)} names; expected {expected}, put the original "
            "file there"
        )
    return names


def refuse_namesakes(names: Sequence[str], *, called: str) -> None:
    """Refuse names that are alike without their suffix; `called` names the list."""
    stems = [PurePosixPath(name).stem for name in names]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(
            f"{called}: names more than once: {', '.join(twice)}; put the original "
            "file there"
        )
