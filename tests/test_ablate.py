"""The launcher of ablations: what is run, what is skipped, what is said."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from experiments.ablate import Plan, Progress, interval, tables
from experiments.paper_rows import named_row
from tmfnet_jax.errors import InputError

BASIC, GLF = named_row("table3-basic-lap"), named_row("table3-tmp-glf-lap")


def writing(path, status=0):
    code = f"open({str(path)!r}, 'a').write('x'); raise SystemExit({status})"
    return [sys.executable, "-c", code]


def test_what_is_done_is_not_done_again(tmp_path):
    mark, state = tmp_path / "mark", tmp_path / "runs" / "ablation.json"
    for _ in range(2):
        Progress(state).run("run", "trained", writing(mark))
    assert mark.read_text() == "x"
    Progress(state).run("run", "trained", [*writing(mark), "--other"])
    assert mark.read_text() == "xx"
    assert json.loads(state.read_text())["run"]["trained"]["seconds"] > 0


def test_a_failure_is_told_and_tried_again(tmp_path):
    mark, state = tmp_path / "mark", tmp_path / "ablation.json"
    for _ in range(2):
        with pytest.raises(InputError, match="run could not be trained, status 3: "):
            Progress(state).run("run", "trained", writing(mark, status=3))
    assert mark.read_text() == "xx"
    state.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        Progress(state)


def test_commands_name_row_seed_and_fields(tmp_path):
    plan = Plan(
        tmp_path, "configs/ablation.py", ("a.b=1",), ("generated", "--count", "9")
    )
    assert plan.folder(BASIC, 0) == tmp_path / "table3-basic-lap"
    assert plan.train_command(BASIC, 2)[2:] == [
        "experiments.train",
        "--config=configs/ablation.py:table3-basic-lap",
        f"--workdir={tmp_path}/table3-basic-lap-2",
        "--config.seed=2",
        "--config.a.b=1",
    ]
    assert plan.evaluate_command(GLF, 0)[2:] == [
        *("experiments.evaluate", "generated", "--count", "9", "--weights"),
        f"{tmp_path}/table3-tmp-glf-lap/weights.safetensors",
        *("--tta", "none", "-o", f"{tmp_path}/table3-tmp-glf-lap/eval-generated-none"),
    ]


def test_intervals_are_students():
    # Three values: mean 2, deviation 1, 4.303 / sqrt(3).
    assert interval(np.array([1.0, 2.0, 3.0])) == "2.00 +- 2.48"
    assert interval(np.array([1.5])) == "1.50"


def test_differences_are_of_equal_seeds():
    noise = np.array([[0.0], [5.0], [9.0]]) * np.ones(4)
    text = tables([BASIC, GLF], {BASIC.name: 20 + noise, GLF.name: 18 + noise})
    assert "mean over 3 seeds" in text
    line = text.splitlines()[-1]
    assert line.startswith(GLF.label)
    assert line.count("-2.00 +- 0.00") == 4
