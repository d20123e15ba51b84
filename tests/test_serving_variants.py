"""Every variant in strips and tiles against the plain network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_serving_engine import (
    assert_same,
    plain_input,
    plain_network,
    quick_compilation,
    scene,
    streamed,
)

from tmfnet_jax.serving.geometry import Geometry
from tmfnet_jax.variants import VARIANTS


@pytest.fixture(autouse=True, scope="module")
def _quick_compilation():
    with quick_compilation():
        yield


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_the_plain_network(name):
    config = dataclasses.replace(VARIANTS[name].config, width=0.05)
    source = scene(80, 64)
    # The last strip and the last column of tiles lie partly outside the image.
    geometry = Geometry(32, 3, 96, (32, 48), config.fusion)
    got = streamed(config).alpha([source], geometry)
    # Not compiled as a whole: the variants share most of their operations.
    expected = plain_network(config)(plain_input(source.image, source.trimap))
    assert_same(got[0], np.asarray(expected)[0, ..., 0])
