"""The paper's tables and figure beside what a folder of runs gives."""

from __future__ import annotations

import argparse
import json
import shlex

import jax
import numpy as np
import pytest
from flax import nnx

from experiments import evaluate, kernel_maps, paper, paper_results
from experiments.configs.paper import get_config
from experiments.kernel_maps import principal_colours
from experiments.paper_results import read_result
from experiments.paper_rows import ROWS, table_rows
from tmfnet_jax import cli, fusion
from tmfnet_jax.images import read_image, write_image
from tmfnet_jax.local_filter import filter_shifts
from tmfnet_jax.model import TMFNetConfig, network_input
from tmfnet_jax.parameters import initial_network, named_arrays
from tmfnet_jax.variants import VARIANTS
from tmfnet_jax.weights import write_weights

MEAN = {"sad": 24.46, "mse": 4.81, "grad": 8.0, "conn": 20.0}


def run(*arguments):
    return cli.main(["paper", *map(str, arguments)], commands=[paper])


def manifest_of(row, **changes):
    network = VARIANTS[row.variant].config.to_dict()
    manifest = {
        "complete": True,
        "images": 1000,
        "measured": 1000,
        "mean": MEAN,
        "metrics": {"variant": "python", "scale": "as always"},
        "data": {"set": row.data, "settings": {"trimaps": row.trimaps}},
        "network": {"weights_sha256": "ab", "config": network},
        "inference": {"tta": row.tta, "refine": False, "dtype": "float32"},
    }
    for path, value in changes.items():
        *outer, last = path.split("__")
        place = manifest
        for key in outer:
            place = place[key]
        place[last] = value
    return manifest


def put(runs, name, **changes):
    """Lay an evaluation of a row, without its training, into a folder of runs."""
    row = ROWS[name]
    folder = runs / row.run / f"eval-{row.data}-{row.tta}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest_of(row, **changes)))
    return row


def test_rows_without_a_result_say_why(tmp_path):
    row = ROWS["table3-tmp-glf"]
    assert read_result(row, tmp_path).status == "no run"
    (tmp_path / row.name).mkdir()
    assert read_result(row, tmp_path).status == "training not ended"
    (tmp_path / row.name / "weights.safetensors").touch()
    result = read_result(row, tmp_path)
    assert (result.measured, result.status) == (None, "not evaluated")


def test_measured_stands_beside_published(tmp_path, capsys):
    put(tmp_path, "table3-tmp-glf")
    assert run("table5", "--runs", tmp_path, "--json", tmp_path / "t.json") == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("all LF, context at all"))
    assert "24.5 / 24.9 (-0.4)" in line
    assert "4.8 / 4.8 (+0.0)" in line
    assert "33.86 / 33.9 M" in line
    assert line.endswith(" measured on 1000 images")
    assert "table5-g-all: weights without their training's config" in lines
    assert sum(line.endswith(" no run") for line in lines) == 5
    records = json.loads((tmp_path / "t.json").read_text())
    assert len(records) == 6
    record = records[-1]
    assert record["measured"] == MEAN
    assert record["published"] == {"sad": 24.9, "mse": 4.8}
    assert (record["row"], record["run"]) == ("table5-g-all", "table3-tmp-glf")
    assert record["laplacian"] is False


def test_rows_share_a_run(tmp_path):
    put(tmp_path, "table3-tmp-lf")
    assert read_result(ROWS["table5-lf-all"], tmp_path).measured == MEAN
    put(tmp_path, "table1-tmfnet-tta")
    assert read_result(ROWS["table1-tmfnet-tta"], tmp_path).measured == MEAN
    # The same run without augmentation is another evaluation.
    other = read_result(ROWS["table1-tmfnet"], tmp_path)
    assert other.status == "training not ended"


def test_benchmark_photos_have_no_published_values(tmp_path, capsys):
    put(tmp_path, "table4-tmfnet", images=14)
    assert run("table4", "--runs", tmp_path) == 0
    out = capsys.readouterr().out
    assert "24.5 / -" in out
    assert "measured on 14 images" in out
    assert "Published: not recorded here" in out


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("complete", False, "evaluation incomplete: 1000 of 1000 images"),
        ("data__set", "ciom", "data.set 'ciom', not 'composition-1k'"),
        ("inference__tta", "8", "inference.tta '8', not 'none'"),
        ("inference__dtype", "bfloat16", "inference.dtype 'bfloat16', not 'float32'"),
        ("metrics__variant", "matlab", "metrics.variant 'matlab', not 'python'"),
        ("network__config__context", "mp", "network.config.context 'mp', not 'tmp'"),
        ("network", None, "another evaluation: network None, not"),
        ("images", 20, "images 20, not 1000"),
        ("mean", None, "no means of all metrics"),
        ("mean", {**MEAN, "sad": "low"}, "no means of all metrics"),
        ("data__set", "\x1b[2J", r"data.set '\x1b[2J', not"),
    ],
)
def test_what_does_not_fit_is_not_taken(tmp_path, field, value, reason):
    row = put(tmp_path, "table3-tmp-glf", **{field: value})
    result = read_result(row, tmp_path)
    assert result.measured is None
    assert reason in result.status


