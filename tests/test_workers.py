"""Worker processes: what ends them, how it is told, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from stream_sources import ONE_EACH, RECIPE, RampSource, UnopenableSource

from input_pipeline.streams import workers
from input_pipeline.streams.batches import batches
from tmfnet_jax.errors import InputError

SHARED_MEMORY = Path("/dev/shm")
CONSUMER = """
import signal, sys, zlib
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
sys.path[:0] = {path}
from stream_sources import ONE_EACH, RampSource
from input_pipeline.streams.batches import batches
stream = batches(RampSource({{30: "sleep"}}), ONE_EACH, seed=3, batch_size=2,
                 kind="processes", num_workers=2)
try:
    for batch in stream:
        print(zlib.crc32(batch["image"].tobytes()), flush=True)
except KeyboardInterrupt:
    print("interrupted")
"""
# Without "sleep", what CONSUMER prints until it waits for sample 30 for ever.
STEPS_BEFORE_SLEEP = 15


def stream(faults=None, recipe=ONE_EACH, **options):
    options = {"seed": 3, "batch_size": 2, "num_workers": 2} | options
    return batches(RampSource(faults), recipe, kind="processes", **options)


def checksums(batches, number):
    taken = [zlib.crc32(next(batches)["image"].tobytes()) for _ in range(number)]
    batches.close()
    return taken


def listing():
    return sorted(SHARED_MEMORY.iterdir()) if SHARED_MEMORY.is_dir() else []


@pytest.fixture
def started(monkeypatch):
    """The processes that streams start; all must be gone after the test."""
    processes = []

    def start(*args, **kwargs):
        processes.append(subprocess.Popen(*args, **kwargs))
        return processes[-1]

    class Module:
        DEVNULL, Popen = subprocess.DEVNULL, staticmethod(start)
        TimeoutExpired = subprocess.TimeoutExpired

    monkeypatch.setattr(workers, "subprocess", Module)
    yield processes
    assert all(process.returncode is not None for process in processes)


def test_closing_leaves_no_process_and_no_shared_memory(started):
    before = listing()
    made = stream(num_workers=3)
    assert not started  # before the first batch is asked for
    next(made)
    assert [process.poll() for process in started] == [None] * 3
    assert listing() == before  # the memory has no name, so no crash can leave it
    start = time.monotonic()
    made.close()
    assert time.monotonic() - start < 2
    assert listing() == before


def test_killed_worker_stops_the_stream(started):
    made = stream()
    next(made)
    started[1].send_signal(signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        for _ in range(10):
            next(made)
    assert time.monotonic() - start < 5
    assert str(caught.value) == (
        f"worker process {started[1].pid} was killed by SIGKILL, as happens when "
        "memory runs out; try fewer workers"
    )


def test_death_of_every_worker_is_told(started):
    made = stream()
    next(made)
    for process in started:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(InputError, match="was killed by SIGKILL"):
        for _ in range(10):
            next(made)


@pytest.mark.parametrize(
    "fault, text", [("crash", "was killed by SIGSEGV"), ("exit", "exit code 3")]
)
def test_crash_in_a_sample_stops_the_stream(started, fault, text):
    with pytest.raises(InputError, match=rf"worker process \d+ .*{text}$"):
        next(stream({1: fault}))


def test_death_is_noticed_though_a_fork_holds_its_pipe_open(started, monkeypatch):
    monkeypatch.setattr(workers, "WATCH_SECONDS", 0.1)
    held = []
    plain_pipe = workers.Pipe

    def pipe(duplex):
        reader, writer = plain_pipe(duplex=duplex)
        held.append(os.dup(writer.fileno()))
        return reader, writer

    monkeypatch.setattr(workers, "Pipe", pipe)
    with pytest.raises(InputError, match="exit code 3"):
        next(stream({1: "exit"}))
    for file in held:
        os.close(file)


def test_other_exceptions_are_told_in_one_line(started):
    with pytest.raises(RuntimeError) as caught:
        next(stream({0: "bug"}))
    text = str(caught.value)
    assert text.startswith("a worker process failed with IndexError: list index out")
    assert "stream_sources.py:" in text and "\n" not in text


def test_workers_import_no_jax_and_no_tensorflow(started):
    with pytest.raises(InputError, match=r"imported: \[\]"):
        next(stream({0: "modules"}))


def test_source_that_cannot_be_sent_is_refused_at_once(started):
    source = RampSource()
    source.background = lambda index: None
    with pytest.raises(InputError, match="cannot be sent to worker processes .*lambda"):
        batches(source, RECIPE, seed=1, batch_size=2, kind="processes")
    assert not started


def test_source_that_cannot_be_opened_is_told(started):
    made = batches(UnopenableSource(), RECIPE, seed=1, batch_size=2, kind="processes")
    with pytest.raises(InputError, match="cannot open the source: ModuleNotFound"):
        next(made)


def test_signals_to_all_of_a_job_do_not_end_workers(started):
    made = stream()
    next(made)
    for process in started:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    next(made)
    assert [process.poll() for process in started] == [None, None]
    made.close()


def test_more_samples_than_the_pipe_of_tasks_may_hold(started, monkeypatch):
    few = checksums(stream(batch_size=8), 3)
    monkeypatch.setattr(workers, "MOST_TASKS", 3)
    assert checksums(stream(batch_size=8), 3) == few


def start_consumer():
    """Start a program that reads a stream, in a process group of its own.

    Its pipes are its workers' too: they end when the last of them has ended.
    """
    return subprocess.Popen(
        [sys.executable, "-c", CONSUMER.format(path=sys.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_killed_consumer_takes_its_workers_along_and_the_stream_is_resumed():
    before = listing()
    whole = checksums(stream(), STEPS_BEFORE_SLEEP + 2)
    with start_consumer() as consumer:
        printed = [int(consumer.stdout.readline()) for _ in range(STEPS_BEFORE_SLEEP)]
        consumer.kill()  # a worker is asleep in sample 30
        rest, messages = consumer.communicate(timeout=60)
    assert (rest, messages) == ("", "")
    assert listing() == before
    resumed = checksums(stream(start_step=len(printed)), 2)
    assert printed + resumed == whole


def test_interrupt_is_the_consumers_to_tell():
    with start_consumer() as consumer:
        for _ in range(STEPS_BEFORE_SLEEP):
            consumer.stdout.readline()
        os.killpg(consumer.pid, signal.SIGINT)  # as a terminal's Ctrl-C does
        rest, messages = consumer.communicate(timeout=60)
    assert (rest, messages, consumer.returncode) == ("interrupted\n", "", 0)
