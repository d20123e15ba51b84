"""What the commands share: their declaration and the care for files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tmfnet_jax.errors import InputError

Run = Callable[[argparse.Namespace], None]


def add_command(
    commands: argparse._SubParsersAction,
    name: str,
    run: Run,
    summary: str,
    details: str,
) -> argparse.ArgumentParser:
    """Add one command; `details` follow the summary in its help."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{details}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def keep_inputs(output: Path, *inputs: Path) -> None:
    """Refuse to write over an input."""
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"{output}: is an input; choose another output")


def with_name(path: Path, error: InputError) -> str:
    """Word an error so that it names its file."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"
