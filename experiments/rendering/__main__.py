"""Render subjects with exact alpha, for training and testing.

    python -m experiments.rendering --folder=data/subjects --train=8 --test=2 --size=384
    python -m experiments.rendering --folder=data/subjects     # all 500, in hours

Each is FOLDER/train/KIND-SEED.png or FOLDER/test/KIND-SEED.png: straight colours with
alpha, a pure function of kind and seed. The kinds take turns, so that the set is
balanced whenever it is stopped; started again, the command goes on. At the end
FOLDER/sheet.jpg shows them. The first call installs Blender into an environment of its
own (Python 3.11, 350 MB to fetch).

A subject that fails is named in a line and in FOLDER/failed.jsonl, and the next seed of
its kind takes its place. Everything rendered is CC0: whoever makes it may do with it
what they like.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from absl import flags
from tqdm import tqdm

from experiments import launch
from experiments.contact_sheet import contact_sheet
from experiments.rendering.environment import blender_python
from experiments.rendering.pool import render_all
from experiments.rendering.subjects import SPLITS, Subject, seeds, shares
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write
from tmfnet_jax.images import write_image

FAILED_FILE = "failed.jsonl"
SHEET_FILE = "sheet.jpg"
TRAIN, TEST, SIZE_PX = 450, 50, 768
BYTES_EACH = 2_000_000  # of a picture, at most
SIZES_PX = (64, 2048)


class Progress:
    """What of the wanted subjects is there, and what comes next.

    Args:
      folder: of all subjects.
      kinds: names of the kinds.
      wanted: how many subjects of each split.
    """

    def __init__(self, folder: Path, kinds: Sequence[str], wanted: dict[str, int]):
        self._folder = folder
        self._failed = _failures(folder / FAILED_FILE)
        self._missing = {
            (split, kind): number
            for split in SPLITS
            for kind, number in shares(kinds, wanted[split]).items()
        }
        self._seeds = {key: seeds(key[0]) for key in self._missing}
        self.bar = tqdm(total=sum(wanted.values()), unit="subject", smoothing=0.05)

    @property
    def incomplete(self) -> bool:
        """Whether subjects are missing that nobody renders."""
        return any(self._missing.values())

    def subjects(self) -> Iterator[Subject]:
        """Return the subjects to render: of each kind in turn, while it lacks some.

        Test and training subjects grow in proportion, so that both are of use early.
        """
        total = dict(self._missing)
        while self.incomplete:
            key = max(
                self._missing,
                key=lambda key: self._missing[key] / max(1, total[key]),
            )
            self._missing[key] -= 1
            subject = Subject(key[1], next(self._seeds[key]))
            if subject in self._failed:
                self._missing[key] += 1
            elif (self._folder / subject.file).exists():
                self.bar.update()
            else:
                yield subject

    def report(
        self, subject: Subject, result: np.ndarray | str, seconds: float
    ) -> None:
        """Write a subject's picture, or why it has none."""
        if isinstance(result, str):
            self.bar.write(f"{subject.kind}-{subject.seed}: {result}", file=sys.stderr)
            row = {"kind": subject.kind, "seed": subject.seed, "reason": result}
            with open(self._folder / FAILED_FILE, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self._failed.add(subject)
            self._missing[subject.split, subject.kind] += 1
            return
        _, png = cv2.imencode(".png", cv2.cvtColor(result, cv2.COLOR_RGBA2BGRA))
        with atomic_write(self._folder / subject.file) as file:
            file.write(png.tobytes())
        self.bar.set_postfix_str(f"{subject.kind}, {seconds:.0f} s")
        self.bar.update()


def main() -> None:
    """Render what is missing."""
    options = flags.FLAGS
    folder = Path(options.folder)
    known = kind_names()
    kinds = options.kinds or known
    for kind in kinds:
        if kind not in known:
            raise InputError(
                f"no kind is called {kind!r}; choose of {', '.join(known)}"
            )
    low, high = SIZES_PX
    if not low <= options.size <= high:
        raise InputError(f"--size is {options.size}; give {low} to {high} pixels")
    if (
        min(options.workers, options.threads) < 1
        or min(options.train, options.test) < 0
    ):
        raise InputError("--workers and --threads are at least 1, numbers at least 0")
    wanted = {"train": options.train, "test": options.test}
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
    room, needed = shutil.disk_usage(folder).free, sum(wanted.values()) * BYTES_EACH
    if room < needed:
        raise InputError(
            f"{folder}: {room / 1e9:.1f} GB free; {sum(wanted.values())} subjects need "
            f"up to {needed / 1e9:.1f} GB, make room or ask for fewer"
        )
    progress = Progress(folder, kinds, wanted)
    python = blender_python()
    while progress.incomplete:  # again if the last ones failed
        render_all(
            python,
            progress.subjects(),
            progress.report,
            size_px=options.size,
            workers=options.workers,
            threads=options.threads,
        )
    progress.bar.close()
    for split in SPLITS:
        if any((folder / split).glob("*.png")):
            sheet = contact_sheet(
                folder / split, backgrounds=None, columns=6, size_px=192
            )
            target = folder / f"{split}-{SHEET_FILE}"
            write_image(target, sheet)
            print(target)


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


if __name__ == "__main__":
    flags.DEFINE_string("folder", "data/subjects", "Where the subjects go.")
    flags.DEFINE_integer("train", TRAIN, "Subjects for training.")
    flags.DEFINE_integer("test", TEST, "Subjects for testing.")
    flags.DEFINE_integer("size", SIZE_PX, "Height and width, in pixels.")
    flags.DEFINE_list("kinds", [], "Kinds to render; all unless given.")
    flags.DEFINE_integer("workers", 2, "Processes that render at a time.")
    flags.DEFINE_integer("threads", 1, "Processor threads for each of them.")
    launch.run(main)
