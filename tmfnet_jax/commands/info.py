"""`tmfnet info`: the networks and their sizes."""

from __future__ import annotations

import argparse
import json

from tmfnet_jax.commands.common import add_command


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "info",
        _info,
        "list the networks with their sizes beside the paper's",
        "Parameters are counted in the network, multiply-adds in its traced program\n"
        "(convolutions only, one multiply-add counted as one).",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _info(options: argparse.Namespace) -> None:
    from tmfnet_jax.counting import PAPER_SIZE, convolution_macs
    from tmfnet_jax.parameters import parameter_count
    from tmfnet_jax.reporting import format_table
    from tmfnet_jax.variants import VARIANTS

    records: list[dict] = [
        {
            "variant": name,
            "params": parameter_count(variant.config),
            "macs": convolution_macs(variant.config, PAPER_SIZE, PAPER_SIZE),
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
    print(
        f"\nMultiply-adds: convolutions alone, {PAPER_SIZE}x{PAPER_SIZE}. The paper's "
        "count adds normalisation,\nactivations and pooling."
    )


def _scaled(value: int | None, unit: float, name: str) -> str:
    if value is None:
        return "-"
    digits = 1 if unit == 1e6 else 0
    return f"{value / unit:.{digits}f} {name}"
