"""The folder of all subjects: what is there, what comes next, what failed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from experiments.contact_sheet import contact_sheet
from experiments.rendering.environment import blender_python
from experiments.rendering.pool import Lost, render_all
from experiments.rendering.subjects import SPLITS, Subject, seeds, shares
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write
from tmfnet_jax.images import write_image

WANTED = {"train": 450, "test": 50}
SIZE_PX = 768
SIZES_PX = (64, 2048)
FAILED_FILE = "failed.jsonl"
SHEET_FILE = "sheet.jpg"  # after the name of the split
BYTES_EACH = 2_000_000  # of a picture, at most
_SHEET_COLUMNS, _SHEET_PX = 6, 192


def render_subjects(
    folder: Path,
    *,
    wanted: Mapping[str, int],
    kinds: Sequence[str] = (),
    size_px: int = SIZE_PX,
    workers: int = 2,
    threads: int = 1,
) -> None:
    """Render the subjects that are missing in a folder, and draw its sheets.

    Args:
      folder: of all subjects; created if missing.
      wanted: how many there are to be of each split.
      kinds: their kinds; empty: all.
      size_px: height and width of new pictures.
      workers: processes that render at a time.
      threads: of the processor, for each of them.
    Raises:
      InputError: a kind that there is not, numbers out of range, no room, or no
        Blender. A subject that fails is named on standard error, and another one takes
        its place.
    """
    known = kind_names()
    for kind in kinds:
        if kind not in known:
            raise InputError(
                f"no kind is called {kind!r}; choose one of {', '.join(known)}"
            )
    low, high = SIZES_PX
    if not low <= size_px <= high:
        raise InputError(f"the size is {size_px}; give {low} to {high} pixels")
    if min(workers, threads) < 1 or min(wanted.values()) < 0:
        raise InputError(
            "give at least 1 process of at least 1 thread, and numbers of at least 0"
        )
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
    progress = Progress(folder, kinds or known, wanted)
    room, needed = shutil.disk_usage(folder).free, progress.missing * BYTES_EACH
    if room < needed:
        raise InputError(
            f"{folder}: {room / 1e9:.1f} GB free; {progress.missing} subjects need up "
            f"to {needed / 1e9:.1f} GB, make room or ask for fewer"
        )
    if not progress.missing:
        return
    python = blender_python()
    with progress.bar:
        while progress.missing:  # again if the last ones failed
            render_all(
                python,
                progress.subjects(),
                progress.report,
                size_px=size_px,
                workers=workers,
                threads=threads,
            )
    for split in SPLITS:
        if any((folder / split).glob("*.png")):
            sheet = contact_sheet(
                folder / split,
                backgrounds=None,
                columns=_SHEET_COLUMNS,
                size_px=_SHEET_PX,
            )
            write_image(folder / f"{split}-{SHEET_FILE}", sheet)


class Progress:
    """What of the wanted subjects is missing, and which comes next.

    A kind's subjects are its seeds in order, but for those that failed. Those that are
    there already are looked up first.

    Args:
      folder: of all subjects.
      kinds: names of the kinds.
      wanted: how many subjects of each split.
    """

    def __init__(self, folder: Path, kinds: Sequence[str], wanted: Mapping[str, int]):
        self._folder = folder
        self._failed = _failures(folder / FAILED_FILE)
        self._wanted = {
            (split, kind): number
            for split in SPLITS
            for kind, number in shares(kinds, wanted[split]).items()
        }
        self._missing = dict(self._wanted)
        self._seeds = {key: seeds(key[0]) for key in self._missing}
        for key, number in self._wanted.items():
            there = (Subject(key[1], seed) for seed in seeds(key[0]))
            kept = (s for s in there if s not in self._failed)
            while self._missing[key] and (folder / next(kept).file).exists():
                self._missing[key] -= 1
            for _ in range(number - self._missing[key]):
                self._next(key)
        total = sum(wanted.values())
        self.bar = tqdm(
            total=total,
            initial=total - self.missing,
            unit="subject",
            smoothing=0.05,
        )

    @property
    def missing(self) -> int:
        """How many subjects are neither there nor being rendered."""
        return sum(self._missing.values())

    def subjects(self) -> Iterator[Subject]:
        """Return the subjects to render: of each kind in turn, while it lacks some.

        Test and training subjects grow in proportion, so that both are of use early.
        """
        while self.missing:
            key = max(
                self._missing,
                key=lambda key: self._missing[key] / max(1, self._wanted[key]),
            )
            self._missing[key] -= 1
            subject = self._next(key)
            if (self._folder / subject.file).exists():
                self.bar.update()
            else:
                yield subject

    def report(
        self, subject: Subject, result: np.ndarray | InputError, seconds: float
    ) -> None:
        """Write a subject's picture, or why it has none.

        Where Blender was lost, another subject takes the place in this run alone.
        """
        name = f"{subject.kind}-{subject.seed:04}"
        if isinstance(result, InputError):
            self.bar.write(f"{name}: {result}", file=sys.stderr)
            self._failed.add(subject)
            if not isinstance(result, Lost):
                row = {"kind": subject.kind, "seed": subject.seed}
                line = json.dumps({**row, "reason": str(result)})
                with open(self._folder / FAILED_FILE, "a", encoding="utf-8") as file:
                    file.write(f"\n{line}\n")  # apart from one that was cut short
            self._missing[subject.split, subject.kind] += 1
            return
        _, png = cv2.imencode(".png", cv2.cvtColor(result, cv2.COLOR_RGBA2BGRA))
        with atomic_write(self._folder / subject.file) as file:
            file.write(png.tobytes())
        self.bar.set_postfix_str(f"{name}, {seconds:.0f} s")
        self.bar.update()

    def _next(self, key: tuple[str, str]) -> Subject:
        """Return the next subject of a split and kind that is not known to fail."""
        candidates = (Subject(key[1], seed) for seed in self._seeds[key])
        return next(s for s in candidates if s not in self._failed)


def kind_names() -> list[str]:
    """Return the kinds' names, without Blender: read from where they are listed."""
    folder = Path(__file__).parent / "blender" / "kinds"
    names: list[str] = []
    for module in sorted(folder.glob("[a-z]*.py")):
        listing = re.search(
            r"^KINDS = \{(.*?)\}", module.read_text("utf-8"), re.M | re.S
        )
        names += re.findall(r'"(\w+)":', listing.group(1)) if listing else []
    return names


def _failures(path: Path) -> set[Subject]:
    """Read the subjects that are known to fail; a line cut short is left out."""
    found = set()
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
            found.add(Subject(row["kind"], row["seed"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found
