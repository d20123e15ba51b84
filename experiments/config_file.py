"""A config file with overrides, for commands that are not started through absl."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from tmfnet_jax.errors import InputError

# What a config file and overrides bring about: an unknown key, a value of the wrong
# type, no such file.
CONFIG_ERRORS = (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError)


def load_config(file: str, overrides: Sequence[str] = ()) -> ConfigDict:
    """Load a config as `experiments.train --config=FILE --config.FIELD=VALUE` does.

    Args:
      file: path of the config file, with ":ARGUMENT" behind it where it takes one.
      overrides: FIELD=VALUE each, such as "data.size_px=96".
    Returns:
      The locked config.
    Raises:
      InputError: no such file, what the config itself refuses, an override without
        "=", of an unknown field, or of another type than the field's.
    """
    for text in overrides:
        if "=" not in text or text.startswith("-"):
            raise InputError(
                f"unexpected argument {text!r}; expected FIELD=VALUE, such as "
                "data.size_px=96"
            )
    fields = [text.removeprefix("config.") for text in overrides]
    arguments = ["", f"--config={file}", *(f"--config.{text}" for text in fields)]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config", flag_values=values, lock_config=True, sys_argv=arguments
    )
    try:
        with warnings.catch_warnings():
            # It loads files in a way that Python will drop.
            warnings.simplefilter("ignore", DeprecationWarning)
            values(arguments)
        config = values.config
    except CONFIG_ERRORS as error:
        raise InputError(" ".join(config_reason(error).split())) from None
    if not isinstance(config, ConfigDict):  # what stands for a file that is not there
        raise InputError(f"{file}: no such config file; check the path")
    return config


def config_reason(error: BaseException) -> str:
    """Word what a config raised; it comes wrapped, a traceback in its text."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):
            error = cause  # the innermost one is the config's own
        cause = cause.__cause__ or cause.__context__
    return str(error)
