"""How a script starts: flags, and bad input as one line with exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

from absl import app, flags, logging

from tmfnet_jax.errors import InputError
from tmfnet_jax.inference import use_compile_cache

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def run(main: Callable[[], None]) -> None:
    """Parse the command line, call main and exit."""
    logging.set_verbosity(logging.WARNING)  # Orbax reports each file as info
    app.run(lambda _: _guarded(main), flags_parser=_parse)


def _parse(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        fail(_reason(error))
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        # Config overrides: an unknown key, a value of the wrong type, no such file.
        fail(str(error))
    if len(rest) > 1:
        fail(f"unexpected argument {rest[1]!r}; options start with --, see --help")
    return rest


def _reason(error: BaseException) -> str:
    """Word what a config raised; it comes wrapped, a traceback in its text."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):
            error = cause  # the innermost one is the config's own
        cause = cause.__cause__ or cause.__context__
    return str(error)


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
