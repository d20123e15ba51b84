"""Evaluations: what is written, resumed, refused; identical runs are identical."""

from __future__ import annotations

import dataclasses
import json
import types

import numpy as np
import pytest

from input_pipeline.evaluation_data.evaluation import Example
from tmfnet_jax import evaluation
from tmfnet_jax.errors import InputError, reason
from tmfnet_jax.evaluation import evaluate, measure
from tmfnet_jax.evaluation_records import METRICS, mean, read_manifest, read_records
from tmfnet_jax.images import read_mask
from tmfnet_jax.metrics import evaluate_alpha
from tmfnet_jax.record_file import RecordFile

IMAGE = np.zeros((20, 24, 3), np.uint8)
METHOD = {"network": {"weights_sha256": "00"}, "inference": {"tta": "none"}}


def example(name: str, *, has_alpha: bool = True) -> Example:
    rng = np.random.default_rng(len(name) + ord(name[-1]))
    alpha = rng.integers(0, 256, (20, 24), np.uint8)
    trimap = np.full((20, 24), 128, np.uint8)
    alpha[:4] = trimap[:4] = 0
    alpha[16:] = trimap[16:] = 255
    image = rng.integers(0, 256, (20, 24, 3), np.uint8)
    return Example(name, image, trimap, alpha if has_alpha else None)


def example_set(*names: str, **settings) -> types.SimpleNamespace:
    return types.SimpleNamespace(
        name="stub", settings={"kind": "x"} | settings, names=names, load=example
    )


def half(example, progress) -> np.ndarray:
    progress(1, 1)
    return np.full(example.trimap.shape, 0.5, np.float32)


@pytest.fixture
def examples():
    return example_set("a", "b", "c")


def contents(folder) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_a_run_is_written_and_repeats_itself(examples, tmp_path):
    one, other = tmp_path / "one", tmp_path / "new" / "other"
    result = evaluate(examples, half, method=METHOD, folder=one)
    assert read_records(one / "images.csv") == result.records
    first = example("a")
    prediction = np.where(first.trimap == 128, np.uint8(128), first.trimap)
    expected = dataclasses.asdict(evaluate_alpha(prediction, first.alpha, first.trimap))
    expected["mse"] *= 1000
    assert result.records[0].metrics() == expected
    manifest = read_manifest(one / "manifest.json")
    assert manifest["complete"] and manifest["images"] == manifest["measured"] == 3
    assert manifest["mean"] == mean(result.records)
    assert manifest["metrics"]["variant"] == "python"
    assert manifest["network"] == METHOD["network"]
    assert manifest["data"]["settings"] == {"kind": "x"}
    assert {"jax", "numpy", "python", "commit"} <= set(manifest["versions"])
    evaluate(examples, half, method=METHOD, folder=other)
    assert contents(one) == contents(other)


def test_other_pixels_and_mattes_show_in_the_manifest(examples, tmp_path):
    evaluate(examples, half, folder=tmp_path / "a")
    changed = example_set("a", "b", "c")
    changed.load = lambda name: dataclasses.replace(
        example(name), image=np.zeros((20, 24, 3), np.uint8)
    )
    evaluate(changed, half, folder=tmp_path / "b")
    a, b = (read_manifest(tmp_path / n / "manifest.json") for n in "ab")
    assert a["data"]["sha256"] != b["data"]["sha256"]
    assert a["predictions"] == b["predictions"]
    rows = [read_records(tmp_path / n / "images.csv") for n in "ab"]
    assert all(
        x.data_sha256 != y.data_sha256 and x.sad == y.sad
        for x, y in zip(*rows, strict=True)
    )


def test_the_variant_is_in_every_row(examples, tmp_path):
    evaluate(examples, half, folder=tmp_path / "m", variant="matlab")
    rows = read_records(tmp_path / "m" / "images.csv")
    assert {row.variant for row in rows} == {"matlab"}
    manifest = read_manifest(tmp_path / "m" / "manifest.json")
    assert manifest["metrics"]["variant"] == "matlab"


