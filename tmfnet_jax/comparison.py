"""Two evaluations side by side: what differs, by how much, and beyond chance or not."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tmfnet_jax.bootstrap import bootstrap_interval
from tmfnet_jax.differences import differing_fields
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation import RESULTS
from tmfnet_jax.evaluation_records import (
    IMAGES_FILE,
    MANIFEST_FILE,
    METRICS,
    Record,
    read_manifest,
    read_records,
)

_ROUNDING = 1e-9  # relative: the same prediction measured on two kinds of CPU


@dataclass(frozen=True)
class Run:
    """One evaluation.

    Attributes:
      path: of its file of images.
      records: name of an image to its row, in the file's order.
      manifest: what lies beside, or None.
    """

    path: Path
    records: dict[str, Record]
    manifest: dict[str, Any] | None

    @property
    def files(self) -> tuple[Path, Path]:
        """Paths of both files, of which the manifest may be missing."""
        return self.path, self.path.parent / MANIFEST_FILE


@dataclass(frozen=True)
class MetricComparison:
    """One metric over the images that both have; lower is better.

    Attributes:
      mean_a: of A.
      mean_b: of B.
      difference: mean of B - A.
      interval: of that mean by `bootstrap_interval`; None for a single image.
      better: number of images with a lower value in B.
      worse: number of images with a higher value in B.
      equal: the rest; a rounding error apart counts as equal.
    """

    mean_a: float
    mean_b: float
    difference: float
    interval: tuple[float, float] | None
    better: int
    worse: int
    equal: int

    @property
    def beyond_chance(self) -> bool | None:
        """Whether the interval excludes 0; None where there is none."""
        if self.interval is None:
            return None
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True)
class Comparison:
    """What two evaluations of the same set have to say to each other.

    Attributes:
      variant: of the metrics, the same in both.
      names: of the n images that both have, in the order of A.
      values_a: metric to [n] float64.
      values_b: metric to [n] float64.
      differences: metric to [n] float64, B - A, 0 where only rounding differs.
      metrics: metric to its summary, in the order that was asked for.
      only_a: names that B does not have.
      only_b: names that A does not have.
      different_data: names whose image, trimap or alpha differ.
      same_predictions: number of images with the same 8-bit prediction.
    """

    variant: str
    names: tuple[str, ...]
    values_a: dict[str, np.ndarray]
    values_b: dict[str, np.ndarray]
    differences: dict[str, np.ndarray]
    metrics: dict[str, MetricComparison]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    different_data: tuple[str, ...]
    same_predictions: int

    def largest(self, metric: str) -> list[int]:
        """Return all indices of images, the largest |difference| first."""
        order = np.argsort(-np.abs(self.differences[metric]), kind="stable")
        return [int(index) for index in order]


def read_run(path: Path) -> Run:
    """Read a file of images, or the one in a folder, and the manifest beside it.

    Raises:
      InputError: it cannot be read or is damaged, or the manifest is.
    """
    path = path / IMAGES_FILE if path.is_dir() else path
    records = {record.name: record for record in read_records(path)}
    beside = path.parent / MANIFEST_FILE
    manifest = read_manifest(beside) if beside.exists() else None
    return Run(path, records, manifest)


def run_names(a: Run, b: Run) -> tuple[str, str]:
    """Name two evaluations after their folders.

    Returns:
      The last folder's name of each, with as many of those above it as tell the two
      apart; a file with a name of its own adds that.
    """
    paths = (Path(os.path.abspath(run.path)) for run in (a, b))
    of_a, of_b = (
        (path.parent if path.name == IMAGES_FILE else path).parts for path in paths
    )
    depth = 1
    while of_a[-depth:] == of_b[-depth:] and depth < max(len(of_a), len(of_b)):
        depth += 1
    return str(Path(*of_a[-depth:])), str(Path(*of_b[-depth:]))


def printable(text: str, *, limit: int = 48) -> str:
    """Make text from a file safe to show: one line, of some length at most.

    Control characters could drive a terminal, and marks of direction turn a line
    around; they are written as escapes. A longer text loses its middle.
    """
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    if len(shown) <= limit:
        return shown
    tail = limit // 3
    return f"{shown[: limit - tail - 3]}...{shown[-tail:]}"


def differing_settings(a: Run, b: Run) -> list[tuple[str, Any, Any]]:
    """Compare what two evaluations were made with, as their manifests say.

    Returns:
      The dotted name of each field that differs, with both values, results aside;
      see `differing_fields`. Empty where a manifest is missing.
    Raises:
      InputError: the fields nest too deeply for any manifest.
    """
    if a.manifest is None or b.manifest is None:
        return []
    of_a, of_b = (
        {key: value for key, value in manifest.items() if key not in RESULTS}
        for manifest in (a.manifest, b.manifest)
    )
    try:
        return differing_fields(of_a, of_b)
    except RecursionError:
        raise InputError(
            f"{MANIFEST_FILE} beside {a.path} or {b.path} is damaged; expected a "
            "manifest of `tmfnet eval`"
        ) from None


def compare(
    a: Run,
    b: Run,
    *,
    metrics: Sequence[str] = METRICS,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two evaluations over the images that both have.

    Args:
      a: the one to start from.
      b: the one whose difference from it counts.
      metrics: names out of `METRICS`, without repetition.
      resamples: as for `bootstrap_interval`.
      seed: as for `bootstrap_interval`.
    Returns:
      The `Comparison`.
    Raises:
      InputError: no image in common, metrics of different variants, or no metrics.
    """
    names = tuple(name for name in a.records if name in b.records)
    if not names:
        raise InputError(
            f"{a.path} has {len(a.records)} images and {b.path} {len(b.records)}, none "
            "of them in both; expected two evaluations of the same set"
        )
    variant = _common_variant(a, b)
    _check_measured(a, names)
    _check_measured(b, names)
    pairs = [(a.records[name], b.records[name]) for name in names]
    values = [
        [[getattr(record, metric) for metric in metrics] for record in pair]
        for pair in pairs
    ]
    values_a, values_b = np.array(values).swapaxes(0, 1)
    # The absolute term is far below what one level of one pixel changes.
    close = np.isclose(values_a, values_b, rtol=_ROUNDING, atol=1e-12)
    differences = np.where(close, 0.0, values_b - values_a)
    intervals: list[tuple[float, float] | None] = [None] * len(metrics)
    if len(names) > 1:
        bounds = bootstrap_interval(differences, resamples=resamples, seed=seed)
        intervals = [(float(low), float(high)) for low, high in bounds.T]
    columns = zip(
        metrics, values_a.T, values_b.T, differences.T, intervals, strict=True
    )
    return Comparison(
        variant=variant,
        names=names,
        values_a=dict(zip(metrics, values_a.T, strict=True)),
        values_b=dict(zip(metrics, values_b.T, strict=True)),
        differences=dict(zip(metrics, differences.T, strict=True)),
        metrics={metric: _summary(*column) for metric, *column in columns},
        only_a=tuple(name for name in a.records if name not in b.records),
        only_b=tuple(name for name in b.records if name not in a.records),
        different_data=tuple(
            name
            for name, (one, other) in zip(names, pairs, strict=True)
            if one.data_sha256 != other.data_sha256
        ),
        same_predictions=sum(
            one.prediction_sha256 == other.prediction_sha256 for one, other in pairs
        ),
    )


