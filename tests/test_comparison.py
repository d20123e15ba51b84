"""Comparisons of evaluations, and the interval of a mean difference."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tmfnet_jax.bootstrap import bootstrap_interval
from tmfnet_jax.comparison import (
    Run,
    compare,
    differing_settings,
    printable,
    read_run,
    run_names,
)
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import Record
from tmfnet_jax.record_file import write_records

RECORD = Record(
    name="GT",
    variant="python",
    sad=1.0,
    mse=1.0,
    grad=1.0,
    conn=1.0,
    width=4,
    height=3,
    unknown_pixels=2,
    data_sha256="d",
    prediction_sha256="p",
)


def a_run(sads, *, path="a/images.csv", manifest=None, **changes):
    """An evaluation of images 0, 1, 2... with these values of SAD."""
    records = [
        replace(RECORD, name=str(number), sad=sad, **changes)
        for number, sad in enumerate(sads)
    ]
    return Run(Path(path), {record.name: record for record in records}, manifest)


def test_interval_of_normal_values_is_that_of_the_textbook():
    values = np.random.default_rng(1).normal(0.3, 2.0, (400, 2))
    low, high = bootstrap_interval(values, resamples=20_000)
    half = 1.96 * values.std(axis=0) / math.sqrt(400)
    # The bounds are themselves drawn: to within about 2% of the half width here.
    np.testing.assert_allclose(low, values.mean(axis=0) - half, atol=0.04 * half[0])
    np.testing.assert_allclose(high, values.mean(axis=0) + half, atol=0.04 * half[0])


def test_interval_by_a_plain_loop():
    values = np.random.default_rng(2).exponential(1, (30, 1))
    low, high = bootstrap_interval(values, resamples=200, seed=5)
    rng = np.random.default_rng(5)
    means = [values[rng.integers(0, 30, 30)].mean() for _ in range(200)]
    np.testing.assert_allclose(low, np.percentile(means, 2.5), rtol=1e-12)
    np.testing.assert_allclose(high, np.percentile(means, 97.5), rtol=1e-12)


def test_interval_is_repeatable_and_depends_on_the_seed():
    values = np.random.default_rng(3).normal(0, 1, (50, 1))
    again = [bootstrap_interval(values, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(again[0], again[1])
    assert (again[0] != again[2]).all()


def test_a_metric_alone_has_the_same_interval():
    values = np.random.default_rng(4).normal(0, 1, (50, 3))
    np.testing.assert_array_equal(
        bootstrap_interval(values)[:, 1:2], bootstrap_interval(values[:, 1:2])
    )


def test_interval_of_many_images_takes_little_memory():
    values = np.random.default_rng(0).normal(0, 1, (1000, 4))
    tracemalloc.start()
    bootstrap_interval(values, resamples=2000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6  # all at once would take 16 MB for the indices alone


@pytest.mark.parametrize(
    "images, resamples, seed", [(0, 1000, 0), (5, 99, 0), (5, 10**7, 0), (5, 1000, -1)]
)
def test_refused_intervals(images, resamples, seed):
    with pytest.raises(InputError, match="expected"):
        bootstrap_interval(np.zeros((images, 1)), resamples=resamples, seed=seed)


def test_means_counts_and_order():
    a, b = a_run([1, 2, 3, 4]), a_run([1, 1.5, 5, 4.25])
    comparison = compare(a, b, metrics=["sad", "mse"])
    sad = comparison.metrics["sad"]
    assert (sad.mean_a, sad.mean_b, sad.difference) == (2.5, 2.9375, 0.4375)
    assert (sad.better, sad.worse, sad.equal) == (1, 2, 1)
    assert list(comparison.metrics) == ["sad", "mse"]
    mse = comparison.metrics["mse"]
    assert (mse.difference, mse.interval, mse.equal) == (0, (0, 0), 4)
    assert mse.beyond_chance is False
    assert comparison.differences["sad"].tolist() == [0, -0.5, 2, 0.25]
    assert comparison.largest("sad") == [2, 1, 3, 0]
    assert comparison.largest("mse") == [0, 1, 2, 3]


def test_images_are_paired():
    values = np.random.default_rng(0).integers(1, 100, 40)
    sad = compare(a_run(values), a_run(values + 0.25)).metrics["sad"]
    assert sad.interval == (0.25, 0.25)  # however much the images differ
    assert sad.beyond_chance is True
    assert sad.worse == 40


def test_images_are_paired_by_name_not_by_place():
    a, b = a_run([1, 20, 300]), a_run([1, 20, 300])
    shuffled = Run(b.path, dict(reversed(b.records.items())), None)
    comparison = compare(a, shuffled)
    assert comparison.names == ("0", "1", "2")
    assert comparison.metrics["sad"].equal == 3


def test_a_chance_difference_is_not_beyond_it():
    rng = np.random.default_rng(0)
    values = rng.uniform(10, 20, (2, 30))
    assert compare(a_run(values[0]), a_run(values[1])).metrics["sad"].interval
    assert not compare(a_run(values[0]), a_run(values[1])).metrics["sad"].beyond_chance


def test_rounding_is_no_difference():
    sad = compare(a_run([0.1, 0.3]), a_run([0.1, 0.1 + 0.2])).metrics["sad"]
    assert (sad.better, sad.worse, sad.equal, sad.difference) == (0, 0, 2, 0)


def test_one_image_has_no_interval():
    sad = compare(a_run([1]), a_run([2, 3])).metrics["sad"]
    assert (sad.difference, sad.interval, sad.beyond_chance) == (1, None, None)


def test_what_is_not_common_is_left_out():
    a, b = a_run([1, 2, 3]), a_run([1, 2, 3])
    del a.records["0"], b.records["2"]
    b.records["1"] = replace(b.records["1"], data_sha256="e", prediction_sha256="q")
    comparison = compare(a, b)
    assert comparison.names == ("1",)
    assert (comparison.only_a, comparison.only_b) == (("2",), ("0",))
    assert comparison.different_data == ("1",)
    assert comparison.same_predictions == 0


def test_nothing_in_common():
    with pytest.raises(
        InputError, match=r"a/images.csv has 2 images and b.csv 0, none"
    ):
        compare(a_run([1, 2]), a_run([], path="b.csv"))


def test_other_variants():
    a, b = a_run([1, 2]), a_run([1, 2], path="b.csv", variant="mat\x1blab")
    with pytest.raises(InputError, match=r"'python', b.csv of 'mat\\x1blab': not comp"):
        compare(a, b)
    a.records["1"] = replace(a.records["1"], variant="matlab")
    with pytest.raises(InputError, match="'matlab' and 'python', a/images.csv of"):
        compare(a, a)


def test_a_set_without_alpha():
    nothing = dict.fromkeys(("mse", "grad", "conn"), math.nan)
    b = a_run([math.nan] * 2, path="b.csv", **nothing)
    with pytest.raises(InputError, match="b.csv: has no metrics of 0, as for sets"):
        compare(a_run([1, 2]), b)


def test_settings():
    a = a_run(
        [1],
        manifest={
            "complete": True,
            "mean": {"sad": 1},
            "network": {
                "weights_sha256": "12",
                "config": {"width": 1.0, "blocks": [1]},
            },
            "versions": {"jax": "0.10.2"},
            "device": "cpu",
        },
    )
    b = a_run(
        [1],
        manifest={
            "complete": False,
            "mean": {"sad": 2},
            "network": {"weights_sha256": "34", "config": {"width": 1, "blocks": [2]}},
            "device": {"platform": "gpu"},
        },
    )
    assert differing_settings(a, b) == [
        ("device", "cpu", {"platform": "gpu"}),
        ("network.config.blocks", [1], [2]),
        ("network.weights_sha256", "12", "34"),
        ("versions", {"jax": "0.10.2"}, "absent"),
    ]
    assert differing_settings(a, a) == []
    assert differing_settings(a, a_run([1])) == []


def test_settings_that_nest_too_deeply():
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    run = a_run([1], manifest=deep)
    with pytest.raises(InputError, match="manifest.json beside .* is damaged"):
        differing_settings(run, a_run([1], manifest=dict(deep)))
    while deep:  # from the outside, as taking it down at once nests as deeply
        deep = deep.pop("a")


@pytest.mark.parametrize(
    "a, b, names",
    [
        ("runs/a/images.csv", "runs/b/images.csv", ("a", "b")),
        ("x/a/out/images.csv", "x/b/out/images.csv", ("a/out", "b/out")),
        ("runs/a.csv", "runs/b.csv", ("a.csv", "b.csv")),
        ("/images.csv", "/a/images.csv", ("/", "a")),
        ("a/b/../images.csv", "b/./images.csv", ("a", "b")),
    ],
)
def test_runs_are_named_after_their_folders(a, b, names):
    assert run_names(a_run([], path=a), a_run([], path=b)) == names


def test_the_same_run_twice_has_one_name():
    first, second = run_names(a_run([]), a_run([]))
    assert first == second
    assert first.endswith("/a") and not first.startswith("//")


def test_read_run(tmp_path):
    write_records(tmp_path / "images.csv", [RECORD])
    for path in (tmp_path, tmp_path / "images.csv"):
        run = read_run(path)
        assert run.path == tmp_path / "images.csv"
        assert (run.records, run.manifest) == ({"GT": RECORD}, None)
    (tmp_path / "manifest.json").write_text('{"format": 1}')
    assert read_run(tmp_path).manifest == {"format": 1}
    assert read_run(tmp_path).files[1] == tmp_path / "manifest.json"
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="manifest.json: damaged"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("GT01", "GT01"),
        ("日本 é", "日本 é"),
        ("a\x1b[31m\n\u202eb\x00\ud800", r"a\x1b[31m\n\u202eb\x00\ud800"),
        ("a" * 30 + "z" * 30, "a" * 13 + "..." + "z" * 8),
    ],
)
def test_printable(text, shown):
    assert printable(text, limit=48 if len(text) < 48 else 24) == shown
