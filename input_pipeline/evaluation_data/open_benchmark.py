"""The open test set: Composition-1k's layout and rules, with subjects of our own.

`python -m experiments.open_test_set` makes it. Two people have the same one if it has
the same digest: the SHA-256 of SHA256SUMS, a line per file as `sha256sum` writes them,
in order of the names. So `sha256sum -c SHA256SUMS` finds a damaged file, too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from input_pipeline.evaluation_data.composition_benchmarks import (
    BACKGROUND_NAMES,
    FOREGROUND_NAMES,
    CompositionSpec,
    composition_set,
    find_files,
    find_top,
    read_plan,
)
from input_pipeline.evaluation_data.dataset_files import DatasetFiles, join, open_files
from input_pipeline.evaluation_data.evaluation import EvaluationSet
from input_pipeline.evaluation_data.name_lists import read_names
from tmfnet_jax.errors import InputError

OPEN_TEST = CompositionSpec(
    name="open",
    foregrounds=50,
    backgrounds_each=20,
    images_folder="",
    background_folders=("", "bg"),
    backgrounds_source="the open test set",
    source=(
        "made by this project: python -m experiments.open_test_set; the backgrounds' "
        "sources: sources.csv in the set"
    ),
    licence=(
        "subjects, alphas and trimaps: CC0-1.0; backgrounds: each its own, see "
        "sources.csv in the set"
    ),
)
# Of the official set, rendered and composed at c76521f.
OPEN_TEST_DIGEST = "ab7f27453485887e39b597363e74bc37635a93afd8c21c6bb990d4521c5f39ca"
SUMS_FILE = "SHA256SUMS"
# Of the roles of `composition_benchmarks`.
FOLDERS = {"fg": "fg", "alpha": "alpha", "trimaps": "trimaps", "backgrounds": "bg"}
_LISTS = (FOREGROUND_NAMES, BACKGROUND_NAMES)


def open_test_set(
    place: Path, *, backgrounds: Path | None = None, count: int | None = None
) -> EvaluationSet:
    """Open the open test set, whole or a part of it, and check its files.

    All files are read once for their digests, some seconds for a thousand images.

    Args:
      place: folder or zip file, as for `composition_set`.
      backgrounds: folder of the backgrounds; None: `bg` in the set.
      count: images of a part, spread evenly over the subjects, so that a smaller
        part is within a larger one up to whole rounds; None: the whole set.
    Returns:
      The set. Its inventory counts damaged files, those that differ from
      SHA256SUMS, as missing, and notes whether it is the official set. Its settings
      state the digest.
    Raises:
      InputError: as for `composition_set`; a damaged SHA256SUMS; a count that the
        set does not have.
    """
    files = open_files(place)
    top = find_top(files, OPEN_TEST)
    subjects = read_names(files, join(top, FOREGROUND_NAMES))
    spec = dataclasses.replace(OPEN_TEST, foregrounds=len(subjects))
    if backgrounds is None:
        backgrounds, own = place, (join(top, FOLDERS["backgrounds"]),)
        spec = dataclasses.replace(spec, background_folders=own)
    whole = composition_set(place, backgrounds=backgrounds, spec=spec)
    photos = open_files(backgrounds)
    plan = read_plan(files, top, spec)
    present = find_files(files, photos, top=top, spec=spec)
    counted = counted_files(plan)
    found = {}
    for name, (role, file) in tqdm(
        counted.items(),
        unit="file",
        desc="checking",
        delay=1,
        leave=False,
        disable=None,
    ):
        if not role:
            found[name] = sha256(files.read(join(top, file)))
        elif file in present[role]:
            source = photos if role == "backgrounds" else files
            found[name] = sha256(source.read(present[role][file]))
    stated = _stated_sums(files, top)
    damaged = {n for n in found if n in stated and stated[n] != found[n]}
    inventory = whole.inventory
    surplus = [*inventory.surplus]
    if backgrounds == place:
        surplus += sorted(
            join(FOLDERS["backgrounds"], file)
            for file in present["backgrounds"]
            if join(FOLDERS["backgrounds"], file) not in counted
        )
    missing = (
        *inventory.missing,
        *(f"{n} (damaged: differs from {SUMS_FILE})" for n in sorted(damaged)),
    )
    digest = None if missing else sums_digest(found)
    notes = [_digest_note(digest)]
    if not stated:
        notes.append(f"there is no {SUMS_FILE}, so damaged files cannot be found")
    settings = {
        **whole.settings,
        "set_sha256": digest,
        "official": digest == OPEN_TEST_DIGEST,
    }
    names = [
        name
        for name, parts in plan.items()
        if name in whole.names
        and not any(join(FOLDERS[r], file) in damaged for r, file in parts.items())
    ]
    if count is not None:
        part = spread(list(plan), spec.backgrounds_each, count)
        names = [name for name in names if name in part]
        if count < len(plan):
            settings["count"] = count
            notes.append(f"{count} of {len(plan)} images: not the whole set")
    return dataclasses.replace(
        whole,
        settings=settings,
        inventory=dataclasses.replace(
            inventory, missing=missing, surplus=tuple(surplus), notes=tuple(notes)
        ),
        names=tuple(names),
        kind=kind_of,
    )


def kind_of(name: str) -> str:
    """Tell the kind of a subject or example: fur of fur-0003 and of fur-0003_7."""
    return name.rpartition("-")[0] or name.rpartition("_")[0] or name


def spread(names: Sequence[str], each: int, count: int) -> set[str]:
    """Choose `count` of the names, equally many of each subject as far as possible.

    Args:
      names: of all examples, `each` of them of a subject, one subject after the
        other.
      each: images of a subject.
      count: how many to choose: of every subject its first ones, and one more of
        subjects at equal distances where it does not divide.
    Raises:
      InputError: a count out of range.
    """
    if not 1 <= count <= len(names):
        raise InputError(
            f"the set has no part of {count} images; give 1 to {len(names)}"
        )
    subjects = len(names) // each
    rounds, rest = divmod(count, subjects)
    chosen = {names[i * each + j] for i in range(subjects) for j in range(rounds)}
    return chosen | {names[t * subjects // rest * each + rounds] for t in range(rest)}


def counted_files(
    plan: Mapping[str, Mapping[str, str]],
) -> dict[str, tuple[str, str]]:
    """Name the files that make the set what it is.

    Args:
      plan: of each example its file names by role.
    Returns:
      Of each path within the set its role and file name, sorted; the role of the
      lists of names is "".
    """
    counted = {name: ("", name) for name in _LISTS}
    for parts in plan.values():
        counted |= {
            join(FOLDERS[role], file): (role, file) for role, file in parts.items()
        }
    return dict(sorted(counted.items()))


def sha256(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sums_text(sums: Mapping[str, str]) -> str:
    """Write paths and their SHA-256 as lines of SHA256SUMS, in order of the paths."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def sums_digest(sums: Mapping[str, str]) -> str:
    """Return the digest of a set from its paths and their SHA-256."""
    return sha256(sums_text(sums).encode())


def parse_sums(data: bytes, *, called: str) -> dict[str, str]:
    """Read SHA256SUMS: of each path its SHA-256; InputError where it is damaged."""
    sums = {}
    for line in data.decode("utf-8", "replace").splitlines():
        parts = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if parts is None:
            raise InputError(
                f"{called}: has the line {line[:80]!a}; expected a SHA-256 and a "
                "path, put the original file there"
            )
        sums[parts[2]] = parts[1]
    return sums


def official_note(digest: str) -> str:
    """Say in words whether this is the digest of the official set."""
    if digest == OPEN_TEST_DIGEST:
        return f"this is the official set, digest {digest}"
    return (
        f"this is another set: numbers are not comparable (digest {digest}, of the "
        f"official set {OPEN_TEST_DIGEST})"
    )


def _digest_note(digest: str | None) -> str:
    if digest is None:
        return "files are missing or damaged, so the set has no digest"
    return official_note(digest)


def _stated_sums(files: DatasetFiles, top: str) -> dict[str, str]:
    """Read the set's SHA256SUMS; empty where there is none."""
    if SUMS_FILE not in files.names(top):
        return {}
    path = join(top, SUMS_FILE)
    return parse_sums(files.read(path), called=files.describe(path))
