"""The weights that come with the package, made from nothing, at the smallest size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import open_weights, publishing
from experiments.configs import open_tmfnet
from experiments.image_sources import ImageSource, write_sources
from experiments.measurements import read_rows
from input_pipeline.evaluation_data.evaluation import generated_set
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation import evaluate
from tmfnet_jax.evaluation_records import mean
from tmfnet_jax.weights import read_notes, read_weights, wants_refinement

ROOT = Path(__file__).parents[1]


def test_one_command_trains_measures_and_publishes(tmp_path):
    command = [sys.executable, "-m", "experiments.open_weights", "--smoke"]
    subprocess.run(
        [*command, f"--folder={tmp_path}", "--limits=Made of three steps."],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=600,
    )
    rows = read_rows(tmp_path)
    assert [(r["step"], r["stage"], r["crops"]) for r in rows] == [
        (2, "small", 8),
        (3, "large", 12),
    ]
    assert all(r["loss"] > 0 and r["seconds"] > 0 for r in rows)
    assert rows[1]["hours"] > rows[0]["hours"] > 0
    assert rows[1]["sets"]["generated"]["images"] == 1
    assert rows[1]["sets"]["open"] == "not measured"
    card = (tmp_path / "lite.md").read_text()
    assert "| started from | random values |" in card
    assert card.endswith("- Made of three steps.\n")
    index = tmp_path / "data" / "large" / "subjects" / "index.json"
    names = [entry["name"] for entry in json.loads(index.read_text())["foregrounds"]]
    assert names[:2] == ["0.png@96", "0.png@72"]
    assert not [*tmp_path.glob("data/*/*/foregrounds")]
    network, shipped = read_weights(tmp_path / "lite.safetensors")
    _, trained = read_weights(tmp_path / "large" / "weights.safetensors")
    assert network.width == 0.05 and network.confidence
    assert shipped.keys() == trained.keys()
    for name, array in trained.items():
        assert shipped[name].dtype == (np.float16 if array.ndim > 1 else np.float32)
        np.testing.assert_allclose(shipped[name], array, rtol=1e-3, atol=1e-6)
    notes = read_notes(tmp_path / "lite.safetensors")
    assert notes["tmfnet_jax.license"] == "Apache-2.0"
    assert wants_refinement(tmp_path / "lite.safetensors")
    assert not wants_refinement(tmp_path / "large")


def test_the_list_of_images_has_what_is_trained_on(tmp_path):
    rows = [
        ImageSource("test/a.jpg", "p", "1", "a", "Ann", "CC0-1.0", "00"),
        ImageSource("train/b.jpg", "p", "1", "b", "Bob", "CC-BY-4.0", "11"),
    ]
    (tmp_path / "backgrounds").mkdir()
    write_sources(tmp_path / "backgrounds" / "sources.csv", rows)
    background, subjects = open_weights.training_images(tmp_path)
    assert background == rows[1]
    assert (subjects.licence, subjects.sha256) == ("CC0-1.0", "")


def test_the_recipe_of_the_full_network():
    config = open_tmfnet.get_config()
    assert config.network.width == 1
    assert (config.recipe.crop_px, config.batch_size) == (384, 32)
    assert config.data.kind == "folders"


def test_results_for_the_card(tmp_path):
    examples = generated_set(2)
    result = evaluate(
        examples,
        lambda example, _: example.trimap / 255,
        method={"network": {"weights_sha256": "12ab"}, "inference": {"refine": True}},
        folder=tmp_path,
    )
    found = publishing.measured(tmp_path, "12ab")
    assert found.metrics == mean(result.records)
    assert found.weights == "these, float16, refined"
    assert found.measured_on == f"{examples.name}, 2 images"
    with pytest.raises(InputError, match="measured weights 12ab, expected 34cd"):
        publishing.measured(tmp_path, "34cd")
