"""The kinds of subjects: a module for each family, each with its kinds by name."""

from __future__ import annotations

from collections.abc import Callable

from experiments.rendering.blender.kinds import (
    clear,
    feathers,
    flowers,
    foliage,
    fur,
    grasses,
    hair,
    houseplants,
    lace,
    mesh,
    needles,
    nets,
    sheer,
    smoke,
    solids,
    yarn,
)
from experiments.rendering.blender.stage import Stage

KINDS: dict[str, Callable[[Stage], None]] = {
    **clear.KINDS,
    **feathers.KINDS,
    **flowers.KINDS,
    **foliage.KINDS,
    **fur.KINDS,
    **grasses.KINDS,
    **hair.KINDS,
    **houseplants.KINDS,
    **lace.KINDS,
    **mesh.KINDS,
    **needles.KINDS,
    **nets.KINDS,
    **sheer.KINDS,
    **smoke.KINDS,
    **solids.KINDS,
    **yarn.KINDS,
}
