"""Render subjects with exact alpha, for training and testing.

    python -m experiments.rendering --folder=data/few --train=8 --test=2 --size=384
    python -m experiments.rendering --folder=data/subjects     # all 500, in hours

Each is FOLDER/train/KIND-SEED.png or FOLDER/test/KIND-SEED.png: straight colours with
alpha, a pure function of kind and seed. The kinds take turns, so that the set is
balanced whenever it is stopped; started again, the command goes on. At the end
FOLDER/train-sheet.jpg and FOLDER/test-sheet.jpg show them. The first call installs
Blender into an environment of its own (Python 3.11, 350 MB to fetch). Keep pictures of
different sizes in different folders.

A subject that fails is named in a line and in FOLDER/failed.jsonl, and the next seed of
its kind takes its place. Everything rendered is CC0: whoever makes it may do with it
what they like.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from experiments import launch
from experiments.rendering.collection import SIZE_PX, WANTED, render_subjects


def main() -> None:
    """Render what is missing."""
    options = flags.FLAGS
    render_subjects(
        Path(options.folder),
        wanted={"train": options.train, "test": options.test},
        kinds=options.kinds,
        size_px=options.size,
        workers=options.workers,
        threads=options.threads,
    )


if __name__ == "__main__":
    flags.DEFINE_string("folder", "data/subjects", "Where the subjects go.")
    flags.DEFINE_integer("train", WANTED["train"], "Subjects for training.")
    flags.DEFINE_integer("test", WANTED["test"], "Subjects for testing.")
    flags.DEFINE_integer("size", SIZE_PX, "Height and width, in pixels.")
    flags.DEFINE_list("kinds", [], "Kinds to render; all unless given.")
    flags.DEFINE_integer("workers", 2, "Processes that render at a time.")
    flags.DEFINE_integer("threads", 1, "Processor threads for each of them.")
    launch.run(main)