def test_a_killed_run_goes_on_and_ends_the_same(examples, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    evaluate(examples, half, folder=whole)
    evaluate(examples, half, folder=killed)
    rows = (killed / "images.csv").read_bytes()
    cut = rows.index(b"\nb,") + 30  # in the middle of the second row
    (killed / "images.csv").write_bytes(rows[:cut])
    seen = []

    def spy(example, progress):
        seen.append(example.name)
        return half(example, progress)

    evaluate(examples, spy, folder=killed)
    assert seen == ["b", "c"]
    assert contents(killed) == contents(whole)
    evaluate(examples, spy, folder=killed)
    assert seen == ["b", "c"]


def test_bad_examples_do_not_stop_the_others(examples, tmp_path):
    def matte(example, progress):
        if example.name == "a":
            return np.zeros((3, 4), np.float32)
        if example.name == "b":
            return np.full(example.trimap.shape, np.nan, np.float32)
        return half(example, progress)

    result = evaluate(examples, matte, folder=tmp_path / "run")
    first, second = map(str, result.tally.failures)
    assert first.startswith("a: prediction is 4x3 and the image 24x20 pixels")
    assert "b: alpha holds NaN" in second
    manifest = read_manifest(tmp_path / "run" / "manifest.json")
    assert not manifest["complete"]
    assert manifest["mean"] is None and manifest["measured"] == 1
    result = evaluate(examples, half, folder=tmp_path / "run")
    assert len(result.records) == 3 and not result.tally.failures


def test_integer_predictions_are_refused():
    with pytest.raises(InputError, match="dtype uint8, expected a float"):
        measure(example("a"), np.zeros((20, 24), np.uint8))


def test_another_evaluation_or_a_used_folder_is_refused(examples, tmp_path):
    evaluate(examples, half, method=METHOD, folder=tmp_path / "run")
    before = contents(tmp_path / "run")
    other = example_set("a", "b", "c", kind="y")
    with pytest.raises(InputError, match="data.settings.kind is x there and y here"):
        evaluate(other, half, method=METHOD, folder=tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(InputError, match="not empty and holds no evaluation"):
        evaluate(examples, half, folder=tmp_path / "mine")
    with pytest.raises(InputError, match="Not a directory"):
        evaluate(examples, half, folder=tmp_path / "mine" / "thesis.txt" / "x")
    assert contents(tmp_path / "run") == before


def test_changed_pixels_are_not_taken_for_those_measured(examples, tmp_path):
    evaluate(examples, half, folder=tmp_path / "run")
    before = contents(tmp_path / "run")
    examples.load = lambda name: dataclasses.replace(example(name), image=IMAGE)
    with pytest.raises(InputError, match="a: image, trimap or alpha has changed"):
        evaluate(examples, half, folder=tmp_path / "run")
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("data", [3, None, [1], "\x1b[31m" + 5000 * "x"])
def test_a_manifest_of_other_types_is_another_evaluation(examples, tmp_path, data):
    evaluate(examples, half, folder=tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    path.write_text(json.dumps(read_manifest(path) | {"data": data}))
    with pytest.raises(InputError, match="holds another evaluation: data is") as error:
        evaluate(examples, half, folder=tmp_path / "run")
    assert len(str(error.value)) < 500 and "\x1b" not in reason(error.value)


def test_one_process_at_a_time_adds_rows(tmp_path):
    file = RecordFile(tmp_path / "images.csv")
    with pytest.raises(InputError, match="another process adds to it"):
        RecordFile(tmp_path / "images.csv")
    file.close()
    RecordFile(tmp_path / "images.csv").close()


def test_names_that_lead_elsewhere_are_refused(tmp_path):
    for name in ("../a", "/a", "a\nb"):
        with pytest.raises(InputError, match="cannot name"):
            evaluate(example_set(name), half, folder=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_stops_the_run_and_keeps_its_rows(examples, tmp_path, monkeypatch):
    append = RecordFile.append
    calls = []

    def full(self, record):
        calls.append(record.name)
        if record.name == "b":
            raise OSError(28, "No space left on device")
        append(self, record)

    monkeypatch.setattr(RecordFile, "append", full)
    with pytest.raises(InputError, match="No space left on device; stopped, the rows"):
        evaluate(examples, half, folder=tmp_path / "run")
    assert calls == ["a", "b"]
    monkeypatch.undo()
    assert [r.name for r in read_records(tmp_path / "run" / "images.csv")] == ["a"]
    assert len(evaluate(examples, half, folder=tmp_path / "run").records) == 3


def test_a_row_that_does_not_fit_is_taken_back(tmp_path, monkeypatch):
    record, _ = measure(example("a"), half(example("a"), lambda *_: None))
    file = RecordFile(tmp_path / "images.csv")
    file.append(record)
    before = (tmp_path / "images.csv").read_bytes()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        file.append(dataclasses.replace(record, name="b"))
    monkeypatch.undo()
    file.close()
    assert (tmp_path / "images.csv").read_bytes() == before


def test_mattes_are_saved_as_measured(tmp_path):
    names = ("Trimap1/x", "Trimap2/x")
    examples = example_set(*names)
    examples.load = lambda name: example(name, has_alpha=False)
    folder = tmp_path / "run"
    result = evaluate(examples, half, folder=folder, save_predictions=True)
    saved = read_mask(folder / evaluation.PREDICTIONS_FOLDER / "Trimap2" / "x.png")
    assert saved.dtype == np.uint8
    assert set(np.unique(saved)) == {0, 128, 255}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["complete"] and manifest["mean"] is None
    assert all(np.isnan(r.sad) for r in result.records)
    saved_path = folder / evaluation.PREDICTIONS_FOLDER / "Trimap1" / "x.png"
    saved_path.unlink()  # is made again although its row is there
    evaluate(examples, half, folder=folder, save_predictions=True)
    assert saved_path.is_file()


def test_without_a_folder_nothing_is_written(examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = evaluate(examples, half).records
    assert [r.name for r in records] == ["a", "b", "c"]
    assert all(getattr(r, m) > 0 for r in records for m in METRICS)
    assert not list(tmp_path.iterdir())
