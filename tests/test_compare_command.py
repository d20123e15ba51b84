"""`tmfnet compare`: what it prints and draws, and what it refuses."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tmfnet_jax import cli
from tmfnet_jax.evaluation_records import Record
from tmfnet_jax.record_file import write_records

HOSTILE = "\x1b[31mred\n$x_1^{$ \u202e<b>&"
MANIFEST = {
    "format": 1,
    "complete": True,
    "measured": 30,
    "images": 30,
    "mean": {"sad": 1},
    "data": {"set": "triples", "sha256": "ab" * 32},
    "network": {"weights_sha256": "12" * 32},
    "versions": {"jax": "0.10.2"},
}


def write_run(folder, *, images=30, better=0.0, names=None, manifest=MANIFEST):
    """An evaluation; `better` is by how much its SAD is lower than of others."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    sads = rng.lognormal(2, 0.7, images) + 1
    noise = rng.normal(0, 0.1 if better else 0, (3, images))
    names = names or [f"GT{number:02d}" for number in range(images)]
    records = [
        Record(
            name=name,
            variant="python",
            sad=sads[i] - better * (1 + i / 10),
            mse=sads[i] / 2 + noise[0, i],
            grad=sads[i] + noise[1, i],
            conn=sads[i] + noise[2, i],
            width=8,
            height=8,
            unknown_pixels=9,
            data_sha256="d",
            prediction_sha256=f"{better}",
        )
        for i, name in enumerate(names)
    ]
    write_records(folder / "images.csv", records)
    if manifest is not None:
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return records


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two evaluations `base` and `tuned` in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "base")
    write_run(tmp_path / "tuned", better=0.05)
    return tmp_path


def compare(*arguments):
    return cli.main(["compare", *map(str, arguments)])


