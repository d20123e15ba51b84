"""Short trainings that decide how the long one is done, one after the other.

    python -m experiments.open_trials --folder=runs/trials --steps=1500 \
        --test_set=data/open-test --photos=DIR

All rows start from the same weights and take as many pixels a step, so that their
times are about equal; each is one cosine to the end, measured once
(experiments/measurements.py). The table is FOLDER/measurements.md; the same command
goes on where it was ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from experiments import launch
from experiments.configs.open_training import STAGES, Stage, stage_config
from experiments.kept_memory import restart_keeping_memory
from experiments.measurements import add_row, read_rows, table
from experiments.open_training import (
    GENERATED,
    SUBJECTS,
    Inputs,
    measure_reference,
    measured_apart,
    prepare,
    trained_row,
    training_part,
)
from experiments.train import train
from experiments.workdir import WEIGHTS_FILE
from tmfnet_jax.batch import say
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.pretrained import load_start

_BASE = STAGES["small"]
ROWS: dict[str, Stage] = {
    "generated": _BASE._replace(generated_share=1.0),  # the data of the weights so far
    "rendered": _BASE,
    "larger-crops": _BASE._replace(crop=256, batch=2),
    "smaller-crops": _BASE._replace(crop=64, batch=32),
    "one-size": _BASE._replace(sides=(768,)),
}
LEARNING_RATE = 0.002  # its peak: the weights have been trained already
WARMUP_STEPS = 100
AVERAGE_DECAY = 0.995
LOSS_SHARE = 0.2  # of the steps, the last ones, whose mean loss is given


def main() -> None:
    """Train and measure the rows that are not done."""
    options = flags.FLAGS
    folder, steps = Path(options.folder), options.steps
    for name in options.rows:
        if name not in ROWS:
            raise InputError(
                f"no row is called {name!r}; choose one of {', '.join(ROWS)}"
            )
    if steps <= WARMUP_STEPS:
        raise InputError(f"--steps is {steps}; give more than {WARMUP_STEPS}")
    inputs = Inputs(
        training_part(Path(options.subjects)), training_part(Path(options.backgrounds))
    )
    network = TMFNetConfig.from_dict(stage_config(_BASE).network.to_dict())
    load_start(options.start, network)  # what is wrong with it shows now, not later
    given = {"test_set": options.test_set, "photos": options.photos}
    places = [f"--{name}={place}" for name, place in given.items() if place]

    def measure(weights: str) -> dict[str, Any] | None:
        return measured_apart(weights, folder, places)

    folder.mkdir(parents=True, exist_ok=True)
    measure_reference(folder, options.start, measure)
    for name in options.rows or ROWS:
        trained = [row["step"] for row in read_rows(folder) if row["stage"] == name]
        if trained == [steps]:
            continue
        if trained:
            raise InputError(
                f"{folder}: row {name} was trained for {trained[0]} steps, expected "
                f"{steps}; give --steps as before, or another --folder"
            )
        say(f"{name}: {steps} steps")
        run(folder, name, inputs, start=options.start, steps=steps, measure=measure)
    print(table(read_rows(folder)))


def run(
    folder: Path, name: str, inputs: Inputs, *, start: str, steps: int, measure
) -> None:
    """Train a row and measure it; InputError if it was stopped."""
    stage, workdir = ROWS[name], folder / name
    # Rows of the same sizes share their data.
    place = folder / "data" / "-".join(map(str, stage.sides))
    if not (workdir / WEIGHTS_FILE).exists():
        prepare(place, stage, inputs, seed=0)
        config = stage_config(stage)
        parts = {SUBJECTS: 1 - stage.generated_share, GENERATED: stage.generated_share}
        used = {part: share for part, share in parts.items() if share}
        config.data.folder = ",".join(str(place / part) for part in used)
        config.data.shares = ",".join(f"{share:g}" for share in used.values())
        config.init = start
        config.optimizer.steps = steps
        config.optimizer.learning_rate = LEARNING_RATE
        config.optimizer.warmup_steps = WARMUP_STEPS
        config.optimizer.average_decay = AVERAGE_DECAY
        config.checkpoint_every = 500
        config.tensorboard = config.share_of_peak = False
        train(config.lock(), workdir)
    if not (workdir / WEIGHTS_FILE).exists():
        raise InputError(f"{name} was stopped; run again to go on")
    found = measure(str(workdir / WEIGHTS_FILE))
    if found is None:
        return
    row = {"step": steps, "stage": name, "crops": steps * stage.batch, "weights": None}
    after = round((1 - LOSS_SHARE) * steps)
    add_row(folder, trained_row(row, workdir, found, after=after))


if __name__ == "__main__":
    restart_keeping_memory()
    flags.DEFINE_string("folder", "runs/trials", "Of the trials.")
    flags.DEFINE_string("subjects", "data/subjects", "Folder of cut-outs, or of train.")
    flags.DEFINE_string("backgrounds", "data/open/backgrounds", "Likewise, of photos.")
    flags.DEFINE_string("test_set", None, "Folder of the set open, to measure on.")
    flags.DEFINE_string("photos", None, "Folder of the set alphamatting, likewise.")
    flags.DEFINE_string("start", "lite", "Weights that all rows start from.")
    flags.DEFINE_integer("steps", 1_500, "Of each row.")
    flags.DEFINE_list("rows", [], "Rows to run; all unless given.")
    launch.run(main)
