"""`tmfnet models`: the weights that come with the package."""

from __future__ import annotations

import argparse

from tmfnet_jax.commands.common import add_command


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "models",
        _models,
        "list the weights that come with the package, or show the card of one",
        "Wherever --weights is asked for, a name from this list does: --weights lite.\n"
        "The card says what the weights were trained on and under which licences,\n"
        "how, what they reach, and where they fail.",
    )
    parser.add_argument("name", nargs="?", help="weights whose card to print")


def _models(options: argparse.Namespace) -> None:
    from tmfnet_jax.model_card import NOT_STATED, NOTE
    from tmfnet_jax.named_weights import available, named
    from tmfnet_jax.parameters import parameter_count
    from tmfnet_jax.reporting import format_table
    from tmfnet_jax.weights import read_notes, read_weights

    if options.name is not None:
        print(named(options.name).card, end="")
        return
    rows = []
    for weights in available():
        network, _ = read_weights(weights.path)
        rows.append(
            (
                weights.name,
                f"{parameter_count(network):,}",
                f"{weights.path.stat().st_size / 1e6:.1f}",
                read_notes(weights.path).get(f"{NOTE}license", NOT_STATED),
                weights.path,
            )
        )
    print(format_table(("name", "parameters", "MB", "licence", "file"), rows))
    print("\ntmfnet models NAME prints the card: data, recipe, results, limits")
