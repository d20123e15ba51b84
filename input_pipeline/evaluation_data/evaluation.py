"""What an evaluation set is: its examples, what of it was found, a generated one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from tmfnet_jax.errors import InputError
from tmfnet_jax.reporting import format_table
from tmfnet_jax.trimap import TRIMAP_VALUES

GENERATED_SEED = 1_000_003  # far from the seeds that trainings use
GENERATED_SIZE_PX = 256
MAX_GENERATED = 100_000  # names of all of them are held


@dataclass(frozen=True)
class Example:
    """One image of an evaluation set; all arrays uint8.

    Attributes:
      name: unique in its set; a "/" in it stands for a folder of predictions.
      image: [H, W, 3] RGB.
      trimap: [H, W] with values 0, 128, 255.
      alpha: [H, W], the truth; None where the set keeps it to itself.

    Raises:
      InputError: the arrays differ in size.
    """

    name: str
    image: np.ndarray
    trimap: np.ndarray
    alpha: np.ndarray | None

    def __post_init__(self):
        arrays = {"image": self.image, "trimap": self.trimap, "alpha": self.alpha}
        sizes = {
            role: f"{array.shape[1]}x{array.shape[0]}"
            for role, array in arrays.items()
            if array is not None
        }
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{role} {size}" for role, size in sizes.items())
            raise InputError(
                f"{self.name}: files differ in size: {listed}; get the original files"
            )


@dataclass(frozen=True)
class Inventory:
    """What of a data set was found, before anything runs on it.

    Attributes:
      source: where the data come from.
      licence: what they may be used for.
      counts: of each role of files, how many were found and how many are
        expected, None where any number will do.
      missing: files without which the set is not complete.
      surplus: files that belong to nothing; they are left unused.
      notes: what else to know, a sentence each.
    """

    source: str
    licence: str
    counts: tuple[tuple[str, int, int | None], ...] = ()
    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def report(self, *, listed: int | None = None) -> str:
        """Return it as lines for a terminal, of each list so many names, or all."""
        rows = [
            (role, found, "any" if expected is None else str(expected))
            for role, found, expected in self.counts
        ]
        lines = []
        for title, names in (("missing", self.missing), ("surplus", self.surplus)):
            if names:
                lines.append(f"{title} ({len(names)}):")
                shown = names[:listed]
                # Names come from outside and must not steer the terminal.
                lines += [f"  {n if n.isprintable() else ascii(n)}" for n in shown]
                if len(shown) < len(names):
                    lines.append(f"  and {len(names) - len(shown)} more: see --check")
        # Last what a long list must not scroll away.
        lines += [f"source: {self.source}", f"licence: {self.licence}"]
        lines.append(format_table(("files", "found", "expected"), rows))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


@dataclass(frozen=True)
class EvaluationSet:
    """A data set to measure a matting method on.

    Attributes:
      name: one of `input_pipeline.evaluation_data.evaluation_sets.SETS`.
      settings: values that JSON can hold: what defines the images beside the files.
      inventory: what was found.
      names: of the complete examples, all different.
      load: returns the example of a name; a pure function that several threads may
        call at once. It raises InputError for a file that cannot be used.
      has_alpha: whether the examples have the true alpha.
      kind: tells of a name what is seen in the image, for means by kind; None for
        sets without kinds.
    """

    name: str
    settings: Mapping[str, object]
    inventory: Inventory
    names: tuple[str, ...]
    load: Callable[[str], Example]
    has_alpha: bool = True
    kind: Callable[[str], str] | None = None

    def examples(self) -> Iterator[Example]:
        """Load the examples one after the other, in order of `names`."""
        return map(self.load, self.names)


def generated_set(count: int) -> EvaluationSet:
    """Return the fixed generated set: the first `count` of an endless series.

    Composites of procedural subjects that no training seed draws, without the
    recipe's jitter, affine and second foreground, and with all three labels in
    the trimap, because classical methods need known pixels of both kinds.

    Raises:
      InputError: a count out of range.
    """
    if not 1 <= count <= MAX_GENERATED:
        raise InputError(
            f"the generated set cannot have {count} images; give 1 to {MAX_GENERATED}"
        )
    series = _GeneratedSeries()
    numbers = {f"generated-{number:03}": number for number in range(count)}

    def load(name: str) -> Example:
        sample = series.sample(numbers[name])
        return Example(
            name, sample["image"], sample["trimap"][..., 0], sample["alpha"][..., 0]
        )

    return EvaluationSet(
        name="generated",
        settings={"count": count, "seed": GENERATED_SEED, "size_px": GENERATED_SIZE_PX},
        inventory=Inventory(
            source="made by this program",
            licence="none needed",
            counts=(("images", count, count),),
        ),
        names=tuple(numbers),
        load=load,
    )


class _GeneratedSeries:
    """The samples of the generated set by number, those without a label left out."""

    def __init__(self):
        size = (GENERATED_SIZE_PX, GENERATED_SIZE_PX)
        self._source = SyntheticSource(seed=GENERATED_SEED, size=size)
        self._recipe = Recipe(
            crop_px=GENERATED_SIZE_PX,
            second_foreground_probability=0,
            jitter=False,
            affine=False,
        )
        self._lock = threading.Lock()
        self._indices: list[int] = []  # of the samples found to have all labels
        self._tried = 0

    def sample(self, number: int) -> dict[str, np.ndarray]:
        """Return sample `number`; the same one whatever was asked for before."""
        with self._lock:
            while len(self._indices) <= number:
                sample = self._make(self._tried)
                complete = np.isin(TRIMAP_VALUES, sample["trimap"]).all()
                if complete:
                    self._indices.append(self._tried)
                self._tried += 1
                if complete and len(self._indices) > number:
                    return sample
            index = self._indices[number]
        return self._make(index)

    def _make(self, index: int) -> dict[str, np.ndarray]:
        return make_sample(self._source, self._recipe, seed=GENERATED_SEED, index=index)
