"""Pairs of photos and trimaps, and the run over them that no file stops."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from tmfnet_jax.batch import READ_AHEAD, Failure, Job, Tally, find_jobs, run_jobs
from tmfnet_jax.errors import InputError

WAIT_S = 20  # for another thread; reached only if the test fails


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


def jobs_of(count):
    return [Job(Path(f"{i}.png"), Path(f"t{i}"), Path(f"o{i}")) for i in range(count)]


def test_every_job_takes_three_steps():
    written = {}
    jobs = jobs_of(5)
    tally = run_jobs(
        jobs,
        read=lambda job: job.image.stem,
        compute=lambda job, loaded, show: int(loaded) ** 2,
        write=lambda job, result: written.update({job: result}),
    )
    assert written == {job: i**2 for i, job in enumerate(jobs)}
    assert (tally.done, tally.failures, tally.interrupted) == (5, [], False)
    assert tally.seconds > 0


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_failures_are_isolated(step):
    errors = {
        1: InputError("1.png: is damaged"),
        2: MemoryError(),
        3: OSError(errno.ENOSPC, "No space left on device", "out"),
    }

    def at(name):
        def work(job, *_):
            number = int(job.image.stem)
            if name == step and number in errors:
                raise errors[number]

        return work

    tally = run_jobs(
        jobs_of(5), read=at("read"), compute=at("compute"), write=at("write")
    )
    assert tally.done == 2
    assert list(map(str, tally.failures)) == [
        "1.png: is damaged",
        "2.png: out of memory; close other programs or use a smaller image",
        "3.png: out: No space left on device",
    ]


def test_a_bug_is_not_swallowed():
    def compute(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_jobs(jobs_of(3), read=str, compute=compute, write=print)


def test_reading_and_writing_overlap_computing():
    jobs = jobs_of(3)
    read = {job: threading.Event() for job in jobs}
    computing = {job: threading.Event() for job in jobs}

    def compute(job, *_):
        computing[job].set()
        after = jobs.index(job) + 1
        if after < len(jobs):
            assert read[jobs[after]].wait(WAIT_S)
        return job

    def write(job, _):
        after = jobs.index(job) + 1
        if after < len(jobs):
            assert computing[jobs[after]].wait(WAIT_S)

    tally = run_jobs(
        jobs, read=lambda job: read[job].set(), compute=compute, write=write
    )
    assert tally.done == 3


def test_what_is_held_is_bounded():
    counts = {"read": 0, "computed": 0, "written": 0}
    ahead, behind = [], []

    def read(job):
        counts["read"] += 1

    def compute(job, *_):
        ahead.append(counts["read"] - counts["computed"])
        behind.append(counts["computed"] - counts["written"])
        counts["computed"] += 1

    def write(job, _):
        counts["written"] += 1

    run_jobs(jobs_of(20), read=read, compute=compute, write=write)
    assert max(ahead) <= 1 + READ_AHEAD
    assert max(behind) <= 1


def test_interrupt_completes_the_write_under_way():
    second = threading.Event()
    computed, written = [], []

    def compute(job, *_):
        computed.append(job.image.stem)
        if len(computed) == 2:
            second.set()
            raise KeyboardInterrupt

    def write(job, _):
        assert second.wait(WAIT_S)
        written.append(job.image.stem)

    tally = run_jobs(jobs_of(9), read=str, compute=compute, write=write)
    assert tally.interrupted
    assert (computed, written) == (["0", "1"], ["0"])
    assert (tally.done, tally.failures) == (1, [])


def test_words():
    tally = Tally(done=4, skipped=2, failures=[Failure("a", "b")], seconds=6)
    assert str(tally) == "4 done, 2 skipped, 1 failed, 1.50 s per image"
    assert str(Tally(skipped=3)) == "0 done, 3 skipped, 0 failed"
    assert str(Failure("a.png", "is\ndamaged")) == "a.png: is damaged"
