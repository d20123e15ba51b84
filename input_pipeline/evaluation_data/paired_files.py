"""Files of several folders that belong together by their names without suffix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tmfnet_jax.errors import InputError
from tmfnet_jax.jobs import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Pairing:
    """What belongs together and what is left over.

    Attributes:
      rows: for each complete name its files, in order of the folders.
      found: how many of the names each folder has, in order of the folders.
      missing: files that are absent, or there more than once.
      surplus: files of no name, and files that are no images by their suffix.
    """

    rows: dict[str, tuple[Path, ...]]
    found: tuple[int, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


def find_layout(root: Path, layouts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the first layout whose first folder exists below `root`.

    Args:
      root: folder that a user gave.
      layouts: of each, the folders that it consists of, by paths below `root`.
    Raises:
      InputError: no such root, none of the layouts, or a folder of the one found
        is missing, all of those at once.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise InputError(f"{root}: {what}; give the folder of the data set")
    layout = next((f for f in layouts if (root / f[0]).is_dir()), layouts[0])
    absent = [folder for folder in layout if not (root / folder).is_dir()]
    if absent:
        # Where not even the first folder was found, any of the layouts will do.
        fitting = [layout] if layout[0] not in absent else layouts
        raise InputError(
            f"{root}: no such folder below it: {', '.join(absent)}; expected the "
            "folders " + "; or ".join(", ".join(folders) for folders in fitting)
        )
    return layout


def stems(folder: Path) -> list[str]:
    """Return the sorted names without suffix of the images in a folder."""
    return sorted(_by_stem(folder)[0])


def pair_files(root: Path, folders: Sequence[str], *, names: Sequence[str]) -> Pairing:
    """Find one file for every name in every folder.

    Args:
      root: folder of them all.
      folders: paths below `root`.
      names: without suffix.
    """
    rows: dict[str, list[Path]] = {name: [] for name in names}
    found, missing, surplus = [], [], []
    for folder in folders:
        files, others = _by_stem(root / folder)
        count = 0
        for name in names:
            paths = files.pop(name, [])
            count += bool(paths)
            if len(paths) == 1:
                rows[name].append(paths[0])
            else:
                several = ", ".join(path.name for path in paths)
                hint = f" (there are {several}; keep one)" if several else ""
                missing.append(f"{folder}/{name}{hint}")
        left = [*(path for paths in files.values() for path in paths), *others]
        surplus += [f"{folder}/{path.name}" for path in sorted(left)]
        found.append(count)
    return Pairing(
        rows={
            n: tuple(files) for n, files in rows.items() if len(files) == len(folders)
        },
        found=tuple(found),
        missing=tuple(missing),
        surplus=tuple(surplus),
    )


def _by_stem(folder: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """List the images of a folder by stem, and apart from them all other files."""
    images, others = defaultdict(list), []
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be listed ({error.strerror}); check its rights"
        ) from None
    for path in paths:
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            images[path.stem].append(path)
        else:
            others.append(path)
    return images, others
