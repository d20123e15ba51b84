"""Writing files so that a failure leaves what was there before."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tmfnet_jax.errors import InputError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes its place at `path` only once complete.

    The bytes go to a hidden file in the same folder, which replaces `path` when
    the `with` block ends and is removed when it fails. As with a plain `open`, an
    existing file keeps its permissions, a new one gets those of the umask, a file
    that is protected from writing stays, and symbolic links are followed.

    Args:
      path: file to create or replace.

    Yields:
      The open file; the block should do nothing but write to it.

    Raises:
      InputError: if it cannot be written, or `path` is a folder or a device.
    """
    target = Path(os.path.realpath(path))
    partial = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        mode = _mode(target)
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            partial.chmod(mode)
        partial.replace(target)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); nothing was "
            "changed, choose another place"
        ) from None
    finally:
        with contextlib.suppress(OSError):  # gone already when all went well
            partial.unlink()


def _mode(target: Path) -> int | None:
    """Return the permission bits of an existing file that may be written to."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError("not a regular file")
    if not os.access(target, os.W_OK):
        raise PermissionError("the file there is protected from writing")
    return stat.S_IMODE(mode)
