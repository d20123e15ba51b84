"""The weights that come with the package, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tmfnet_jax.errors import InputError

FOLDER = Path(__file__).parent / "models"
DEFAULT = "lite"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class NamedWeights:
    """Weights of a name.

    Attributes:
      name: what `--weights` and `Matting.load` take.
      path: the safetensors file.
      card: what they are, come from and give, in Markdown.
    """

    name: str
    path: Path
    card: str


def available() -> list[NamedWeights]:
    """List the weights of the package, in order of their names."""
    return [
        NamedWeights(path.stem, path, path.with_suffix(".md").read_text("utf-8"))
        for path in sorted(FOLDER.glob(f"*{SUFFIX}"))
    ]


def named(name: str) -> NamedWeights:
    """Return the weights of a name.

    Raises:
      InputError: there are none; the names that there are are in its message.
    """
    found = {weights.name: weights for weights in available()}
    if name not in found:
        raise InputError(
            f"{name}: no weights of that name; expected one of {', '.join(found)}"
        )
    return found[name]


def resolve(weights: str | Path) -> Path:
    """Return the file of a name, or the path itself if it is none.

    The name comes first: a folder `lite` here is meant when more of its path is given.
    """
    path = FOLDER / f"{weights}{SUFFIX}"
    return path if str(weights).isidentifier() and path.exists() else Path(weights)
