"""A config for every row of the paper's tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.configs import paper
from experiments.paper_rows import ROWS, SIZES, TITLES, named_row, table_rows
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.variants import VARIANTS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ROWS)
def test_config_is_the_rows(name):
    row = named_row(name)
    config = paper.get_config(name)
    network = TMFNetConfig.from_dict(config.network.to_dict())
    assert network == VARIANTS[row.variant].config
    assert config.laplacian is row.laplacian
    assert config.batch_size == row.batch_size
    assert config.is_locked
    assert config.data.foregrounds is None
    # All else is the recipe that the rows share.
    shared = json.loads(config.to_json_best_effort())
    recipe = json.loads(paper.get_config().to_json_best_effort())
    for own in ("network", "laplacian", "batch_size"):
        del shared[own], recipe[own]
    assert shared["data"].pop("kind") == row.training_data
    del recipe["data"]["kind"]
    assert shared == recipe


@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name].of])
def test_a_shared_run_is_the_same_training(name):
    row, owner = ROWS[name], ROWS[ROWS[name].of]
    assert owner.of is None
    assert row.run == owner.name
    assert paper.get_config(name) == paper.get_config(owner.name)


def test_tables_are_whole():
    counts = {table: len(table_rows(table)) for table in TITLES}
    assert counts == {
        "table1": 3,
        "table2": 3,
        "table3": 13,
        "table4": 2,
        "table5": 6,
        "table6": 0,
    }
    assert len(ROWS) == sum(counts.values())
    assert [row.laplacian for row in table_rows("table3")] == [False] * 10 + [True] * 3
    assert {row.batch_size for row in table_rows("table3")} == {32}
    assert {row.batch_size for row in table_rows("table1")} == {64}
    assert {row.data for row in table_rows("table2")} == {"ciom"}
    every = {row.variant for row in ROWS.values()}
    assert every == set(VARIANTS) - {"lite"}


def test_published_sizes_are_the_variants():
    for size in SIZES:
        if size.variant is not None:
            variant = VARIANTS[size.variant]
            assert round(size.params_m * 1e6) == variant.paper_params
            assert size.macs_g * 10**9 == variant.paper_macs


def test_default_is_tmfnet_with_all_losses():
    config = paper.get_config()
    assert config == paper.get_config(paper.DEFAULT_ROW)
    assert TMFNetConfig.from_dict(config.network.to_dict()) == TMFNetConfig()
    assert config.laplacian


@pytest.mark.parametrize("argument", ["smoke", "table3-aspp,smoke"])
def test_smoke_keeps_the_row(argument):
    config = paper.get_config(argument)
    assert config.network.context == ("aspp" if "aspp" in argument else "tmp")
    assert config.laplacian is ("aspp" not in argument)
    assert config.network.width == 0.05
    assert config.optimizer.steps == 4


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="unknown row 'table9-x'.*table3-tmp-glf,"):
        paper.get_config("table9-x")
    with pytest.raises(InputError, match="expected ROW or ROW,smoke"):
        paper.get_config("table3-tmp,table3-mp")


def test_training_takes_the_argument(tmp_path):
    def train(row):
        config = f"--config={ROOT}/experiments/configs/paper.py:{row}"
        command = [sys.executable, "-m", "experiments.train", config]
        return subprocess.run(
            [*command, f"--workdir={tmp_path / 'run'}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    done = train("table5-lf-f1")
    assert done.returncode == 2
    assert "\n  - lf\n  - static\n  - static\n" in done.stdout
    assert done.stderr == (
        "error: config.data.folder is not set; give a folder: "
        "--config.data.folder=DIR\n"
    )
    done = train("table5-lf-f4")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown row 'table5-lf-f4'; expected one")
    assert done.stderr.count("\n") == 1
