"""The paper's tables and its Figure 5 beside what our runs give.

python -m experiments.paper table3
python -m experiments.paper table3 --commands
python -m experiments.paper table6
python -m experiments.paper figure5 --image photo.png --trimap trimap.png
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper_rows import NOTES, SIZES, TITLES, Row, table_rows
from tmfnet_jax.commands.common import add_command

if TYPE_CHECKING:
    from experiments.paper_results import Result

RUNS = Path("runs/paper")
LINE = 100  # characters
BRIEF = 32  # characters that a cell of the table may say about a run

_CAPTION = "Measured / published (difference). SAD, Grad, Conn: / 1000, MSE: x 1000."
_DETAILS = """\
The rows are in experiments/paper_rows.py. RUNS/ROW is the workdir of a row's
training, RUNS/ROW/eval-SET-TTA the folder of its evaluation; --commands prints what
makes those that are missing. An evaluation of other data, another network, another
augmentation or other metrics than the row's is not taken."""


def add(commands) -> None:
    """Declare the command."""
    paper = add_command(
        commands, "paper", _table, "the paper's tables beside our runs", _DETAILS
    )
    parts = paper.add_subparsers(dest="part", required=True, metavar="TABLE")
    for name, title in TITLES.items():
        if name == "table6":
            table = add_command(parts, name, _sizes, title, "Counted, not measured.")
        else:
            table = add_command(parts, name, _table, title, _DETAILS)
            _add_runs(table)
            table.add_argument(
                "--commands",
                action="store_true",
                help="print the commands that make what is missing",
            )
        table.add_argument("--json", type=Path, metavar="FILE", help="also write this")
    figure = add_command(
        parts,
        "figure5",
        _figure5,
        "Figure 5: the kernels that the fusion stages predict for a photo",
        "Drawn are the kernels of an untrained network, of one with local fusion and\n"
        "of one with global context; see experiments/kernel_maps.py.",
    )
    add = figure.add_argument
    add("--image", type=Path, required=True, help="photo")
    add("--trimap", type=Path, required=True, help="its trimap: 0, 128, 255")
    add("--lf", type=Path, metavar="W", help="weights with LF; default: the run's")
    add("--glf", type=Path, metavar="W", help="weights with GLF; default: the run's")
    add("--output", type=Path, default=Path("figure5.png"), help="picture to write")
    _add_runs(figure)


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, default=RUNS, help=f"folder of the runs; default: {RUNS}"
    )


def _table(options: argparse.Namespace) -> None:
    from experiments.paper_results import read_result

    results = [read_result(row, options.runs) for row in table_rows(options.part)]
    if options.commands:
        print("\n".join(commands(results, options.runs)))
    else:
        print(TITLES[options.part])
        print(as_table(results))
        print(f"\n{_CAPTION} Runs: {options.runs}")
        for text in (*NOTES.get(options.part, ()), *remarks(results)):
            print(_filled(text))
    _write_json(options.json, [as_record(result) for result in results])


def as_table(results: Sequence[Result]) -> str:
    """Lay results out for a terminal, published values beside them."""
    from tmfnet_jax.evaluation_records import METRICS
    from tmfnet_jax.reporting import format_table

    # Metrics that the paper's table leaves out are left out here.
    count = max(len(result.row.published) for result in results) or len(METRICS)
    rows = []
    for result in results:
        measured = result.measured or {}
        published = dict(zip(METRICS, result.row.published, strict=False))
        cells = [
            _beside(measured.get(metric), published.get(metric))
            for metric in METRICS[:count]
        ]
        brief = result.status if len(result.status) <= BRIEF else "see below"
        rows.append((result.row.label, *cells, _parameters(result.row), brief))
    names = ("SAD", "MSE", "Grad", "Conn")[:count]
    return format_table(("row", *names, "parameters", "run"), rows)


def remarks(results: Sequence[Result]) -> list[str]:
    """Word what has no place in the table, a line of any length for each."""
    return [
        f"{result.row.name}: {text}"
        for result in results
        for text in (result.status, *result.notes)
        if text is not result.status or len(text) > BRIEF
    ]


def _beside(measured: float | None, published: float | None) -> str:
    if measured is None or published is None:
        return f"{_number(measured)} / {_number(published)}"
    return f"{measured:.1f} / {published:.1f} ({measured - published:+.1f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _parameters(row: Row) -> str:
    from tmfnet_jax.parameters import parameter_count
    from tmfnet_jax.variants import VARIANTS

    variant = VARIANTS[row.variant]
    ours, papers = parameter_count(variant.config), variant.paper_params or 0
    return f"{ours / 1e6:.2f} / {papers / 1e6:.1f} M"


