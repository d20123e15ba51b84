"""The kinds of subjects: a module for each family, each with its kinds by name."""

from __future__ import annotations

from collections.abc import Callable

from experiments.rendering.blender.kinds import (
    flowers,
    foliage,
    fur,
    grasses,
    houseplants,
    needles,
)
from experiments.rendering.blender.stage import Stage

KINDS: dict[str, Callable[[Stage], None]] = {
    **flowers.KINDS,
    **foliage.KINDS,
    **fur.KINDS,
    **grasses.KINDS,
    **houseplants.KINDS,
    **needles.KINDS,
}
