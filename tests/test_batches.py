"""Streams of batches: order, resumption and shards whatever makes the samples."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from stream_sources import ONE_EACH, RECIPE, RampSource

from input_pipeline.protocol.sample import SAMPLE_CHANNELS, make_sample
from input_pipeline.streams.batches import batches
from tmfnet_jax.errors import InputError

STEPS = 6
WHOLE = {"seed": 11, "batch_size": 4}


def take(number, stream):
    """Take the first batches and stop the stream's workers."""
    taken = list(itertools.islice(stream, number))
    stream.close()
    return taken


def assert_equal(one, other):
    assert list(one) == list(other) == list(SAMPLE_CHANNELS)
    for name in one:
        assert one[name].dtype == other[name].dtype == np.uint8
        np.testing.assert_array_equal(one[name], other[name])


@pytest.fixture(scope="module")
def whole():
    """The first steps, made by one thread."""
    return take(STEPS, batches(RampSource(), RECIPE, num_workers=1, **WHOLE))


def test_step_holds_the_samples_of_its_indices(whole):
    for step, batch in enumerate(whole[:3]):
        for place in range(4):
            index = 4 * step + place
            made = make_sample(RampSource(), RECIPE, seed=11, index=index)
            assert_equal({name: batch[name][place] for name in batch}, made)


@pytest.mark.parametrize(
    "kind, num_workers", [("threads", 4), ("processes", 1), ("processes", 3)]
)
def test_stream_is_the_same_whatever_makes_it(whole, kind, num_workers):
    stream = batches(RampSource(), RECIPE, kind=kind, num_workers=num_workers, **WHOLE)
    # All are kept until the end: a later batch must not change an earlier one.
    for one, other in zip(take(STEPS, stream), whole, strict=True):
        assert_equal(one, other)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_resumed_stream_is_the_tail_of_the_whole(whole, kind):
    stream = batches(RampSource(), RECIPE, kind=kind, start_step=4, **WHOLE)
    for one, other in zip(take(2, stream), whole[4:], strict=True):
        assert_equal(one, other)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_shards_together_are_the_whole(whole, kind):
    shards = [
        take(2, batches(RampSource(), RECIPE, kind=kind, shard=(number, 2), **WHOLE))
        for number in range(2)
    ]
    for batch, *parts in zip(whole[:2], *shards, strict=True):
        assert all(len(part["image"]) == 2 for part in parts)
        joined = {name: np.concatenate([p[name] for p in parts]) for name in batch}
        assert_equal(joined, batch)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_bad_sample_is_told_when_its_batch_is_due(kind):
    source = RampSource({5: "damaged", 4: "damaged"})
    stream = batches(source, ONE_EACH, seed=15, batch_size=2, kind=kind)
    assert len(list(itertools.islice(stream, 2))) == 2
    with pytest.raises(InputError) as caught:
        next(stream)
    assert str(caught.value) == "4.png: damaged,  not an image"
    assert not own_threads()


def test_closing_the_stream_stops_its_threads():
    stream = batches(RampSource(), RECIPE, seed=16, batch_size=2, num_workers=3)
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
        ({"kind": "fibres"}, "kind is 'fibres'; expected 'threads' or 'processes'"),
        ({"num_workers": 0}, "num_workers is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"shard": (0, 3)}, "batch_size is 4; give a multiple of the 3 shards"),
        ({"shard": (2, 2)}, r"shard is \(2, 2\)"),
        ({"start_step": -1}, "start_step is -1"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(options, message):
    with pytest.raises(InputError, match=message):
        batches(RampSource(), RECIPE, **{"seed": 17, "batch_size": 4} | options)
