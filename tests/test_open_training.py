"""The long training: its stages, what it does again after a kill and what not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_measurements import row

from experiments import open_training
from experiments.configs import open_training as stages
from experiments.measurements import read_rows
from experiments.open_training import Plan, measured_apart, prepare, run, smoke_inputs
from input_pipeline.training_data.prepared import PreparedSource, read_index
from tmfnet_jax.errors import InputError


class Trainings:
    """Stands for `train`: leaves what the driver looks at, can be stopped."""

    def __init__(self, monkeypatch):
        self.calls, self.stop_after = [], None
        monkeypatch.setattr(open_training, "train", self)

    def __call__(self, config, workdir, *, pause_at):
        step = min(pause_at, self.stop_after or pause_at)
        self.calls.append((workdir.name, pause_at, config.continue_from))
        (workdir / "checkpoints" / str(step)).mkdir(parents=True)
        with (workdir / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "loss": 0.5, "hours": step}) + "\n")
        if step == config.until:
            (workdir / "weights.safetensors").write_bytes(b"")
        if step < pause_at:
            raise InputError(f"stopped after step {step}; run again to continue")


@pytest.fixture
def plan():
    first, *_, last = stages.STAGES
    stage = open_training.SMOKE_STAGE._replace(batch=2)
    return Plan(
        {first: stage._replace(measure_every=3), last: stage._replace(measure_every=9)},
        16,
        ",smoke",
    )


def test_what_was_done_is_not_done_again(tmp_path, monkeypatch, plan):
    trainings, measured = Trainings(monkeypatch), []

    def measure(weights):
        measured.append(Path(weights).name)
        return {"sets": row(1)["sets"], "seconds": 1.0}

    def go():
        run(tmp_path, plan, smoke_inputs(tmp_path / "inputs"), measure)

    trainings.stop_after = 5
    with pytest.raises(InputError, match="stopped after step 5; run again"):
        go()
    assert measured == ["3"]
    trainings.stop_after = None
    monkeypatch.setattr(open_training, "add_row", lambda *_: 1 / 0)  # killed
    with pytest.raises(ZeroDivisionError):
        go()
    monkeypatch.undo()
    trainings = Trainings(monkeypatch)
    go()
    assert measured == ["3", "6", "6", "8", "16"]
    small = str(tmp_path / "small")
    assert trainings.calls == [("small", 8, None), ("large", 16, small)]
    rows = read_rows(tmp_path)
    assert [r["step"] for r in rows] == [3, 6, 8, 16]
    assert [r["crops"] for r in rows] == [6, 12, 16, 32]
    assert [r["hours"] for r in rows] == [3, 6, 8, 24]
    assert [r["loss"] for r in rows] == [0.5] * 4
    go()
    assert len(trainings.calls) == 2
    assert len(measured) == 5


def test_a_failed_measurement_does_not_stop_the_training(tmp_path, monkeypatch, plan):
    trainings = Trainings(monkeypatch)
    run(tmp_path, plan, smoke_inputs(tmp_path / "inputs"), lambda _: None)
    assert [call[1] for call in trainings.calls] == [3, 6, 8, 16]
    assert read_rows(tmp_path) == []


def test_a_measurement_that_fails_is_told(tmp_path, capfd):
    assert measured_apart(str(tmp_path / "no.safetensors"), tmp_path, []) is None
    assert "could not be measured (exit status 2)" in capfd.readouterr().err


def test_a_reference_is_measured_once(tmp_path):
    calls = []

    def measure(weights):
        calls.append(weights)
        return {"sets": row(1)["sets"], "seconds": 1.0}

    for _ in range(2):
        open_training.measure_reference(tmp_path, "lite", measure)
    assert calls == ["lite"]
    assert [(r["step"], r["weights"]) for r in read_rows(tmp_path)] == [(None, "lite")]


def test_a_stage_keeps_the_subjects_that_it_began_with(tmp_path):
    inputs = smoke_inputs(tmp_path / "inputs")
    stage = open_training.SMOKE_STAGE
    prepare(tmp_path / "one", stage, inputs, seed=0)
    first = PreparedSource(tmp_path / "one" / "subjects")
    assert first.num_foregrounds == 3 * len(stage.sides)
    assert [f.width for f in first.foregrounds[:2]] == [*stage.sides]
    content = (inputs.subjects / "0.png").read_bytes()
    (inputs.subjects / "3.png").write_bytes(content)
    (inputs.subjects / "0.png").unlink()
    (inputs.subjects / "4.png").write_bytes(content[:-500])  # being written
    prepare(tmp_path / "one", stage, inputs, seed=0)
    again = PreparedSource(tmp_path / "one" / "subjects")
    assert again.foregrounds == first.foregrounds
    np.testing.assert_array_equal(*(s.foreground(0)[0] for s in (first, again)))
    prepare(tmp_path / "two", stage, inputs, seed=0)
    index = read_index(tmp_path / "two" / "subjects")
    names = {f.name.partition("@")[0] for f in index.foregrounds}
    assert names == {"1.png", "2.png", "3.png"}


def test_what_is_for_tests_is_not_trained_on(tmp_path):
    assert open_training.training_part(tmp_path) == tmp_path
    (tmp_path / "train").mkdir()
    assert open_training.training_part(tmp_path) == tmp_path / "train"


def test_no_subjects_are_refused(tmp_path):
    inputs = smoke_inputs(tmp_path / "inputs")
    for path in inputs.subjects.iterdir():
        path.unlink()
    with pytest.raises(InputError, match="foregrounds and alphas: .*no images there"):
        prepare(tmp_path / "data", open_training.SMOKE_STAGE, inputs, seed=0)


def test_the_stages_are_one_cosine_of_growing_crops():
    configs = [stages.get_config(name) for name in stages.STAGES]
    ends = [config.until for config in configs]
    assert ends == [*stages.ends(stages.STAGES, stages.STEPS).values()]
    assert ends == sorted({*ends})
    assert ends[-1] == stages.STEPS
    crops = [config.recipe.crop_px for config in configs]
    assert crops == sorted({*crops})
    assert len({config.seed for config in configs}) == len(configs)
    for config in configs:
        assert config.optimizer == configs[0].optimizer
        assert config.network == configs[0].network
    with pytest.raises(InputError, match="'huge'; expected one of small"):
        stages.get_config("huge")
