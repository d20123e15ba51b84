"""The training script: it learns, continues exactly, and refuses bad input."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.configs import synthetic
from experiments.train import starting_network, train
from input_pipeline.evaluation_data.evaluation import generated_set
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation import evaluate
from tmfnet_jax.evaluation_records import Record
from tmfnet_jax.inference import Matting
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network, named_arrays
from tmfnet_jax.reporting import read_metrics

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "experiments" / "configs" / "synthetic.py"


def smoke(module=synthetic, **changes):
    config = module.get_config("smoke")
    config.data.loader = "threads"
    config.tensorboard = False
    config.update_from_flattened_dict(changes)
    return config


def values(state):
    return {name: np.asarray(value) for name, value in state.arrays().items()}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, values(train(smoke(), workdir))


def evaluated(weights) -> Record:
    matting = Matting.load(weights)
    result = evaluate(
        generated_set(1),
        lambda example, _: matting.alpha(example.image, example.trimap),
    )
    return result.records[0]


def test_run_leaves_everything(whole_run):
    workdir, _ = whole_run
    records = read_metrics(workdir / "metrics.jsonl")
    assert [r["step"] for r in records] == [1, 2, 3, 4]
    names = {"loss", "loss_alpha", "loss_comp", "loss_lap", "learning_rate"}
    names |= {"gradient_norm", "update_norm", "parameter_norm", "images_per_second"}
    assert names < set(records[0])
    measured = [r["step"] for r in records if "validation_sad" in r]
    assert measured == [2, 4]
    assert records[3]["hours"] > records[0]["hours"] > 0
    sad = f"{records[3]['validation_sad']:.4g}"
    card = (workdir / "model_card.md").read_text()
    assert f"| last | 4 | 2 crops of 64 px of set generated | {sad}" in card
    assert json.loads((workdir / "config.json").read_text())["batch_size"] == 4
    record, again = (
        evaluated(weights) for weights in (workdir, workdir / "weights.safetensors")
    )
    assert record == again
    assert record.sad > 0


def test_two_steps_and_a_restart_equal_four(whole_run, tmp_path, monkeypatch):
    config = smoke()
    stopped_after = iter([False, True])
    monkeypatch.setattr(
        "experiments.train.stop_signals", lambda: Stopper(stopped_after)
    )
    half = train(config, tmp_path)
    assert int(half.step) == 2
    assert not (tmp_path / "weights.safetensors").exists()
    monkeypatch.undo()
    resumed = values(train(config, tmp_path))
    for name, value in whole_run[1].items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    losses = [r["loss"] for r in read_metrics(tmp_path / "metrics.jsonl")]
    assert losses == [r["loss"] for r in read_metrics(whole_run[0] / "metrics.jsonl")]


def test_pauses_change_nothing(whole_run, tmp_path):
    config = smoke()
    for step in (1, 3):
        state = train(config, tmp_path, pause_at=step)
        assert int(state.step) == step
        assert not (tmp_path / "weights.safetensors").exists()
        assert read_metrics(tmp_path / "metrics.jsonl")[-1]["hours"] > 0
    again = train(config, tmp_path, pause_at=2)  # which is done already
    assert int(again.step) == 3
    finished = values(train(config, tmp_path, pause_at=4))
    for name, value in whole_run[1].items():
        np.testing.assert_array_equal(finished[name], value, err_msg=name)
    assert (tmp_path / "weights.safetensors").exists()


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("stages") / "first"
    assert int(train(smoke(until=2, **AVERAGED), workdir).step) == 2
    return workdir


AVERAGED = {"optimizer.average_decay": 0.9}


def test_stages_are_one_training(first_stage, tmp_path):
    assert (first_stage / "weights.safetensors").exists()
    second = smoke(continue_from=str(first_stage), **AVERAGED)
    got = train(second, tmp_path / "second")
    whole = train(smoke(**AVERAGED), tmp_path / "whole")
    assert int(got.step) == 4
    for one, other in zip(
        jax.tree.leaves(got.tree()), jax.tree.leaves(whole.tree()), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    both = [*read_metrics(first_stage / "metrics.jsonl")]
    both += read_metrics(tmp_path / "second" / "metrics.jsonl")
    expected = read_metrics(tmp_path / "whole" / "metrics.jsonl")
    for name in ("step", "loss", "learning_rate"):
        assert [r[name] for r in both] == [r[name] for r in expected]
    card = (tmp_path / "second" / "model_card.md").read_text()
    assert "| started from | " in card
    assert "/first |" in card


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"continue_from": "empty"}, "empty: holds no checkpoint; expected a workdir"),
        ({"network.width": 0.1}, "another network: width is 0.05 there and 0.1 here"),
        ({"optimizer.average_decay": 0.0}, "of other parts: average.* absent here"),
        ({"optimizer.clip_norm": 1.0}, r"of other parts: optimizer\.\[0\]"),
        ({"until": 2}, "is at step 2 and this run ends with step 2; give a later"),
        ({"init": "lite"}, "config.init and config.continue_from are both set"),
        ({"until": 5}, "config.until is 5 and config.optimizer.steps 4; give at most"),
    ],
)
def test_what_cannot_be_continued(first_stage, tmp_path, changes, message):
    changes = {**AVERAGED, "continue_from": str(first_stage), **changes}
    with pytest.raises(InputError, match=message):
        train(smoke(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_stage_may_be_made_longer_but_not_shorter(first_stage, tmp_path):
    workdir = shutil.copytree(first_stage, tmp_path / "copy")
    assert int(train(smoke(until=3, **AVERAGED), workdir).step) == 3
    with pytest.raises(InputError, match="is at step 3 and this run ends with step 2"):
        train(smoke(until=2, **AVERAGED), workdir)


class Stopper:
    def __init__(self, answers):
        self.answers = answers

    def __enter__(self):
        return lambda step: next(self.answers, False)

    def __exit__(self, *_):
        pass


def test_tf_data_trains_the_same(whole_run, tmp_path):
    pytest.importorskip("tensorflow")
    config = smoke()
    config.data.loader = "tf"
    got = values(train(config, tmp_path))
    for name, value in whole_run[1].items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_pictures_and_histograms_go_to_tensorboard(tmp_path):
    config = smoke(histograms=True)  # the program of the other runs: compiled once
    config.tensorboard = True
    train(config, tmp_path)
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    for tag in (b"validation/0", b"validation_sad", b"head.1.bias"):
        assert tag in content


def test_a_run_starts_from_another_ones_weights(whole_run):
    config = smoke(init=str(whole_run[0] / "weights.safetensors"))
    network = TMFNetConfig.from_dict(config.network.to_dict())
    model = starting_network(config, initial_network(network, seed=3))
    arrays = named_arrays(model)
    for name, value in whole_run[1].items():
        np.testing.assert_array_equal(arrays[name], value, err_msg=name)


def test_two_starts_are_one_too_many():
    with pytest.raises(InputError, match="are both set; give one"):
        starting_network(smoke(init="a", encoder_init="b"), None)


def test_another_config_in_the_workdir_is_refused(whole_run):
    config = smoke(seed=5)
    with pytest.raises(InputError, match="another config: seed is 0 there and 5 here"):
        train(config, whole_run[0])


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("keep me")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        train(smoke(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("batch_size", 3, "batch_size is 3; expected a multiple"),
        ("data.kind", "zip", "config.data.kind is 'zip'"),
        ("data.kind", "folders", "config.data.foregrounds is not set"),
        ("data.loader", "ray", "config.data.loader is 'ray'"),
        ("network.context", "tmpp", "did you mean 'tmp'"),
        ("optimizer.steps", 0, "optimizer.steps is 0"),
        ("optimizer.freeze", "encodr", "the network has no part 'encodr'"),
        ("accumulation", 3, "norm_groups is 1; expected a multiple of accumulation"),
        ("norm_groups", 0, "norm_groups is 0"),
        ("remat", "all", "remat is 'all'"),
        ("parameter_shards", 3, "parameter_shards is 3"),
        ("validation.set", "photos", "no set is called 'photos'"),
        ("validation.images", 0, "cannot have 0 images"),
        ("recipe.crop_px", 0, "recipe.crop_px is 0"),
        ("recipe.crop_px", 50, "recipe.crop_px is 50; give a multiple of 32"),
        ("log_every", 0, "config.log_every is 0; give at least 1"),
        ("checkpoint_every", 0, "config.checkpoint_every is 0"),
        ("keep_checkpoints", 0, "config.keep_checkpoints is 0"),
        ("validation.every", -1, "config.validation.every is -1; give at least 0"),
    ],
)
def test_bad_settings(tmp_path, field, value, message):
    config = smoke()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "run")


def run_script(*arguments, **options):
    command = [sys.executable, "-m", "experiments.train", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.optimizer.stepz=3", "steps"),
        ("--config.batch_size=many", "batch_size"),
        ("--no_such_flag", "no_such_flag"),
    ],
)
def test_bad_flags_give_one_line_and_status_2(tmp_path, argument, message):
    done = run_script(
        f"--config={CONFIG}:smoke", f"--workdir={tmp_path / 'run'}", argument
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_missing_config_file_gives_one_line(tmp_path):
    done = run_script("--config=none.py", f"--workdir={tmp_path / 'run'}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "none.py" in done.stderr


def test_terminated_run_saves(tmp_path):
    workdir = tmp_path / "run"
    command = [sys.executable, "-m", "experiments.train", f"--config={CONFIG}:smoke"]
    command += [f"--workdir={workdir}", "--config.optimizer.steps=100000"]
    command += ["--config.data.loader=threads"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while "images/s" not in process.stderr.read(1) + process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert Matting.load(workdir) is not None
