"""Pairs of photos and trimaps, and what became of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.jobs import Failure, Tally, find_jobs


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a function that creates empty files in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("trimaps").mkdir()

    def create(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return create


def find(*inputs, trimaps="trimaps", output="out", **options):
    jobs, tally = find_jobs(
        inputs, trimaps=Path(trimaps), output=Path(output), suffix=".png", **options
    )
    rows = [tuple(map(str, (job.image, job.trimap, job.output))) for job in jobs]
    return rows, tally


def test_pairs_by_name(place):
    place("s/b.JPG", "s/a.v2.tif", "s/c.webp", "s/d.png", "s/notes.txt", "s/.e.png")
    place("trimaps/a.v2.png", "trimaps/b_trimap.tif", "trimaps/c-mask.PNG")
    place("trimaps/d.png", "trimaps/d.txt", "trimaps/unrelated.png")
    rows, tally = find("s")
    assert rows == [
        ("s/a.v2.tif", "trimaps/a.v2.png", "out/a.v2.png"),
        ("s/b.JPG", "trimaps/b_trimap.tif", "out/b.png"),
        ("s/c.webp", "trimaps/c-mask.PNG", "out/c.png"),
        ("s/d.png", "trimaps/d.png", "out/d.png"),
    ]
    assert tally == Tally()


def test_files_folders_and_patterns_mix(place):
    place("s/a1.png", "s/a2.png", "s/b1.png", "t/c.png", "d[1].png")
    place(*(f"trimaps/{stem}.png" for stem in ("a1", "a2", "b1", "c", "d[1]")))
    Path("s/a3.png").mkdir()
    rows, tally = find("s/a*.png", "t", "s/a1.png", "d[1].png")
    assert not tally.failures
    assert [row[0] for row in rows] == ["s/a1.png", "s/a2.png", "t/c.png", "d[1].png"]


def test_missing_and_ambiguous_trimaps_fail_alone(place):
    place("s/a.png", "s/b.png", "s/c.png")
    place("trimaps/b.png", "trimaps/c.png", "trimaps/c_trimap.png")
    rows, tally = find("s", "gone/*.png")
    assert [row[0] for row in rows] == ["s/b.png"]
    gone, missing, several = map(str, tally.failures)
    assert gone.startswith("gone/*.png: no such file")
    assert missing.startswith("s/a.png: no trimap in trimaps; expected a.png")
    assert several.startswith("s/c.png: several trimaps in trimaps: c.png, c_trimap")


def test_photos_and_trimaps_share_a_folder(place):
    place("s/a.jpg", "s/a_trimap.png", "s/b.png", "s/b_trimap.png")
    for trimaps in ("s", Path("s").resolve()):
        rows, tally = find("s", trimaps=trimaps)
        assert [(row[0], Path(row[1]).name) for row in rows] == [
            ("s/a.jpg", "a_trimap.png"),
            ("s/b.png", "b_trimap.png"),
        ]
        assert not tally.failures


def test_recursion_keeps_folders(place):
    place("s/a.png", "s/x/a.png", "s/x/y/a.png", "s/.hidden/a.png", "s/out/a.png")
    place("s/trimaps/a.png", "s/trimaps/x/a.png")
    rows, tally = find("s", trimaps="s/trimaps", output="s/out", recursive=True)
    assert rows == [("s/x/a.png", "s/trimaps/x/a.png", "s/out/x/a.png")]
    assert tally.skipped == 1  # s/out/a.png, from an earlier run
    assert "s/x/y/a.png: no trimap in s/trimaps/x/y" in str(tally.failures[0])
    rows, tally = find("s", trimaps="s/trimaps", output="new", recursive=True)
    assert rows[0] == ("s/a.png", "s/trimaps/a.png", "new/a.png")
    assert len(rows) == 2


def test_finished_outputs_are_skipped(place):
    place("s/a.png", "s/b.png", "s/c.png", "trimaps/a.png", "trimaps/b.png")
    place("out/a.png", "out/c.png")
    rows, tally = find("s")
    assert [row[0] for row in rows] == ["s/b.png"]
    assert (tally.skipped, tally.failures) == (2, [])
    rows, tally = find("s", overwrite=True)
    assert [row[0] for row in rows] == ["s/a.png", "s/b.png"]
    assert [failure.name for failure in tally.failures] == ["s/c.png"]


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (["s/*.jpg"], {}, "s/*.jpg: no such file or folder; searched from /"),
        (["s/none.png"], {}, "s/none.png: no such file"),
        (["empty"], {}, "empty: a folder without images; --recursive"),
        (["s", "t"], {}, "s/a.png and t/a.png would both be written to out/a.png"),
        (["u"], {"trimaps": "u"}, "u/b.jpg and u/b.png would both be written to"),
        (["s"], {"output": "s"}, "s: is a folder of inputs"),
        (["s"], {"output": "trimaps"}, "trimaps: is a folder of inputs"),
        (["s"], {"output": "s/a.png"}, "s/a.png: is a file"),
        (["s"], {"trimaps": "gone"}, "gone: no such folder"),
        (["s"], {"trimaps": "s/a.png"}, "s/a.png: is a file"),
    ],
)
def test_refused_before_the_start(place, inputs, options, message):
    place("s/a.png", "t/a.png", "trimaps/a.png", "u/b.jpg", "u/b.png")
    Path("empty").mkdir()
    with pytest.raises(InputError) as refused:
        find(*inputs, **options)
    assert message in str(refused.value)
    assert not Path("out").exists()


def test_links_do_not_hide_inputs(place):
    place("store/a.png", "trimaps/a.png", "out/b.png")
    Path("s").mkdir()
    Path("s/a.png").symlink_to("../store/a.png")
    Path("link").symlink_to("s")
    for output in ("s", "link", "store"):
        with pytest.raises(InputError, match=f"{output}: is a folder of inputs"):
            find("s", output=output)
    Path("out/a.png").symlink_to("../store/a.png")
    with pytest.raises(InputError, match=r"out/a.png: is an input"):
        find("s")


def test_words():
    tally = Tally(done=4, skipped=2, failures=[Failure("a", "b")], seconds=6)
    assert str(tally) == (
        "4 done, 2 skipped (exist already; --overwrite makes them anew), 1 failed, "
        "1.50 s per image"
    )
    assert str(Tally(skipped=3)) == (
        "0 done, 3 skipped (exist already; --overwrite makes them anew), 0 failed"
    )
    assert str(Failure("a.png", "is\ndamaged")) == "a.png: is damaged"
