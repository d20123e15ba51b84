"""Train and measure a list of configs, each with several seeds, and compare.

    python -m experiments.ablate --rows=table3-basic-lap,table3-tmp-lap --seeds=3 \
        --config=experiments/configs/ablation.py --runs=runs/ablation
    python -m experiments.ablate --rows=table3 --runs=runs/paper \
        --evaluation="composition-1k DIR --backgrounds VOC" \
        --training=data.folder=DIR --training=data.backgrounds=COCO

--rows are of the paper; --arguments are what else the config takes behind its colon.
Runs follow one after the other, each with all devices. RUNS/ablation.json says how far
they are: stopped at any time, the same command goes on, within a training too. At the
end stand the mean over the seeds with its interval, the differences from the first row,
seed by seed, and, where the runs are the paper's own trainings, the paper's tables.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from experiments import launch
from experiments.paper import as_table
from experiments.paper_results import read_result
from experiments.paper_rows import TITLES, Row, named_row, table_rows
from experiments.workdir import WEIGHTS_FILE
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import (
    HEADINGS,
    MANIFEST_FILE,
    METRICS,
    read_manifest,
)
from tmfnet_jax.files import atomic_write
from tmfnet_jax.reporting import format_table

STATE_FILE = "ablation.json"
PAPER_CONFIG = "experiments/configs/paper.py"
# Quantiles of Student's t for a two-sided interval of 95 %, by degrees of freedom.
STUDENT_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What an ablation runs.

    Attributes:
      runs: folder of the runs.
      config: file of a training config that takes a row as its argument.
      fields: FIELD=VALUE each, for every training.
      evaluation: words of `tmfnet eval` before the weights: the set and its place.
    """

    runs: Path
    config: str
    fields: tuple[str, ...]
    evaluation: tuple[str, ...]

    def folder(self, row: Row, seed: int) -> Path:
        """Name the workdir of a run: that of the row, with the seed if it is not 0."""
        return self.runs / (f"{row.run}-{seed}" if seed else row.run)

    def measured(self, row: Row, seed: int) -> Path:
        """Name the folder of its evaluation, where `experiments.paper` looks for it."""
        return self.folder(row, seed) / f"eval-{self.evaluation[0]}-{row.tta}"

    def train_command(self, row: Row, seed: int) -> list[str]:
        """Word a training."""
        return [
            *(sys.executable, "-m", "experiments.train"),
            f"--config={self.config}:{row.run}",
            f"--workdir={self.folder(row, seed)}",
            f"--config.seed={seed}",
            *(f"--config.{field}" for field in self.fields),
        ]

    def evaluate_command(self, row: Row, seed: int) -> list[str]:
        """Word an evaluation."""
        weights = self.folder(row, seed) / WEIGHTS_FILE
        return [
            *(sys.executable, "-m", "experiments.evaluate", *self.evaluation),
            *("--weights", str(weights), "--tta", row.tta),
            *("-o", str(self.measured(row, seed))),
        ]

    def means(self, row: Row, seed: int) -> list[float]:
        """Return the mean metrics of a run's evaluation."""
        manifest = read_manifest(self.measured(row, seed) / MANIFEST_FILE)
        return [manifest["mean"][metric] for metric in METRICS]


def main() -> None:
    """Run what is not done, then print the tables."""
    options = flags.FLAGS
    rows = [row for name in options.rows for row in _named(name)]
    rows += [Row(name, name, "", ()) for name in options.arguments]
    if not rows:
        raise InputError("nothing to train; give --rows or --arguments")
    seeds = range(options.seeds)
    if not 1 <= len(seeds) <= len(STUDENT_95) + 1:
        raise InputError(f"seeds is {options.seeds}; give 1 to {len(STUDENT_95) + 1}")
    plan = Plan(
        runs=Path(options.runs),
        config=options.config,
        fields=tuple(options.training),
        evaluation=tuple(shlex.split(options.evaluation)),
    )
    progress = Progress(plan.runs / STATE_FILE)
    jobs = [(row, seed) for seed in seeds for row in rows]
    for number, (row, seed) in enumerate(jobs, 1):
        name = plan.folder(row, seed).name
        for what, command in (
            ("trained", plan.train_command(row, seed)),
            ("measured", plan.evaluate_command(row, seed)),
        ):
            print(f"{number}/{len(jobs)}  {name}: to be {what}", flush=True)
            progress.run(name, what, command)
    values = {
        row.name: np.array([plan.means(row, seed) for seed in seeds]) for row in rows
    }
    print(tables(rows, values))
    if plan.config == PAPER_CONFIG and len(seeds) == 1:
        for table in dict.fromkeys(row.name.partition("-")[0] for row in rows):
            results = [read_result(row, plan.runs) for row in table_rows(table)]
            print(f"\n{TITLES[table]}\n{as_table(results)}")


