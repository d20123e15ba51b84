"""Prepared data: the same pixels, made in many goes, refused when not whole."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import miniatures
import numpy as np
import pytest
import training_miniatures

from experiments import data_command, prepare
from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from input_pipeline.training_data.originals import (
    Original,
    at_sides,
    backgrounds_in_files,
    estimate_bytes,
    foregrounds_in_files,
    generated,
)
from input_pipeline.training_data.prepared import PreparedSource
from input_pipeline.training_data.sources import FolderSource
from tmfnet_jax import cli
from tmfnet_jax.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def originals(tmp_path):
    top = tmp_path / "originals"
    training_miniatures.pairs(top / "fg", top / "alpha", count=4)
    training_miniatures.photos(top / "photos", count=3)
    return top


def command(originals, output, *more):
    return [
        *("prepare", "folders", str(originals / "fg")),
        *("--alphas", str(originals / "alpha"), "--threads", "2"),
        *("--backgrounds", str(originals / "photos"), "-o", str(output), *more),
    ]


def run(arguments):
    return cli.main(arguments, commands=[prepare])


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_pixels_are_those_of_the_originals(originals, tmp_path, capsys):
    output = tmp_path / "prepared"
    assert run(command(originals, output)) == 0
    captured = capsys.readouterr()
    assert "4 foregrounds, 3 backgrounds, ready" in captured.out
    assert "space: about 0.00 GB needed" in captured.err
    theirs = FolderSource(
        originals / "fg", alphas=originals / "alpha", backgrounds=originals / "photos"
    )
    ours = PreparedSource(output)
    assert (ours.num_foregrounds, ours.num_backgrounds) == (4, 3)
    for index in range(4):
        for a, b in zip(ours.foreground(index), theirs.foreground(index), strict=True):
            np.testing.assert_array_equal(a, b)
            assert type(a) is np.ndarray and not a.flags.writeable
    names = [f.name for f in ours.foregrounds]
    assert names == [f.image.name for f in theirs.foregrounds]
    for index in range(3):
        np.testing.assert_array_equal(ours.background(index), theirs.background(index))
    # Hence the same samples, also from a copy in another process.
    for index in range(2):
        samples = [
            make_sample(source, Recipe.for_crop(16), seed=4, index=index)
            for source in (theirs, ours, pickle.loads(pickle.dumps(ours)))
        ]
        for name, array in samples[0].items():
            np.testing.assert_array_equal(samples[1][name], array, err_msg=name)
            np.testing.assert_array_equal(samples[2][name], array, err_msg=name)


def test_only_large_photos_are_reduced(originals, tmp_path):
    photos = originals / "photos"
    large = cv2.GaussianBlur(miniatures.colours(1, size=(40, 90)), (0, 0), 3)
    miniatures.save(photos / "large.png", large)
    output = tmp_path / "prepared"
    assert run(command(originals, output, "--background-side", "30")) == 0
    source = PreparedSource(output)
    assert [p.suffix for p in source.backgrounds] == [".png"] * 3 + [".jpg"]
    reduced = cv2.resize(large, (30, 13), interpolation=cv2.INTER_AREA)
    # JPEG at its best still halves the resolution of the colours.
    difference = np.abs(source.background(3).astype(int) - reduced)
    assert difference.mean() < 4
    for index in range(3):
        file = source.backgrounds[index]
        assert file.read_bytes() == (photos / f"{index:03}.png").read_bytes()
    kept = tmp_path / "kept"
    assert run(command(originals, kept, "--background-side", "0")) == 0
    assert PreparedSource(kept).background(3).shape == (40, 90, 3)


def test_backgrounds_can_be_pixels(originals, tmp_path):
    for name, more in (("files", ()), ("raw", ("--raw-backgrounds",))):
        assert run(command(originals, tmp_path / name, *more)) == 0
    files, raw = (PreparedSource(tmp_path / name) for name in ("files", "raw"))
    for index in range(files.num_backgrounds):
        assert raw.backgrounds[index].suffix == ".npy"
        np.testing.assert_array_equal(
            raw.background(index), files.background(index), strict=True
        )
    raw.backgrounds[0].write_bytes(b"no pixels")
    with pytest.raises(InputError, match="is damaged; remove it"):
        raw.background(0)
    photos = backgrounds_in_files(files.backgrounds)
    assert estimate_bytes([], photos, raw_side=0) == sum(
        files.background(index).size for index in range(len(photos))
    )


def test_generated_data_are_those_of_the_source(tmp_path):
    output = tmp_path / "prepared"
    arguments = ["prepare", "synthetic", "--size-px", "32", "--seed", "5"]
    for count in ("2", "3"):  # more of them can be made later
        assert run([*arguments, "--count", count, "-o", str(output)]) == 0
    ours, theirs = PreparedSource(output), SyntheticSource(seed=5, size=(32, 32))
    assert (ours.num_foregrounds, ours.num_backgrounds) == (3, 3)
    for index in range(3):
        for a, b in zip(ours.foreground(index), theirs.foreground(index), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(ours.background(index), theirs.background(index))


def test_foregrounds_at_several_sizes():
    colours = np.zeros((40, 60, 3), np.uint8)
    alpha = np.zeros((40, 60), np.uint8)
    colours[:, :31] = (200, 100, 50)  # nothing is seen of the black beside
    alpha[:, :31] = 255
    cutout = Original("cat.png", (), lambda: (colours, alpha))
    half, as_it_is = at_sides([cutout], (30, 90))
    assert (half.name, as_it_is.name) == ("cat.png@30", "cat.png@90")
    image, opacity = half.load()
    assert opacity.shape == (20, 30)
    assert set(np.unique(opacity)) == {0, 128, 255}
    assert (image == (200, 100, 50)).all()
    image, opacity = as_it_is.load()
    np.testing.assert_array_equal(opacity, alpha)
    assert (image == (200, 100, 50)).all()


def test_what_cannot_be_read_is_skipped_and_told(originals, tmp_path, capsys):
    (originals / "fg" / "girl.b1.png").write_bytes(b"no image")
    miniatures.save(originals / "alpha" / "web_12.png", np.zeros((9, 12), np.uint8))
    (originals / "photos" / "001.png").write_bytes(b"")
    output = tmp_path / "prepared"
    assert run(command(originals, output)) == 1
    captured = capsys.readouterr()
    assert "2 foregrounds, 2 backgrounds" in captured.out
    assert "3 could not be read" in captured.err
    skipped = json.loads((output / "skipped.json").read_bytes())
    assert [entry["name"] for entry in skipped] == [
        "girl.b1.png",
        "web_12.png",
        "001.png",
    ]
    assert "is 0 everywhere" in skipped[1]["reason"]
    names = [f.name for f in PreparedSource(output).foregrounds]
    assert names == ["lace0.png", "veil3.png"]
    # Mended, they come in at their places; what was there stays.
    training_miniatures.pairs(originals / "fg", originals / "alpha", count=4)
    training_miniatures.photos(originals / "photos", count=3)
    assert run(command(originals, output)) == 0
    assert not (output / "skipped.json").exists()
    names = [f.name for f in PreparedSource(output).foregrounds]
    assert names == ["girl.b1.png", "lace0.png", "veil3.png", "web_12.png"]


def test_done_work_is_not_done_again(originals, tmp_path, capsys):
    output = tmp_path / "prepared"
    assert run(command(originals, output)) == 0
    before, index = contents(output), PreparedSource(output)
    assert run(command(originals, output)) == 0
    assert "to do: 0 of 4 foregrounds, 0 of 3" in capsys.readouterr().err
    assert contents(output) == before
    # A changed original is made anew beside the old one, one that is gone leaves.
    image = miniatures.colours(99)
    miniatures.save(originals / "fg" / "lace0.png", image)
    for folder in ("fg", "alpha"):
        (originals / folder / "veil3.png").unlink()
    assert run(command(originals, output)) == 0
    assert "to do: 1 of 3 foregrounds" in capsys.readouterr().err
    place = [f.name for f in index.foregrounds].index("lace0.png")
    np.testing.assert_array_equal(
        index.foreground(place)[0], miniatures.colours(0, 0, 0)
    )
    source = PreparedSource(output)
    assert source.num_foregrounds == 3
    np.testing.assert_array_equal(source.foreground(place)[0], image)


def test_killed_runs_go_on(tmp_path):
    """A process is killed at any time; the folder ends as without that."""
    arguments = ["synthetic", "--size-px", "64", "--count", "60", "--threads", "2"]
    output, clean = tmp_path / "killed", tmp_path / "clean"
    script = [
        sys.executable,
        "-m",
        "experiments.prepare",
        *arguments,
        "-o",
        str(output),
    ]
    deadline = time.monotonic() + 30
    for fewest in (0, 5, 20):
        process = subprocess.Popen(script, cwd=ROOT, stderr=subprocess.DEVNULL)
        journal = output / "done.jsonl"
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.read_bytes().count(b"\n") > fewest:
                break
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        if (output / "index.json").exists():  # so fast a machine that it was too late
            break
        with pytest.raises(InputError, match="is only half prepared; run the same"):
            PreparedSource(output)
        # What a write leaves that was cut off.
        (output / "foregrounds" / f".{'0' * 16}.tmp").write_bytes(b"half")
        with (output / "done.jsonl").open("ab") as journal:
            journal.write(b'{"role": "foregrounds", "na')
    assert run(["prepare", *arguments, "-o", str(output)]) == 0
    assert run(["prepare", *arguments, "-o", str(clean)]) == 0
    assert not list(output.rglob("*.tmp"))
    ours, theirs = PreparedSource(output), PreparedSource(clean)
    assert ours.num_foregrounds == theirs.num_foregrounds == 60
    for index in range(60):
        for a, b in zip(ours.foreground(index), theirs.foreground(index), strict=True):
            np.testing.assert_array_equal(a, b)
        assert ours.backgrounds[index].read_bytes() == (
            theirs.backgrounds[index].read_bytes()
        )


def test_ctrl_c_is_told_and_the_run_goes_on(originals, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("input_pipeline.training_data.preparation.append", interrupted)
        assert run(command(originals, tmp_path / "prepared")) == 130
    assert capsys.readouterr().err.endswith("interrupted; the same command goes on\n")
    assert run(command(originals, tmp_path / "prepared")) == 0


def test_a_full_disk_gives_one_line_and_keeps_what_is_done(
    originals, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "prepared"
    written = []
    fsync = os.fsync

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 9:
            raise OSError(28, os.strerror(28))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert run([*command(originals, output), "--threads", "1"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("tmfnet: error: ") and "No space left on device" in error
    assert "the same command goes on" in error
    assert run(command(originals, output)) == 0
    assert "to do: 1 of 4 foregrounds" in capsys.readouterr().err
    assert PreparedSource(output).num_foregrounds == 4


def test_too_small_a_disk_is_told_before_the_work(
    originals, tmp_path, capsys, monkeypatch
):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage)
    assert run(command(originals, tmp_path / "a" / "b")) == 2
    assert "make room or choose another place" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--background-side", "-1"], "--background-side takes 0 or more"),
        (["--threads", "0"], "--threads is 0"),
        (["--backgrounds", "nowhere"], "nowhere: cannot be listed"),
        (["--alphas", "nowhere"], "nowhere: cannot be listed"),
    ],
)
def test_bad_options(originals, tmp_path, capsys, more, message):
    assert run([*command(originals, tmp_path / "prepared"), *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "prepared").exists()


def test_other_folders_and_settings_are_refused(originals, tmp_path, capsys):
    assert run(command(originals, originals)) == 2
    assert "is not empty and holds no prepared data" in capsys.readouterr().err
    assert run(command(originals, originals / "photos" / "prepared")) == 2
    assert "lies in the folder of backgrounds" in capsys.readouterr().err
    output = tmp_path / "prepared"
    assert run(command(originals, output)) == 0
    assert run([*command(originals, output), "--background-side", "9"]) == 2
    error = capsys.readouterr().err
    assert "background_side_px is 2048 there and 9 here; choose another" in error


def test_missing_pairs_are_refused(originals, tmp_path, capsys):
    (originals / "alpha" / "lace0.png").unlink()
    assert run(command(originals, tmp_path / "prepared")) == 2
    assert "alpha/lace0" in capsys.readouterr().err
    assert run(["prepare", "photos", "x", "-o", str(tmp_path / "y")]) == 2
    assert "unknown kind 'photos'" in capsys.readouterr().err


def test_without_backgrounds_others_are_taken(originals, tmp_path):
    output = tmp_path / "prepared"
    arguments = ["prepare", "folders", str(originals / "fg")]
    arguments += ["--alphas", str(originals / "alpha"), "-o", str(output)]
    assert run(arguments) == 0
    with pytest.raises(InputError, match="was prepared without backgrounds; give"):
        PreparedSource(output)
    source = PreparedSource(output, backgrounds=[originals / "photos"])
    assert source.num_backgrounds == 3
    commands = [data_command]
    assert cli.main(["data", "check", "prepared", str(output)], commands=commands) == 0


@pytest.fixture
def prepared(originals, tmp_path):
    output = tmp_path / "prepared"
    assert run(command(originals, output)) == 0
    return output


def test_damaged_arrays_are_refused_by_name(prepared):
    file = prepared / "foregrounds" / "000001.image.npy"
    data = file.read_bytes()
    other = miniatures.colours(1, size=(3, 4))
    for content, message in (
        (data[:-1], "is damaged"),
        (data[:50], "is damaged"),
        (b"", "is damaged"),
        (b"\x80\x04.", "is damaged"),
        (data.replace(b"'descr'", b"'des''r"), "is damaged"),
        (data.replace(b"|u1", b"|O "), "is damaged"),
        (data.replace(b"|u1", b"|i1"), "holds int8"),
    ):
        file.write_bytes(content)
        with pytest.raises(InputError, match=rf"000001\.image\.npy: {message}"):
            PreparedSource(prepared).foreground(1)
    np.save(file, other)
    with pytest.raises(InputError, match=r"\[3, 4, 3\], its index says uint8 \[9, 12"):
        PreparedSource(prepared).foreground(1)
    file.unlink()
    with pytest.raises(InputError, match="cannot be read .No such file"):
        PreparedSource(prepared).foreground(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: "{", "is damaged"),
        (lambda index: "[]", "is damaged"),
        (lambda index: json.dumps(index | {"version": 2}), "is of another format"),
        (lambda index: json.dumps(index | {"foregrounds": [{}]}), "is damaged"),
        (lambda index: json.dumps(index | {"foregrounds": 3}), "is damaged"),
        (lambda index: json.dumps(index | {"foregrounds": []}), "holds no foregrounds"),
        (
            lambda index: json.dumps(index | {"backgrounds": [{"file": "../../x"}]}),
            "is damaged",
        ),
    ],
)
def test_damaged_indices_are_refused(prepared, change, message):
    path = prepared / "index.json"
    path.write_text(change(json.loads(path.read_bytes())))
    with pytest.raises(InputError, match=message):
        PreparedSource(prepared)


def test_a_folder_of_other_things_is_no_source(tmp_path):
    with pytest.raises(InputError, match="index.json: cannot be read .No such"):
        PreparedSource(tmp_path)


def test_estimate_is_close(originals):
    source = FolderSource(
        originals / "fg", alphas=originals / "alpha", backgrounds=originals / "photos"
    )
    estimate = estimate_bytes(
        foregrounds_in_files(source.foregrounds),
        backgrounds_in_files(source.backgrounds),
    )
    files = sum(path.stat().st_size for path in source.backgrounds)
    assert estimate == 4 * 9 * 12 * 4 + files
    assert estimate_bytes(*generated(SyntheticSource(seed=0, size=(32, 40)), 3)) == (
        3 * 32 * 40 * (4 + 3)
    )
