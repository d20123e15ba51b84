"""`tmfnet info`: the networks and their sizes."""

from __future__ import annotations

import argparse
import json
import textwrap

from tmfnet_jax.commands.common import add_command


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "info",
        _info,
        "list the networks with their sizes beside the paper's",
        "Parameters are counted in the network, operations in its traced program, one\n"
        "multiply-add counted as one. What else counts is a matter of the rule:\n"
        "convolutions, layers (what MMCV's counter visits) or published (what comes\n"
        "nearest to the paper's numbers). The table ends with its rule in full.",
    )
    parser.add_argument(
        "--count",
        choices=("convolutions", "layers", "published"),
        default="convolutions",
        help="the rule; default: convolutions",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _info(options: argparse.Namespace) -> None:
    from tmfnet_jax.counting import PAPER_SIZE, RULES, count_operations
    from tmfnet_jax.parameters import parameter_count
    from tmfnet_jax.reporting import format_table
    from tmfnet_jax.variants import VARIANTS

    records: list[dict] = [
        {
            "variant": name,
            "params": parameter_count(variant.config),
            "macs": count_operations(variant.config, PAPER_SIZE, PAPER_SIZE).total(
                options.count
            ),
            "paper_params": variant.paper_params,
            "paper_macs": variant.paper_macs,
        }
        for name, variant in VARIANTS.items()
    ]
    if options.json:
        print(json.dumps(records, indent=2))
        return
    rows = [
        (
            record["variant"],
            f"{record['params']:,}",
            _scaled(record["paper_params"], 1e6, "M"),
            _scaled(record["macs"], 1e9, "G"),
            _scaled(record["paper_macs"], 1e9, "G"),
            VARIANTS[record["variant"]].paper_row,
        )
        for record in records
    ]
    header = ("variant", "parameters", "paper", "multiply-adds", "paper", "is")
    print(format_table(header, rows))
    note = f"{options.count} at {PAPER_SIZE}x{PAPER_SIZE}: {RULES[options.count]}"
    print(f"\n{textwrap.fill(note, 80)}")


def _scaled(value: int | None, unit: float, name: str) -> str:
    if value is None:
        return "-"
    digits = 1 if unit == 1e6 else 0
    return f"{value / unit:.{digits}f} {name}"
