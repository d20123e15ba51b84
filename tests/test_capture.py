"""What a camera and a hand add: alpha and known pixels stay true."""

from __future__ import annotations

import numpy as np
import pytest
from stream_sources import RampSource

from input_pipeline.protocol.capture import Capture, captured, redrawn
from input_pipeline.protocol.composition import composite
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from tmfnet_jax.errors import InputError

SIDE = 48


def _sample() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    alpha = np.zeros((SIDE, SIDE, 1), np.uint8)
    alpha[:, 20:] = 255
    alpha[:, 16:20] = 100
    trimap = alpha.copy()
    trimap[:, 14:22] = 128
    foreground = rng.integers(150, 256, (SIDE, SIDE, 3), np.uint8)
    background = rng.integers(0, 90, (SIDE, SIDE, 3), np.uint8)
    image = composite(foreground, background, alpha)
    return {
        "image": image,
        "trimap": trimap,
        "alpha": alpha,
        "foreground": foreground,
        "background": background,
    }


def _captured(seed=0, **probabilities):
    before = _sample()
    kept = {name: array.copy() for name, array in before.items()}
    after = captured(before, Capture(**probabilities), np.random.default_rng(seed))
    for name, array in kept.items():  # its input is left alone
        np.testing.assert_array_equal(before[name], array)
        assert after[name].shape == array.shape
        assert after[name].dtype == np.uint8
    np.testing.assert_array_equal(after["alpha"], kept["alpha"])
    return kept, after


def test_nothing_happens_without_probabilities():
    before, after = _captured()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


def test_matched_colours_bring_the_scene_closer_to_the_subject():
    before, after = _captured(matched_colours=1)
    subject = before["foreground"][before["alpha"][..., 0] == 255].mean()
    distance = [abs(s["background"].mean() - subject) for s in (before, after)]
    assert distance[1] < 0.8 * distance[0]
    np.testing.assert_array_equal(after["foreground"], before["foreground"])


def test_spill_brings_the_subject_closer_to_the_scene():
    before, after = _captured(spill=1)
    assert after["foreground"].mean() < before["foreground"].mean() - 5
    np.testing.assert_array_equal(after["background"], before["background"])


def test_defocus_smooths_the_scene_and_no_other_draw_moves():
    before, after = _captured(defocus=1)
    assert after["background"].std() < 0.6 * before["background"].std()
    assert abs(after["background"].mean() - before["background"].mean()) < 1
    _, both = _captured(seed=4, defocus=1, spill=1, drawn_trimap=1, drawn_reach_px=9)
    _, without = _captured(seed=4, spill=1, drawn_trimap=1, drawn_reach_px=9)
    np.testing.assert_array_equal(both["trimap"], without["trimap"])


@pytest.mark.parametrize("effect", ["matched_colours", "spill", "exposure", "defocus"])
def test_layers_still_make_the_image(effect):
    _, after = _captured(**{effect: 1})
    made = composite(after["foreground"], after["background"], after["alpha"])
    np.testing.assert_array_equal(after["image"], made)


def test_exposure_changes_both_layers_by_one_curve():
    before, after = _captured(exposure=1)
    curve = dict(
        zip(before["foreground"].ravel(), after["foreground"].ravel(), strict=True)
    )
    levels = sorted(curve)
    assert [curve[level] for level in levels] == sorted(curve.values())
    assert any(curve[level] != level for level in levels)


@pytest.mark.parametrize("effect", ["noise", "jpeg"])
def test_noise_and_compression_are_in_the_image_alone(effect):
    before, after = _captured(**{effect: 1})
    difference = after["image"].astype(int) - before["image"]
    assert 0.2 < np.abs(difference).mean() < 40
    assert abs(difference.mean()) < 4
    for layer in ("foreground", "background", "trimap"):
        np.testing.assert_array_equal(after[layer], before[layer])


def test_drawn_trimaps_know_less_and_nothing_new():
    grown = []
    for seed in range(12):
        before = _sample()["trimap"][..., 0]
        after = redrawn(before, np.random.default_rng(seed), reach_px=12)
        assert set(np.unique(after)) <= {0, 128, 255}
        known = after != 128
        np.testing.assert_array_equal(after[known], before[known])
        assert known.any()
        grown.append((after == 128).sum() - (before == 128).sum())
    assert min(grown) >= 0
    assert len(set(grown)) > 6


def test_a_hand_is_uneven():
    trimap = redrawn(_sample()["trimap"][..., 0], np.random.default_rng(1), reach_px=16)
    widths = (trimap == 128).sum(1)
    assert np.ptp(widths) >= 3


@pytest.mark.parametrize(
    "field", [{"noise": 1.5}, {"jpeg": -0.1}, {"drawn_reach_px": -1}]
)
def test_values_out_of_range(field):
    (name,) = field
    with pytest.raises(InputError, match=f"capture.{name}"):
        Capture(**field)


def test_a_recipe_takes_it_from_a_config():
    recipe = Recipe.from_dict({"crop_px": 64, "capture": {"noise": 0.5}})
    assert recipe == Recipe(crop_px=64, capture=Capture(noise=0.5))
    assert Recipe.from_dict({"crop_px": 64}) == Recipe(crop_px=64)


def test_samples_with_it_are_a_function_of_seed_and_index():
    source = RampSource()
    plain = Recipe.for_crop(32)
    recipe = Recipe.for_crop(32, capture=Capture(1, 1, 1, 1, 1, 1, 8, defocus=1))
    first, again, other, bare = (
        make_sample(source, r, seed=5, index=i)
        for r, i in ((recipe, 2), (recipe, 2), (recipe, 3), (plain, 2))
    )
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
    assert (first["image"] != other["image"]).any()
    # The protocol's own draws are not touched.
    np.testing.assert_array_equal(first["alpha"], bare["alpha"])
    assert (first["image"] != bare["image"]).any()
