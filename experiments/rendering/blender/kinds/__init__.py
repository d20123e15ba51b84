"""The kinds of subjects: a module for each family, each with its kinds by name."""

from __future__ import annotations

from collections.abc import Callable

from experiments.rendering.blender.kinds import (
    clear,
    fur,
    lace,
    mesh,
    nets,
    sheer,
    smoke,
    solids,
)
from experiments.rendering.blender.stage import Stage

KINDS: dict[str, Callable[[Stage], None]] = {
    **clear.KINDS,
    **fur.KINDS,
    **lace.KINDS,
    **mesh.KINDS,
    **nets.KINDS,
    **sheer.KINDS,
    **smoke.KINDS,
    **solids.KINDS,
}
