"""Which backgrounds the subjects of a test set are laid over."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tmfnet_jax.errors import InputError


def choose_backgrounds(
    subjects: np.ndarray,
    backgrounds: np.ndarray,
    *,
    each: int,
    alike: int,
    rng: np.random.Generator,
) -> list[list[int]]:
    """Choose backgrounds for each subject: all different, some of its own colour.

    Backgrounds serve equally often, or once more than others. Of each subject's, up
    to `alike` are those of the nearest mean colours that can be had without
    changing that: subjects swap backgrounds, or take one that serves nobody.

    Args:
      subjects: uint8 [S, 3], mean colours, RGB.
      backgrounds: uint8 [B, 3], mean colours, RGB.
      each: backgrounds of a subject.
      alike: how many of these should be near to the subject's colour.
      rng: for all that is left to chance.
    Returns:
      Of each subject the numbers of its backgrounds, in random order.
    Raises:
      InputError: fewer backgrounds than a subject needs.
    """
    total = len(backgrounds)
    if total < each:
        raise InputError(
            f"there are {total} backgrounds; expected at least {each}, so that those "
            "of a subject differ"
        )
    rows = _deal(len(subjects), total, each, rng)
    unused = set(range(total)).difference(*rows)
    kept: list[set[int]] = [set() for _ in rows]  # of the subject's own colour
    difference = _lab(subjects)[:, None] - _lab(backgrounds)
    nearest = np.linalg.norm(difference, axis=-1).argsort(axis=1, kind="stable")
    for _ in range(min(alike, each)):
        for number, order in enumerate(nearest.tolist()):
            for wanted in order:
                if wanted not in kept[number] and (
                    wanted in rows[number] or _get(wanted, number, rows, kept, unused)
                ):
                    kept[number].add(wanted)
                    break
    for row in rows:
        rng.shuffle(row)
    return rows


def mean_colour(image: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
    """Average the colours of an image, weighted by its alpha if there is one.

    Args:
      image: uint8 [H, W, 3].
      alpha: uint8 [H, W], not 0 everywhere.
    Returns:
      uint8 [3]: in whole steps, which decoders of JPEG agree on.
    """
    weights = None if alpha is None else alpha.ravel()
    mean = np.average(image.reshape(-1, 3), axis=0, weights=weights)
    return np.rint(mean).astype(np.uint8)


def _deal(
    subjects: int, backgrounds: int, each: int, rng: np.random.Generator
) -> list[list[int]]:
    """Deal backgrounds like cards, from one shuffled deck after the other."""
    deck: list[int] = []
    rows = []
    for _ in range(subjects):
        row: list[int] = []
        while len(row) < each:
            deck = deck or rng.permutation(backgrounds).tolist()
            row.append(deck.pop(next(i for i, b in enumerate(deck) if b not in row)))
        rows.append(row)
    return rows


def _get(
    wanted: int,
    number: int,
    rows: Sequence[list[int]],
    kept: Sequence[set[int]],
    unused: set[int],
) -> bool:
    """Get a subject a background, in exchange for one that it does not keep."""
    mine = rows[number]
    spare = [b for b in mine if b not in kept[number]]
    if wanted in unused:
        mine[mine.index(spare[0])] = wanted
        unused.remove(wanted)
        unused.add(spare[0])
        return True
    for theirs, keeping in zip(rows, kept, strict=True):
        if wanted not in theirs or wanted in keeping:
            continue
        given = next((b for b in spare if b not in theirs), None)
        if given is not None:
            mine[mine.index(given)] = wanted
            theirs[theirs.index(wanted)] = given
            return True
    return False


def _lab(colours: np.ndarray) -> np.ndarray:
    """Convert uint8 [N, 3] RGB to float32 [N, 3] CIELAB."""
    lab = cv2.cvtColor(colours.astype(np.float32)[None] / 255, cv2.COLOR_RGB2Lab)
    return np.asarray(lab)[0]
