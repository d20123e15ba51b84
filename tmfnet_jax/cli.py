"""The `tmfnet` command: its commands by name, and one line for any failure."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tmfnet_jax.commands import bench, convert, info, matte, plan, trimap
from tmfnet_jax.commands.common import EXIT_BAD_INPUT, EXIT_INTERRUPTED
from tmfnet_jax.errors import EXPECTED_ERRORS, reason

COMMANDS = (matte, trimap, plan, bench, convert, info)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
      The exit status: 0, the command's own, 2 for bad input, 130 after Ctrl-C.
    Raises:
      SystemExit: by argparse, with status 0 for help and 2 for wrong usage.
    """
    try:
        options = _parser().parse_args(arguments)
        return options.run(options) or 0
    except EXPECTED_ERRORS as error:
        print(f"tmfnet: error: {reason(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("tmfnet: interrupted; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED


def run() -> NoReturn:
    """Run one command as a program and end it.

    At once: an interpreter that has used JAX takes half a second to tear down.
    """
    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # whoever was reading has gone
            status = status or EXIT_BAD_INPUT
    os._exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tmfnet",
        description="Trimap-based image matting with TMFNet.",
        epilog="Every command explains itself: tmfnet COMMAND --help",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    run()
