"""The one exception for input that a user can mend."""


class InputError(ValueError):
    """Bad input from outside: a file, an array, an option, a config.

    The message is one line that says what was got, what was expected and what
    to do. Command-line programs print it and exit with status 2; they never
    show a traceback for it.
    """