def test_damaged_manifest_is_said(tmp_path, capsys):
    row = put(tmp_path, "table2-tmp")
    folder = tmp_path / row.name / "eval-ciom-none"
    (folder / "manifest.json").write_text("{")
    assert run("table2", "--runs", tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("TMP ") and line.endswith(" see below") for line in lines
    )
    assert any(line.startswith("table2-tmp: ") for line in lines)
    assert "manifest.json: damaged" in " ".join(lines)


def test_evaluation_is_of_the_weights_there(tmp_path, monkeypatch):
    row = put(tmp_path, "table3-mp")
    (tmp_path / row.name / "weights.safetensors").touch()
    monkeypatch.setattr(paper_results, "fingerprint", lambda path: (None, "ab"))
    assert read_result(row, tmp_path).measured == MEAN
    monkeypatch.setattr(paper_results, "fingerprint", lambda path: (None, "cd"))
    result = read_result(row, tmp_path)
    assert result.status == "not taken, the weights have changed since"


@pytest.mark.parametrize(
    ("field", "value", "note"),
    [
        ("seed", 3, None),
        ("optimizer.steps", 100, "trained with optimizer.steps 100, not 200000"),
        (
            "data.kind",
            "synthetic",
            "trained with data.kind 'synthetic', not 'composition-1k'",
        ),
    ],
)
def test_other_trainings_are_noted(tmp_path, field, value, note):
    row = put(tmp_path, "table3-mp")
    config = get_config(row.name)
    config.update_from_flattened_dict({field: value})
    text = config.to_json_best_effort()
    (tmp_path / row.name / "config.json").write_text(text)
    result = read_result(row, tmp_path)
    assert result.measured == MEAN
    assert result.notes == (() if note is None else (note,))


@pytest.mark.parametrize(
    ("text", "reason"),
    [('{"laplacian": true}', "trained with another loss"), ("{", "is damaged")],
)
def test_another_loss_is_not_taken(tmp_path, text, reason):
    row = put(tmp_path, "table3-mp")
    (tmp_path / row.name / "config.json").write_text(text)
    result = read_result(row, tmp_path)
    assert result.measured is None
    assert reason in result.status


def test_commands_make_what_is_missing(tmp_path, capsys):
    put(tmp_path, "table5-lf-all")
    finished = tmp_path / "table3-tmp-glf"
    finished.mkdir()
    (finished / "weights.safetensors").touch()
    assert run("table5", "--runs", tmp_path, "--commands") == 0
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    trained = [line[3] for line in lines if "experiments.train" in line]
    config = "--config=experiments/configs/paper.py"
    names = ("table5-lf-f1", "table5-lf-f1f2", "table5-g-f1", "table5-g-f1f2")
    assert trained == [f"{config}:{name}" for name in names]
    assert len(lines) == 2 * len(names) + 1

    parser = argparse.ArgumentParser()
    evaluate.add(parser.add_subparsers())
    options = parser.parse_args(lines[-1][1:])
    assert options.set == "composition-1k"
    assert options.weights == finished / "weights.safetensors"
    assert options.output == finished / "eval-composition-1k-none"
    assert options.tta == "none"


def test_a_table_needs_no_command_once(tmp_path, capsys):
    for row in table_rows("table2"):
        put(tmp_path, row.name)
    assert run("table2", "--runs", tmp_path, "--commands") == 0
    assert capsys.readouterr().out.strip() == ""


def test_sizes(tmp_path, capsys):
    assert run("table6", "--json", tmp_path / "sizes.json") == 0
    out = capsys.readouterr().out
    assert "1409.6 G" in out and "1121.8 G" in out and "5385 G" in out
    assert "published: layers, the per-pixel filters" in out
    records = json.loads((tmp_path / "sizes.json").read_text())
    assert [record["params"] for record in records[2:]] == [34_829_633, 33_859_571]
    assert records[3]["macs"]["layers"] == 1_070_688_471_176
    assert records[0]["macs"]["layers"] is None


