"""The kinds of subjects: a module for each family, each with its kinds by name."""

from __future__ import annotations

from collections.abc import Callable

from experiments.rendering.blender.kinds import feathers, fur, hair, yarn
from experiments.rendering.blender.stage import Stage

KINDS: dict[str, Callable[[Stage], None]] = {
    **feathers.KINDS,
    **fur.KINDS,
    **hair.KINDS,
    **yarn.KINDS,
}
