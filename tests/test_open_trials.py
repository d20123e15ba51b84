"""The rows of the trials, and what the command refuses; none is trained here."""

import pytest
from absl import flags
from test_measurements import row

from experiments import open_trials
from experiments.configs.open_training import stage_config
from experiments.measurements import add_row
from input_pipeline.protocol.recipe import Recipe
from tmfnet_jax.errors import InputError


def test_rows_take_as_many_pixels_a_step():
    pixels = {row.batch * row.crop**2 for row in open_trials.ROWS.values()}
    assert pixels == {8 * 128**2}


@pytest.mark.parametrize("name", open_trials.ROWS)
def test_rows_are_whole_configs(name):
    stage = open_trials.ROWS[name]
    config = stage_config(stage)
    recipe = Recipe.from_dict(config.recipe.to_dict())
    assert (recipe.crop_px, config.batch_size) == (stage.crop, stage.batch)
    assert max(stage.sides) >= stage.crop


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": ["sideways"], "steps": 500}, "no row is called 'sideways'"),
        ({"rows": [], "steps": 100}, "--steps is 100; give more than 100"),
    ],
)
def test_options_are_refused_before_anything_is_written(
    tmp_path, monkeypatch, options, message
):
    values = {"folder": str(tmp_path / "trials"), **options}
    fake = type("Options", (), values)
    monkeypatch.setattr(flags, "FLAGS", fake)
    with pytest.raises(InputError, match=message):
        open_trials.main()
    assert not (tmp_path / "trials").exists()


def test_rows_of_other_lengths_are_not_mixed(tmp_path, monkeypatch):
    values = {
        **{"folder": str(tmp_path), "rows": ["rendered"], "steps": 300},
        **{"subjects": "s", "backgrounds": "b", "test_set": None, "photos": None},
        "start": "lite",
    }
    monkeypatch.setattr(flags, "FLAGS", type("Options", (), values))
    found = {"sets": row(1)["sets"], "seconds": 1.0}
    monkeypatch.setattr(open_trials, "measured_apart", lambda *_: found)
    add_row(tmp_path, {**row(200), "stage": "rendered"})
    with pytest.raises(InputError, match="rendered was trained for 200 steps, expecte"):
        open_trials.main()
