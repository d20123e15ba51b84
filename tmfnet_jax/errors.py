"""The exception for input that a user can mend, and the wording of failures."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input from outside: a file, an array, an option, a config.

    The message is one line that says what was got, what was expected and what
    to do. Command-line programs print it and exit with status 2; they never
    show a traceback for it.
    """


# What files and the machine bring about; anything else is a bug.
EXPECTED_ERRORS = (InputError, MemoryError, OSError)


def reason(error: Exception) -> str:
    """Word one of EXPECTED_ERRORS in one line that cannot steer a terminal."""
    text = str(error)
    if isinstance(error, MemoryError):
        text = "out of memory; close other programs or use a smaller image"
    elif isinstance(error, OSError):
        text = f"{error.filename or 'input/output'}: {error.strerror or error}"
    return printable(text)


def printable(text: str) -> str:
    """Bring text from outside into one line without control characters."""
    text = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
