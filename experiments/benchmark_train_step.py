"""Time a training step and a forward pass of a network on random data.

    python -m experiments.benchmark_train_step --config=experiments/configs/synthetic.py

Batch, crop and network are the config's; data loading is left out. Where other
programs run, compare CPU time on one core: put `taskset -c 0` in front.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
from absl import flags
from flax import nnx
from ml_collections import config_flags

from experiments import launch
from experiments.kept_memory import restart_keeping_memory
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
    computation.check_crop(config.recipe.crop_px)
    step = make_train_step(model, optimizer, config=computation)
    state = create_state(model, optimizer)
    batch = random_batch(config.batch_size, config.recipe.crop_px)
    graph, weights = nnx.split(nnx.view(model, use_running_average=True))

    @jax.jit
    def forward(weights, image, trimap):
        return nnx.merge(graph, weights)(network_input(image, trimap))

    def train():
        nonlocal state
        state, metrics = step(state, batch)
        return state, metrics

    def infer():
        return forward(weights, batch["image"], batch["trimap"])

    runs = {"compile and first step": _times(train, 1)}
    runs["step"] = _times(train, repeats)
    _times(infer, 1)
    runs["forward"] = _times(infer, repeats)

    clock = {name: statistics.median(wall) for name, (wall, _) in runs.items()}
    work = {name: min(cpu) for name, (_, cpu) in runs.items()}
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {repeats} runs")
    rows = [
        (name, *(f(t[name], t["forward"]) for t in (clock, work) for f in _CELLS))
        for name in runs
    ]
    header = ("what", "seconds (median)", "forwards", "CPU s (best)", "forwards")
    print(format_table(header, rows))
    print(f"{config.batch_size / clock['step']:.1f} images/s in training")


_CELLS = (
    lambda seconds, _: f"{seconds:.3f}",
    lambda seconds, forward: f"{seconds / forward:.2f}",
)


def _times(call: Callable, repeats: int) -> tuple[list[float], list[float]]:
    """Run a few times; return seconds by the clock and of the process's CPU time."""
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        jax.block_until_ready(call())
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return wall, cpu


if __name__ == "__main__":
    restart_keeping_memory()
    config_flags.DEFINE_config_file("config", None, "Config file.", lock_config=True)
    flags.DEFINE_integer("repeats", 10, "Timed runs of each.", lower_bound=1)
    flags.mark_flags_as_required(["config"])
    launch.run(_main)
