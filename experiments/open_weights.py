"""Make the weights that come with the package, from nothing.

    python -m experiments.open_weights --folder=runs/open

Collects the free data (experiments/open_data.py) and trains the stages of
configs/open_lite.py one after the other, each from the weights of the one before;
started again, it goes on where it ended. --first=STAGE --start=WEIGHTS leaves out the
stages before, and begins with weights that went through them. In the folder it leaves a
workdir for each stage, and lite.safetensors with lite.md and lite.csv: the card, and
the list of images with their licences. What was found out about these weights
afterwards comes into the card by running it once more: --evaluations names folders of
`tmfnet eval`, --limits says in words where they fail. --smoke trains a few tiny steps
on generated data alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from experiments import launch
from experiments.configs import open_lite
from experiments.kept_memory import restart_keeping_memory
from experiments.open_data import SOURCES_FILE, collect
from experiments.train import train
from experiments.workdir import CARD_VALUES_FILE, WEIGHTS_FILE
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import (
    IMAGES_FILE,
    MANIFEST_FILE,
    mean,
    read_manifest,
    read_records,
)
from tmfnet_jax.files import atomic_write
from tmfnet_jax.model_card import (
    ModelCard,
    Validation,
    weights_notes,
    write_model_card,
)
from tmfnet_jax.weights import REFINE_ENTRY, fingerprint, read_weights, write_weights

NAME = "lite"
SHIPPED_DTYPE = np.float16


def main() -> None:
    """Collect, train and publish."""
    options = flags.FLAGS
    folder, data = Path(options.folder), Path(options.data)
    stages = stages_from(options.first)
    if (options.first is None) != (options.start is None):
        raise InputError("--first and --start belong together: a stage, its weights")
    if not options.smoke:
        collect(data, packages=Path(options.packages) if options.packages else None)
    train_stages(
        folder,
        data=None if options.smoke else data,
        stages=stages,
        start=Path(options.start) if options.start else None,
    )
    target = publish(
        folder,
        stages=stages,
        evaluations=map(Path, options.evaluations),
        limits=options.limits,
    )
    if not options.smoke:
        with atomic_write(target.with_suffix(".csv")) as file:
            file.write((data / SOURCES_FILE).read_bytes())
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def stages_from(first: str | None) -> list[str]:
    """Return the names of all stages, or of one and those after it."""
    stages = [*open_lite.STAGES]
    if first is None:
        return stages
    if first not in stages:
        raise InputError(f"--first is {first}; expected one of {', '.join(stages)}")
    return stages[stages.index(first) :]


def train_stages(
    folder: Path, *, data: Path | None, stages: Sequence[str], start: Path | None = None
) -> None:
    """Train those stages that are not finished.

    Args:
      folder: of the workdirs.
      data: what `open_data` collected; None: the smoke test of each stage.
      stages: their names, in order.
      start: weights for the first of them; None: random values.
    Raises:
      InputError: as of `train`, or if it was stopped.
    """
    for stage in stages:
        workdir = folder / stage
        if not (workdir / WEIGHTS_FILE).exists():
            train(stage_config(stage, data, start), workdir)
        if not (workdir / WEIGHTS_FILE).exists():
            raise InputError(f"stage {stage} was stopped; run again to go on")
        start = workdir / WEIGHTS_FILE


def stage_config(stage: str, data: Path | None, start: Path | None) -> ConfigDict:
    """Return a stage's config, on these data and from these weights."""
    config = open_lite.get_config(stage if data else f"{stage},smoke")
    if not data:
        config.validation.every = 0
        config.tensorboard = False
    else:
        config.data.backgrounds = str(data / "photos")
    if start:
        config.init = str(start)
    return config


def publish(
    folder: Path,
    *,
    stages: Sequence[str],
    evaluations: Iterable[Path] = (),
    limits: Sequence[str] = (),
) -> Path:
    """Write the last stage's weights in the form that is shipped, with their card.

    Args:
      folder: of the stages' workdirs, all finished, and of the result.
      stages: their names, in order.
      evaluations: folders of results that the card states beside the training's.
      limits: of these weights, for the card.
    Returns:
      The weights file.
    Raises:
      InputError: a stage is not finished, or an evaluation is not of these weights.
    """
    network, arrays = read_weights(folder / stages[-1] / WEIGHTS_FILE)
    cards = {stage: _card(folder / stage) for stage in stages}
    first, last = cards[stages[0]], cards[stages[-1]]
    target = folder / f"{NAME}.safetensors"
    card = dataclasses.replace(
        last,
        started_from=first.started_from,
        data={stage: card.data for stage, card in cards.items()},
        recipe={stage: card.recipe for stage, card in cards.items()},
        hours=sum(card.hours or 0 for card in cards.values()),
        limits=limits,
    )
    notes = {**weights_notes(card), REFINE_ENTRY: "yes"}
    write_weights(target, network, arrays, dtype=SHIPPED_DTYPE, notes=notes)
    _, digest = fingerprint(target)
    results = [measured(path, digest) for path in evaluations]
    card = dataclasses.replace(card, validations=[*last.validations, *results])
    write_model_card(target.with_suffix(".md"), card, weights=target)
    return target


def _card(workdir: Path) -> ModelCard:
    path = workdir / CARD_VALUES_FILE
    try:
        return ModelCard.from_json(path.read_text("utf-8"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def measured(folder: Path, weights_sha256: str) -> Validation:
    """Read the mean metrics of an evaluation, and what it measured on.

    Args:
      folder: of the evaluation.
      weights_sha256: what `fingerprint` says of the weights it must be of.
    Raises:
      InputError: it is of others, or no evaluation.
    """
    records = read_records(folder / IMAGES_FILE)
    manifest = read_manifest(folder / MANIFEST_FILE)
    found = manifest.get("network", {}).get("weights_sha256")
    if found != weights_sha256:
        raise InputError(
            f"{folder}: measured weights {found}, expected {weights_sha256}; evaluate "
            "the published weights"
        )
    data = manifest["data"]
    trimaps = data["settings"].get("trimaps")
    refined = ", refined" if manifest.get("inference", {}).get("refine") else ""
    return Validation(
        weights=f"these, {np.dtype(SHIPPED_DTYPE)}{refined}",
        measured_on=f"{data['set']}{f', {trimaps}' if trimaps else ''}, "
        f"{len(records)} images",
        metrics=mean(records),
    )


if __name__ == "__main__":
    restart_keeping_memory()
    flags.DEFINE_string("folder", "runs/open", "Where the workdirs and weights go.")
    flags.DEFINE_string("data", "data/open", "Where the free data go.")
    flags.DEFINE_string("packages", None, "Folder of package files fetched before.")
    flags.DEFINE_string("first", None, "Stage to begin with; with --start.")
    flags.DEFINE_string("start", None, "Weights that the first stage starts from.")
    flags.DEFINE_list("evaluations", [], "Folders of evaluations for the card.")
    flags.DEFINE_multi_string("limits", [], "Sentences for the card: where it fails.")
    flags.DEFINE_boolean("smoke", False, "A few tiny steps on generated data.")
    launch.run(main)
