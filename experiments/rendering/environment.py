"""Blender's own virtual environment, which one call makes.

Blender comes as a Python module of PyPI. It wants an older NumPy than the project and
exactly the Python that it was built for.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tmfnet_jax.batch import say
from tmfnet_jax.errors import InputError

BPY = "bpy==4.5.15"  # another release may render other values
PYTHON = (3, 11)  # that bpy 4.5 is built for
FOLDER = Path(__file__).parents[2] / ".cache" / "blender"
_STAMP = "installed"


def blender_python(folder: Path = FOLDER) -> Path:
    """Return the interpreter that can import bpy; install it if it is not there.

    Args:
      folder: of the virtual environment.
    Raises:
      InputError: another Python than bpy has a wheel for, no wheel to be had, or one
        that does not run here.
    """
    python = folder / "bin" / "python"
    stamp = folder / _STAMP
    if stamp.exists() and stamp.read_text("utf-8") == BPY:
        return python.absolute()
    version = "{}.{}".format(*PYTHON)
    if sys.version_info[:2] != PYTHON:
        found = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise InputError(
            f"Blender's module needs Python {version}, this is {found}; run this "
            f"command with Python {version} (make PYTHON=python{version} venv)"
        )
    say(f"installing {BPY} into {folder}, 350 MB to fetch, once")
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:", BPY],
        [str(python), "-c", "import bpy"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()
            raise InputError(
                f"{' '.join(command[:4])} ...: {words[-1] if words else 'failed'}; "
                f"Blender could not be installed, remove {folder} and try again"
            )
    stamp.write_text(BPY, "utf-8")
    return python.absolute()
