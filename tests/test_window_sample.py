"""The fast sample against the literal one: the same crop, trimap, nearly the image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from input_pipeline.protocol import draws
from input_pipeline.protocol.layers import Subject
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from input_pipeline.protocol.whole_sample import assemble_whole
from input_pipeline.protocol.window_sample import assemble_window
from input_pipeline.protocol.windows import Window

# Kernels and sides in the proportions of the paper's 512 and 29 to its images.
RECIPE = Recipe.for_crop(64, trimap_max_kernel_px=15)


class Blobs:
    """Soft and hard blobs of several sizes of image; backgrounds of others."""

    num_foregrounds, num_backgrounds = 8, 4

    def foreground(self, index):
        rng = np.random.default_rng([0, index])
        size = [(170, 200), (201, 160), (150, 150), (64, 90), (40, 130)][index % 5]
        alpha = cv2.resize(
            rng.random((5, 6)), size[::-1], interpolation=cv2.INTER_CUBIC
        )
        slope = [300, 900, 5000][index % 3]
        alpha = ((alpha - 0.5) * slope).clip(0, 255).astype(np.uint8)
        return self.picture(rng, size), alpha

    def background(self, index):
        rng = np.random.default_rng([1, index])
        size = [(170, 200), (300, 280), (100, 120), (260, 150)][index]
        return self.picture(rng, size)

    def picture(self, rng, size):
        coarse = rng.integers(0, 256, (9, 12, 3), np.uint8)
        smooth = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        return cv2.add(smooth, rng.integers(0, 20, smooth.shape, np.uint8))


def both(recipe, index, seed=3):
    return (
        make_sample(Blobs(), recipe, seed=seed, index=index, assemble=assemble)
        for assemble in (assemble_window, assemble_whole)
    )


def seen(sample, name):
    """Tell where an array must be right: a foreground not in known background."""
    return (sample["trimap"][..., 0] != 0) | (name != "foreground")


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        Recipe.for_crop(64, second_foreground_probability=1.0),
        Recipe.for_crop(64, affine=False),
        Recipe.for_crop(64, jitter=False, second_foreground_probability=0.0),
    ],
    ids=["all", "merged", "still", "plain"],
)
def test_both_give_the_same_sample(recipe):
    differences = []
    for index in range(60):
        fast, literal = both(recipe, index)
        # Alphas that agree at full detail also say that the crop is the same.
        opacity = np.abs(fast["alpha"].astype(int) - literal["alpha"])
        assert np.count_nonzero(opacity) < 0.005 * opacity.size
        assert np.count_nonzero(opacity > 8) < 0.0005 * opacity.size
        agree = fast["trimap"] == literal["trimap"]
        assert agree.mean() >= 0.995
        for name in ("image", "foreground", "background"):
            difference = np.abs(fast[name].astype(int) - literal[name])
            difference = difference[seen(fast, name) & seen(literal, name)]
            # Where alpha is 0, colours that no image shows may differ by more.
            assert difference.mean() < (2 if name == "image" else 4)
            differences.append(difference.mean())
    assert np.mean(differences) < 0.7


def test_where_nothing_is_replaced_only_roundings_differ(monkeypatch):
    cheap = (cv2.INTER_NEAREST, cv2.INTER_LINEAR)
    assert draws.INTERPOLATIONS[:2] == cheap
    monkeypatch.setattr(draws, "INTERPOLATIONS", cheap)

    class OneSize(Blobs):
        def foreground(self, index):
            return super().foreground(3 * (index % 2) * 5)

        def background(self, index):
            return super().background(0)

    recipe = Recipe.for_crop(64, jitter=False)
    for index in range(20):
        fast, literal = (
            make_sample(OneSize(), recipe, seed=1, index=index, assemble=assemble)
            for assemble in (assemble_window, assemble_whole)
        )
        for name in fast:
            where = seen(fast, name) & seen(literal, name)
            equal = fast[name][where] == literal[name][where]
            assert equal.mean() > 0.995


def test_both_find_no_crop_where_all_is_known():
    class Hard(Blobs):
        def foreground(self, index):
            colours, alpha = super().foreground(0)
            return colours, np.full_like(alpha, 255 * (index % 2))

    recipe = Recipe.for_crop(64, affine=False)
    rng = np.random.default_rng(0)
    drawn = draws.draw(recipe, rng, num_foregrounds=2, num_backgrounds=1)
    for assemble in (assemble_window, assemble_whole):
        assert assemble(Hard(), recipe, 0, drawn) is None


def statistics(sample):
    """Unknown share, where the unknown lies, colour: what training sees of a crop."""
    unknown = sample["trimap"][..., 0] == 128
    rows, columns = np.nonzero(unknown)
    return [
        unknown.mean(),
        rows.mean(),
        columns.mean(),
        sample["alpha"].mean(),
        *sample["image"].mean((0, 1)),
        sample["image"].std(),
    ]


def largest_gap(one, other):
    """Two-sample Kolmogorov-Smirnov statistic."""
    values = np.sort(np.concatenate([one, other]))
    shares = [
        np.searchsorted(np.sort(part), values, side="right") / len(part)
        for part in (one, other)
    ]
    return np.abs(shares[0] - shares[1]).max()


def test_distributions_agree_over_2000_samples():
    recipe = Recipe.for_crop(24)
    fast = [make_sample(Blobs(), recipe, seed=5, index=i) for i in range(2000)]
    literal = [
        make_sample(Blobs(), recipe, seed=6, index=i, assemble=assemble_whole)
        for i in range(2000)
    ]
    pairs = zip(
        np.transpose([statistics(sample) for sample in fast]),
        np.transpose([statistics(sample) for sample in literal]),
        strict=True,
    )
    # 1.95 sqrt(2 / n): what equal distributions exceed once in a thousand tests.
    assert max(largest_gap(*pair) for pair in pairs) < 1.95 * (2 / 2000) ** 0.5


def test_a_subject_that_would_be_opaque_stays_alone():
    colours, alpha = Blobs().foreground(0)
    subject = Subject(colours, alpha)
    subject.lay_over(colours[::-1], np.full_like(alpha, 255), (0, 0))
    whole = Window.whole(alpha.shape)
    np.testing.assert_array_equal(subject.alpha(whole), alpha)
    np.testing.assert_array_equal(subject.colours(whole), colours)
