"""Tiny training data in the layouts of the real sets, with random pixels."""

from __future__ import annotations

from pathlib import Path

import miniatures


def pairs(foregrounds: Path, alphas: Path, *, count: int, seed: int = 0) -> None:
    """Write foregrounds and alphas of equal names."""
    for number in range(count):
        name = f"{miniatures.STEMS[number % len(miniatures.STEMS)]}{number}.png"
        miniatures.save(foregrounds / name, miniatures.colours(seed, number, 0))
        miniatures.save(alphas / name, miniatures.alpha(seed, number, 1))


def composition_1k(top: Path, *, adobe: int, other: int) -> Path:
    """Write the two parts of Composition-1k's training set; names come twice."""
    for seed, (part, count) in enumerate(
        (("Adobe-licensed images", adobe), ("Other", other))
    ):
        pairs(top / part / "fg", top / part / "alpha", count=count, seed=seed)
    return top


def photos(folder: Path, *, count: int, size: tuple[int, int] = (20, 25)) -> Path:
    """Write photos as PNG, so that their pixels are kept."""
    for number in range(count):
        miniatures.save(
            folder / f"{number:03}.png", miniatures.colours(number, 7, size=size)
        )
    return folder
