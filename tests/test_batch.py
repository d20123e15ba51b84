"""The run over many photos: three steps each, and no file stops it."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from tmfnet_jax.batch import READ_AHEAD, run_jobs
from tmfnet_jax.errors import InputError
from tmfnet_jax.jobs import Job

WAIT_S = 20  # for another thread; reached only if the test fails


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