def _summary(
    values_a: np.ndarray,
    values_b: np.ndarray,
    differences: np.ndarray,
    interval: tuple[float, float] | None,
) -> MetricComparison:
    return MetricComparison(
        mean_a=float(values_a.mean()),
        mean_b=float(values_b.mean()),
        difference=float(differences.mean()),
        interval=interval,
        better=int(np.count_nonzero(differences < 0)),
        worse=int(np.count_nonzero(differences > 0)),
        equal=int(np.count_nonzero(differences == 0)),
    )


def _common_variant(a: Run, b: Run) -> str:
    """Return the one variant of the metrics, or refuse."""
    of_a, of_b = (
        sorted({record.variant for record in run.records.values()}) for run in (a, b)
    )
    if of_a != of_b or len(of_a) > 1:
        said = (" and ".join(repr(text[:40]) for text in of[:3]) for of in (of_a, of_b))
        raise InputError(
            f"{a.path} holds metrics of the variant {next(said)}, {b.path} of "
            f"{next(said)}: not comparable; evaluate both with one variant"
        )
    return of_a[0]


def _check_measured(run: Run, names: Sequence[str]) -> None:
    for name in names:
        if math.isnan(run.records[name].sad):
            raise InputError(
                f"{run.path}: has no metrics of {printable(name)}, as for sets without "
                "alpha; evaluate on a set with alpha to compare"
            )