def refusal(capsys, *arguments):
    """Assert status 2 and one line on standard error only; return the line."""
    assert compare(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tmfnet: error: ") and err.count("\n") == 1
    assert err.strip().isprintable()
    return err


def test_report(runs, capsys):
    assert compare("base", "tuned/images.csv", "--worst", 3) == 0
    out, err = capsys.readouterr()
    assert err == ""
    paragraphs = out.split("\n\n")
    assert paragraphs[0].splitlines()[2].split() == ["A", "base", "30"] + [
        "base/images.csv"
    ]
    assert "Compared: 30 images in both, metrics of the variant python; 0 of 30" in out
    assert "nothing differs in the two manifests" in paragraphs[2]
    rows = [line.split() for line in paragraphs[3].splitlines()[3:]]
    assert [row[0] for row in rows] == ["SAD/1000", "MSE", "Grad/1000", "Conn/1000"]
    assert float(rows[0][2]) - float(rows[0][1]) == pytest.approx(-0.12, abs=0.011)
    assert rows[0][-3:] == ["30", "0", "0"]
    assert paragraphs[4].startswith(
        "Beyond chance, with an interval that excludes 0: SAD/1000 (better in B). Not "
        "beyond chance: MSE x1000"
    )
    assert paragraphs[5].startswith("The 3 of 30 images by difference in SAD/1000")
    listed = paragraphs[5].strip().splitlines()[3:]
    assert [line.split()[0] for line in listed] == ["GT29", "GT28", "GT27"]
    assert len(listed[0].split()) == 7
    assert "too narrow" not in out


def test_chosen_metrics_and_all_images(runs, capsys):
    assert compare("base", "tuned", "--metric=conn", "--metric=sad", "--all") == 0
    paragraphs = capsys.readouterr().out.split("\n\n")
    rows = paragraphs[3].splitlines()[3:]
    assert [row.split()[0] for row in rows] == ["Conn/1000", "SAD/1000"]
    assert paragraphs[5].startswith("All 30 images by difference in Conn/1000")
    assert len(paragraphs[5].strip().splitlines()) == 33


def test_no_list_of_images(runs, capsys):
    assert compare("base", "tuned", "--worst", 0) == 0
    assert "by difference in" not in capsys.readouterr().out


def test_what_differs_beside_the_results(runs, capsys):
    manifest = {
        **MANIFEST,
        "measured": 29,
        "mean": None,
        "network": {"weights_sha256": "12" * 31 + "13"},
        "versions": {"jax": "0.12.0", "numpy": HOSTILE},
    }
    records = write_run(runs / "tuned", better=0.05, manifest=manifest)
    records[4] = replace(records[4], data_sha256="other")
    records[7] = replace(records[7], name="new")
    write_records(runs / "tuned" / "images.csv", records)
    assert compare("base", "tuned") == 0
    out = capsys.readouterr().out
    assert "WARNING: measured on different pixels" in out
    assert "trimap or alpha): 1 image: GT04\n" in out
    assert "only in A and left out: 1 image: GT07\n" in out
    assert "only in B and left out: 1 image: new\n" in out
    assert "B's manifest.json speaks of another number of images" in out
    table = out.partition("A and B differ in:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in table[2:]] == [
        "network.weights_sha256",
        "versions.jax",
        "versions.numpy",
    ]
    assert table[2].split()[1:] == ["12" * 8 + "..." + "2" + "12" * 4] + [
        "12" * 8 + "..." + "2" + "12" * 3 + "13"
    ]
    assert table[3].split()[1:] == ["0.10.2", "0.12.0"]
    assert table[4].split()[1] == "absent"
    assert all(line.isprintable() for line in out.splitlines())


def test_values_that_look_the_same_when_short(runs, capsys):
    values = ("1" * 40 + "2" + "1" * 40, "1" * 81)
    for folder, value in zip(("base", "tuned"), values, strict=True):
        path = runs / folder / "manifest.json"
        path.write_text(json.dumps({**MANIFEST, "x": value}))
    assert compare("base", "tuned") == 0
    out = capsys.readouterr().out
    assert all(value in out for value in values)


def test_unknown_and_incomplete_settings(runs, capsys):
    (runs / "base" / "manifest.json").unlink()
    (runs / "tuned" / "manifest.json").write_text('{"complete": false}')
    assert compare("base", "tuned") == 0
    out = capsys.readouterr().out
    assert "WARNING: no manifest.json beside A's file: whether weights" in out
    assert "WARNING: B is not complete" in out
    assert "nothing differs" not in out


def test_few_images(runs, capsys):
    write_run(runs / "few", images=5)
    assert compare("base", "few") == 0
    out = capsys.readouterr().out
    assert "only in A and left out: 25 images: GT05" in out and "and 20 more" in out
    assert "With 5 images such intervals are too narrow" in out
    write_run(runs / "one", images=1)
    assert compare("base", "one", "--all") == 0
    out = capsys.readouterr().out
    assert out.count("undefined") == 4
    assert "One image has no interval: nothing tells" in out
    assert "The image by difference in SAD/1000" in out


def test_json(runs, capsys):
    write_run(runs / "tuned", better=0.05, images=29)
    arguments = ("base", "tuned", "--json", "--resamples=500", "--seed=3")
    assert compare(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert found["a"] == {"name": "base", "file": "base/images.csv", "images": 30}
    assert found["only_a"] == ["GT29"]
    assert found["warnings"][0] == "only in A and left out: 1 image: GT29"
    assert found["settings"] == []
    assert (found["images"], found["resamples"], found["seed"]) == (29, 500, 3)
    sad = found["metrics"]["sad"]
    assert sad["interval"][0] < sad["difference"] < sad["interval"][1] < 0
    assert sad["beyond_chance"] is True
    assert sad["difference"] == pytest.approx(sad["mean_b"] - sad["mean_a"])
    assert len(found["differences"]) == 29
    worst = found["differences"][0]
    assert worst["name"] == "GT28"
    assert worst["sad"]["difference"] == pytest.approx(-0.05 * 3.8)
    assert set(worst) == {"name", "sad", "mse", "grad", "conn"}
    assert compare(*arguments) == 0
    assert capsys.readouterr().out == out


def test_json_of_one_hostile_image(runs, capsys):
    for folder in ("base", "tuned"):
        write_run(runs / folder, images=1, names=[HOSTILE])
    assert compare("base", "tuned", "--json") == 0
    out = capsys.readouterr().out
    assert out.isascii() and "\x1b" not in out
    found = json.loads(out)
    assert found["differences"][0]["name"] == HOSTILE
    assert found["metrics"]["sad"]["interval"] is None
    assert found["metrics"]["sad"]["beyond_chance"] is None


@pytest.mark.parametrize("better", [0, 0.05])
@pytest.mark.parametrize("metrics", [("sad",), ("sad", "mse", "grad", "conn")])
def test_png(runs, capsys, metrics, better):
    pytest.importorskip("matplotlib")
    write_run(runs / "tuned", better=better)
    chosen = [f"--metric={metric}" for metric in metrics]
    assert compare("base", "tuned", "-o", "plot.PNG", *chosen) == 0
    assert capsys.readouterr().out.endswith("plot: plot.PNG\n")
    picture = cv2.imread("plot.PNG")
    side = 690 if len(metrics) == 1 else 1380
    assert picture.shape == (side, side, 3)
    # Below the diagonal are blue triangles, if any; no red ones above.
    blue, green, red = (picture[..., channel].astype(int) for channel in range(3))
    assert ((blue > 160) & (red < 90)).any() == (better > 0)
    if metrics == ("sad",):
        assert not ((red > 200) & (blue < 60)).any()
    assert {path.name for path in runs.iterdir()} == {"base", "tuned", "plot.PNG"}


def test_svg_of_hostile_names(runs, capsys, recwarn):
    pytest.importorskip("matplotlib")
    import xml.etree.ElementTree

    # The last ones differ most, so that they are written into the plot.
    names = [*map(str, range(26)), HOSTILE, "日本" * 30, "$\\frac{$", ""]
    for folder, better in (("ba$e$_^", 0), ("tun\ned", 5)):
        write_run(runs / folder, better=better / 100, names=names)
    assert compare("ba$e$_^", "tun\ned", "--all", "-o", "plot.svg") == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    text = (runs / "plot.svg").read_text()
    assert xml.etree.ElementTree.fromstring(text).tag.endswith("svg")
    assert "A: ba$e$_^" in text  # a comment, as letters are drawn as curves
    assert "\x1b" not in text and "\u202e" not in text
    assert len(recwarn) == 0


def test_pdf(runs):
    pytest.importorskip("matplotlib")
    assert compare("base", "base", "-o", "plot.pdf") == 0
    assert (runs / "plot.pdf").read_bytes().startswith(b"%PDF-")


def test_all_zero_values_are_drawn(runs, capsys):
    pytest.importorskip("matplotlib")
    records = write_run(runs / "base")
    zero = dict.fromkeys(("sad", "mse", "grad", "conn"), 0.0)
    records = [replace(record, **zero) for record in records]
    write_records(runs / "base" / "images.csv", records)
    assert compare("base", "base", "-o", "plot.png") == 0
    assert "Beyond chance, with an interval that excludes 0: none." in (
        capsys.readouterr().out
    )


def test_matplotlib_is_used_without_its_global_state(runs):
    pytest.importorskip("matplotlib")
    folders = [str(runs / "base"), str(runs / "tuned")]
    code = (
        "import sys; from tmfnet_jax import cli;"
        "run = lambda *more: cli.main(['compare', *sys.argv[1:3], *more]);"
        "assert run() == 0;"
        "assert not {'matplotlib', 'jax', 'scipy'} & set(sys.modules);"
        "assert run('-o', sys.argv[3]) == 0;"
        "assert 'matplotlib' in sys.modules;"
        "assert not {'matplotlib.pyplot', 'jax'} & set(sys.modules)"
    )
    root = Path(__file__).parents[1]
    plot = str(runs / "plot.png")
    subprocess.run([sys.executable, "-c", code, *folders, plot], cwd=root, check=True)


def test_without_matplotlib(runs, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    line = refusal(capsys, "base", "tuned", "-o", "plot.png")
    assert "pip install 'tmfnet-jax[eval]'" in line
    assert not (runs / "plot.png").exists()
    assert compare("base", "tuned") == 0


@pytest.mark.parametrize(
    "output, message",
    [
        ("plot.jpg", "unknown format '.jpg'; expected one of .png .svg .pdf"),
        ("plot", "unknown format ''"),
        ("missing/plot.png", "no folder missing; create it first"),
        ("folder.png", "is a folder"),
        ("input.png", "is an input; choose another output"),
        ("link.svg", "is an input; choose another output"),
    ],
)
def test_refused_outputs(runs, capsys, output, message):
    pytest.importorskip("matplotlib")
    (runs / "folder.png").mkdir()
    (runs / "input.png").write_bytes((runs / "base" / "images.csv").read_bytes())
    (runs / "link.svg").symlink_to(runs / "tuned" / "manifest.json")
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    assert message in refusal(capsys, "input.png", "tuned", "-o", output)
    after = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "begins with 'nothing'"),
        (b"\x89PNG\xff", "is no UTF-8 text"),
        (b"name,sad\nGT01,1\n", "begins with 'name,sad'"),
        (None, "No such file or directory"),
    ],
)
def test_refused_files(runs, capsys, content, message):
    path = runs / "tuned" / "images.csv"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    line = refusal(capsys, "base", "tuned")
    assert "tuned/images.csv: " in line and message in line


def test_refused_comparisons(runs, capsys):
    records = write_run(runs / "tuned")
    others = [replace(record, name=f"x{record.name}") for record in records]
    write_records(runs / "tuned" / "images.csv", others)
    assert "none of them in both" in refusal(capsys, "base", "tuned")
    others = [replace(record, variant="matlab") for record in records]
    write_records(runs / "tuned" / "images.csv", others)
    line = refusal(capsys, "base", "tuned", "--json")
    assert "'python'" in line and "'matlab'" in line and "not comparable" in line


@pytest.mark.parametrize(
    "option, message",
    [
        ("--worst=-1", "--worst is -1; expected 0 or more"),
        ("--resamples=5", "resamples is 5"),
        ("--seed=-1", "seed -1; expected"),
    ],
)
def test_refused_options(runs, capsys, option, message):
    assert message in refusal(capsys, "base", "tuned", option)


def test_a_terminal_without_the_names_letters(runs, monkeypatch):
    for folder in ("base", "tuned"):
        write_run(runs / folder, images=1, names=["日本"])
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert compare("base", "tuned") == 0
    terminal.seek(0)
    assert r"\u65e5\u672c" in terminal.read()
