"""What `tmfnet compare` says: in words and tables, or as one object."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tmfnet_jax.bootstrap import CONFIDENCE, FEW_VALUES
from tmfnet_jax.comparison import Comparison, MetricComparison, Run, printable
from tmfnet_jax.evaluation_records import HEADINGS, METRICS
from tmfnet_jax.reporting import format_table

_LISTED = 5  # names of images in a warning
_LENGTH = 28  # of a setting's value in a table

Settings = Sequence[tuple[str, Any, Any]]  # field, value in A, value in B


def report(
    a: Run,
    b: Run,
    comparison: Comparison,
    settings: Settings,
    *,
    names: tuple[str, str],
    listed: int,
) -> Iterator[str]:
    """Word a comparison for a terminal.

    Args:
      a: the first evaluation.
      b: the second evaluation.
      comparison: of the two.
      settings: in which they differ.
      names: of the two.
      listed: number of images to list, those that differ most.
    Yields:
      Paragraphs and tables; nothing from a file reaches them unescaped.
    """
    runs = [
        (side, printable(name), len(run.records), printable(str(run.path), limit=200))
        for side, name, run in zip("AB", names, (a, b), strict=True)
    ]
    yield format_table(("", "name", "images", "file"), runs)
    count, same = len(comparison.names), comparison.same_predictions
    yield (
        f"Compared: {_images(count)} in both, metrics of the variant "
        f"{printable(comparison.variant)}; {same} of {count} predictions are the same."
    )
    for warning in warnings(a, b, comparison):
        yield f"WARNING: {warning}"
    if settings:
        rows = [
            (printable(field, limit=60), *_values(x, y)) for field, x, y in settings
        ]
        yield (
            "Beside the results, A and B differ in:\n"
            f"{format_table(('field', 'A', 'B'), rows)}"
        )
    elif a.manifest is not None and b.manifest is not None:
        yield "Beside the results, nothing differs in the two manifests."
    yield _metric_table(comparison)
    yield "\n".join(_verdict(comparison))
    if listed:
        yield _image_table(comparison, listed)


def warnings(a: Run, b: Run, comparison: Comparison) -> list[str]:
    """Say what makes a comparison doubtful or partial."""
    found = []
    if comparison.different_data:
        found.append(
            f"measured on different pixels (image, trimap or alpha): "
            f"{_some(comparison.different_data)}"
        )
    for side, names in (("A", comparison.only_a), ("B", comparison.only_b)):
        if names:
            found.append(f"only in {side} and left out: {_some(names)}")
    for side, run in (("A", a), ("B", b)):
        if run.manifest is None:
            found.append(
                f"no manifest.json beside {side}'s file: whether weights, data and "
                "versions differ cannot be told"
            )
        elif run.manifest.get("complete") is not True:
            found.append(f"{side} is not complete; its evaluation can be continued")
        elif run.manifest.get("measured", len(run.records)) != len(run.records):
            found.append(
                f"{side}'s manifest.json speaks of another number of images than its "
                "file holds: not of one evaluation, or edited"
            )
    return found


def as_json(
    a: Run,
    b: Run,
    comparison: Comparison,
    settings: Settings,
    *,
    names: tuple[str, str],
) -> dict[str, Any]:
    """Put a comparison into JSON values; arguments as for `report`."""
    first = next(iter(comparison.metrics))
    return {
        **{
            side: {"name": name, "file": str(run.path), "images": len(run.records)}
            for side, name, run in zip("ab", names, (a, b), strict=True)
        },
        "variant": comparison.variant,
        "images": len(comparison.names),
        "same_predictions": comparison.same_predictions,
        "warnings": warnings(a, b, comparison),
        "different_data": list(comparison.different_data),
        "only_a": list(comparison.only_a),
        "only_b": list(comparison.only_b),
        "settings": [{"field": field, "a": x, "b": y} for field, x, y in settings],
        "confidence": CONFIDENCE,
        "metrics": {
            metric: {
                "mean_a": summary.mean_a,
                "mean_b": summary.mean_b,
                "difference": summary.difference,
                "interval": summary.interval,
                "beyond_chance": summary.beyond_chance,
                "better": summary.better,
                "worse": summary.worse,
                "equal": summary.equal,
            }
            for metric, summary in comparison.metrics.items()
        },
        "differences": [
            {
                "name": comparison.names[index],
                **{
                    metric: {
                        "a": float(comparison.values_a[metric][index]),
                        "b": float(comparison.values_b[metric][index]),
                        "difference": float(comparison.differences[metric][index]),
                    }
                    for metric in comparison.metrics
                },
            }
            for index in comparison.largest(first)
        ],
    }


def _metric_table(comparison: Comparison) -> str:
    summaries = comparison.metrics.values()
    rows = [_metric_row(summary) for summary in summaries]
    headings = ("mean A", "mean B", "B - A", f"{CONFIDENCE:.0%} interval")
    columns = [["metric", *map(_heading, comparison.metrics)]]
    columns += map(_to_right, headings, zip(*rows, strict=True))
    header, *lines = zip(*columns, strict=True)
    counts = [(summary.better, summary.worse, summary.equal) for summary in summaries]
    table = format_table(
        (*header, "better", "worse", "equal in B"),
        [(*line, *count) for line, count in zip(lines, counts, strict=True)],
    )
    return f"Errors over these images; lower is better:\n{table}"


def _metric_row(summary: MetricComparison) -> tuple[str, ...]:
    low, high = summary.interval or (0.0, 0.0)
    # So many that a bound never looks like the 0 on whose one side it lies.
    shown = (summary.difference, high - low, *(summary.interval or ()))
    digits = _digits(min((abs(value) for value in shown if value), default=0.0))
    interval = "undefined"
    if summary.interval is not None:
        interval = f"{low:+z.{digits}f} to {high:+z.{digits}f}"
    return (
        f"{summary.mean_a:.{digits}f}",
        f"{summary.mean_b:.{digits}f}",
        f"{summary.difference:+z.{digits}f}",
        interval,
    )


def _verdict(comparison: Comparison) -> Iterator[str]:
    count = len(comparison.names)
    if count == 1:
        yield "One image has no interval: nothing tells a difference from chance."
        return
    beyond, within = [], []
    for metric, summary in comparison.metrics.items():
        if summary.beyond_chance:
            side = "better" if summary.difference < 0 else "worse"
            beyond.append(f"{_heading(metric)} ({side} in B)")
        else:
            within.append(_heading(metric))
    yield (
        f"Beyond chance, with an interval that excludes 0: {_list(beyond)}. "
        f"Not beyond chance: {_list(within)}."
    )
    if count < FEW_VALUES:
        yield (
            f"With {count} images such intervals are too narrow: one that ends near 0 "
            "proves nothing."
        )


def _image_table(comparison: Comparison, listed: int) -> str:
    first, *others = comparison.metrics
    order = comparison.largest(first)
    shown = order[:listed]
    columns = [["image", *(printable(comparison.names[index]) for index in shown)]]

    def add(heading: str, values: np.ndarray, sign: str, digits: int) -> None:
        texts = [f"{values[index]:{sign}.{digits}f}" for index in shown]
        columns.append(_to_right(heading, texts))

    digits = _digits(comparison.differences[first][shown[0]])
    add(f"{_heading(first)} A", comparison.values_a[first], "", digits)
    add("B", comparison.values_b[first], "", digits)
    add("B - A", comparison.differences[first], "+z", digits)
    for metric in others:
        differences = comparison.differences[metric]
        largest = max(abs(differences[index]) for index in shown)
        add(f"{_heading(metric)} B - A", differences, "+z", _digits(largest))
    header, *rows = zip(*columns, strict=True)
    what = f"The {len(shown)} of {len(order)} images"
    if len(shown) == len(order):
        what = f"All {len(order)} images" if len(order) > 1 else "The image"
    return (
        f"{what} by difference in {_heading(first)}, the largest first:\n"
        f"{format_table(header, rows)}"
    )


def _heading(metric: str) -> str:
    return HEADINGS[METRICS.index(metric)]


def _to_right(heading: str, texts: Iterable[str]) -> list[str]:
    """Pad texts of numbers, which `format_table` would align to the left."""
    cells = [heading, *texts]
    width = max(map(len, cells))
    return [cell.rjust(width) for cell in cells]


def _digits(value: float) -> int:
    """Return the decimals that show two significant digits, 2 to 6 of them."""
    if not value:
        return 2
    return min(6, max(2, 1 - math.floor(math.log10(abs(value)))))


def _values(one: object, other: object) -> tuple[str, str]:
    """Shorten two values for a table, unless that makes them look the same."""
    pair = (one, other)
    short = [
        printable(value if isinstance(value, str) else json.dumps(value), limit=_LENGTH)
        for value in pair
    ]
    if short[0] == short[1]:
        short = [printable(json.dumps(value), limit=10 * _LENGTH) for value in pair]
    return short[0], short[1]


def _images(count: int) -> str:
    return f"{count} image" if count == 1 else f"{count} images"


def _some(names: Sequence[str]) -> str:
    """Count images and name the first ones."""
    shown = ", ".join(printable(name) for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{_images(len(names))}: {shown}{more}"


def _list(texts: Sequence[str]) -> str:
    return ", ".join(texts) or "none"
