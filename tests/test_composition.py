"""Compositing and merging against hand values and the equations in floats."""

from __future__ import annotations

import numpy as np

from input_pipeline.protocol import composition
from input_pipeline.protocol.draws import draw
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.whole_sample import merge_foregrounds


def random_layer(rng, height=12, width=16):
    """Draw colours and an alpha with many exact 0 and 255."""
    alpha = rng.integers(-200, 456, (height, width)).clip(0, 255).astype(np.uint8)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), alpha


def merge(front, front_alpha, back, back_alpha, rng):
    draws = draw(Recipe(), rng, num_foregrounds=1, num_backgrounds=1)
    return merge_foregrounds(front, front_alpha, back, back_alpha, draws)


def over(colour, alpha, below):
    """Lay one layer over another in floats, colours and alpha in [0, 255]."""
    share = alpha[..., np.newaxis] / 255
    return share * colour + (1 - share) * below


def test_composite_by_hand():
    foreground = np.full((1, 4, 3), (200, 0, 255), np.uint8)
    background = np.full((1, 4, 3), (100, 255, 255), np.uint8)
    alpha = np.array([[0, 51, 128, 255]], np.uint8)
    expected = [[[100, 255, 255], [120, 204, 255], [150, 127, 255], [200, 0, 255]]]
    image = composition.composite(foreground, background, alpha)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, expected)


def test_composite_is_rounded_exactly_for_every_pair_of_values():
    alpha, colour = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    foreground = np.repeat(colour[..., np.newaxis], 3, axis=2).astype(np.uint8)
    background = foreground[:, ::-1] // np.uint8(2)
    alpha = alpha.astype(np.uint8)
    image = composition.composite(foreground, background, alpha[..., np.newaxis])
    np.testing.assert_array_equal(image, np.rint(over(foreground, alpha, background)))


def test_merged_equals_two_composites_where_one_layer_is_all_or_nothing():
    rng = np.random.default_rng(1)
    (front, front_alpha), (back, back_alpha) = random_layer(rng), random_layer(rng)
    background = rng.integers(0, 256, front.shape, dtype=np.uint8)
    merged, alpha = merge(front, front_alpha, back, back_alpha, rng)
    exact = (front_alpha == 0) | (front_alpha == 255) | (back_alpha == 255)
    assert 50 < exact.sum() < exact.size
    twice = over(front, front_alpha, over(back, back_alpha, background))
    once = composition.composite(merged, background, alpha)
    assert np.abs(once - twice)[exact].max() <= 1  # 8-bit rounding


def test_merged_follows_the_recipe_everywhere():
    rng = np.random.default_rng(2)
    (front, front_alpha), (back, back_alpha) = random_layer(rng), random_layer(rng)
    merged, alpha = merge(front, front_alpha, back, back_alpha, rng)
    clear = (1 - front_alpha / 255) * (1 - back_alpha / 255)
    np.testing.assert_array_equal(alpha, np.rint(255 * (1 - clear)))
    np.testing.assert_array_equal(merged, np.rint(over(front, front_alpha, back)))


def test_second_foreground_is_resized_to_the_first():
    rng = np.random.default_rng(3)
    front, front_alpha = random_layer(rng)
    back = np.full((5, 7, 3), 90, np.uint8)
    merged, alpha = merge(
        front, np.zeros_like(front_alpha), back, np.full((5, 7), 60, np.uint8), rng
    )
    np.testing.assert_array_equal(merged, np.full(front.shape, 90))
    np.testing.assert_array_equal(alpha, np.full(front_alpha.shape, 60))


def test_merge_is_skipped_when_everything_would_be_opaque():
    rng = np.random.default_rng(4)
    front, front_alpha = random_layer(rng)
    opaque = np.full_like(front_alpha, 255)
    merged, alpha = merge(front, front_alpha, front[::-1], opaque, rng)
    np.testing.assert_array_equal(merged, front)
    np.testing.assert_array_equal(alpha, front_alpha)
    opaque[0, 0] = 0
    front_alpha[0, 0] = 0
    _, alpha = merge(front, front_alpha, front[::-1], opaque, rng)
    assert alpha[0, 0] == 0 and (alpha.ravel()[1:] == 255).all()
