"""Evaluation sets and the measuring script."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.evaluate import mean, measure
from input_pipeline.evaluation import folder_set, generated_set
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import write_image
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network, named_arrays
from tmfnet_jax.weights import write_weights

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def examples():
    return list(generated_set(2))


@pytest.fixture
def folder(tmp_path, examples):
    for name in ("image", "trimap", "alpha"):
        (tmp_path / name).mkdir()
        for example in examples:
            write_image(tmp_path / name / f"{example.name}.png", getattr(example, name))
    return tmp_path


def test_generated_set_is_fixed_and_complete(examples):
    again = next(generated_set(1))
    np.testing.assert_array_equal(again.image, examples[0].image)
    for example in examples:
        assert set(np.unique(example.trimap)) == {0, 128, 255}
        assert example.image.shape == (*example.alpha.shape, 3)
        known = example.trimap != 128
        np.testing.assert_array_equal(example.alpha[known], example.trimap[known])


def test_folder_gives_back_what_was_written(folder, examples):
    for read, written in zip(folder_set(folder), examples, strict=True):
        assert read.name == written.name
        for field in ("image", "trimap", "alpha"):
            np.testing.assert_array_equal(getattr(read, field), getattr(written, field))


def test_missing_files_are_named_before_anything_runs(folder):
    for path in (folder / "alpha").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="alpha/generated-000, alpha/generated-001"):
        folder_set(folder)
    with pytest.raises(InputError, match="trimap9: no such folder"):
        folder_set(folder, trimaps="trimap9")


def test_sizes_must_agree(folder):
    write_image(folder / "alpha" / "generated-000.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match="generated-000: .* differ in size: 9x9"):
        list(folder_set(folder))


def test_the_truth_measures_zero_and_its_opposite_does_not(examples):
    truths = {e.image.tobytes(): e.alpha / 255 for e in examples}
    perfect = measure(lambda image, trimap: truths[image.tobytes()], examples)
    assert mean(perfect) == {"sad": 0, "mse": 0, "grad": 0, "conn": 0}
    blank = mean(measure(lambda image, trimap: trimap / 255, examples))
    assert all(value > 0 for value in blank.values())


def test_script_writes_a_report(folder, tmp_path):
    config = TMFNetConfig(width=0.05)
    weights = tmp_path / "w.safetensors"
    write_weights(weights, config, named_arrays(initial_network(config, seed=0)))
    command = [sys.executable, "-m", "experiments.evaluate", f"--weights={weights}"]
    command += [f"--data={folder}", f"--output={tmp_path / 'report.json'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert [r["name"] for r in report["images"]] == ["generated-000", "generated-001"]
    assert report["mean"] == mean(report["images"])
    assert report["protocol"] == "python"
    broken = subprocess.run(
        [*command[:3], "--weights=none"], cwd=ROOT, capture_output=True, text=True
    )
    assert broken.returncode == 2
    assert broken.stderr == "error: none: no such weights file\n"
