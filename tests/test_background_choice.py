"""Backgrounds of a test set: all different, evenly used, some of a subject's colour."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from experiments.background_choice import choose_backgrounds, mean_colour
from tmfnet_jax.errors import InputError


def chosen(subjects, backgrounds, *, each=20, alike=4, seed=0):
    colours = np.random.default_rng(1).integers(
        0, 256, (subjects + backgrounds, 3), np.uint8
    )
    front, back = colours[:subjects], colours[subjects:]
    rng = np.random.default_rng(seed)
    rows = choose_backgrounds(front, back, each=each, alike=alike, rng=rng)
    return rows, front, back


@pytest.mark.parametrize(
    ("subjects", "backgrounds"), [(1, 20), (7, 20), (7, 23), (50, 333), (9, 200)]
)
def test_evenly_and_never_twice_for_a_subject(subjects, backgrounds):
    rows, *_ = chosen(subjects, backgrounds)
    assert [len(set(row)) for row in rows] == [20] * subjects
    uses = Counter(number for row in rows for number in row)
    counts = [uses[number] for number in range(backgrounds)]
    assert max(counts) - min(counts) <= 1


def test_more_backgrounds_than_needed_serve_once():
    rows, *_ = chosen(4, 100)
    assert len({number for row in rows for number in row}) == 80
    assert rows == chosen(4, 100)[0]
    assert rows != chosen(4, 100, seed=1)[0]


def test_some_are_of_the_subjects_colour():
    for backgrounds in (300, 1200):  # reused, and more than needed
        rows, front, back = chosen(20, backgrounds)
        away = np.linalg.norm(np.float32(front)[:, None] - np.float32(back), axis=-1)
        near = [sorted(away[i, row])[:4] for i, row in enumerate(rows)]
        plain, *_ = chosen(20, backgrounds, alike=0)
        usual = [sorted(away[i, row])[:4] for i, row in enumerate(plain)]
        assert np.mean(near) < 0.7 * np.mean(usual)


def test_the_nearest_ones_where_nobody_else_wants_them():
    grey = np.full((2, 3), [[10], [240]], np.uint8)
    back = np.repeat(np.arange(60, dtype=np.uint8)[:, None] * 4, 3, 1)
    rng = np.random.default_rng(0)
    rows = choose_backgrounds(grey, back, each=20, alike=4, rng=rng)
    assert {1, 2, 3, 4} <= set(rows[0]) and {58, 59} <= set(rows[1])


def test_too_few():
    with pytest.raises(InputError, match="there are 19 backgrounds; expected at least"):
        chosen(2, 19)


def test_mean_colours_are_weighted_and_whole():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = 100, 51, 0
    np.testing.assert_array_equal(mean_colour(image), [50, 26, 0])
    alpha = np.array([[255, 0], [0, 0]], np.uint8)
    np.testing.assert_array_equal(mean_colour(image, alpha), [100, 51, 0])
