"""The `tmfnet` command: its commands by name, and one line for any failure."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from typing import NoReturn, Protocol

from tmfnet_jax.commands import (
    bench,
    compare,
    convert,
    info,
    matte,
    models,
    plan,
    trimap,
)
from tmfnet_jax.commands.common import EXIT_BAD_INPUT, EXIT_INTERRUPTED
from tmfnet_jax.errors import EXPECTED_ERRORS, reason


class Command(Protocol):
    """A module that declares a command."""

    def add(self, commands: argparse._SubParsersAction) -> None:
        """Add its parser, whose default `run` runs it."""
        ...


COMMANDS: dict[str, Command] = {
    module.__name__.rpartition(".")[2]: module
    for module in (matte, trimap, models, plan, bench, compare, convert, info)
}
# Packages that build on this one add commands: entry points to modules like these.
PLUGINS = "tmfnet_jax.commands"
_OWN_PACKAGES = ("tmfnet_jax", "input_pipeline", "experiments")


def main(
    arguments: Sequence[str] | None = None, *, commands: Iterable[Command] | None = None
) -> int:
    """Run one command.

    Args:
      arguments: of the command line, by default the program's.
      commands: what to choose from, by default all that are installed.
    Returns:
      The exit status: 0, the command's own, 2 for bad input, 130 after Ctrl-C.
    Raises:
      SystemExit: by argparse, with status 0 for help and 2 for wrong usage.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may hold letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if commands is None:
        # Looking for the installed ones takes a while: not for the commands here.
        known = bool(arguments) and arguments[0] in COMMANDS
        commands = (*COMMANDS.values(), *(() if known else _installed()))
    try:
        options = _parser(commands).parse_args(arguments)
        return options.run(options) or 0
    except EXPECTED_ERRORS as error:
        print(f"tmfnet: error: {reason(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] in _OWN_PACKAGES:
            raise
        print(
            f"tmfnet: error: this needs the package {error.name}; "
            "pip install 'tmfnet-jax[train,eval]'",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("tmfnet: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def run(
    arguments: Sequence[str] | None = None, *, commands: Iterable[Command] | None = None
) -> NoReturn:
    """Run one command as a program and end it.

    At once: an interpreter that has used JAX takes half a second to tear down.
    """
    status = main(arguments, commands=commands)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # whoever was reading has gone
            status = status or EXIT_BAD_INPUT
    os._exit(status)


def _installed() -> list[Command]:
    found = []
    for entry in sorted(entry_points(group=PLUGINS)):
        try:
            found.append(entry.load())
        except ImportError as error:
            print(f"tmfnet: note: no command {entry.name}: {error}", file=sys.stderr)
    return found


def _parser(modules: Iterable[Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tmfnet",
        description="Trimap-based image matting with TMFNet.",
        epilog="Every command explains itself: tmfnet COMMAND --help",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in modules:
        module.add(commands)
    return parser


if __name__ == "__main__":
    run()