def as_record(result: Result) -> dict[str, Any]:
    """Return a result with its row as values for JSON."""
    from tmfnet_jax.evaluation_records import METRICS

    row = result.row
    return {
        "row": row.name,
        "label": row.label,
        "variant": row.variant,
        "laplacian": row.laplacian,
        "data": row.data,
        "tta": row.tta,
        "run": row.run,
        "published": dict(zip(METRICS, row.published, strict=False)),
        "measured": result.measured,
        "status": result.status,
        "notes": list(result.notes),
    }


def commands(results: Sequence[Result], runs: Path) -> list[str]:
    """Word the commands that make what the results lack, each once."""
    from experiments.paper_results import has_weights

    lines: dict[str, None] = {}
    for result in results:
        if result.measured is None:
            if not has_weights(result.row, runs):
                lines[train_command(result.row, runs)] = None
            lines[evaluate_command(result.row, runs)] = None
    return list(lines)


def train_command(row: Row, runs: Path) -> str:
    """Word the training of a row; words in capitals are left to fill in."""
    from experiments.paper_results import workdir

    return shlex.join(
        [
            *("python", "-m", "experiments.train"),
            f"--config=experiments/configs/paper.py:{row.run}",
            f"--workdir={workdir(row, runs)}",
            "--config.data.folder=DATA",
            "--config.data.backgrounds=BACKGROUNDS",
        ]
    )


def evaluate_command(row: Row, runs: Path) -> str:
    """Word the evaluation of a row; words in capitals are left to fill in."""
    from experiments.paper_results import WEIGHTS_FILE, evaluation_folder, workdir

    where = ["--trimaps", row.trimaps] if row.trimaps else ["--backgrounds", "PHOTOS"]
    return shlex.join(
        [
            *("tmfnet", "eval", row.data, "DATA", *where),
            *("--weights", str(workdir(row, runs) / WEIGHTS_FILE), "--tta", row.tta),
            *("-o", str(evaluation_folder(row, runs))),
        ]
    )


def _sizes(options: argparse.Namespace) -> None:
    from tmfnet_jax.counting import RULES
    from tmfnet_jax.reporting import format_table

    records = [_size_record(**vars(size)) for size in SIZES]
    rows = [
        (
            record["label"],
            "-" if record["params"] is None else f"{record['params'] / 1e6:.2f} M",
            f"{record['published_params_m']} M",
            *(
                "-" if count is None else f"{count / 1e9:.1f} G"
                for count in record["macs"].values()
            ),
            f"{record['published_macs_g']} G",
        )
        for record in records
    ]
    print(TITLES["table6"])
    counts = (f"as '{rule}'" for rule in RULES)
    header = ("network", "parameters", "paper", *counts, "paper")
    print(format_table(header, rows))
    print("\nMultiply-adds by three rules of what counts:")
    for rule, words in RULES.items():
        print(_filled(f"{rule}: {words}"))
    _write_json(options.json, records)


def _size_record(
    *, label: str, variant: str | None, params_m: float, macs_g: int
) -> dict[str, Any]:
    from tmfnet_jax.counting import PAPER_SIZE, RULES, count_operations
    from tmfnet_jax.parameters import parameter_count
    from tmfnet_jax.variants import VARIANTS

    params, macs = None, dict.fromkeys(RULES)
    if variant is not None:
        config = VARIANTS[variant].config
        params = parameter_count(config)
        operations = count_operations(config, PAPER_SIZE, PAPER_SIZE)
        macs = {rule: operations.total(rule) for rule in RULES}
    return {
        "label": label,
        "variant": variant,
        "params": params,
        "published_params_m": params_m,
        "macs": macs,
        "published_macs_g": macs_g,
    }


def _figure5(options: argparse.Namespace) -> None:
    from experiments.kernel_maps import draw_figure

    draw_figure(
        options.image,
        options.trimap,
        weights={"LF": options.lf, "GLF": options.glf},
        runs=options.runs,
        output=options.output,
    )


def _write_json(path: Path | None, value: Sequence[Mapping[str, Any]]) -> None:
    from tmfnet_jax.files import atomic_write

    if path is not None:
        with atomic_write(path) as file:
            file.write((json.dumps(value, indent=2) + "\n").encode())


def _filled(text: str) -> str:
    return textwrap.fill(text, LINE)


if __name__ == "__main__":
    from experiments import paper
    from tmfnet_jax import cli

    cli.run(["paper", *sys.argv[1:]], commands=[paper])
