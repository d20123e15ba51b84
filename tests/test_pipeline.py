"""The tf.data pipeline against the plain stream of batches."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest
from stream_sources import ONE_EACH, RECIPE, RampSource

from input_pipeline.streams.batches import batches
from tmfnet_jax.errors import InputError

tf = pytest.importorskip("tensorflow")

from input_pipeline import pipeline  # noqa: E402
from input_pipeline.streams import workers  # noqa: E402


@pytest.mark.parametrize(
    "kind, num_workers", [("threads", 3), ("processes", 1), ("processes", 3)]
)
def test_batches_are_those_of_the_plain_stream(kind, num_workers):
    options = {"seed": 1, "batch_size": 4, "start_step": 3, "shard": (1, 2)}
    plain = batches(RampSource(), RECIPE, **options)
    built = pipeline.dataset(
        RampSource(), RECIPE, kind=kind, num_workers=num_workers, **options
    )
    stream = pipeline.as_numpy(built)
    pairs = zip(stream, plain, strict=False)  # both endless
    compared = list(itertools.islice(pairs, 4))
    plain.close()
    stream.close()
    assert len(compared) == 4
    for one, other in compared:
        assert set(one) == set(other)
        for name in other:
            assert one[name].dtype == np.uint8
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_shapes_are_known_before_the_first_batch(kind):
    built = pipeline.dataset(
        RampSource(), RECIPE, seed=2, batch_size=6, shard=(0, 3), kind=kind
    )
    shapes = {name: tuple(spec.shape) for name, spec in built.element_spec.items()}
    assert shapes == {
        "image": (2, 24, 24, 3),
        "trimap": (2, 24, 24, 1),
        "alpha": (2, 24, 24, 1),
        "foreground": (2, 24, 24, 3),
        "background": (2, 24, 24, 3),
    }


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_bad_source_is_told_in_its_own_words(kind):
    built = pipeline.dataset(
        RampSource({2: "damaged"}), ONE_EACH, seed=3, batch_size=2, kind=kind
    )
    stream = pipeline.as_numpy(built)
    next(stream)
    with pytest.raises(InputError) as caught:
        next(stream)
    assert str(caught.value) == "2.png: damaged,  not an image"


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_other_errors_are_passed_on_whole(kind):
    built = pipeline.dataset(
        RampSource({0: "bug"}), ONE_EACH, seed=4, batch_size=1, kind=kind
    )
    with pytest.raises(tf.errors.OpError, match="IndexError"):
        next(pipeline.as_numpy(built))


def test_closing_ends_the_processes(monkeypatch):
    started = []

    class Recorded(workers.WorkerPool):
        def __init__(self, *args):
            super().__init__(*args)
            started.extend(self._workers.values())

    monkeypatch.setattr(workers, "WorkerPool", Recorded)
    built = pipeline.dataset(
        RampSource(), RECIPE, seed=5, batch_size=2, kind="processes"
    )
    stream = pipeline.as_numpy(built)
    next(stream)
    assert [process.returncode for process in started] == [None, None]
    stream.close()
    deadline = time.monotonic() + 5  # TensorFlow drops the iterator in the background
    while time.monotonic() < deadline:
        if all(process.returncode is not None for process in started):
            break
        time.sleep(0.02)
    assert all(process.returncode is not None for process in started)


def test_streams_left_open_do_not_trouble_the_end_of_python():
    program = f"""
import sys
sys.path[:0] = {sys.path}
from stream_sources import RECIPE, RampSource
from input_pipeline import pipeline
streams = [
    pipeline.as_numpy(
        pipeline.dataset(RampSource(), RECIPE, seed=6, batch_size=2, kind=kind)
    )
    for kind in ("threads", "processes")
]
print([len(next(stream)["image"]) for stream in streams])
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout) == (0, "[2, 2]\n")
    assert "Traceback" not in result.stderr and "terminate" not in result.stderr


def test_tensorflow_is_kept_off_accelerators():
    pipeline.dataset(RampSource(), RECIPE, seed=5, batch_size=1)
    assert {d.device_type for d in tf.config.get_visible_devices()} == {"CPU"}


def test_options_that_do_not_fit_are_refused_at_once():
    with pytest.raises(InputError, match="num_workers is 0"):
        pipeline.dataset(RampSource(), RECIPE, seed=6, batch_size=1, num_workers=0)
    with pytest.raises(InputError, match="multiple of the 2 shards"):
        pipeline.dataset(RampSource(), RECIPE, seed=6, batch_size=3, shard=(0, 2))
