"""Published sets of training foregrounds: how many they have and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from input_pipeline.evaluation_data.paired_files import find_layout
from tmfnet_jax.errors import InputError


@dataclass(frozen=True)
class TrainingSet:
    """A set of foregrounds with alphas.

    Attributes:
      foregrounds: how many there are.
      layouts: where they may lie below the folder that a user gives. A layout is
        folders of foregrounds and of their alphas in turn.
      note: what else to know.
    """

    foregrounds: int
    layouts: tuple[tuple[str, ...], ...]
    note: str = ""


TRAINING_SETS = {
    "composition-1k": TrainingSet(
        foregrounds=431,
        layouts=tuple(
            tuple(
                f"{top}{part}/{role}"
                for part in ("Adobe-licensed images", "Other")
                for role in ("fg", "alpha")
            )
            for top in ("Combined_Dataset/Training_set/", "Training_set/", "")
        ),
    ),
    "ciom": TrainingSet(
        foregrounds=683,
        layouts=tuple((f"{top}fg", f"{top}alpha") for top in ("Training_set/", "")),
        note="the layout of CIOM's files is not public; expected are fg and alpha",
    ),
}


def set_folders(name: str, place: Path) -> list[tuple[Path, Path]]:
    """Find the folders of foregrounds of a published set, each with its alphas'.

    Args:
      name: one of TRAINING_SETS.
      place: the set's folder, one above, or the one within that holds them.
    Raises:
      InputError: not such a folder, or a part of the set is missing.
    """
    layout = find_layout(place, TRAINING_SETS[name].layouts)
    return [
        (place / foregrounds, place / alphas)
        for foregrounds, alphas in zip(layout[::2], layout[1::2], strict=True)
    ]


def check_whole(name: str, found: Sequence[object], place: object) -> None:
    """Refuse a published set that has not as many foregrounds as it should.

    Raises:
      InputError: training on part of a set has to be asked for by its folders, lest
        numbers be compared with those of the whole one.
    """
    expected = TRAINING_SETS[name].foregrounds
    if len(found) != expected:
        raise InputError(
            f"{place}: has {len(found)} foregrounds with alphas; {name} has {expected}"
            ": get the whole set, or train on these as kind 'folders'"
        )
