"""Which subjects there are to render, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

TEST_SEEDS = 10_000  # seeds of test subjects begin here
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Subject:
    """A subject: its picture is a pure function of kind and seed."""

    kind: str
    seed: int

    @property
    def split(self) -> str:
        """Whether it is for training or for testing."""
        return SPLITS[self.seed >= TEST_SEEDS]

    @property
    def file(self) -> str:
        """Where its picture lies in the folder of all subjects."""
        return f"{self.split}/{self.kind}-{self.seed:04}.png"


def shares(kinds: Sequence[str], total: int) -> dict[str, int]:
    """Share a number of subjects out among kinds, as evenly as can be."""
    return {
        kind: total * (i + 1) // len(kinds) - total * i // len(kinds)
        for i, kind in enumerate(kinds)
    }


def seeds(split: str) -> Iterator[int]:
    """Return the seeds of a split: those that fail are passed over."""
    return count(TEST_SEEDS if split == "test" else 0)
