"""The tf.data pipeline against the plain stream of batches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from input_pipeline.batches import batches
from input_pipeline.recipe import Recipe
from tmfnet_jax.errors import InputError

tf = pytest.importorskip("tensorflow")

from input_pipeline import pipeline  # noqa: E402

RECIPE = Recipe.for_crop(24)


class RampSource:
    """Noise with an alpha that rises from left to right; any number of each."""

    num_foregrounds = None
    num_backgrounds = None
    damaged = None

    def foreground(self, index):
        if index == self.damaged:
            raise InputError(f"{index}.png: damaged, not an image")
        ramp = np.linspace(-300, 555, 40).clip(0, 255).astype(np.uint8)
        return self.background(index), np.tile(ramp, (32, 1))

    def background(self, index):
        return np.random.default_rng(index).integers(0, 256, (32, 40, 3), np.uint8)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 3},
        {"batch_size": 4, "start_step": 3, "shard": (1, 2)},
    ],
)
def test_batches_are_those_of_the_plain_stream(options):
    source = RampSource()
    plain = batches(source, RECIPE, seed=1, **options)
    built = pipeline.dataset(source, RECIPE, seed=1, num_workers=3, **options)
    pairs = zip(pipeline.as_numpy(built), plain, strict=False)  # both endless
    compared = list(itertools.islice(pairs, 4))
    plain.close()
    assert len(compared) == 4
    for one, other in compared:
        assert set(one) == set(other)
        for name in other:
            assert one[name].dtype == np.uint8
            np.testing.assert_array_equal(one[name], other[name])


def test_shapes_are_known_before_the_first_batch():
    built = pipeline.dataset(RampSource(), RECIPE, seed=2, batch_size=6, shard=(0, 3))
    shapes = {name: tuple(spec.shape) for name, spec in built.element_spec.items()}
    assert shapes == {
        "image": (2, 24, 24, 3),
        "trimap": (2, 24, 24, 1),
        "alpha": (2, 24, 24, 1),
        "foreground": (2, 24, 24, 3),
        "background": (2, 24, 24, 3),
    }


def test_bad_source_is_told_in_its_own_words():
    source = RampSource()
    source.damaged = 2
    recipe = Recipe(crop_px=24, second_foreground_probability=0.0)
    stream = pipeline.as_numpy(
        pipeline.dataset(source, recipe, seed=3, batch_size=2, num_workers=1)
    )
    next(stream)
    with pytest.raises(InputError) as caught:
        next(stream)
    assert str(caught.value) == "2.png: damaged, not an image"


def test_other_errors_are_passed_on_whole():
    source = RampSource()
    source.background = lambda index: 1 / 0
    built = pipeline.dataset(source, RECIPE, seed=4, batch_size=1)
    with pytest.raises(tf.errors.OpError, match="ZeroDivisionError"):
        next(pipeline.as_numpy(built))


def test_tensorflow_is_kept_off_accelerators():
    pipeline.dataset(RampSource(), RECIPE, seed=5, batch_size=1)
    assert {d.device_type for d in tf.config.get_visible_devices()} == {"CPU"}


def test_options_that_do_not_fit_are_refused_at_once():
    with pytest.raises(InputError, match="num_workers is 0"):
        pipeline.dataset(RampSource(), RECIPE, seed=6, batch_size=1, num_workers=0)
    with pytest.raises(InputError, match="multiple of the 2 shards"):
        pipeline.dataset(RampSource(), RECIPE, seed=6, batch_size=3, shard=(0, 2))
