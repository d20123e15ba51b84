"""Validation crops, and what they are measured by."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from experiments.configs import synthetic
from experiments.validation import Validator
from input_pipeline.evaluation_data.evaluation import Example, generated_set
from input_pipeline.evaluation_data.validation_crops import validation_crops
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation import measure
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.optim import OptimizerConfig, make_optimizer
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.sharding import data_mesh, place
from tmfnet_jax.train_step import create_state


def test_crops_are_parts_of_the_images_around_an_unknown_pixel():
    examples = generated_set(5)
    crops = validation_crops(examples, count=3, crop_px=70)
    assert crops["image"].shape == (3, 64, 64, 3)
    for i, number in enumerate((0, 2, 4)):
        example = examples.load(examples.names[number])
        windows = np.lib.stride_tricks.sliding_window_view(example.trimap, (64, 64))
        same = (windows == crops["trimap"][i, ..., 0]).all((2, 3))
        (top, left), *_ = np.argwhere(same)
        part = (slice(top, top + 64), slice(left, left + 64))
        np.testing.assert_array_equal(crops["image"][i], example.image[part])
        np.testing.assert_array_equal(crops["alpha"][i, ..., 0], example.alpha[part])
        assert (crops["trimap"][i] == 128).any()


def test_small_images_and_other_sets():
    examples = generated_set(2)
    small = dataclasses.replace(
        examples,
        load=lambda name: Example(
            name, *(np.zeros(s, np.uint8) for s in ((40, 90, 3), (40, 90), (40, 90)))
        ),
    )
    assert validation_crops(small, count=2, crop_px=512)["alpha"].shape[1:3] == (32, 32)
    with pytest.raises(InputError, match="has no public alpha"):
        validation_crops(
            dataclasses.replace(examples, has_alpha=False), count=2, crop_px=64
        )
    with pytest.raises(InputError, match="expected 16"):
        validation_crops(examples, count=2, crop_px=15)


def test_validation_measures_as_an_evaluation_does(monkeypatch):
    monkeypatch.setattr("experiments.validation.PICTURES", 5)
    config = synthetic.get_config("smoke")
    config.validation.images = 5  # no multiple of the devices
    model = initial_network(TMFNetConfig(width=0.05), seed=0)
    mesh = data_mesh()
    state = place(mesh, create_state(model, make_optimizer(OptimizerConfig())))
    validate = Validator(config, model, mesh)
    means, pictures = validate(state.arrays())
    assert validate.described == "5 crops of 64 px of set generated"
    assert [picture.shape for picture in pictures] == [(64, 256, 3)] * 5

    crops = validation_crops(generated_set(5), count=5, crop_px=64)
    records = []
    for i in range(5):
        example = Example(
            "crop",
            crops["image"][i],
            crops["trimap"][i, ..., 0],
            crops["alpha"][i, ..., 0],
        )
        np.testing.assert_array_equal(pictures[i][:, :64], example.image)
        np.testing.assert_array_equal(pictures[i][:, 64:128, 0], example.trimap)
        np.testing.assert_array_equal(pictures[i][:, 192:, 0], example.alpha)
        alpha = pictures[i][:, 128:192, 0] / 255
        records.append(measure(example, alpha)[0])
    for metric, value in means.items():
        expected = np.mean([getattr(record, metric) for record in records])
        assert value == pytest.approx(expected, rel=1e-4) != 0
    assert [validate.due(step, last=False) for step in (1, 2, 4)] == [False, True, True]
    assert validate.due(3, last=True)
    assert jax.tree.leaves(state.average) == []
