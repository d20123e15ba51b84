"""What weights give on whole images, measured again and again during a training.

    python -m experiments.measurements --weights=lite --output=lite.json \
        [--test_set=data/open-test] [--photos=DIR]

Each set is measured twice: with the network alone, and refined as users get it. A set
that is not there is left out with a line. experiments/open_training.py runs this as a
process of its own, whose memory goes with it, and collects what it writes in two
files: one line of JSON for each measurement, and a table of them.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments import launch
from input_pipeline.evaluation_data.evaluation import EvaluationSet
from input_pipeline.evaluation_data.evaluation_sets import GENERATED_COUNT, open_set
from input_pipeline.streams.sample_worker import end_with_parent
from tmfnet_jax.batch import say
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation import measure
from tmfnet_jax.evaluation_records import mean
from tmfnet_jax.files import atomic_write
from tmfnet_jax.inference import Matting
from tmfnet_jax.serving.memory import tune_allocator

ROWS_FILE = "measurements.jsonl"
TABLE_FILE = "measurements.md"
NOT_MEASURED = "not measured"
SETS = {  # by the name in a row: what a table says of it
    "generated": "generated",
    "open": "open test set",
    "photos": "photos",
}
PHOTOS = ("GT05", "GT13", "GT21", "GT25")  # for development; others stay untouched
TEST_IMAGES = 100  # of the open test set: the first two of each subject
WAYS = {"alone": False, "refined": True}  # whether the network's alpha is refined

Row = dict[str, Any]


def main() -> None:
    """Measure weights and write the result."""
    options = flags.FLAGS
    if options.parent:
        threading.Thread(
            target=end_with_parent, args=[options.parent], daemon=True
        ).start()
    tune_allocator()
    found = measured(
        options.weights,
        open_sets(
            test_set=Path(options.test_set) if options.test_set else None,
            photos=Path(options.photos) if options.photos else None,
            generated=options.generated,
        ),
    )
    with atomic_write(options.output) as file:
        file.write(f"{json.dumps(found)}\n".encode())
    print(f"{options.output}: measured in {found['seconds']:.0f} s")


def open_sets(
    *, test_set: Path | None, photos: Path | None, generated: int = GENERATED_COUNT
) -> dict[str, EvaluationSet | None]:
    """Open the sets by the names of SETS; None with a line for one that is not there.

    Args:
      test_set: folder of the set open, of which part is measured.
      photos: folder of the set alphamatting, of which PHOTOS are.
      generated: images of the generated set.
    """
    found: dict[str, EvaluationSet | None] = {
        "generated": open_set("generated", None, count=generated),
        "open": _opened("open", test_set, count=TEST_IMAGES),
        "photos": _opened("alphamatting", photos),
    }
    if development := found["photos"]:
        names = tuple(name for name in PHOTOS if name in development.names)
        found["photos"] = dataclasses.replace(development, names=names)
    return found


def _opened(
    name: str, folder: Path | None, *, count: int | None = None
) -> EvaluationSet | None:
    try:
        if folder is None:
            raise InputError(f"set {name}: no folder was given")
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        return open_set(name, folder, count=count)
    except InputError as error:
        say(f"{error}; {NOT_MEASURED}")
        return None


def measured(
    weights: str | Path, sets: Mapping[str, EvaluationSet | None]
) -> dict[str, Any]:
    """Measure weights on sets.

    Args:
      weights: as of `Matting.load`.
      sets: as of `open_sets`.
    Returns:
      `seconds`, and by set its number of images, its digest if it has one, and the
      mean metrics in both ways; NOT_MEASURED for one that is not there.
    Raises:
      InputError: weights or an image that cannot be read.
    """
    start = time.perf_counter()
    matting = Matting.load(weights)
    found: dict[str, Any] = {}
    for name, examples in sets.items():
        if not (examples and examples.names):
            found[name] = NOT_MEASURED
            continue
        records: dict[str, list] = {way: [] for way in WAYS}
        for example in examples.examples():
            for way, refine in WAYS.items():
                matting.refine = refine
                alpha = matting.alpha(example.image, example.trimap)
                records[way].append(measure(example, alpha)[0])
        found[name] = {
            "images": len(examples.names),
            "set_sha256": examples.settings.get("set_sha256"),
            **{way: mean(of_way) for way, of_way in records.items()},
        }
    return {"sets": found, "seconds": time.perf_counter() - start}


def read_rows(folder: Path) -> list[Row]:
    """Read the measurements of a training in order; none if there are none yet."""
    try:
        lines = (folder / ROWS_FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def add_row(folder: Path, row: Row) -> None:
    """Add a measurement to those of a training, and write the table anew."""
    rows = [*read_rows(folder), row]
    with atomic_write(folder / ROWS_FILE) as file:
        file.write("".join(f"{json.dumps(r)}\n" for r in rows).encode())
    write_table(folder)


def write_table(folder: Path) -> None:
    """Write the table of all measurements."""
    with atomic_write(folder / TABLE_FILE) as file:
        file.write(table(read_rows(folder)).encode())


def table(rows: Sequence[Row]) -> str:
    """Return the measurements as Markdown: SAD / 1000 and MSE x 1000 of each set."""
    names = ["step", "stage", "hours", "1000 crops", "loss"]
    names += [f"{label}, {way}" for label in SETS.values() for way in WAYS]
    names += ["seconds", "commit"]
    lines = [names, ["---:"] * len(names), *map(_cells, rows)]
    images = {
        label: row["sets"][name]["images"]
        for row in rows
        for name, label in SETS.items()
        if isinstance(row["sets"][name], Mapping)
    }
    counts = ", ".join(f"{label} {count}" for label, count in images.items())
    head = [
        "SAD / 1000 and MSE x 1000, means over the images of each set, by the network",
        f"alone and refined. Images: {counts or 'none'}. Hours are those of training,",
        "without measuring; the loss is the mean since the measurement before.",
    ]
    return "\n".join([*head, "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _cells(row: Row) -> list[str]:
    start = [
        f"{row['step']:,}" if row["step"] is not None else row["weights"],
        row["stage"] or "-",
        _number(row["hours"], ".2f"),
        _number(row["crops"] and row["crops"] / 1000, ",.0f"),
        _number(row["loss"], ".4f"),
    ]
    sets = []
    for name in SETS:
        of_set = row["sets"][name]
        for way in WAYS:
            known = isinstance(of_set, Mapping)
            values = (of_set[way]["sad"], of_set[way]["mse"]) if known else ()
            sets.append(", ".join(f"{value:.3f}" for value in values) or NOT_MEASURED)
    return [*start, *sets, f"{row['seconds']:.0f}", (row["commit"] or "-")[:9]]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    flags.DEFINE_string("weights", None, "As of `tmfnet eval`.", required=True)
    flags.DEFINE_string("output", None, "JSON file to write.", required=True)
    flags.DEFINE_string("test_set", None, "Folder of the set open.")
    flags.DEFINE_string("photos", None, "Folder of the set alphamatting.")
    flags.DEFINE_integer("generated", GENERATED_COUNT, "Images of the generated set.")
    flags.DEFINE_integer("parent", 0, "Process that this one ends with.")
    launch.run(main)