class Progress:
    """Which commands of which runs are done, in a file."""

    def __init__(self, path: Path):
        self._path = path
        self._done: dict[str, dict[str, dict]] = {}
        if path.exists():
            try:
                self._done = json.loads(path.read_text())
            except ValueError:
                raise InputError(
                    f"{path}: damaged; remove it to run all again"
                ) from None

    def run(self, name: str, what: str, command: Sequence[str]) -> None:
        """Run a command unless it is done; InputError if it fails."""
        if self._done.get(name, {}).get(what, {}).get("command") == list(command):
            return
        start = time.time()
        status = subprocess.run(command, check=False).returncode
        if status:
            raise InputError(
                f"{name} could not be {what}, status {status}: {shlex.join(command)}; "
                "mend it and run the same ablation again, it goes on there"
            )
        record = {"command": list(command), "seconds": round(time.time() - start, 3)}
        self._done.setdefault(name, {})[what] = record
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._path) as file:
            file.write(json.dumps(self._done, indent=2).encode())


def tables(rows: Sequence[Row], values: dict[str, np.ndarray]) -> str:
    """Lay out means over seeds, and differences from the first row, with intervals.

    Args:
      rows: in order.
      values: [seeds, metrics] by name of the row.
    Returns:
      Two tables. An interval is Student's, of 95 %, over the seeds; that of a
      difference is of the differences between runs of the same seed.
    """
    first = values[rows[0].name]
    means = [(row.label, *map(interval, values[row.name].T)) for row in rows]
    lines = [
        f"mean over {len(first)} seeds, interval of 95 %",
        format_table(("row", *HEADINGS), means),
    ]
    if len(rows) > 1:
        differences = [
            (row.label, *map(interval, (values[row.name] - first).T))
            for row in rows[1:]
        ]
        lines += [
            "",
            f"difference from {rows[0].label}, seed by seed",
            format_table(("row", *HEADINGS), differences),
        ]
    return "\n".join(lines)


def interval(values: np.ndarray) -> str:
    """Word the mean of a few values and, of more than one, half its interval."""
    mean = f"{values.mean():.2f}"
    if len(values) == 1:
        return mean
    half = STUDENT_95[len(values) - 2] * values.std(ddof=1) / len(values) ** 0.5
    return f"{mean} +- {half:.2f}"


def _named(name: str) -> list[Row]:
    """Return a table's rows with a training of their own, or one row."""
    if name in TITLES:
        return [row for row in table_rows(name) if row.of is None]
    return [named_row(name)]


if __name__ == "__main__":
    flags.DEFINE_list("rows", [], "Rows of the paper, or tables: table3,table5.")
    flags.DEFINE_list("arguments", [], "Other arguments of the config, each a row.")
    flags.DEFINE_integer("seeds", 1, "Runs of each row.")
    flags.DEFINE_string("config", PAPER_CONFIG, "Config that takes a row.")
    flags.DEFINE_string("runs", "runs/paper", "Folder of the runs.")
    flags.DEFINE_string(
        "evaluation",
        "generated --count 100",
        "Set of `tmfnet eval` and its options: 'composition-1k DIR --backgrounds VOC'.",
    )
    flags.DEFINE_multi_string("training", [], "FIELD=VALUE of each training's config.")
    launch.run(main)
