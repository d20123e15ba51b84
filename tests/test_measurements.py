"""What weights give during a training: its rows, its table, what is left out."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import measurements
from experiments.measurements import (
    NOT_MEASURED,
    add_row,
    measured,
    open_sets,
    read_rows,
)
from input_pipeline.evaluation_data.evaluation import generated_set
from tmfnet_jax.evaluation import evaluate
from tmfnet_jax.evaluation_records import mean
from tmfnet_jax.inference import Matting

ROOT = Path(__file__).parents[1]


def test_both_ways_are_those_of_an_evaluation():
    sets = open_sets(test_set=None, photos=None, generated=2)
    found = measured("lite", sets)
    assert found["seconds"] > 0
    assert found["sets"]["open"] == found["sets"]["photos"] == NOT_MEASURED
    of_generated = found["sets"]["generated"]
    assert of_generated["images"] == 2
    for way, refine in (("alone", False), ("refined", True)):
        matting = Matting.load("lite", refine=refine)
        result = evaluate(
            generated_set(2),
            lambda example, _, m=matting: m.alpha(example.image, example.trimap),
        )
        assert of_generated[way] == pytest.approx(mean(result.records))
    assert of_generated["refined"]["sad"] < of_generated["alone"]["sad"]


def test_only_the_photos_for_development_are_measured(tmp_path, monkeypatch):
    opened = []

    def open_set(name, folder, *, count=None):
        opened.append((name, folder, count))
        names = tuple(f"GT{number:02}" for number in range(1, 28))
        return generated_set(3) if name == "generated" else with_names(names)

    monkeypatch.setattr(measurements, "open_set", open_set)
    found = open_sets(test_set=tmp_path, photos=tmp_path, generated=3)
    assert opened == [
        ("generated", None, 3),
        ("open", tmp_path, 100),
        ("alphamatting", tmp_path, None),
    ]
    assert found["photos"].names == ("GT05", "GT13", "GT21", "GT25")


def with_names(names):
    return dataclasses.replace(generated_set(1), names=names)


def test_absent_sets_are_told(tmp_path, capsys):
    found = open_sets(test_set=tmp_path / "none", photos=None)
    assert found["open"] is found["photos"] is None
    err = capsys.readouterr().err
    assert f"{tmp_path / 'none'}: no such folder; not measured" in err
    assert "set alphamatting: no folder was given; not measured" in err


def row(step, **changes):
    ways = {way: {"sad": 1.5, "mse": 2.25} for way in ("alone", "refined")}
    values = {
        "step": step,
        "stage": "small",
        "weights": None,
        "hours": 1.5,
        "crops": 100_000,
        "loss": 0.125,
        "commit": "0123456789abcdef",
        "seconds": 61.2,
        "sets": {
            "generated": {"images": 20, **ways},
            "open": NOT_MEASURED,
            "photos": NOT_MEASURED,
        },
    }
    return values | changes


def test_rows_become_lines_and_a_table(tmp_path):
    assert read_rows(tmp_path) == []
    nothing = dict.fromkeys(("stage", "hours", "crops", "loss"))
    rows = [row(None, weights="lite", **nothing), row(12_500, loss=None)]
    for one in rows:
        add_row(tmp_path, one)
    assert read_rows(tmp_path) == rows
    lines = (tmp_path / "measurements.md").read_text().splitlines()
    assert "Images: generated 20." in " ".join(lines)
    cells = "1.500, 2.250 | 1.500, 2.250" + f" | {NOT_MEASURED}" * 4
    assert lines[-2:] == [
        f"| lite | - | - | - | - | {cells} | 61 | 012345678 |",
        f"| 12,500 | small | 1.50 | 100 | - | {cells} | 61 | 012345678 |",
    ]


def test_the_command_writes_json_and_names_bad_weights(tmp_path):
    output = tmp_path / "row.json"
    command = [sys.executable, "-m", "experiments.measurements", "--generated=1"]
    command += [f"--output={output}", f"--parent={os.getpid()}"]
    done = subprocess.run(
        [*command, f"--weights={tmp_path / 'none.safetensors'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no such weights file" in done.stderr.splitlines()[-1]
    assert not output.exists()
    subprocess.run([*command, "--weights=lite"], cwd=ROOT, check=True, timeout=120)
    found = json.loads(output.read_text())
    assert np.isfinite(found["sets"]["generated"]["alone"]["sad"])
