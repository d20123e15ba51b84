"""A picture of a comparison: each image a point, A across and B upwards."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tmfnet_jax.comparison import Comparison, printable
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import HEADINGS, METRICS
from tmfnet_jax.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")

_PANEL_INCHES = 4.6
_DPI = 150
_NAMED = 5  # images with their names in each panel
_NAME_LENGTH = 24
# Of the names, as shares of the panel's side.
_LINE, _LETTER, _GAP = 0.045, 0.014, 0.03
# Told apart by the colour-blind too, and by their shapes in grey.
_BETTER, _WORSE, _EQUAL = "#0072b2", "#d55e00", "#777777"


def check_plot(path: Path) -> None:
    """Check before long work that a plot can be drawn and where it shall go.

    Raises:
      InputError: unknown format, no folder, or Matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: has an unknown format {path.suffix!r}; expected one of "
            + " ".join(SUFFIXES)
        )
    if not path.parent.is_dir():
        raise InputError(f"{path}: no folder {path.parent}; create it first")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; add a file name")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise InputError(
            "a plot needs the package matplotlib, which is not installed; "
            "pip install 'tmfnet-jax[eval]', or leave out -o"
        ) from None


def write_plot(path: Path, comparison: Comparison, *, names: tuple[str, str]) -> None:
    """Draw a panel per metric: below the diagonal, B is better than A.

    Args:
      path: file to write, .png, .svg or .pdf; see `check_plot`.
      comparison: what to draw.
      names: of A and of B, for the axes.
    Raises:
      InputError: it cannot be written.
    """
    import warnings

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = list(comparison.metrics)
    columns = min(len(metrics), 2)
    rows = -(-len(metrics) // columns)
    size = (columns * _PANEL_INCHES, rows * _PANEL_INCHES)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)  # it belongs to the figure from here on
    for place, metric in enumerate(metrics, start=1):
        _draw(figure.add_subplot(rows, columns, place), comparison, metric, names)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Names in scripts that the font lacks: boxes, of no interest to the caller.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=path.suffix[1:].lower())
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def _draw(
    axes: Axes, comparison: Comparison, metric: str, names: tuple[str, str]
) -> None:
    across, upwards = comparison.values_a[metric], comparison.values_b[metric]
    differences = comparison.differences[metric]
    summary = comparison.metrics[metric]
    highest = float(max(across.max(), upwards.max()))
    limit = 1.06 * highest if highest > 1e-9 else 1.0  # nothing but perfect images
    axes.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    axes.plot((0, limit), (0, limit), color="#999999", linewidth=1, zorder=1)
    for marker, colour, label, count, chosen in (
        ("v", _BETTER, "better in B", summary.better, differences < 0),
        ("^", _WORSE, "worse in B", summary.worse, differences > 0),
        ("o", _EQUAL, "equal", summary.equal, differences == 0),
    ):
        if count:
            axes.scatter(
                across[chosen],
                upwards[chosen],
                s=22 if len(across) <= 200 else 9,
                marker=marker,
                color=colour,
                alpha=0.7,
                linewidths=0,
                label=f"{label}: {count}",
                zorder=2,
            )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 0.99),  # above the panel, so that it hides no point
        ncols=3,
        frameon=False,
        fontsize=8,
        handletextpad=0.1,
        columnspacing=1.2,
    )
    heading = HEADINGS[METRICS.index(metric)]
    means = f"mean {summary.mean_a:.4g} in A, {summary.mean_b:.4g} in B"
    axes.set_title(f"{heading}: {means}", fontsize=10, loc="left", pad=20)
    shown = [printable(name, limit=40) for name in names]
    axes.set_xlabel(f"A: {shown[0]}", fontsize=9, parse_math=False)
    axes.set_ylabel(f"B: {shown[1]}", fontsize=9, parse_math=False)
    axes.tick_params(labelsize=8)
    axes.grid(color="#eeeeee", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _name_largest(axes, comparison, metric, limit)


def _name_largest(
    axes: Axes, comparison: Comparison, metric: str, limit: float
) -> None:
    """Write the names of the images that differ most beside their points."""
    from matplotlib.patheffects import withStroke

    # All places from here on are shares of the panel's sides.
    points = np.stack([comparison.values_a[metric], comparison.values_b[metric]], 1)
    points /= limit
    taken: list[_Box] = []
    for index in comparison.largest(metric)[:_NAMED]:
        if not comparison.differences[metric][index]:
            break
        name = printable(comparison.names[index], limit=_NAME_LENGTH)
        x, y = points[index].tolist()
        width = _LETTER * max(1, len(name))
        box = _free_box(points[index], width, points, taken)
        taken.append(box)
        axes.annotate(
            name,
            (x, y),
            xytext=(box.left, box.middle),
            xycoords="axes fraction",
            textcoords="axes fraction",
            horizontalalignment="left",
            verticalalignment="center",
            fontsize=7,
            parse_math=False,
            arrowprops={
                "arrowstyle": "-",
                "color": "#555555",
                "linewidth": 0.5,
                "shrinkA": 0,
                "shrinkB": 2,
                "relpos": ((box.nearest(x) - box.left) / width, 0.5),
            },
            path_effects=[withStroke(linewidth=2, foreground="white")],
            zorder=3,
        )


class _Box(NamedTuple):
    """Where a name stands."""

    left: float
    right: float
    middle: float  # of its height

    def nearest(self, x: float) -> float:
        """Return how far across the part lies that is nearest to a point."""
        return min(max(x, self.left), self.right)

    def is_inside(self) -> bool:
        """Say whether the panel holds it."""
        return self.left >= 0 and self.right <= 1 and _LINE <= self.middle <= 1 - _LINE

    def overlaps(self, other: _Box) -> bool:
        """Say whether two names would cover each other."""
        return (
            self.left < other.right
            and other.left < self.right
            and abs(self.middle - other.middle) < _LINE
        )

    def hides(self, points: np.ndarray) -> np.ndarray:
        """Say of points, [..., 2], whether they are covered or touched: bool."""
        across, upwards = points[..., 0], np.abs(points[..., 1] - self.middle)
        return (
            (across > self.left - _GAP / 2)
            & (across < self.right + _GAP / 2)
            & (upwards < (_LINE + _GAP) / 2)
        )


def _free_box(
    point: np.ndarray, width: float, points: np.ndarray, taken: list[_Box]
) -> _Box:
    """Find the place near a point where its name hides least.

    Args:
      point: [2], across and upwards.
      width: of the name.
      points: [n, 2], all that are better not hidden.
      taken: where other names stand.
    """
    x, y = point.tolist()

    def cost(box: _Box) -> float:
        clashes = sum(box.overlaps(other) for other in taken)
        on_diagonal = box.left < box.middle < box.right
        beyond_diagonal = (box.nearest(x) < box.middle) != (x < y)
        distance = math.hypot(box.nearest(x) - x, 2 * (box.middle - y))
        return (
            100 * clashes
            + 10 * bool(box.hides(point))
            + np.count_nonzero(box.hides(points))
            + 0.5 * (on_diagonal or beyond_diagonal)
            + 5 * distance
        )

    beside = [x + _GAP, x - _GAP - width]
    along = [share * (1 - width) for share in np.linspace(0.01, 0.99, 25).tolist()]
    steps = [_LINE * step / 2 for step in range(-14, 15)]
    boxes = (
        _Box(left, left + width, y + up) for left in beside + along for up in steps
    )
    return min((box for box in boxes if box.is_inside()), key=cost)
