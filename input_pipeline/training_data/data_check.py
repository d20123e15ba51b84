"""Looking through training data: what is wrong with them, and what is worth knowing."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from input_pipeline.training_data.image_files import (
    ForegroundFiles,
    read_background,
    read_foreground,
    some,
)
from input_pipeline.training_data.ordered_threads import in_threads
from input_pipeline.training_data.sources import Source
from tmfnet_jax.errors import EXPECTED_ERRORS, InputError, reason
from tmfnet_jax.images import read_mask
from tmfnet_jax.reporting import format_table

_OPAQUE = (
    "opaque everywhere: no trimap of it has an unknown region, so the next foreground "
    "takes its place"
)
_DEEP = "16 bits a channel: rounded to 8"
_GREY = "grey: spread to three channels"


@dataclass
class Findings:
    """What was found in training data.

    Attributes:
      problems: what has to be mended, a line each.
      notes: of what is fine but worth knowing, the names it is true of.
      sizes: of each role of images, height and width of all that can be read.
    """

    problems: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sizes: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def report(self) -> str:
        """Return all of it as lines for a terminal."""
        rows = []
        for role, sizes in self.sizes.items():
            smallest, largest = (
                "{1}x{0}".format(*pick(sizes, key=np.prod)) if sizes else "-"
                for pick in (min, max)
            )
            rows.append((role, len(sizes), smallest, largest))
        lines = [format_table(("images", "readable", "smallest", "largest"), rows)]
        if self.problems:
            lines.append(f"problems ({len(self.problems)}):")
            lines += [f"  {_printable(text)}" for text in self.problems]
        for note, names in self.notes.items():
            lines.append(f"note: {len(names)} {note}: {_printable(some(names))}")
        if not self.problems:
            lines.append("nothing is wrong with them")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Looked:
    """What one image has shown."""

    size: tuple[int, int] | None = None  # None: it cannot be read
    problem: str = ""
    notes: tuple[str, ...] = ()


def check_files(
    foregrounds: Sequence[ForegroundFiles],
    backgrounds: Sequence[Path],
    findings: Findings,
    *,
    num_threads: int,
) -> None:
    """Read every file as training does; `findings` gets what is seen.

    A progress bar on standard error shows the time left, if that is a terminal.
    """
    names = [f"{files.image.parent.name}/{files.image.name}" for files in foregrounds]
    tasks = [partial(_look_at_foreground, files) for files in foregrounds]
    _look(findings, "foregrounds", names, tasks, num_threads)
    photos = [str(path) for path in backgrounds]
    looks = [partial(_look_at_background, path) for path in backgrounds]
    _look(findings, "backgrounds", photos, looks, num_threads)


def check_source(source: Source, findings: Findings, *, num_threads: int) -> None:
    """Read every image of a source that has an end, as `check_files` does."""
    for role, count, look in (
        ("foregrounds", source.num_foregrounds, _look_at_pair),
        ("backgrounds", source.num_backgrounds, _look_at_image),
    ):
        names = [f"{role[:-1]} {index}" for index in range(count or 0)]
        tasks = [partial(look, source, index) for index in range(count or 0)]
        _look(findings, role, names, tasks, num_threads)


def _look(
    findings: Findings,
    role: str,
    names: Sequence[str],
    tasks: Iterable[Callable[[], _Looked]],
    num_threads: int,
) -> None:
    sizes = findings.sizes.setdefault(role, [])
    results = in_threads((partial(_guarded, task) for task in tasks), num_threads)
    bar = tqdm(results, role, len(names), disable=None, file=sys.stderr, unit="image")
    for name, looked in zip(names, bar, strict=True):
        if looked.problem:
            findings.problems.append(looked.problem)
        if looked.size is not None:
            sizes.append(looked.size)
        for note in looked.notes:
            findings.notes[f"{role} {note}"].append(name)


def _guarded(look: Callable[[], _Looked]) -> _Looked:
    try:
        return look()
    except EXPECTED_ERRORS as error:
        return _Looked(problem=reason(error))


def _look_at_foreground(files: ForegroundFiles) -> _Looked:
    image, alpha = read_foreground(files)
    raw = [read_mask(path) for path in files.paths]
    notes = [_OPAQUE] * bool((alpha == 255).all())
    notes += [_DEEP] * any(array.dtype == np.uint16 for array in raw)
    notes += [_GREY] * (raw[0].ndim == 2)
    return _Looked(image.shape[:2], notes=tuple(notes))


def _look_at_background(path: Path) -> _Looked:
    raw = read_mask(path)
    if raw.dtype == np.float32:
        read_background(path)  # says why it is refused
    notes = [_DEEP] * (raw.dtype == np.uint16) + [_GREY] * (raw.ndim == 2)
    return _Looked(raw.shape[:2], notes=tuple(notes))


def _look_at_pair(source: Source, index: int) -> _Looked:
    image, alpha = source.foreground(index)
    if image.shape != (*alpha.shape, 3) or {image.dtype, alpha.dtype} != {_UINT8}:
        raise InputError(
            f"foreground {index}: {image.dtype} {list(image.shape)} with alpha "
            f"{alpha.dtype} {list(alpha.shape)}; expected uint8 of equal sizes"
        )
    if not alpha.any():
        raise InputError(f"foreground {index}: its alpha is 0 everywhere; leave it out")
    return _Looked(alpha.shape, notes=(_OPAQUE,) * bool((alpha == 255).all()))


def _look_at_image(source: Source, index: int) -> _Looked:
    return _Looked(source.background(index).shape[:2])


_UINT8 = np.dtype(np.uint8)


def _printable(text: str) -> str:
    """Names come from outside and must not steer the terminal."""
    return text if text.isprintable() else ascii(text)
