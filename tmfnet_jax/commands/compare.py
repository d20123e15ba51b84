"""`tmfnet compare`: two evaluations of one set, beside each other."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tmfnet_jax.commands.common import add_command, check_writable, keep_inputs
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import METRICS

_DETAILS = """\
A and B are results of `tmfnet eval`: folders, or their files images.csv. All
metrics are errors: lower is better. First comes what explains a difference:
settings, versions, weights and data that are not the same, from the files
manifest.json that lie beside. Then each metric's mean over the images that both
have, and the interval of its difference: 95 of 100 sets of as many images, drawn
from these with replacement (paired bootstrap), have their mean difference in it.
Where it excludes 0, the choice of images does not explain the difference; another
training with another seed may still undo it.

With -o, each image becomes a point in a plot that needs Matplotlib:
pip install 'tmfnet-jax[eval]'.

example: tmfnet compare results/published results/mine -o scatter.png"""


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "compare",
        _compare,
        "compare two evaluations image by image",
        _DETAILS,
    )
    add = parser.add_argument
    add("a", type=Path, metavar="A", help="folder or images.csv to start from")
    add("b", type=Path, metavar="B", help="folder or images.csv to compare with it")
    add("-o", "--output", type=Path, help="plot to write: .png, .svg or .pdf")
    add(
        "--metric",
        action="append",
        choices=METRICS,
        help="compare this one only; may be repeated, images are ordered by the first; "
        "default: all",
    )
    add(
        "--worst",
        type=int,
        default=10,
        metavar="N",
        help="list the N images that differ most; default: 10",
    )
    add("--all", action="store_true", help="list all images")
    add(
        "--json",
        action="store_true",
        help="print one object, with all images whatever --worst says",
    )
    add(
        "--resamples",
        type=int,
        default=10_000,
        metavar="N",
        help="draws for the interval; default: 10000",
    )
    add("--seed", type=int, default=0, help="of the draws; default: 0")


def _compare(options: argparse.Namespace) -> None:
    from tmfnet_jax.commands.compare_report import as_json, report
    from tmfnet_jax.comparison import (
        compare,
        differing_settings,
        printable,
        read_run,
        run_names,
    )

    if options.worst < 0:
        raise InputError(f"--worst is {options.worst}; expected 0 or more")
    if options.output is not None:
        from tmfnet_jax.scatter_plot import check_plot

        check_plot(options.output)
        check_writable(options.output)
    a, b = read_run(options.a), read_run(options.b)
    if options.output is not None:
        keep_inputs(options.output, *a.files, *b.files)
    comparison = compare(
        a,
        b,
        metrics=list(dict.fromkeys(options.metric or METRICS)),
        resamples=options.resamples,
        seed=options.seed,
    )
    settings, names = differing_settings(a, b), run_names(a, b)
    if options.output is not None:
        from tmfnet_jax.scatter_plot import write_plot

        write_plot(options.output, comparison, names=names)
    if options.json:
        found = as_json(a, b, comparison, settings, names=names)
        found |= {"resamples": options.resamples, "seed": options.seed}
        print(json.dumps(found, indent=2, allow_nan=False))
        return
    listed = len(comparison.names) if options.all else options.worst
    parts = list(report(a, b, comparison, settings, names=names, listed=listed))
    if options.output is not None:
        parts.append(f"plot: {printable(str(options.output), limit=200)}")
    print("\n\n".join(parts))
