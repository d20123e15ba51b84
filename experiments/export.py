"""What a finished run leaves to others: weights and their model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from experiments.workdir import (
    BEST_FILE,
    CARD_FILE,
    CARD_VALUES_FILE,
    WEIGHTS_FILE,
)
from input_pipeline.training_data.sources import Source
from tmfnet_jax.checkpointing import RANKED_BY, RunCheckpoints
from tmfnet_jax.distributed import is_first
from tmfnet_jax.environment import commit, device_name, versions
from tmfnet_jax.files import atomic_write
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.model_card import (
    ModelCard,
    Validation,
    weights_notes,
    write_model_card,
)
from tmfnet_jax.sharding import replicate
from tmfnet_jax.train_step import TrainState
from tmfnet_jax.weights import write_weights

RECIPE_FIELDS = (
    *("seed", "batch_size", "accumulation", "norm_groups", "laplacian"),
    *("optimizer", "recipe"),
)


def export(
    config: ConfigDict,
    workdir: Path,
    state: TrainState,
    checkpoints: RunCheckpoints,
    *,
    mesh: Mesh,
    source: Source,
    hours: float,
    validated_on: str,
) -> None:
    """Write the last weights, the best ones if they are others, and the card.

    Args:
      config: of the run.
      workdir: where to.
      state: after the last step.
      checkpoints: of the run; their metrics say which was best.
      mesh: of the state.
      source: of its samples.
      hours: that the training took.
      validated_on: in words.
    """
    measured = checkpoints.measured()
    last = int(state.step)
    best = min(measured, key=lambda step: measured[step][RANKED_BY], default=last)
    kept = {WEIGHTS_FILE: state}
    if best != last:
        kept[BEST_FILE] = state.with_tree(checkpoints.load(best, state.tree()))
    network = TMFNetConfig.from_dict(config.network.to_dict())
    card = ModelCard(
        network=network,
        license=config.license,
        data_license=config.data_license,
        data={k: v for k, v in config.data.items() if k not in ("loader", "workers")},
        foregrounds=source.num_foregrounds,
        backgrounds=source.num_backgrounds,
        started_from=config.init
        or config.encoder_init
        or config.continue_from
        or "random values",
        recipe=_recipe(config),
        commit=commit(),
        versions=versions(),
        hardware=f"{jax.device_count()} x {device_name()}",
        hours=hours,
        validations=[
            Validation(label, validated_on, measured[step], step)
            for label, step in (("last", last), (f"best, {BEST_FILE}", best))
            if step in measured and not (label.startswith("best") and best == last)
        ],
    )
    for name, weights in kept.items():
        arrays = {
            key: np.asarray(value)
            for key, value in replicate(mesh, weights.arrays()).items()
        }
        if is_first():
            notes = weights_notes(card)
            write_weights(workdir / name, network, arrays, notes=notes)
    if is_first():
        with atomic_write(workdir / CARD_VALUES_FILE) as file:
            file.write(card.to_json().encode())
        write_model_card(workdir / CARD_FILE, card, weights=workdir / WEIGHTS_FILE)


def _recipe(config: ConfigDict) -> Mapping[str, object]:
    whole = json.loads(config.to_json_best_effort())
    return {name: whole[name] for name in RECIPE_FIELDS}
