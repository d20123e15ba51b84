"""`tmfnet eval`: from files to rows and manifest, and what it refuses."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import evaluate
from input_pipeline.evaluation_data.evaluation import generated_set
from tmfnet_jax import cli
from tmfnet_jax.evaluation_records import read_manifest, read_records
from tmfnet_jax.images import write_image
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network, named_arrays
from tmfnet_jax.weights import write_weights

ROOT = Path(__file__).parents[1]
TINY = TMFNetConfig(width=0.05)
SIZE = 64
PART = np.s_[128 : 128 + SIZE, 128 : 128 + SIZE]  # has all labels in the first image


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    write_weights(path, TINY, named_arrays(initial_network(TINY, seed=0)))
    return path


@pytest.fixture
def triples(tmp_path):
    """Two small triples, the second trimap without an unknown pixel."""
    folder = tmp_path / "data"
    for kind in ("image", "trimap", "alpha"):
        (folder / kind).mkdir(parents=True)
    for example in generated_set(1).examples():
        image, trimap, alpha = (
            array[PART] for array in (example.image, example.trimap, example.alpha)
        )
        for name, labels in (("a", trimap), ("b", np.full_like(trimap, 255))):
            write_image(folder / "image" / f"{name}.png", image)
            write_image(folder / "trimap" / f"{name}.png", labels)
            write_image(folder / "alpha" / f"{name}.png", alpha)
    return folder


def run(*arguments) -> int:
    return cli.main(["eval", *map(str, arguments)], commands=[evaluate])


def test_two_runs_are_identical(triples, weights, tmp_path, capsys):
    for name in ("one", "two"):
        options = ["--weights", weights, "-o", tmp_path / name, "--save-alphas"]
        assert run("triples", triples, *options) == 0
    printed = capsys.readouterr().out
    assert "image (python)" in printed and "2 images, complete" in printed
    one, two = (
        {p.name: p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()}
        for n in ("one", "two")
    )
    assert one == two
    assert set(one) == {"images.csv", "manifest.json", "a.png", "b.png"}
    manifest = read_manifest(tmp_path / "one" / "manifest.json")
    assert manifest["network"]["config"]["width"] == 0.05
    assert manifest["inference"]["padding"].endswith("multiples of 16")
    assert str(tmp_path) not in (tmp_path / "one" / "manifest.json").read_text()
    known = read_records(tmp_path / "one" / "images.csv")[1]
    assert known.unknown_pixels == 0
    assert (known.mse, known.grad, known.conn) == (0, 0, 0)


def test_saved_mattes_measure_the_same(triples, weights, tmp_path):
    options = ["--weights", weights, "-o", tmp_path / "net", "--save-alphas"]
    assert run("triples", triples, *options) == 0
    mattes = tmp_path / "net" / "predictions"
    options = ["--predictions", mattes, "-o", tmp_path / "files"]
    assert run("triples", triples, *options) == 0
    rows = [read_records(tmp_path / n / "images.csv") for n in ("net", "files")]
    assert rows[0] == rows[1]
    manifest = read_manifest(tmp_path / "files" / "manifest.json")
    assert "network" not in manifest and list(manifest["inference"]) == ["files_sha256"]


def test_bad_predictions(triples, tmp_path, capsys):
    mattes = tmp_path / "mattes"
    mattes.mkdir()
    write_image(mattes / "a.png", np.zeros((9, 7), np.uint8))
    options = ["triples", triples, "--predictions", mattes, "-o", tmp_path / "out"]
    assert run(*options) == 2
    assert "lacks 1 of 2 mattes: b; expected" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    bad = np.full((SIZE, SIZE), np.nan, np.float32)
    write_image(mattes / "b.tif", bad)
    assert run(*options) == 1
    error = capsys.readouterr().err
    assert "a: prediction is 7x9 and the image 64x64 pixels" in error
    assert "b.tif: has values that are NaN or outside" in error
    assert not read_manifest(tmp_path / "out" / "manifest.json")["complete"]
    write_image(mattes / "b.png", np.zeros((SIZE, SIZE), np.uint8))
    assert run(*options) == 2
    assert "keep one of them" in capsys.readouterr().err


def test_other_predictions_are_another_evaluation(triples, tmp_path, capsys):
    mattes, out = tmp_path / "mattes", tmp_path / "out"
    mattes.mkdir()
    for name in ("a.PNG", "b.png"):
        write_image(mattes / name, np.zeros((SIZE, SIZE), np.uint8))
    options = ["triples", triples, "--predictions", mattes, "-o", out]
    assert run(*options) == run(*options) == 0
    write_image(mattes / "b.png", np.ones((SIZE, SIZE), np.uint8))
    assert run(*options) == 2
    assert "another evaluation: inference.files_sha256" in capsys.readouterr().err


def test_a_terminal_without_the_names_letters(triples, monkeypatch):
    for kind in ("image", "trimap", "alpha"):
        (triples / kind / "a.png").rename(triples / kind / "日本.png")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run("triples", triples, "--predictions", triples / "alpha") == 0
    terminal.seek(0)
    assert r"\u65e5\u672c" in terminal.read()


def test_missing_pairs_are_listed_before_anything_runs(triples, tmp_path, capsys):
    (triples / "trimap" / "b.png").unlink()
    (triples / "alpha" / "c.png").write_bytes(b"")
    assert run("triples", triples, "--check") == 2
    report = capsys.readouterr().out
    assert "missing (1):\n  trimap/b" in report
    assert "surplus (1):\n  alpha/c" in report
    options = ["--predictions", triples / "alpha", "-o", tmp_path / "out"]
    assert run("triples", triples, *options) == 2
    error = capsys.readouterr().err
    assert "trimap/b" in error and "nothing was measured" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generated"], "nothing to measure; give --weights or --predictions"),
        (["nope"], "no set is called 'nope'; choose one of generated"),
        (["triples"], "triples"),
        (["generated", "--count", "0"], "cannot have 0 images"),
        (["generated", "--count", "1000000000"], "give 1 to 100000"),
        (["generated", "--predictions", "none"], "none: no such folder"),
        (["generated", "--predictions", "p", "--tta", "8"], "--tta, --refine, --dtype"),
        (["generated", "--predictions", "p", "--no-refine"], "are for --weights only"),
        (["generated", "--weights", "none"], "none: no such weights file"),
        (["generated", "--weights", "w", "--save-alphas"], "needs a folder"),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("tmfnet: error: ") and error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_interrupted_keeps_what_is_done(triples, weights, tmp_path, monkeypatch):
    from tmfnet_jax.inference import Matting

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Matting, "alpha", interrupt)
    options = ["triples", triples, "--weights", weights, "-o", tmp_path / "out"]
    assert run(*options) == 130
    monkeypatch.undo()
    assert run(*options) == 0


def test_it_is_a_command_and_a_script(triples, tmp_path):
    mattes = triples / "alpha"
    arguments = ["triples", str(triples), "--predictions", str(mattes)]
    for start in (["tmfnet_jax.cli", "eval"], ["experiments.evaluate"]):
        done = subprocess.run(
            [sys.executable, "-m", *start, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        rows = [line.split() for line in done.stdout.splitlines()[2:]]
        assert rows[0] == ["a", *4 * ["0.000"]]  # the truth is its own matte
        assert rows[1][2:] == 3 * ["0.000"]  # nothing unknown, but not all is known
        assert float(rows[1][1]) > 0
