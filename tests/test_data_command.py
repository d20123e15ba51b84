"""`tmfnet data`: what is wrong is said in words; samples are drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import miniatures
import numpy as np
import pytest
import training_miniatures

from experiments import data_command, prepare
from experiments.config_file import load_config
from experiments.panels import PANEL_PX
from tmfnet_jax import cli
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_image

ROOT = Path(__file__).parents[1]
CONFIG = str(ROOT / "experiments" / "configs" / "synthetic.py")


def run(*arguments):
    commands = [data_command, prepare]
    return cli.main([*map(str, arguments)], commands=commands)


@pytest.fixture
def folders(tmp_path):
    training_miniatures.pairs(tmp_path / "fg", tmp_path / "alpha", count=4)
    training_miniatures.photos(tmp_path / "photos", count=3)
    return tmp_path


def check(folders, *more):
    return run(
        *("data", "check", "folders", folders / "fg", "--threads", "2"),
        *("--alphas", folders / "alpha", "--backgrounds", folders / "photos", *more),
    )


def test_sound_data_are_said_to_be(folders, capsys):
    assert check(folders) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split() for line in out[2:4]] == [
        ["foregrounds", "4", "12x9", "12x9"],
        ["backgrounds", "3", "25x20", "25x20"],
    ]
    assert out[4:] == ["nothing is wrong with them"]


def test_all_that_is_wrong_is_told(folders, capsys):
    fg, alphas = folders / "fg", folders / "alpha"
    training_miniatures.pairs(fg, alphas, count=8)
    names = sorted(path.stem for path in fg.iterdir())
    (alphas / f"{names[0]}.png").unlink()
    miniatures.save(alphas / f"{names[1]}.tif", miniatures.alpha(1))
    miniatures.save(alphas / f"{names[2]}.png", miniatures.alpha(1)[:, :-1])
    miniatures.save(alphas / f"{names[3]}.png", np.zeros((9, 12), np.uint8))
    miniatures.save(alphas / f"{names[4]}.png", miniatures.colours(3))
    (fg / f"{names[5]}.png").write_bytes((fg / f"{names[6]}.png").read_bytes()[:-20])
    (folders / "photos" / "bad\x1b[2J.jpg").write_bytes(b"GIF89a")
    assert check(folders) == 2
    out = capsys.readouterr().out
    assert "problems (7):" in out
    assert f"alpha/{names[0]}: missing, or doubled" in out
    assert f"alpha/{names[1]} (there are" in out
    assert f"{names[2]}.png is 11x9 but its foreground" in out
    assert f"alpha/{names[3]}.png: is 0 everywhere" in out
    assert f"alpha/{names[4]}.png: is in colour" in out
    assert f"fg/{names[5]}.png: is cut short" in out
    assert "bad\\x1b[2J.jpg: is damaged" in out and "\x1b" not in out
    assert [line.split()[1] for line in out.splitlines()[2:4]] == ["2", "3"]


def test_what_is_fine_is_told_too(folders, capsys):
    fg, alphas = folders / "fg", folders / "alpha"
    names = sorted(path.name for path in fg.iterdir())
    miniatures.save(fg / names[0], miniatures.colours(1)[..., 0])
    miniatures.save(alphas / names[1], miniatures.alpha(1).astype(np.uint16) * 257)
    miniatures.save(alphas / names[2], np.full((9, 12), 255, np.uint8))
    miniatures.save(alphas / "spare.png", miniatures.alpha(1))
    (fg / "notes.txt").write_text("")
    miniatures.save(folders / "photos" / "grey.png", miniatures.alpha(1))
    assert check(folders) == 0
    out = capsys.readouterr().out
    assert f"note: 1 foregrounds grey: spread to three channels: fg/{names[0]}" in out
    assert f"note: 1 foregrounds 16 bits a channel: rounded to 8: fg/{names[1]}" in out
    assert f"takes its place: fg/{names[2]}" in out
    assert "note: 1 backgrounds grey" in out
    assert "note: 2 files belong to no foreground: left unused" in out
    assert "spare.png" in out and "notes.txt" in out
    assert "nothing is wrong" in out


def test_cutouts_are_checked(tmp_path, capsys):
    rgba = np.dstack([miniatures.colours(1), miniatures.alpha(1)])
    miniatures.save(tmp_path / "a.png", rgba)
    assert run("data", "check", "folders", tmp_path) == 0
    miniatures.save(tmp_path / "b.png", miniatures.colours(1))
    assert run("data", "check", "folders", tmp_path) == 2
    assert "b.png: has no alpha channel" in capsys.readouterr().out


def test_part_of_a_published_set_is_a_problem(tmp_path, capsys):
    training_miniatures.composition_1k(tmp_path, adobe=2, other=1)
    assert run("data", "check", "composition-1k", tmp_path) == 2
    assert "has 3 foregrounds with alphas; composition-1k" in capsys.readouterr().out
    training_miniatures.pairs(tmp_path / "fg", tmp_path / "alpha", count=2)
    assert run("data", "check", "ciom", tmp_path) == 2
    out = capsys.readouterr().out
    assert "note: the layout of CIOM's files is not public" in out
    assert "ciom has 683" in out


def test_prepared_data_are_checked(folders, capsys):
    output = folders / "prepared"
    assert (
        run(
            *("prepare", "folders", folders / "fg", "--alphas", folders / "alpha"),
            *("--backgrounds", folders / "photos", "-o", output),
        )
        == 0
    )
    assert run("data", "check", "prepared", output) == 0
    (output / "foregrounds" / "000002.alpha.npy").write_bytes(b"")
    (output / "backgrounds" / "000001.png").unlink()
    capsys.readouterr()
    assert run("data", "check", "prepared", output) == 2
    out = capsys.readouterr().out
    assert "problems (2):" in out
    assert "000002.alpha.npy: is damaged" in out
    assert "000001.png: cannot be read" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "zip", "x"], "unknown kind 'zip'; expected one of folders, comp"),
        (["check", "folders"], "kind 'folders' needs the folder of its files"),
        (["check", "folders", "nowhere"], "nowhere: cannot be listed"),
        (["check", "ciom", "x", "--alphas", "y"], "--alphas is for kind 'folders'"),
        (["check", "prepared", "x", "--backgrounds", "y"], "has its own backgrounds"),
        (["show", CONFIG, "--count", "0"], "--count is 0"),
        (["show", CONFIG, "-o", "no/where.png"], "no folder no; create it first"),
        (["show", "none.py"], "none.py: no such config file"),
        (["show", f"{CONFIG}:small"], "config argument 'small'; expected nothing or"),
        (
            ["show", CONFIG, "--set", "data.size"],
            "unexpected argument 'data.size'; expected",
        ),
        (["show", CONFIG, "--set", "data.sise_px=9"], 'Did you mean "size_px"'),
        (["show", CONFIG, "--set", "batch_size=many"], "batch_size=many"),
        (["show", CONFIG, "--set", "data.kind=zip"], "config.data.kind is 'zip'"),
    ],
)
def test_bad_input_gives_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run("data", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1, error


def test_samples_are_drawn(tmp_path, capsys):
    sheets = [tmp_path / f"{number}.png" for number in range(3)]
    more = (["--seed", "0"], ["--set", "data.size_px=64", "--seed", "1"])
    for sheet, options in zip(sheets, ([], *more), strict=True):
        fields = ["--count", "2", "-o", sheet, *options]
        assert run("data", "show", f"{CONFIG}:smoke", *fields) == 0
    assert "2 samples of seed 0" in capsys.readouterr().out
    first, again, other = map(read_image, sheets)
    np.testing.assert_array_equal(first, again)
    assert first.shape[0] > 2 * PANEL_PX and first.shape[1] > 4 * PANEL_PX
    assert first.shape == other.shape and (first != other).any()
    # The last column holds the foreground, whose edge is not that of the composite.
    width = first.shape[1] // 4
    assert cv2.absdiff(first[:, :width], first[:, -width:]).mean() > 1


def test_config_is_the_trainings():
    config = load_config(
        f"{ROOT}/experiments/configs/paper.py:table3-aspp",
        ["config.batch_size=3", "data.alphas=a=b"],
    )
    assert config.network.context == "aspp"
    assert (config.batch_size, config.data.alphas) == (3, "a=b")
    assert config.is_locked
    with pytest.raises(InputError, match="unknown row 'table9'"):
        load_config(f"{ROOT}/experiments/configs/paper.py:table9")


def test_help_is_fast_and_whole():
    for arguments in (["data"], ["data", "check"], ["data", "show"]):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "experiments.data_command",
                *arguments[1:],
                "--help",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "usage: tmfnet data" in done.stdout
