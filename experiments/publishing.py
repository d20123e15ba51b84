"""The weights that come with the package: their file, and their card."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from experiments.workdir import CARD_VALUES_FILE, WEIGHTS_FILE
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import (
    IMAGES_FILE,
    MANIFEST_FILE,
    mean,
    read_manifest,
    read_records,
)
from tmfnet_jax.model_card import (
    ModelCard,
    Validation,
    weights_notes,
    write_model_card,
)
from tmfnet_jax.weights import REFINE_ENTRY, fingerprint, read_weights, write_weights

NAME = "lite"
SHIPPED_DTYPE = np.float16


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
      evaluations: folders of results that the card states after the training's.
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
