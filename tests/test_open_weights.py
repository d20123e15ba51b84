"""The weights that come with the package, made from nothing, at the smallest size."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import open_weights
from experiments.configs import open_ablation, open_lite, open_tmfnet
from input_pipeline.evaluation_data.evaluation import generated_set
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation import evaluate
from tmfnet_jax.evaluation_records import mean
from tmfnet_jax.weights import read_notes, read_weights, wants_refinement


def test_one_command_trains_all_stages_and_publishes(tmp_path):
    command = [sys.executable, "-m", "experiments.open_weights", "--smoke"]
    command += ["--limits=Made of four steps."]
    subprocess.run(
        [*command, f"--folder={tmp_path}"],
        cwd=Path(__file__).parents[1],
        check=True,
        capture_output=True,
        timeout=600,
    )
    card = (tmp_path / "lite.md").read_text()
    assert card.endswith("- Made of four steps.\n")
    *_, last = open_lite.STAGES
    assert "| started from | random values |" in card
    assert all(f"| {stage}.seed | 0 |" in card for stage in open_lite.STAGES)
    network, shipped = read_weights(tmp_path / "lite.safetensors")
    _, trained = read_weights(tmp_path / last / "weights.safetensors")
    assert network.width == 0.05
    assert shipped.keys() == trained.keys()
    for name, array in trained.items():
        assert shipped[name].dtype == (np.float16 if array.ndim > 1 else np.float32)
        np.testing.assert_allclose(shipped[name], array, rtol=1e-3, atol=1e-6)
    notes = read_notes(tmp_path / "lite.safetensors")
    assert notes["tmfnet_jax.license"] == "Apache-2.0"
    assert wants_refinement(tmp_path / "lite.safetensors")
    assert not wants_refinement(tmp_path / last)


def test_stages_build_on_each_other(tmp_path):
    config = open_weights.stage_config("large", tmp_path, tmp_path / "w.safetensors")
    assert config.init == str(tmp_path / "w.safetensors")
    assert config.data.backgrounds == str(tmp_path / "photos")
    assert config.data.foregrounds is None
    stages = [open_lite.get_config(stage) for stage in open_lite.STAGES]
    for before, after in itertools.pairwise(stages):
        assert after.recipe.crop_px > before.recipe.crop_px
        assert after.network == before.network


def test_stages_can_be_left_out():
    *_, last = open_lite.STAGES
    assert open_weights.stages_from(None) == [*open_lite.STAGES]
    assert open_weights.stages_from(last) == [last]
    with pytest.raises(InputError, match="--first is huge; expected one of small"):
        open_weights.stages_from("huge")


def test_an_unknown_stage_is_told_the_known_ones():
    with pytest.raises(InputError, match="'huge'; expected one of small, large"):
        open_lite.get_config("huge")


def test_the_recipe_of_the_full_network():
    config = open_tmfnet.get_config()
    assert config.network.width == 1
    capture = open_lite.get_config("large").recipe.capture.to_dict()
    assert config.recipe.capture.to_dict() == capture | {"drawn_reach_px": 60}


@pytest.mark.parametrize("row", open_ablation.ROWS)
def test_rows_of_the_ablation_differ_from_the_first_as_they_say(row):
    first, config = (open_ablation.get_config(name) for name in ("all", row))
    changed = dict(open_ablation.ROWS[row])
    for field, value in changed.items():
        *path, name = field.split(".")
        part, whole = config, first
        for step in path:
            part, whole = part[step], whole[step]
        assert part[name] == value
        assert whole[name] != value
        with part.unlocked():
            part[name] = whole[name]
    assert config == first


def test_results_for_the_card(tmp_path):
    examples = generated_set(2)
    result = evaluate(
        examples,
        lambda example, _: example.trimap / 255,
        method={"network": {"weights_sha256": "12ab"}, "inference": {"refine": True}},
        folder=tmp_path,
    )
    found = open_weights.measured(tmp_path, "12ab")
    assert found.metrics == mean(result.records)
    assert found.weights == "these, float16, refined"
    assert found.measured_on == f"{examples.name}, 2 images"
    with pytest.raises(InputError, match="measured weights 12ab, expected 34cd"):
        open_weights.measured(tmp_path, "34cd")
