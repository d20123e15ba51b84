"""Options of the commands that run a network, or ask what it takes."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tmfnet_jax.commands.common import parse_memory
from tmfnet_jax.errors import InputError

MAX_SIDE = 2**20


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a network, and what `add_computation` adds."""
    network = parser.add_mutually_exclusive_group()
    network.add_argument(
        "--variant",
        default="tmfnet",
        help="a network that `tmfnet info` lists; default: tmfnet, the full one",
    )
    network.add_argument(
        "--weights",
        type=Path,
        help="the network of a name that `tmfnet models` lists, of a safetensors file "
        "or of a workdir",
    )
    add_computation(parser)


def add_computation(parser: argparse._ActionsContainer) -> None:
    """Add the type of the computation and its memory."""
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="type of the computation: bfloat16 halves the memory on devices that "
        "have it; docs/benchmarks.md states how far its mattes deviate; default: "
        "float32",
    )
    parser.add_argument(
        "--max-memory",
        type=_memory,
        metavar="SIZE",
        help="what the process may use, like 2GB; large photos are matted in strips; "
        "default: what is free, at most 3 GB as long as that suffices",
    )


def add_tta(parser: argparse._ActionsContainer) -> None:
    """Add the test-time augmentation."""
    parser.add_argument(
        "--tta",
        choices=("none", "8", "10"),
        default="none",
        help="average over rotations and flip (8), and two scales (10): slower, "
        "slightly better; default: none",
    )


def add_refinement(parser: argparse._ActionsContainer) -> None:
    """Add the choice to refine mattes or not."""
    parser.add_argument(
        "--refine",
        action=argparse.BooleanOptionalAction,
        help="carry what the network is sure of on along the photo's colours; costs a "
        "few seconds for each megapixel that is unknown; default: as the weights "
        "recommend",
    )


def parse_size(text: str) -> tuple[int, int]:
    """Read a size, "2048" or "4000x3867" (width first): (height, width) in pixels.

    Raises:
      InputError: anything else, zero, or too large a side.
    """
    match = re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", text.strip(), re.I)
    sides = [int(side) for side in match.groups() if side] if match else []
    if not sides or not all(1 <= side <= MAX_SIDE for side in sides):
        raise InputError(
            f"size is {text!r}; expected the side of a square or WIDTHxHEIGHT in "
            f"pixels, like 2048 or 4000x3867, up to {MAX_SIDE}"
        )
    return sides[-1], sides[0]


def _memory(text: str) -> int:
    try:
        return parse_memory(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
