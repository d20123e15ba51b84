"""What a run tells: metrics as JSON lines and TensorBoard events, and tables."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tmfnet_jax.files import atomic_write

METRICS_FILE = "metrics.jsonl"
# With its unit, or nothing: "-33,859,571", "1065 G", "-".
_NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*(e[-+]?[0-9]+)?( ?[A-Z%])?|-|")


class MetricWriter:
    """Appends scalars to WORKDIR/metrics.jsonl and to TensorBoard events.

    A line is complete or absent after a crash of the process; a resumed run
    drops the lines of steps it is about to repeat. Without a workdir nothing is
    written, as by all but one of several processes.
    """

    def __init__(
        self, workdir: Path | None, *, resume_step: int = 0, tensorboard: bool = True
    ):
        self._last: dict[str, float | None] = {}
        self._file = self._events = None
        if workdir is None:
            return
        path = Path(workdir) / METRICS_FILE
        kept = [r for r in read_metrics(path) if r["step"] <= resume_step]
        with atomic_write(path) as file:  # a full disk must not cost what is there
            file.write("".join(json.dumps(r) + "\n" for r in kept).encode())
        self._last = dict(kept[-1]) if kept else {}
        self._file = path.open("a", buffering=1)
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
        self._last = {"step": step, **safe}
        if self._file is not None:
            self._file.write(json.dumps(self._last) + "\n")
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def last(self, name: str) -> float:
        """Return a scalar of the last line, 0 if it has none."""
        return self._last.get(name) or 0.0

    def write_image(self, name: str, step: int, image: np.ndarray) -> None:
        """Add a picture, uint8 [H, W, 3], to the TensorBoard events."""
        if self._events is not None:
            self._events.add_image(name, image, step, dataformats="HWC")

    def write_histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Add distributions of values to the TensorBoard events."""
        if self._events is not None:
            for name, values in arrays.items():
                self._events.add_histogram(name, values, step)

    def close(self) -> None:
        """Flush and close both files."""
        if self._file is not None:
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
