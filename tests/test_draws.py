"""The random decisions: ranges of the recipe, and what switches them off."""

from __future__ import annotations

import numpy as np

from input_pipeline.protocol.draws import INTERPOLATIONS, draw
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.whole_sample import motion_inverse

COUNTS = {"num_foregrounds": 7, "num_backgrounds": 5}


def many(recipe, number=2000, **counts):
    rng = np.random.default_rng(1)
    return [draw(recipe, rng, **COUNTS | counts) for _ in range(number)]


def test_ranges_are_those_of_the_recipe():
    drawn = many(Recipe())
    assert {d.jitter.hue_degrees for d in drawn} == set(range(-40, 40))
    for values, low, high in (
        ([d.jitter.saturation for d in drawn], -0.1, 0.1),
        ([d.jitter.value for d in drawn], -0.1, 0.1),
        ([d.motion.rotation_degrees for d in drawn], -30, 30),
        ([d.motion.shear_degrees for d in drawn], -10, 10),
        ([s for d in drawn for s in d.motion.scale], 0.8, 1.25),
        ([d.erosion_px for d in drawn], 1, 29),
        ([d.dilation_px for d in drawn], 1, 29),
        ([d.background for d in drawn], 0, 4),
    ):
        reach = (high - low) / 100
        assert low <= min(values) < low + reach
        assert high - reach < max(values) <= high
    merged = [d.second for d in drawn if d.second is not None]
    assert abs(len(merged) - 1000) < 100 and set(merged) == set(range(7))
    for flip in ((False, False), (False, True), (True, False), (True, True)):
        assert abs(sum(d.motion.flip == flip for d in drawn) - 500) < 100


def test_every_interpolation_is_drawn_for_every_use():
    drawn = many(Recipe(), 300)
    assert len(INTERPOLATIONS) == 5
    for pick in (
        lambda d: d.second_interpolations[0],
        lambda d: d.second_interpolations[1],
        lambda d: d.motion.interpolations[0],
        lambda d: d.motion.interpolations[1],
        lambda d: d.enlarge_interpolations[0],
        lambda d: d.enlarge_interpolations[1],
        lambda d: d.background_interpolation,
    ):
        assert {pick(d) for d in drawn} == set(INTERPOLATIONS)


def test_erosion_and_dilation_are_independent():
    drawn = many(Recipe())
    sizes = np.array([(d.erosion_px, d.dilation_px) for d in drawn])
    assert abs(np.corrcoef(sizes.T)[0, 1]) < 0.1


def test_switched_off_parts_leave_the_others_as_they_are():
    full, plain = many(Recipe(), 50), many(Recipe(jitter=False, affine=False), 50)
    for one, other in zip(full, plain, strict=True):
        assert other.jitter is None and other.motion is None
        assert one.crop_seed == other.crop_seed
        assert one.background == other.background


def test_sources_without_an_end_have_large_indices():
    drawn = many(Recipe(), 50, num_foregrounds=None, num_backgrounds=None)
    assert max(d.background for d in drawn) > 10**8


def test_only_large_images_are_rotated():
    recipe = Recipe(scale_range=(1, 1), shear_degrees=0, flip_probability=0)
    (drawn,) = many(recipe, 1)
    assert drawn.motion.rotation_degrees != 0
    still = motion_inverse(drawn.motion, recipe, 700, 1023)
    np.testing.assert_allclose(still, np.eye(2, 3), atol=1e-9)
    turned = motion_inverse(drawn.motion, recipe, 700, 1024)
    assert not np.allclose(turned, np.eye(2, 3))
