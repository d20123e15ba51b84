"""Training samples per second: whole images against windows, one core against more.

    python -m experiments.benchmark_input
    python -m experiments.benchmark_input --memory --samples=10000

Foregrounds of 1500x1500 from the procedural source, backgrounds of 2048x1536, crops of
512 by the paper's recipe. They are written to a temporary folder as data sets come, PNG
and JPEG, and prepared with `tmfnet prepare`. Python 3.11's lock does not matter to the
first table, which is of one thread; the second one is of `batches`.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
from absl import flags

from experiments import launch, prepare
from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from input_pipeline.protocol.whole_sample import assemble_whole
from input_pipeline.protocol.window_sample import assemble_window
from input_pipeline.streams.batches import batches
from input_pipeline.training_data.prepared import PreparedSource
from input_pipeline.training_data.sources import FolderSource
from tmfnet_jax import cli
from tmfnet_jax.environment import device_name
from tmfnet_jax.images import write_image
from tmfnet_jax.reporting import format_table
from tmfnet_jax.serving.memory import tune_allocator

FOREGROUND_PX = 1500
BACKGROUND_SIZE = (1536, 2048)
FOREGROUNDS, BACKGROUNDS = 12, 8
BATCH = 16
SEED = 1
REPORTS = 10  # of the memory, over a run


def main() -> None:
    """Make the data, measure, print."""
    cv2.setNumThreads(1)
    tune_allocator()  # as worker processes do
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files, prepared = _data(root)
        if flags.FLAGS.memory:
            _memory(prepared)
            return
        _one_thread(files, prepared)
        print()
        _workers(prepared)


def _data(root: Path) -> tuple[FolderSource, PreparedSource]:
    size = (FOREGROUND_PX, FOREGROUND_PX)
    generated = SyntheticSource(seed=0, size=size)
    scenes = SyntheticSource(seed=0, size=BACKGROUND_SIZE)
    foregrounds, alphas, backgrounds = (root / name for name in ("fg", "alpha", "bg"))
    for path in (foregrounds, alphas, backgrounds):
        path.mkdir()
    for i in range(FOREGROUNDS):
        colours, alpha = generated.foreground(i)
        write_image(foregrounds / f"{i:02}.png", colours)
        write_image(alphas / f"{i:02}.png", alpha)
    for i in range(BACKGROUNDS):
        write_image(backgrounds / f"{i:02}.jpg", scenes.background(i))
    command = ["prepare", "folders", str(foregrounds), "--alphas", str(alphas)]
    command += ["--backgrounds", str(backgrounds), "--raw-backgrounds"]
    command += ["-o", str(root / "prepared")]
    if cli.main(command, commands=[prepare]):
        raise RuntimeError("tmfnet prepare failed")
    source = FolderSource(foregrounds, alphas=alphas, backgrounds=backgrounds)
    return source, PreparedSource(root / "prepared")


def _one_thread(files: FolderSource, prepared: PreparedSource) -> None:
    cases: list[tuple[str, Callable[[int], object]]] = [
        ("whole images, from files", _maker(files, assemble_whole)),
        ("whole images, prepared", _maker(prepared, assemble_whole)),
        ("windows, from files", _maker(files, assemble_window)),
        ("windows, prepared", _maker(prepared, assemble_window)),
    ]
    rates = []
    for _, make in cases:
        make(0)
        start = time.process_time()
        for index in range(flags.FLAGS.samples):
            make(index)
        rates.append(flags.FLAGS.samples / (time.process_time() - start))
    rows = [
        (name, f"{rate:.1f}", f"{1000 / rate:.1f}", f"{rate / rates[0]:.1f}")
        for (name, _), rate in zip(cases, rates, strict=True)
    ]
    print(f"one thread, {flags.FLAGS.samples} samples of 512x512, {device_name()}")
    print(format_table(("how", "samples/CPU s", "ms", "times the first"), rows))


def _maker(source, assemble) -> Callable[[int], object]:
    recipe = Recipe()
    return lambda index: make_sample(
        source, recipe, seed=SEED, index=index, assemble=assemble
    )


def _workers(prepared: PreparedSource) -> None:
    rows = []
    single = 0.0
    for kind, number in itertools.product(("threads", "processes"), (1, 2)):
        steps = max(1, flags.FLAGS.samples * number // BATCH)
        stream = batches(
            prepared,
            Recipe(),
            seed=SEED,
            batch_size=BATCH,
            num_workers=number,
            kind=kind,
        )
        with closing(stream):
            next(stream)  # starts the workers, and they run ahead of it
            next(stream)
            start = time.perf_counter()
            for _ in itertools.islice(stream, steps):
                pass
            rate = steps * BATCH / (time.perf_counter() - start)
        single = rate if number == 1 else single
        rows.append((kind, number, f"{rate:.1f}", f"{rate / single:.2f}"))
    print(f"batches of {BATCH}, by the clock")
    print(format_table(("kind", "workers", "samples/s", "times one"), rows))


def _memory(prepared: PreparedSource) -> None:
    """Print what the process takes while it makes samples one after another."""
    rows = []
    make = _maker(prepared, assemble_window)
    every = max(1, flags.FLAGS.samples // REPORTS)
    for index in range(flags.FLAGS.samples):
        make(index)
        if (index + 1) % every == 0:
            rows.append((index + 1, f"{_private_bytes() / 1e6:.0f}"))
    print(format_table(("samples", "MB, mapped files left out"), rows))


def _private_bytes() -> int:
    """Resident memory that is not a mapped file (Linux)."""
    for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    return 0


if __name__ == "__main__":
    flags.DEFINE_integer("samples", 200, "To make in each case.", lower_bound=1)
    flags.DEFINE_bool("memory", False, "Watch the memory instead of the time.")
    launch.run(main)
