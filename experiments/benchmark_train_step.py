"""Time a training step and a forward pass of a network on random data.

    python -m experiments.benchmark_train_step --config=experiments/configs/synthetic.py

Batch, crop and network are the config's; data loading is left out.
"""

from __future__ import annotations

import statistics
import time

import jax
import numpy as np
from absl import flags
from flax import nnx
from ml_collections import config_flags

from experiments import launch
from tmfnet_jax.model import TMFNetConfig, network_input
from tmfnet_jax.optim import OptimizerConfig, make_optimizer
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.reporting import format_table
from tmfnet_jax.train_step import StepConfig, create_state, make_train_step
from tmfnet_jax.trimap import TRIMAP_VALUES


def random_batch(batch_size: int, side: int) -> dict[str, np.ndarray]:
    """Draw a batch of noise in the shapes of a training batch."""
    rng = np.random.default_rng(0)
    shape = (batch_size, side, side)
    batch = {
        name: rng.integers(0, 256, (*shape, 3), np.uint8)
        for name in ("image", "foreground", "background")
    }
    batch["alpha"] = rng.integers(0, 256, (*shape, 1), np.uint8)
    batch["trimap"] = rng.choice(np.array(TRIMAP_VALUES, np.uint8), (*shape, 1))
    return batch


def _main() -> None:
    config, repeats = flags.FLAGS.config, flags.FLAGS.repeats
    model = initial_network(TMFNetConfig.from_dict(config.network.to_dict()), seed=0)
    optimizer = make_optimizer(OptimizerConfig(**config.optimizer.to_dict()))
    computation = StepConfig(laplacian=config.laplacian)
    step = make_train_step(model, optimizer, config=computation)
    state = create_state(model, optimizer)
    batch = random_batch(config.batch_size, config.recipe.crop_px)
    graph, weights = nnx.split(nnx.view(model, use_running_average=True))

    @jax.jit
    def forward(weights, image, trimap):
        return nnx.merge(graph, weights)(network_input(image, trimap))

    times: dict[str, list[float]] = {"compile and first step": [], "step": []}
    for run in range(repeats + 1):
        start = time.perf_counter()
        state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))
        key = "step" if run else "compile and first step"
        times[key].append(time.perf_counter() - start)
    jax.block_until_ready(forward(weights, batch["image"], batch["trimap"]))
    times["forward"] = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(forward(weights, batch["image"], batch["trimap"]))
        times["forward"].append(time.perf_counter() - start)

    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {repeats} runs")
    rows = [
        (name, f"{seconds:.3f}", f"{seconds / medians['forward']:.2f}")
        for name, seconds in medians.items()
    ]
    print(format_table(("what", "seconds (median)", "forward passes"), rows))
    print(f"{config.batch_size / medians['step']:.1f} images/s in training")


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", None, "Config file.", lock_config=True)
    flags.DEFINE_integer("repeats", 10, "Timed runs of each.", lower_bound=1)
    flags.mark_flags_as_required(["config"])
    launch.run(_main)
