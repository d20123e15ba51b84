"""How a script starts: flags, and bad input as one line with exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

from absl import app, flags, logging

from experiments.config_file import CONFIG_ERRORS, config_reason
from tmfnet_jax.errors import InputError
from tmfnet_jax.inference import use_compile_cache

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def run(main: Callable[[], None]) -> None:
    """Parse the command line, call main and exit."""
    logging.set_verbosity(logging.WARNING)  # Orbax reports each file as info
    # And an error that it raises, several times with a traceback.
    logging.get_absl_logger().addFilter(lambda record: not record.exc_info)
    app.run(lambda _: _guarded(main), flags_parser=_parse)


def _parse(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    except CONFIG_ERRORS as error:
        fail(config_reason(error))
    if len(rest) > 1:
        fail(f"unexpected argument {rest[1]!r}; options start with --, see --help")
    return rest


def _guarded(main: Callable[[], None]) -> None:
    use_compile_cache()
    try:
        main()
    except InputError as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        known = error.filename and error.strerror
        fail(f"{error.filename}: {error.strerror}" if known else str(error))


def fail(message: str) -> None:
    """Print the message as one line and exit with status 2."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(EXIT_BAD_INPUT)
