"""Batches on the devices ahead of their use."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.sharding import data_mesh, prefetch_to_device


class Stream:
    """Batches of four that hold their number; counts them, and fails when told."""

    def __init__(self, *, length=9, error=None):
        self.given, self.closed = 0, False
        self.length, self.error = length, error

    def batches(self):
        try:
            for number in range(self.length):
                self.given += 1
                yield {"image": np.full((4, 2), number, np.uint8)}
            if self.error:
                raise self.error
        finally:
            self.closed = True


def numbers(batches):
    return [int(batch["image"][0, 0]) for batch in batches]


@pytest.mark.parametrize("depth", [1, 2, 12])
def test_all_batches_come_in_order_split_over_the_devices(depth):
    stream = Stream()
    batches = list(prefetch_to_device(data_mesh(), stream.batches(), depth=depth))
    assert numbers(batches) == list(range(9)) and stream.closed
    shards = batches[0]["image"].addressable_shards
    assert [shard.data.shape for shard in shards] == [(1, 2)] * len(jax.devices())


def test_so_many_batches_are_on_the_devices():
    stream = Stream()
    batches = prefetch_to_device(data_mesh(), stream.batches(), depth=3)
    assert stream.given == 0
    assert numbers(itertools.islice(batches, 2)) == [0, 1]
    assert stream.given == 4  # the second is in use, two more wait
    batches.close()
    assert stream.closed


def test_error_comes_after_the_batches_before_it():
    stream = Stream(length=3, error=InputError("3.png: damaged"))
    batches = prefetch_to_device(data_mesh(), stream.batches(), depth=2)
    assert numbers(itertools.islice(batches, 3)) == [0, 1, 2]
    with pytest.raises(InputError, match=r"3\.png: damaged"):
        next(batches)
    assert stream.closed


def test_depth_must_be_positive():
    with pytest.raises(InputError, match="depth is 0; give at least 1"):
        prefetch_to_device(data_mesh(), Stream().batches(), depth=0)
