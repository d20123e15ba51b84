"""What a run tells: metrics as JSON lines and TensorBoard events, and tables."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

METRICS_FILE = "metrics.jsonl"
# With its unit, or nothing: "-33,859,571", "1065 G", "-".
_NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*(e[-+]?[0-9]+)?( ?[A-Z%])?|-|")


class MetricWriter:
    """Appends scalars to WORKDIR/metrics.jsonl and to TensorBoard events.

    A line is complete or absent after a crash of the process; a resumed run
    drops the lines of steps it is about to repeat.
    """

    def __init__(
        self, workdir: Path, *, resume_step: int = 0, tensorboard: bool = True
    ):
        path = Path(workdir) / METRICS_FILE
        kept = [r for r in read_metrics(path) if r["step"] <= resume_step]
        path.write_text("".join(json.dumps(r) + "\n" for r in kept))
        self._file = path.open("a", buffering=1)
        self._events = None
        if tensorboard:
            try:
                from tensorboardX import SummaryWriter
            except ImportError:  # an extra; the JSON lines hold the same numbers
                return
            self._events = SummaryWriter(
                str(Path(workdir) / "tensorboard"), purge_step=resume_step + 1
            )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Record scalars after `step` completed steps."""
        values = {name: float(value) for name, value in scalars.items()}
        # JSON has no NaN: a missing value says the same and every reader takes it.
        safe = {k: v if math.isfinite(v) else None for k, v in values.items()}
        self._file.write(json.dumps({"step": step, **safe}) + "\n")
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close both files."""
        self._file.close()
        if self._events is not None:
            self._events.close()

    def __enter__(self) -> MetricWriter:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close, also after an error in the run."""
        self.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the whole lines of a metrics file; none if it does not exist."""
    records = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:  # the last line of a killed process
                continue
    return records


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Align columns for a terminal: text to the left, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    numeric = [
        bool(rows) and all(_NUMBER.fullmatch(row[i]) for row in cells[1:])
        for i in range(len(header))
    ]

    def line(row):
        return "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])
