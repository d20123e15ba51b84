"""The open test set: opened, checked file by file, in parts, and measured by kind."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
from miniatures import make_open_set, zipped

from experiments import evaluate
from input_pipeline.evaluation_data import open_benchmark
from input_pipeline.evaluation_data.evaluation_sets import open_set
from input_pipeline.evaluation_data.open_benchmark import kind_of, sha256, spread
from tmfnet_jax import cli
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import read_manifest

SUBJECTS = ("fur-0003.png", "fur-0004.png", "glass-ball-0001.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_open_set(tmp_path_factory.mktemp("made"), SUBJECTS)


@pytest.fixture
def place(made, tmp_path):
    shutil.copytree(made / "set", tmp_path / "set")
    return tmp_path / "set"


def run(*arguments) -> int:
    return cli.main(["eval", *map(str, arguments)], commands=[evaluate])


def test_whole(made):
    dataset = open_set("open", made / "set")
    assert len(dataset.names) == 60 and dataset.names[21] == "fur-0004_1"
    inventory = dataset.inventory
    assert inventory.complete and not inventory.surplus
    digest = sha256((made / "set" / "SHA256SUMS").read_bytes())
    assert dataset.settings["set_sha256"] == digest
    assert not dataset.settings["official"] and "count" not in dataset.settings
    examples = [*dataset.examples()]
    assert {example.image.shape for example in examples} == {(64, 72, 3)}
    assert Counter(map(dataset.kind, dataset.names)) == {"fur": 40, "glass-ball": 20}


def test_zipped_and_with_backgrounds_elsewhere(made, tmp_path):
    whole = open_set("open", made / "set")
    file = zipped(made / "set", tmp_path / "set.zip", below="any/where/")
    dataset = open_set("open", file)
    assert dataset.inventory == whole.inventory
    assert dataset.settings == whole.settings
    expected, found = (d.load("fur-0004_3") for d in (whole, dataset))
    assert found.image.tobytes() == expected.image.tobytes()
    shutil.copytree(made / "set", tmp_path / "bare")
    shutil.move(tmp_path / "bare" / "bg", tmp_path / "photos" / "bg")
    for folder in (tmp_path / "photos", tmp_path / "photos" / "bg"):
        dataset = open_set("open", tmp_path / "bare", backgrounds=folder)
        assert dataset.settings == whole.settings
    with pytest.raises(InputError, match="found none of the files of open in: .*bare"):
        open_set("open", tmp_path / "bare")


def test_damaged_missing_and_surplus_files_are_named(place, capsys):
    used = (place / "test_bg_names.txt").read_text().split()
    (place / "trimaps" / "fur-0003_2.png").write_bytes(b"damaged")
    (place / "alpha" / "fur-0004.png").unlink()
    (place / "bg" / "mine.jpg").write_bytes(b"")
    with (place / "bg" / used[0]).open("ab") as file:
        file.write(b"\0")
    assert run("open", place, "--check") == 2
    report = capsys.readouterr().out
    assert "missing (3):" in report
    assert "  alpha/fur-0004.png\n" in report
    for name in ("trimaps/fur-0003_2.png", f"bg/{used[0]}"):
        assert f"  {name} (damaged: differs from SHA256SUMS)\n" in report
    assert "surplus (1):\n  bg/mine.jpg\n" in report
    assert "note: files are missing or damaged, so the set has no digest" in report
    dataset = open_set("open", place)
    assert dataset.settings["set_sha256"] is None
    assert "fur-0003_2" not in dataset.names and "fur-0003_0" not in dataset.names
    assert "fur-0003_1" in dataset.names and "fur-0004_1" not in dataset.names


def test_without_or_with_damaged_sums(place):
    digest = open_set("open", place).settings["set_sha256"]
    sums = place / "SHA256SUMS"
    sums.unlink()
    dataset = open_set("open", place)
    assert dataset.settings["set_sha256"] == digest
    assert "damaged files cannot be found" in dataset.inventory.notes[1]
    sums.write_text("nothing\n")
    with pytest.raises(InputError, match="SHA256SUMS: has the line 'nothing'; expec"):
        open_set("open", place)


def test_official_and_other_sets(made, monkeypatch):
    digest = open_set("open", made / "set").settings["set_sha256"]
    monkeypatch.setattr(open_benchmark, "OPEN_TEST_DIGEST", digest)
    dataset = open_set("open", made / "set")
    assert dataset.settings["official"] is True
    assert dataset.inventory.notes == (f"this is the official set, digest {digest}",)
    monkeypatch.setattr(open_benchmark, "OPEN_TEST_DIGEST", "0" * 64)
    dataset = open_set("open", made / "set")
    assert dataset.settings["official"] is False and dataset.inventory.complete
    assert "another set: numbers are not comparable" in dataset.inventory.notes[0]


def test_parts_are_spread_over_the_subjects(made):
    dataset = open_set("open", made / "set", count=6)
    expected = [f"{name[:-4]}_{j}" for name in SUBJECTS for j in (0, 1)]
    assert list(dataset.names) == expected
    assert dataset.settings["count"] == 6
    assert dataset.inventory.notes[1] == "6 of 60 images: not the whole set"
    whole = open_set("open", made / "set")
    same = open_set("open", made / "set", count=60)
    assert (same.names, same.settings) == (whole.names, whole.settings)
    for count in (0, 61, -1):
        with pytest.raises(
            InputError, match=f"no part of {count} images; give 1 to 60"
        ):
            open_set("open", made / "set", count=count)


def test_spread():
    names = [f"{subject}_{j}" for subject in "abcde" for j in range(4)]
    for count in range(1, 21):
        part = spread(names, 4, count)
        assert len(part) == count
        uses = Counter(name[0] for name in part)
        assert max(uses.values()) - min(uses[s] for s in "abcde") <= 1
    assert spread(names, 4, 2) == {"a_0", "c_0"}
    assert spread(names, 4, 5) < spread(names, 4, 10)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("fur-0003_7", "fur"), ("glass-ball-1.png", "glass-ball"), ("fur_3", "fur")],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind


def test_lists_of_no_names(place):
    (place / "test_fg_names.txt").write_text("\n")
    with pytest.raises(InputError, match="test_fg_names.txt: has no names"):
        open_set("open", place)


def test_means_by_kind_are_printed(made, tmp_path, capsys):
    mattes = tmp_path / "mattes"
    mattes.mkdir()
    for name in open_set("open", made / "set", count=6).names:
        alpha = f"{name.rpartition('_')[0]}.png"
        shutil.copy(made / "set" / "alpha" / alpha, mattes / f"{name}.png")
    options = ["--count", "6", "--predictions", mattes, "-o", tmp_path / "out"]
    assert run("open", made / "set", *options) == 0
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    start = rows.index(next(row for row in rows if row[:2] == ["mean", "of"]))
    assert rows[start + 2] == ["fur", "4", *4 * ["0.000"]]
    assert rows[start + 3] == ["glass-ball", "2", *4 * ["0.000"]]
    assert "note: 6 of 60 images: not the whole set" in printed.err
    settings = read_manifest(tmp_path / "out" / "manifest.json")["data"]["settings"]
    assert settings["count"] == 6 and settings["set_sha256"]
    assert run("open", made / "set", "--trimaps", "x") == 2
    assert "has no choice of trimaps" in capsys.readouterr().err


def test_classical_mattes_are_saved_and_measure_the_same(made, tmp_path, capsys):
    pytest.importorskip("pymatting")
    out = tmp_path / "classical"
    options = ["open", made / "set", "--count", "1"]
    classical = ["--classical", "KNN", "-o", out, "--save-alphas"]
    assert run(*options, *classical) == run(*options, *classical) == 0
    assert "1 of 1 images are measured already" in capsys.readouterr().err
    assert read_manifest(out / "manifest.json")["method"] == "KNN"
    again = ["--predictions", out / "predictions", "-o", tmp_path / "again"]
    assert run(*options, *again) == 0
    rows = [(path / "images.csv").read_bytes() for path in (out, tmp_path / "again")]
    assert rows[0] == rows[1]
    assert run(*options, "--classical", "closest-form") == 2
    assert "no method 'closest form'; choose one of closed" in capsys.readouterr().err
    assert run(*options, "--classical", "KNN", "--tta", "8") == 2
    assert "are for --weights only" in capsys.readouterr().err
