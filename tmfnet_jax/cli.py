"""The `tmfnet` command: its commands by name, and one line for any failure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tmfnet_jax.commands import convert, info, matte, trimap
from tmfnet_jax.errors import InputError

COMMANDS = (matte, trimap, convert, info)

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except InputError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("out of memory; close other programs or use a smaller image")
    except OSError as error:
        return _fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("tmfnet: interrupted; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _fail(message: str) -> int:
    print(f"tmfnet: error: {' '.join(message.split())}", file=sys.stderr)
    return EXIT_BAD_INPUT


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
    sys.exit(main())
