"""What the commands share: declaration, exit statuses, amounts, care for files."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

from tmfnet_jax.errors import InputError

EXIT_SOME_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

Run = Callable[[argparse.Namespace], int | None]  # the exit status; None is 0


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


def parse_memory(text: str) -> int:
    """Read an amount of memory, such as 2GB, 900MB or 1.5GiB, in bytes.

    Raises:
      InputError: anything else, or zero.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT])(i?)B?\s*", text, re.I)
    if not match or not float(match[1]):
        raise InputError(
            f"memory is {text!r}; expected a number with its unit, like 2GB or 900MB"
        )
    base = 1024 if match[3] else 1000
    return round(float(match[1]) * base ** ("KMGT".index(match[2].upper()) + 1))


def keep_inputs(output: Path, *inputs: Path) -> None:
    """Refuse to write over an input."""
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"{output}: is an input; choose another output")


def with_name(path: Path, error: InputError) -> str:
    """Word an error so that it names its file."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def check_writable(path: Path) -> None:
    """Refuse a file or folder that exists and is protected."""
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{path}: is protected from writing; choose another output")
