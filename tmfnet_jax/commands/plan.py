"""`tmfnet plan`: what an image of some size will take, before it is computed."""

from __future__ import annotations

import argparse

from tmfnet_jax.commands.common import add_command
from tmfnet_jax.commands.network_options import add_network, parse_size


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "plan",
        _plan,
        "tell how an image of some size will be computed",
        "Lists every way, from the whole image at once to thin strips, with the\n"
        "memory it needs; the result is the same. Nothing is computed.\n\n"
        "example: tmfnet plan --size 10000x10000 --max-memory 12GB",
    )
    add_network(parser)
    parser.add_argument(
        "--size",
        required=True,
        metavar="SIZE",
        help="WIDTHxHEIGHT in pixels, or the side of a square",
    )


def _plan(options: argparse.Namespace) -> None:
    import dataclasses

    from tmfnet_jax.parameters import array_shapes
    from tmfnet_jax.reporting import format_table
    from tmfnet_jax.serving.folding import folded_bytes
    from tmfnet_jax.serving.plan import make_plan, plans
    from tmfnet_jax.variants import named_config
    from tmfnet_jax.weights import read_weights

    height, width = parse_size(options.size)
    if options.weights:
        config, _ = read_weights(options.weights)
    else:
        config = named_config(options.variant)
    config = dataclasses.replace(config, dtype=options.dtype)
    weight_bytes = folded_bytes(array_shapes(config), config)
    print(
        format_table(
            ("strips", "rows", "memory"),
            [
                (
                    str(plan.geometry.strips),
                    str(plan.geometry.rows),
                    f"{plan.bytes / 1e9:.2f} GB",
                )
                for plan in plans(config, height, width, weight_bytes=weight_bytes)
            ],
        )
    )
    chosen = make_plan(
        config,
        height,
        width,
        max_memory=options.max_memory,
        weight_bytes=weight_bytes,
    )
    print(f"\n{chosen}")