@pytest.mark.parametrize("arguments", [(), ("table7",), ("table6", "--commands")])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.fixture
def photo(tmp_path):
    """A photo and a trimap of 44x60 pixels, and weights with LF and GLF."""
    trimap = np.zeros((44, 60), np.uint8)
    trimap[8:36, 8:48] = 128
    trimap[14:26, 16:32] = 255
    write_image(tmp_path / "trimap.png", trimap)
    image = np.random.default_rng(0).integers(0, 256, (44, 60, 3), np.uint8)
    write_image(tmp_path / "photo.png", image)
    for kind in ("lf", "glf"):
        config = TMFNetConfig(fusion=(kind,) * 3, width=0.05)
        arrays = named_arrays(initial_network(config, seed=1))
        write_weights(tmp_path / f"{kind}.safetensors", config, arrays)
    return image, trimap


def figure(folder, *more):
    return run(
        *("figure5", "--image", folder / "photo.png"),
        *("--trimap", folder / "trimap.png", "--output", folder / "figure5.png"),
        *("--runs", folder / "runs", *more),
    )


def test_figure(photo, tmp_path, capsys):
    weights = tmp_path / "glf.safetensors"
    assert figure(tmp_path, "--glf", weights) == 0
    assert "LF: no run; give --lf or train table3-tmp-lf" in capsys.readouterr().out
    part = read_image(tmp_path / "figure5.png")
    # The run's own weights fill the empty column.
    (tmp_path / "runs" / "table3-tmp-lf").mkdir(parents=True)
    lf = tmp_path / "runs" / "table3-tmp-lf" / "weights.safetensors"
    (tmp_path / "lf.safetensors").rename(lf)
    assert figure(tmp_path, "--glf", weights) == 0
    assert "no run" not in capsys.readouterr().out
    whole = read_image(tmp_path / "figure5.png")
    assert whole.shape == part.shape
    changed = np.flatnonzero((whole != part).any((0, 2))) / whole.shape[1]
    assert changed.min() > 0.32 and changed.max() < 0.68


def test_figure_of_a_large_photo_is_scaled(photo, tmp_path, capsys, monkeypatch):
    for name, pixels in zip(("photo", "trimap"), photo, strict=True):
        write_image(tmp_path / f"{name}.png", pixels.repeat(2, 0).repeat(2, 1))
    monkeypatch.setattr(kernel_maps, "MAX_PIXELS", 44 * 60)
    assert figure(tmp_path, "--glf", tmp_path / "glf.safetensors") == 0
    assert "scaled from 120x88 to 60x44 pixels" in capsys.readouterr().err


def test_figure_refuses(photo, tmp_path, capsys):
    assert figure(tmp_path, "--lf", tmp_path / "glf.safetensors") == 2
    assert "has fusion glf, glf, glf; expected lf" in capsys.readouterr().err
    assert figure(tmp_path, "--lf", tmp_path / "none.safetensors") == 2
    assert "no such weights file" in capsys.readouterr().err
    write_image(tmp_path / "trimap.png", np.full((8, 8), 128, np.uint8))
    assert figure(tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "figure5.png").exists()


def test_kernel_maps_are_those_of_the_network(photo, monkeypatch):
    image, trimap = photo
    model = initial_network(TMFNetConfig(width=0.05), seed=1)
    maps = kernel_maps.kernel_maps(model, image, trimap)
    shapes = [kernels.shape for kernels in maps]
    assert shapes == [(11, 15, 9), (22, 30, 9), (44, 60, 9)]
    seen = []

    def recorded(x, kernels, bias):
        seen.append(kernels + bias)
        return filter_shifts(x, kernels, bias)

    monkeypatch.setattr(fusion, "filter_shifts", recorded)
    pads = ((0, 4), (0, 4))
    x = network_input(
        np.pad(image, (*pads, (0, 0)), mode="edge")[None],
        np.pad(trimap, pads, mode="edge")[None, ..., None],
    )
    view = nnx.view(model, use_running_average=True)
    alpha, *expected = jax.jit(lambda x: [view(x), *seen])(x)
    assert len(expected) == 3
    for got, want in zip(maps, expected, strict=True):
        h, w = got.shape[:2]
        # Two programs round differently; a wrong input moves values by about 1.
        np.testing.assert_allclose(got, want[0, :h, :w], atol=1e-3)


def test_principal_colours_separate_what_differs():
    kernels = np.zeros((8, 8, 9), np.float32)
    kernels[:, 4:, 3] = 2
    kernels[:4, :, 5] = 1
    colours, share = principal_colours(kernels)
    assert share == pytest.approx(1)
    quarters = [colours[y, x] for y in (0, 7) for x in (0, 7)]
    assert len({tuple(colour) for colour in quarters}) == 4
    assert (colours[:4, :4] == colours[0, 0]).all()
    flat, _ = principal_colours(np.ones((4, 4, 9), np.float32))
    assert np.ptp(flat) == 0
