"""Samples as pure functions of (seed, index), and the plain stream of batches."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from input_pipeline import sample
from input_pipeline.batches import batches
from input_pipeline.composition import composite
from input_pipeline.recipe import Recipe
from input_pipeline.sample import make_sample
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


def take(number, stream):
    """Take the first batches and stop the stream's threads."""
    taken = list(itertools.islice(stream, number))
    stream.close()
    return taken


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


def test_step_holds_the_samples_of_its_indices():
    source = DiscSource()
    steps = take(2, batches(source, LIVELY, seed=11, batch_size=3))
    for step, batch in enumerate(steps):
        for place in range(3):
            made = make_sample(source, LIVELY, seed=11, index=3 * step + place)
            assert_equal({name: batch[name][place] for name in batch}, made)


def test_order_does_not_depend_on_the_threads():
    streams = [
        batches(DiscSource(), LIVELY, seed=12, batch_size=4, num_threads=number)
        for number in (1, 4)
    ]
    for one, four in zip(*(take(4, stream) for stream in streams), strict=True):
        assert_equal(one, four)


def test_resumed_stream_is_the_tail_of_the_whole():
    options = {"seed": 13, "batch_size": 2}
    whole = take(5, batches(DiscSource(), LIVELY, **options))
    tail = take(2, batches(DiscSource(), LIVELY, start_step=3, **options))
    for one, other in zip(whole[3:], tail, strict=True):
        assert_equal(one, other)


def test_shards_together_are_the_whole():
    options = {"seed": 14, "batch_size": 6}
    whole = take(2, batches(DiscSource(), LIVELY, **options))
    shards = [
        take(2, batches(DiscSource(), LIVELY, shard=(number, 3), **options))
        for number in range(3)
    ]
    for step, batch in enumerate(whole):
        parts = [shard[step] for shard in shards]
        assert all(len(part["image"]) == 2 for part in parts)
        assert_equal(
            {name: np.concatenate([part[name] for part in parts]) for name in batch},
            batch,
        )


def test_error_in_a_thread_reaches_the_consumer_and_stops_the_threads():
    class Broken(DiscSource):
        def foreground(self, index):
            if index == 5:
                raise InputError("5.png is damaged")
            return super().foreground(index)

    stream = batches(Broken(foregrounds=None), PLAIN, seed=15, batch_size=2)
    assert len(list(itertools.islice(stream, 2))) == 2
    with pytest.raises(InputError, match=r"5\.png is damaged"):
        next(stream)
    assert not own_threads()


def test_closing_the_stream_stops_its_threads():
    stream = batches(DiscSource(), PLAIN, seed=16, batch_size=2, num_threads=3)
    next(stream)
    assert own_threads()
    stream.close()
    assert not own_threads()


def own_threads():
    """List the threads of streams that are alive."""
    return [t for t in threading.enumerate() if t.name.startswith("make_sample")]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_threads": 0}, "num_threads is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"shard": (0, 3)}, "batch_size is 4; give a multiple of the 3 shards"),
        ({"shard": (2, 2)}, r"shard is \(2, 2\)"),
        ({"start_step": -1}, "start_step is -1"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(options, message):
    with pytest.raises(InputError, match=message):
        batches(DiscSource(), PLAIN, **{"seed": 17, "batch_size": 4} | options)
