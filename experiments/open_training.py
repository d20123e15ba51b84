"""One long training of `lite`, which goes on by itself and measures itself.

Trains the stages of configs/open_training.py as one training. A stage takes the
subjects that are there when it begins. Started again after any end, the training goes
on from the newest checkpoint with the same samples. Every some thousand steps the
weights are measured on whole images (measurements.py), in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments.configs import open_training
from experiments.configs.open_training import Stage
from experiments.kept_memory import VARIABLE
from experiments.measurements import (
    Row,
    add_row,
    open_sets,
    read_rows,
)
from experiments.train import train
from experiments.workdir import WEIGHTS_FILE
from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.training_data import originals
from input_pipeline.training_data.image_files import (
    collect_foregrounds,
    collect_photos,
)
from input_pipeline.training_data.preparation import Preparation
from input_pipeline.training_data.prepared import (
    BACKGROUNDS,
    FOREGROUNDS,
    INDEX_FILE,
)
from tmfnet_jax.batch import say
from tmfnet_jax.checkpointing import FOLDER, newest_step
from tmfnet_jax.environment import commit
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import write_image
from tmfnet_jax.reporting import METRICS_FILE, read_metrics

DATA_FOLDER = "data"
SUBJECTS, GENERATED = "subjects", "generated"  # the two parts of a stage's data
BACKGROUND_PX = 768  # longer side of a prepared background
PREPARING_THREADS = 2
RESULT_FILE = ".measured.json"  # of the measuring process, until its row is written
SMOKE_STEPS = 3
SMOKE_STAGE = Stage(64, 4, 0.5, 1, (96, 72), 0.4, 64, 3)

Measure = Callable[[str], dict[str, Any] | None]  # of weights; None: it failed


@dataclass(frozen=True)
class Inputs:
    """Where the images of a training come from: cut-outs and photos."""

    subjects: Path
    backgrounds: Path


@dataclass(frozen=True)
class Plan:
    """What is to be trained: the stages, the steps of all, the configs."""

    stages: dict[str, Stage]
    steps: int
    config_suffix: str = ""

    @classmethod
    def whole(cls) -> Plan:
        """Return the training of the weights that come with the package."""
        return cls(open_training.STAGES, open_training.STEPS)

    @classmethod
    def smoke(cls) -> Plan:
        """Return the smallest training that has all parts."""
        first, *_, last = open_training.STAGES
        return cls(
            {first: SMOKE_STAGE._replace(measure_every=SMOKE_STEPS), last: SMOKE_STAGE},
            SMOKE_STEPS,
            ",smoke",
        )

    def ends(self) -> dict[str, int]:
        """Return the last step of each stage."""
        return open_training.ends(self.stages, self.steps)

    def config(self, name: str, folder: Path) -> ConfigDict:
        """Return the config of a stage in the folder of the training."""
        names = [*self.stages]
        place, stage = folder / DATA_FOLDER / name, self.stages[name]
        config = open_training.get_config(f"{name}{self.config_suffix}")
        config.data.kind = "prepared"
        config.data.folder = f"{place / SUBJECTS},{place / GENERATED}"
        config.optimizer.steps, config.until = self.steps, self.ends()[name]
        config.batch_size = stage.batch
        if before := names[: names.index(name)]:
            config.continue_from = str(folder / before[-1])
        if self.config_suffix:
            config.data.loader, config.tensorboard = "threads", False
            config.validation.every = 0
        return config


def train_and_measure(
    folder: Path,
    plan: Plan,
    inputs: Inputs,
    *,
    test_set: Path | None = None,
    photos: Path | None = None,
    reference: str | None = None,
) -> None:
    """Train and measure what is not done yet.

    Args:
      folder: of the training; created if missing.
      plan: what is trained.
      inputs: its images; a stage that has begun does not look at them again.
      test_set: folder of the set open; None: it is not measured on.
      photos: folder of the set alphamatting, likewise.
      reference: weights to measure before anything.
    Raises:
      InputError: as of `train`, or if it was stopped.
    """
    open_sets(test_set=test_set, photos=photos)  # says what is missing now, not later
    places = {"test_set": test_set, "photos": photos}
    arguments = [f"--{name}={place}" for name, place in places.items() if place]
    if plan.config_suffix:
        arguments.append("--generated=1")

    def measure(weights: str) -> dict[str, Any] | None:
        return measured_apart(weights, folder, arguments)

    folder.mkdir(parents=True, exist_ok=True)
    if reference:
        measure_reference(folder, reference, measure)
    run(folder, plan, inputs, measure)


def training_part(folder: Path) -> Path:
    """Return FOLDER/train if it exists; FOLDER/test is never trained on."""
    part = folder / "train"
    return part if part.is_dir() else folder


def run(folder: Path, plan: Plan, inputs: Inputs, measure: Measure) -> None:
    """Train and measure what is not done yet.

    Args:
      folder: of the training.
      plan: its stages.
      inputs: its images; a stage that has begun does not look at them again.
      measure: called with weights as of `Matting.load`.
    Raises:
      InputError: as of `train`, or if it was stopped.
    """
    crops, hours, first = 0, 0.0, 0
    for name, stage in plan.stages.items():
        workdir, last = folder / name, plan.ends()[name]
        if not (workdir / WEIGHTS_FILE).exists():
            prepare(folder / DATA_FOLDER / name, stage, inputs, seed=crops)
        for target in targets(first, last, stage.measure_every):
            train_to(target, plan.config(name, folder), workdir)
            row = {
                "step": target,
                "stage": name,
                "crops": crops + (target - first) * stage.batch,
                "weights": None,
            }
            measure_step(folder, workdir, row, hours_before=hours, measure=measure)
        remove_pixels(folder / DATA_FOLDER / name)
        crops += (last - first) * stage.batch
        hours += _hours(workdir, last)
        first = last


def targets(first: int, last: int, every: int) -> Iterator[int]:
    """Yield the steps to measure at: every so many after the first, and the last."""
    yield from range(first + every, last, every)
    yield last


def train_to(target: int, config: ConfigDict, workdir: Path) -> None:
    """Train to a step, unless that is done.

    Raises:
      InputError: as of `train`, or if it was stopped.
    """
    if target == config.until:
        if (workdir / WEIGHTS_FILE).exists():
            return
    elif newest_step(workdir) >= target:
        return
    train(config, workdir, pause_at=target)
    jax.clear_caches()  # the programs of this call serve no other


def measure_step(
    folder: Path, workdir: Path, row: Row, *, hours_before: float, measure: Measure
) -> None:
    """Measure the checkpoint of a step once; after a failure the training goes on.

    Args:
      folder: of the training.
      workdir: of the stage.
      row: what is known of the step.
      hours_before: of training, in the stages before.
      measure: as of `run`.
    """
    step = row["step"]
    done = [r["step"] for r in read_rows(folder) if r["step"] is not None]
    checkpoint = workdir / FOLDER / str(step)
    if step in done or not checkpoint.is_dir():
        return
    found = measure(str(checkpoint))
    if found is None:
        return
    row = trained_row(row, workdir, found, after=max(done, default=0))
    add_row(folder, {**row, "hours": hours_before + row["hours"]})


def trained_row(row: Row, workdir: Path, found: Row, *, after: int) -> Row:
    """Complete a row by what was measured and by what its training wrote down.

    Args:
      row: which has the step.
      workdir: of the training.
      found: what was measured.
      after: the mean of the loss is over the steps after this one.
    """
    step = row["step"]
    losses = [
        record["loss"]
        for record in read_metrics(workdir / METRICS_FILE)
        if after < record["step"] <= step and record["loss"] is not None
    ]
    loss = sum(losses) / len(losses) if losses else None
    hours = _hours(workdir, step)
    return {**row, "hours": hours, "loss": loss, "commit": commit(), **found}


def measure_reference(folder: Path, weights: str, measure: Measure) -> None:
    """Measure other weights, unless there is a row of them already."""
    if weights in [row["weights"] for row in read_rows(folder)]:
        return
    found = measure(weights)
    if found is not None:
        unknown = dict.fromkeys(("step", "stage", "hours", "crops", "loss"))
        row = {**unknown, "weights": weights, "commit": commit(), **found}
        add_row(folder, row)


def measured_apart(
    weights: str, folder: Path, arguments: Sequence[str]
) -> dict[str, Any] | None:
    """Measure weights in another process; None, with a line, if that fails.

    Its memory goes with it. It ends soon after this process, whatever ends that.
    """
    result = folder / RESULT_FILE
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "experiments.measurements", *arguments]
    command += [f"--weights={weights}", f"--output={result}", f"--parent={os.getpid()}"]
    # Allocation as of `tmfnet eval`, not as of a training.
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
    status = subprocess.run(command, env=environment, check=False).returncode
    if status or not result.exists():
        say(
            f"{weights}: could not be measured (exit status {status}); training goes on"
        )
        return None
    found = json.loads(result.read_bytes())
    result.unlink()
    return found


def prepare(place: Path, stage: Stage, inputs: Inputs, *, seed: int) -> None:
    """Bring the images of a stage into the form that is read without decoding.

    What is there stays as it is: a stage that goes on has the images it began with,
    whatever has been added since.

    Args:
      place: folder of the stage's data.
      stage: which says in what sizes.
      inputs: the cut-outs and photos of now.
      seed: of the generated part.
    Raises:
      InputError: no images, or none that can be read, or a full disk.
    """
    parts = place / SUBJECTS, place / GENERATED
    if all((part / INDEX_FILE).exists() for part in parts):
        return
    problems: list[str] = []
    cutouts = collect_foregrounds([(inputs.subjects, None)], problems)
    photos = collect_photos([inputs.backgrounds], problems)
    if problems:
        raise InputError("; ".join(problems))
    side = stage.generated_side
    source = SyntheticSource(seed=seed, size=(side, side), photos=photos)
    subjects = originals.at_sides(originals.foregrounds_in_files(cutouts), stage.sides)
    scenes = originals.backgrounds_in_files(photos)
    say(
        f"{place}: {len(cutouts)} subjects in {len(stage.sides)} sizes, "
        f"{stage.generated} generated ones, {len(photos)} backgrounds"
    )
    settings: dict[str, Any] = {"background_side_px": BACKGROUND_PX}
    for part, foregrounds, backgrounds, own in (
        (parts[0], subjects, scenes, {"sides": [*stage.sides]}),
        (
            parts[1],
            *originals.generated(source, stage.generated),
            {"seed": seed, "side": side},
        ),
    ):
        if (part / INDEX_FILE).exists():
            continue
        Preparation(
            part,
            settings=settings | own,
            foregrounds=foregrounds,
            backgrounds=backgrounds,
            background_side_px=BACKGROUND_PX,
            raw_backgrounds=True,
        ).run(num_threads=PREPARING_THREADS)


def remove_pixels(place: Path) -> None:
    """Remove the images of a stage that is done; the lists of them stay."""
    for part in (SUBJECTS, GENERATED):
        for role in (FOREGROUNDS, BACKGROUNDS):
            shutil.rmtree(place / part / role, ignore_errors=True)


def smoke_inputs(folder: Path) -> Inputs:
    """Draw a few cut-outs and photos."""
    inputs = Inputs(folder / "train", folder / "backgrounds")
    source = SyntheticSource(seed=1, size=(112, 112))
    for index in range(3):
        for path, image in (
            (inputs.subjects / f"{index}.png", _cutout(source, index)),
            (inputs.backgrounds / f"{index}.jpg", source.background(index)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_image(path, image)
    return inputs


def _cutout(source: SyntheticSource, index: int):
    colours, alpha = source.foreground(index)
    return np.dstack([colours, alpha])


def _hours(workdir: Path, step: int) -> float:
    """Return the hours that a run took to a step."""
    records = read_metrics(workdir / METRICS_FILE)
    return max((r["hours"] or 0.0 for r in records if r["step"] <= step), default=0.0)
