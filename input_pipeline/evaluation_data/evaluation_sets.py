"""The evaluation sets by name."""

from __future__ import annotations

from pathlib import Path

from input_pipeline.evaluation_data.alphamatting import (
    alphamatting_set,
    alphamatting_test_set,
)
from input_pipeline.evaluation_data.composition_benchmarks import (
    CIOM,
    COMPOSITION_1K,
    composition_set,
)
from input_pipeline.evaluation_data.evaluation import EvaluationSet, generated_set
from input_pipeline.evaluation_data.open_benchmark import OPEN_TEST, open_test_set
from input_pipeline.evaluation_data.triples import triples_set
from tmfnet_jax.errors import InputError

_COMPOSED = {spec.name: spec for spec in (COMPOSITION_1K, CIOM)}
GENERATED_COUNT = 20
_WITH_TRIMAPS = {
    "triples": triples_set,
    "alphamatting": alphamatting_set,
    "alphamatting-test": alphamatting_test_set,
}
SETS = ("generated", *_WITH_TRIMAPS, *_COMPOSED, OPEN_TEST.name)
_COUNTED = ("generated", OPEN_TEST.name)


def open_set(
    name: str,
    folder: Path | None,
    *,
    trimaps: str | None = None,
    backgrounds: Path | None = None,
    count: int | None = None,
) -> EvaluationSet:
    """Open an evaluation set: list its files and tell what is missing.

    Args:
      name: one of SETS.
      folder: where the set lies: a folder or, for the composed sets, a zip file;
        None for the generated set.
      trimaps: which of a set's several trimaps, for the sets that have a choice:
        of triples the name of a folder (trimap unless given), of alphamatting
        trimap1 (unless given) or trimap2, of alphamatting-test one of trimap1 to 3
        (all unless given).
      backgrounds: folder of the photos that a composed set is laid over; of the open
        set those within it unless given.
      count: images of the generated set, 20 unless given; of the open set a part of
        so many images, spread evenly over its subjects: not the whole set.
    Returns:
      The set. Where its inventory has missing files, its names are those of the
      complete examples only, and scores are not those of the set.
    Raises:
      InputError: an unknown set, an option that it lacks or does not take, or
        places in which nothing can be listed.
    """
    if name not in SETS:
        raise InputError(f"no set is called {name!r}; choose one of {', '.join(SETS)}")
    if folder is not None and name == "generated":
        raise InputError("set generated is made, not read; leave the folder out")
    if folder is None and name != "generated":
        raise InputError(f"set {name} needs the place of its files: eval {name} DIR")
    if count is not None and name not in _COUNTED:
        raise InputError(f"set {name} is measured whole; leave --count out")
    if trimaps is not None and name not in _WITH_TRIMAPS:
        raise InputError(f"set {name} has no choice of trimaps; leave it out")
    if backgrounds is not None and name not in (OPEN_TEST.name, *_COMPOSED):
        raise InputError(f"set {name} needs no backgrounds; leave them out")
    if backgrounds is None and name in _COMPOSED:
        raise InputError(
            f"set {name} needs --backgrounds: the folder of the photos of "
            + _COMPOSED[name].backgrounds_source
        )
    if folder is None:
        return generated_set(GENERATED_COUNT if count is None else count)
    if name == OPEN_TEST.name:
        return open_test_set(folder, backgrounds=backgrounds, count=count)
    if backgrounds is not None:
        return composition_set(folder, backgrounds=backgrounds, spec=_COMPOSED[name])
    choice = {} if trimaps is None else {"trimaps": trimaps}
    return _WITH_TRIMAPS[name](folder, **choice)
