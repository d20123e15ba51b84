"""A few training steps of a tiny network, in this process or as one of several.

    python tests/tiny_training.py [COORDINATOR PROCESSES PROCESS]

prints the losses as JSON.
"""

from __future__ import annotations

import json
import sys

import jax
import numpy as np
import optax

from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from tmfnet_jax import distributed
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.sharding import data_mesh, place, put_batch, state_shardings
from tmfnet_jax.train_step import StepConfig, create_state, make_train_step

BATCH, SIDE, STEPS = 8, 64, 5


def batches():
    source = SyntheticSource(seed=0, size=(96, 96))
    recipe = Recipe.for_crop(SIDE)
    for step in range(STEPS):
        samples = [
            make_sample(source, recipe, seed=0, index=step * BATCH + i)
            for i in range(BATCH)
        ]
        yield {name: np.stack([s[name] for s in samples]) for name in samples[0]}


def run(mesh, config: StepConfig | None = None):
    """Return losses and final state.

    Plain gradient descent: Adam's first updates are nearly the signs of the gradient,
    which rounding flips where it is almost zero.
    """
    model = initial_network(TMFNetConfig(width=0.05), seed=0)
    optimizer = optax.sgd(0.001)
    state = place(mesh, create_state(model, optimizer))
    step = make_train_step(
        model, optimizer, config=config, shardings=state_shardings(mesh, state)
    )
    losses = []
    share = slice(jax.process_index(), None, jax.process_count())
    for batch in batches():
        part = {name: array[share] for name, array in batch.items()}
        state, metrics = step(state, put_batch(mesh, part))
        losses.append(float(metrics["loss"]))
    return losses, state


def main() -> None:
    if sys.argv[1:]:
        coordinator, processes, process = sys.argv[1:]
        distributed.start(coordinator, processes=int(processes), process=int(process))
    losses, _ = run(data_mesh())
    assert distributed.any_process(jax.process_index() == 0)
    print(json.dumps(losses))


if __name__ == "__main__":
    jax.config.update("jax_default_matmul_precision", "highest")
    main()
