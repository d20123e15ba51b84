"""Samples as pure functions of (seed, index)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from stream_sources import RampSource

from input_pipeline.protocol import sample
from input_pipeline.protocol.composition import composite
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from tmfnet_jax.errors import InputError

PLAIN = Recipe(
    crop_px=24, second_foreground_probability=0.0, jitter=False, affine=False
)
LIVELY = Recipe.for_crop(24)


class DiscSource:
    """Soft discs; the red channel of each image tells which one it is."""

    def __init__(self, foregrounds=5, backgrounds=3, size=(40, 48)):
        self.num_foregrounds, self.num_backgrounds = foregrounds, backgrounds
        self.size = size
        self.seen = []

    def foreground(self, index):
        self.seen.append(index)
        height, width = self.size
        y, x = np.mgrid[:height, :width]
        distance = np.hypot(y - height / 2, x - width / 2)
        alpha = np.clip(40 * (12 - distance), 0, 255).astype(np.uint8)
        return self.picture(index), alpha

    def background(self, index):
        return self.picture(index + 100)

    def picture(self, index):
        height, width = self.size
        y, x = np.mgrid[:height, :width]
        return np.dstack([np.full_like(x, index % 251), 3 * x, 4 * y]).astype(np.uint8)


class HardSource(DiscSource):
    """Foregrounds whose alpha is opaque everywhere, but for those in `good`."""

    def __init__(self, good, **kwargs):
        super().__init__(**kwargs)
        self.good = good

    def foreground(self, index):
        image, alpha = super().foreground(index)
        return image, alpha if index in self.good else np.full_like(alpha, 255)


def assert_equal(one, other):
    assert list(one) == list(other) == list(sample.SAMPLE_CHANNELS)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_defaults_are_the_papers_recipe():
    assert Recipe() == Recipe(512, 0.5, True, True, 30, 1024, (0.8, 1.25), 10, 0.5, 29)


def test_recipe_for_a_small_crop_keeps_proportions():
    assert Recipe.for_crop(512) == Recipe()
    small = Recipe.for_crop(128, jitter=False)
    assert (small.crop_px, small.rotation_min_side_px) == (128, 256)
    assert (small.trimap_max_kernel_px, small.jitter) == (7, False)
    assert Recipe.for_crop(16).trimap_max_kernel_px == 3


@pytest.mark.parametrize(
    "field, value",
    [
        ("crop_px", 0),
        ("trimap_max_kernel_px", 0),
        ("second_foreground_probability", 1.5),
        ("flip_probability", -0.1),
        ("scale_range", (0.0, 1.0)),
        ("scale_range", (1.2, 1.0)),
        ("rotation_degrees", 181.0),
        ("shear_degrees", 90.0),
    ],
)
def test_recipe_out_of_range_is_refused(field, value):
    with pytest.raises(InputError, match=rf"recipe\.{field} is .*; give "):
        Recipe(**{field: value})


def test_sample_has_the_stated_form_and_an_unknown_region():
    source = DiscSource()
    for index in range(40):
        made = make_sample(source, LIVELY, seed=1, index=index)
        assert list(made) == ["image", "trimap", "alpha", "foreground", "background"]
        for name, channels in sample.SAMPLE_CHANNELS.items():
            assert made[name].shape == (24, 24, channels)
            assert made[name].dtype == np.uint8 and made[name].flags.owndata
        trimap, alpha = made["trimap"], made["alpha"]
        assert set(np.unique(trimap)) <= {0, 128, 255} and (trimap == 128).any()
        known = trimap != 128
        np.testing.assert_array_equal(trimap[known], alpha[known])
        np.testing.assert_array_equal(
            made["image"], composite(made["foreground"], made["background"], alpha)
        )


def test_plain_recipe_gives_windows_of_the_source():
    source = DiscSource()
    made = make_sample(source, PLAIN, seed=2, index=0)
    (chosen,) = source.seen
    whole, alpha = source.foreground(chosen)
    left, top = made["foreground"][0, 0, 1:] // (3, 4)
    window = np.s_[top : top + 24, left : left + 24]
    np.testing.assert_array_equal(made["foreground"], whole[window])
    np.testing.assert_array_equal(made["alpha"][..., 0], alpha[window])
    background = int(made["background"][0, 0, 0]) - 100
    np.testing.assert_array_equal(
        made["background"], source.background(background)[window]
    )


def test_sample_is_a_pure_function_of_seed_and_index():
    source = DiscSource()
    first = make_sample(source, LIVELY, seed=3, index=7)
    make_sample(source, LIVELY, seed=3, index=8)
    assert_equal(make_sample(DiscSource(), LIVELY, seed=3, index=7), first)
    for seed, index in ((3, 8), (4, 7)):
        other = make_sample(source, LIVELY, seed=seed, index=index)
        assert not np.array_equal(other["image"], first["image"])


def test_each_foreground_comes_once_an_epoch_in_a_new_order():
    source = DiscSource(foregrounds=7)
    for index in range(28):
        make_sample(source, PLAIN, seed=5, index=index)
    epochs = [tuple(source.seen[start : start + 7]) for start in range(0, 28, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) > 1


def test_source_without_an_end_is_walked_by_the_index():
    source = DiscSource(foregrounds=None, backgrounds=None)
    for index in (0, 9, 10**6):
        make_sample(source, PLAIN, seed=6, index=index)
    assert source.seen == [0, 9, 10**6]


def test_second_foreground_is_drawn_with_its_probability():
    for probability, expected in ((0.0, 30), (1.0, 60), (0.5, 45)):
        source = DiscSource()
        recipe = Recipe.for_crop(24, second_foreground_probability=probability)
        for index in range(30):
            make_sample(source, recipe, seed=7, index=index)
        assert abs(len(source.seen) - expected) <= (10 if probability == 0.5 else 0)


def test_small_images_are_enlarged_to_the_crop():
    source = DiscSource(size=(13, 40))
    for index in range(10):
        made = make_sample(source, Recipe(crop_px=32), seed=8, index=index)
        assert made["image"].shape == (32, 32, 3) and (made["trimap"] == 128).any()


def test_foreground_without_an_edge_is_replaced_by_another():
    source = HardSource({2})
    for index in range(8):
        made = make_sample(source, PLAIN, seed=9, index=index)
        assert (made["trimap"] == 128).any()
        assert (made["foreground"][..., 0] == 2).all()


def test_source_without_any_edge_is_refused():
    with pytest.raises(InputError, match="20 foregrounds running, .* left no unknown"):
        make_sample(HardSource({}), PLAIN, seed=10, index=0)


def test_crops_show_enough_of_both_sides():
    class Ramps(RampSource):
        """All unknown, or with a little of both sides."""

        def foreground(self, index):
            colours, alpha = super().foreground(index)
            return colours, alpha if index % 2 else np.full_like(alpha, 100)

    recipe = Recipe.for_crop(24, affine=False, second_foreground_probability=0.0)
    wanting = dataclasses.replace(recipe, min_known=0.1)
    for index in range(6):
        made = make_sample(Ramps(), wanting, seed=0, index=index)
        shares = [(made["trimap"] == known).mean() for known in (0, 255)]
        assert min(shares) >= 0.1
    # Where no foreground has enough, it is better than nothing.
    never = dataclasses.replace(recipe, min_known=0.49)
    made = make_sample(Ramps(), never, seed=0, index=0)
    assert (made["trimap"] == 128).any()
