"""`tmfnet bench`: time, memory and share of the device's peak."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tmfnet_jax.commands.common import add_command
from tmfnet_jax.commands.network_options import add_network, parse_size


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "bench",
        _bench,
        "measure time and memory on this machine",
        "Each size runs in a process of its own on a random image, nearly all of it\n"
        "unknown: no other image of that size takes longer. The share is that of the\n"
        "rate at which this machine multiplies matrices, measured beside it; other\n"
        "programs that run meanwhile falsify both. Weights that recommend refinement\n"
        "are measured with it, and a share then says little.\n\n"
        "example: tmfnet bench --sizes 512 1024 4000x3867",
    )
    add_network(parser)
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=["512", "1024", "2048"],
        metavar="SIZE",
        help="side of a square, or WIDTHxHEIGHT, in pixels; default: 512 1024 2048",
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="timed calls, the best counts; default 3"
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _bench(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from tmfnet_jax.benchmark import Case, measure_all
    from tmfnet_jax.errors import InputError
    from tmfnet_jax.reporting import format_table

    sizes = [parse_size(text) for text in options.sizes]
    if options.repeats < 1:
        raise InputError(f"--repeats is {options.repeats}; expected at least 1")
    with tempfile.TemporaryDirectory() as folder:
        weights = options.weights or _random_weights(options.variant, Path(folder))
        cases = [
            Case(h, w, weights, options.dtype, options.max_memory, options.repeats)
            for h, w in sizes
        ]
        bar = tqdm(measure_all(cases), total=len(cases), unit="size", disable=None)
        records = list(bar)
    if options.json:
        print(json.dumps(records, indent=2))
    else:
        header = ("size", "device", "seconds", "first", "peak MB", "share", "plan")
        rows = [
            (
                record["size"],
                record["device"],
                f"{record['seconds']:.2f}",
                f"{record['first_seconds']:.1f}",
                f"{record['peak_rss_mb']:.0f}",
                f"{record['share_of_peak']:.2f}",
                record["plan"],
            )
            for record in records
            if "error" not in record
        ]
        if rows:
            print(format_table(header, rows))
    failed = [record for record in records if "error" in record]
    for record in failed:
        print(f"tmfnet: failed: {record['size']}: {record['error']}", file=sys.stderr)
    return 1 if failed else 0


def _random_weights(variant: str, folder: Path) -> Path:
    from tmfnet_jax.parameters import initial_network, named_arrays
    from tmfnet_jax.variants import named_config
    from tmfnet_jax.weights import write_weights

    config = named_config(variant)
    path = folder / "random.safetensors"
    write_weights(path, config, named_arrays(initial_network(config, seed=0)))
    return path
