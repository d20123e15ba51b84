"""Train a network: the stages of a run in reading order.

    python -m experiments.train --config=experiments/configs/synthetic.py \
        --workdir=runs/lite [--config.batch_size=16 ...]

Started again with the same workdir, a run continues where its newest checkpoint
ends; the samples, and on a CPU every bit, are those of an uninterrupted run.
Ctrl-C or SIGTERM saves first.
"""

from __future__ import annotations

import json
import logging
import signal
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags
from tqdm import tqdm

from experiments import launch
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.streams.batches import KINDS, batches
from input_pipeline.training_data.sources import Source
from input_pipeline.training_data.training_sources import open_source
from tmfnet_jax.checkpointing import RunCheckpoints
from tmfnet_jax.differences import differing_fields
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.optim import OptimizerConfig, learning_rate_schedule, make_optimizer
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.reporting import MetricWriter
from tmfnet_jax.sharding import (
    check_batch_size,
    data_mesh,
    prefetch_to_device,
    replicate,
)
from tmfnet_jax.train_step import TrainState, create_state, make_train_step
from tmfnet_jax.weights import write_weights

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"
LISTED_DIFFERENCES = 3
# What a run may change between its parts: the batches are the same.
FREE_FIELDS = ("data.loader", "data.workers")


def train(config: ConfigDict, workdir: Path) -> TrainState:
    """Run or continue a training.

    Args:
      config: as `experiments.configs.common.base_config`.
      workdir: created if missing; holds config.json, metrics.jsonl, checkpoints,
        TensorBoard events and, at the end, weights.safetensors.
    Returns:
      The final state, or that of an interrupted run.
    Raises:
      InputError: bad config or data, another config's workdir, or a loss that
        is not finite.
    """
    # Settings, checked as a whole before anything is written.
    network = TMFNetConfig.from_dict(config.network.to_dict())
    optimization = OptimizerConfig(**config.optimizer.to_dict())
    recipe = Recipe(**config.recipe.to_dict())
    mesh = data_mesh()
    check_batch_size(config.batch_size, mesh)
    source = open_source(config.data, seed=config.seed)
    open_workdir(workdir, config)

    # State: new, or the newest checkpoint's.
    model = initial_network(network, seed=config.seed)
    optimizer = make_optimizer(optimization)
    step_function = make_train_step(model, optimizer, laplacian=config.laplacian)
    state = replicate(mesh, create_state(model, optimizer))
    schedule = learning_rate_schedule(optimization)

    with RunCheckpoints(workdir, network, keep=config.keep_checkpoints) as checkpoints:
        if checkpoints.latest_step is not None:
            state = state.with_tree(checkpoints.restore_latest(state.tree()))
        first = int(state.step)
        with (
            MetricWriter(
                workdir, resume_step=first, tensorboard=config.tensorboard
            ) as writer,
            closing(make_batches(config, source, recipe, first)) as stream,
            closing(prefetch_to_device(mesh, stream)) as batches_on_devices,
            tqdm(
                total=optimization.steps, initial=first, unit="step", mininterval=1
            ) as bar,
            stop_signals() as stopped,
        ):
            since, clock = first, time.perf_counter()
            for step in range(first + 1, optimization.steps + 1):
                state, metrics = step_function(state, next(batches_on_devices))
                bar.update()
                if step % config.log_every == 0 or step == optimization.steps:
                    scalars = {k: float(v) for k, v in jax.device_get(metrics).items()}
                    require_finite(scalars, since, step)
                    now = time.perf_counter()
                    rate = (step - since) * config.batch_size / (now - clock)
                    since, clock = step, now
                    scalars["learning_rate"] = float(schedule(step - 1))
                    scalars["images_per_second"] = rate
                    writer.write(step, scalars)
                    bar.set_postfix_str(
                        f"loss {scalars['loss']:.3f}, {rate:.1f} images/s"
                    )
                ended = step == optimization.steps or stopped()
                if ended or step % config.checkpoint_every == 0:
                    checkpoints.save(step, state.tree())
                if stopped():
                    logging.warning(
                        "stopped after step %d; run again to continue", step
                    )
                    return state
    arrays = {name: np.asarray(value) for name, value in state.arrays().items()}
    write_weights(workdir / WEIGHTS_FILE, network, arrays)
    return state


def make_batches(
    config: ConfigDict, source: Source, recipe: Recipe, first_step: int
) -> Generator[dict[str, np.ndarray], None, None]:
    """Stream this process's share of the batches from a step on."""
    options = {
        "seed": config.seed,
        "batch_size": config.batch_size,
        "start_step": first_step,
        "shard": (jax.process_index(), jax.process_count()),
        "num_workers": config.data.workers,
    }
    loader = config.data.loader
    if loader in KINDS:
        return batches(source, recipe, kind=loader, **options)
    if loader != "tf":
        raise InputError(
            f"config.data.loader is {loader!r}; expected 'tf', "
            + " or ".join(map(repr, KINDS))
        )
    try:
        from input_pipeline import pipeline
    except ImportError:
        raise InputError(
            "TensorFlow is not installed; install tmfnet-jax[train] or set "
            "--config.data.loader=processes"
        ) from None
    stream = pipeline.dataset(source, recipe, kind="processes", **options)
    return pipeline.as_numpy(stream)


def open_workdir(workdir: Path, config: ConfigDict) -> None:
    """Create the folder with its config, or check that it is this config's."""
    path = workdir / CONFIG_FILE
    wanted = json.loads(config.to_json_best_effort())
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError:
            raise InputError(f"{path}: damaged; use another workdir") from None
        differing = [
            f"{name} is {there} there and {here} here"
            for name, there, here in differing_fields(found, wanted)
            if name not in FREE_FIELDS
        ]
        if differing:
            raise InputError(
                f"{workdir}: holds a run with another config: "
                f"{', '.join(differing[:LISTED_DIFFERENCES])}; use another workdir, or "
                "the same config to continue"
            )
        return
    if workdir.exists() and any(workdir.iterdir()):
        raise InputError(
            f"{workdir}: is not empty and holds no run; use a new or an empty folder"
        )
    workdir.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(json.dumps(wanted, indent=2).encode())


def require_finite(scalars: dict[str, float], since: int, step: int) -> None:
    """Raise InputError, naming the steps, where a metric is NaN or infinite."""
    bad = [name for name, value in scalars.items() if not np.isfinite(value)]
    if bad:
        raise InputError(
            f"{', '.join(bad)} not finite between steps {since + 1} and {step}; lower "
            "config.optimizer.learning_rate and start from an earlier checkpoint"
        )


@contextmanager
def stop_signals():
    """Turn Ctrl-C and SIGTERM into a question to ask after each step."""
    received = []
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(s, lambda *_: received.append(1)) for s in signals]
    try:
        yield lambda: bool(received)
    finally:
        for s, handler in zip(signals, previous, strict=True):
            signal.signal(s, handler)


def _main() -> None:
    config, workdir = flags.FLAGS.config, Path(flags.FLAGS.workdir)
    print(config.copy_and_resolve_references())
    state = train(config, workdir)
    if int(state.step) == config.optimizer.steps:
        print(f"{workdir / WEIGHTS_FILE}: weights after {int(state.step)} steps")


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", None, "Config file.", lock_config=True)
    flags.DEFINE_string("workdir", None, "Folder of the run.")
    flags.mark_flags_as_required(["config", "workdir"])
    launch.run(_main)
