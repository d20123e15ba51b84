"""Train a network: the stages of a run in reading order.

    python -m experiments.train --config=experiments/configs/synthetic.py \
        --workdir=runs/lite [--config.batch_size=16 ...]

Started again with the same workdir, a run continues where its newest checkpoint
ends; the samples, and on a CPU every bit, are those of an uninterrupted run.
Ctrl-C or SIGTERM saves first. All devices are used; on several hosts start it on each
with --coordinator (docs/training.md).
"""

from __future__ import annotations

import logging
import operator
import signal
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict, config_flags
from tqdm import tqdm

from experiments import launch
from experiments.export import export
from experiments.kept_memory import restart_keeping_memory
from experiments.training_batches import make_batches
from experiments.validation import Validator
from experiments.watch import FiniteGuard, Profiler, Speedometer
from experiments.workdir import WEIGHTS_FILE, open_workdir
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.training_data.training_sources import open_source
from tmfnet_jax import distributed
from tmfnet_jax.checkpointing import RunCheckpoints, has_checkpoint, read_state
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNet, TMFNetConfig
from tmfnet_jax.optim import OptimizerConfig, learning_rate_schedule, make_optimizer
from tmfnet_jax.parameters import initial_network, named_arrays, network_from_arrays
from tmfnet_jax.pretrained import load_encoder, load_start
from tmfnet_jax.reporting import MetricWriter
from tmfnet_jax.sharding import (
    check_batch_size,
    data_mesh,
    place,
    prefetch_to_device,
    state_shardings,
)
from tmfnet_jax.train_step import (
    StepConfig,
    TrainState,
    create_state,
    make_train_step,
    parameter_names,
)

AGREE_EVERY = 10  # steps after which several processes ask each other to stop


def train(
    config: ConfigDict,
    workdir: Path,
    *,
    profile_steps: int = 0,
    pause_at: int | None = None,
) -> TrainState:
    """Run or continue a training.

    Args:
      config: as `experiments.configs.common.base_config`.
      workdir: created if missing; holds config.json, metrics.jsonl, checkpoints,
        TensorBoard events and, at the end, weights.safetensors and model_card.md.
      profile_steps: how many of the first steps to trace.
      pause_at: step after which to return with a checkpoint and no export, for the
        next call to go on from; at or beyond the last step there is no pause. With
        it a signal to stop is an error, so that a caller never goes on after one.
    Returns:
      The final state, or that of an interrupted or paused run.
    Raises:
      InputError: bad config or data, another config's workdir, a full disk, or losses
        that are not finite; with `pause_at`, a signal to stop.
    """
    # Settings, checked as a whole before anything is written.
    check_counts(config)
    network = TMFNetConfig.from_dict(config.network.to_dict())
    optimization = OptimizerConfig(**config.optimizer.to_dict())
    recipe = Recipe.from_dict(config.recipe.to_dict())
    computation = StepConfig(
        laplacian=config.laplacian,
        accumulation=config.accumulation,
        norm_groups=config.norm_groups,
        remat=config.remat,
        average_decay=optimization.average_decay,
    )
    computation.check_crop(recipe.crop_px)
    mesh = data_mesh(parameter_shards=config.parameter_shards)
    check_batch_size(
        config.batch_size,
        mesh,
        accumulation=config.accumulation,
        norm_groups=config.norm_groups,
    )
    source = open_source(config.data, seed=config.seed)
    model = initial_network(network, seed=config.seed)
    validate = Validator(config, model, mesh)
    optimizer = make_optimizer(optimization)
    frozen = optimization.frozen(parameter_names(model))
    # State: new, or that of another run, or the newest checkpoint's.
    is_new = not has_checkpoint(workdir)
    if is_new:
        model = starting_network(config, model)
    averaged = bool(optimization.average_decay)
    state = create_state(model, optimizer, frozen=frozen, averaged=averaged)
    state = place(mesh, state)
    if is_new and config.continue_from:
        earlier = read_state(Path(config.continue_from), network, state.tree())
        state = state.with_tree(earlier)
        check_last_step(config, int(state.step), place=config.continue_from)
    open_workdir(workdir, config)

    with RunCheckpoints(
        workdir, network, keep=config.keep_checkpoints, keep_best=config.keep_best
    ) as checkpoints:
        saved = checkpoints.restore_latest(state.tree())
        state = state if saved is None else state.with_tree(saved)
        first, last = int(state.step), last_step(config)
        if saved is not None:
            check_last_step(config, first, place=workdir, finished=True)
        if pause_at is not None and pause_at <= first < last:
            return state
        step_function = make_train_step(
            model,
            optimizer,
            config=computation,
            frozen=frozen,
            shardings=state_shardings(mesh, state),
        )
        schedule = learning_rate_schedule(optimization)

        with (
            MetricWriter(
                workdir if distributed.is_first() else None,
                resume_step=first,
                tensorboard=config.tensorboard,
            ) as writer,
            closing(make_batches(config, source, recipe, first)) as stream,
            closing(prefetch_to_device(mesh, stream)) as batches_on_devices,
            closing(
                Profiler(workdir, first_step=first, steps=profile_steps)
            ) as profiler,
            tqdm(
                total=last,
                initial=first,
                unit="step",
                mininterval=1,
                disable=not distributed.is_first(),
            ) as bar,
            stop_signals() as stop_asked,
        ):
            stopped = False
            guard = FiniteGuard(workdir, stop_after=config.stop_after_skipped)
            speed = Speedometer(config, first_step=first, hours=writer.last("hours"))
            for step in range(first + 1, last + 1):
                batch = next(batches_on_devices)
                state, metrics = step_function(state, batch)
                guard.look(step, batch, metrics)
                profiler.after(step, metrics)
                bar.update()

                pausing = step == pause_at and step < last
                scalars: dict[str, float] = {}
                if step % config.log_every == 0 or step == last or pausing:
                    guard.finish()
                    scalars = {k: float(v) for k, v in jax.device_get(metrics).items()}
                    taken = step - 1 - scalars["skipped"]
                    scalars["learning_rate"] = float(schedule(taken))
                    scalars |= speed.read(step)
                    bar.set_postfix_str(summary(scalars))
                    if config.histograms:
                        writer.write_histograms(step, jax.device_get(state.params))
                stopped = stop_asked(step)
                measured: dict[str, float] = {}
                if validate.due(step, last=step == last) and not stopped:
                    measured, pictures = validate(state.arrays())
                    scalars |= {f"validation_{k}": v for k, v in measured.items()}
                    for index, picture in enumerate(pictures):
                        writer.write_image(f"validation/{index}", step, picture)
                if scalars:
                    writer.write(step, scalars)
                due = step % config.checkpoint_every == 0
                if due or measured or stopped or pausing or step == last:
                    checkpoints.save(step, state.tree(), measured)
                checkpoints.poll()
                if pausing and not stopped:
                    return state
                if stopped and step < last:
                    if pause_at is not None:
                        raise stopped_run(step)
                    logging.warning("%s", stopped_run(step))
                    return state
        export(
            config,
            workdir,
            state,
            checkpoints,
            mesh=mesh,
            source=source,
            hours=writer.last("hours"),
            validated_on=validate.described,
        )
    if stopped and pause_at is not None:
        raise stopped_run(last)
    return state


def stopped_run(step: int) -> InputError:
    """Say that a signal ended a run."""
    return InputError(f"stopped after step {step}; run again to continue")


def check_counts(config: ConfigDict) -> None:
    """Raise InputError for a number of steps or of things to keep that is too low."""
    least = {
        "log_every": 1,
        "checkpoint_every": 1,
        "keep_checkpoints": 1,
        "keep_best": 0,
        "stop_after_skipped": 1,
        "validation.every": 0,
        "until": 0,
    }
    for name, lowest in least.items():
        value = operator.attrgetter(name)(config)
        if value < lowest:
            raise InputError(f"config.{name} is {value}; give at least {lowest}")
    if config.until > config.optimizer.steps:
        raise InputError(
            f"config.until is {config.until} and config.optimizer.steps "
            f"{config.optimizer.steps}; give at most the steps, or 0 for all of them"
        )


def last_step(config: ConfigDict) -> int:
    """Return the step that a run ends with."""
    return config.until or config.optimizer.steps


def check_last_step(
    config: ConfigDict, done: int, *, place: Path | str, finished: bool = False
) -> None:
    """Raise InputError where steps done elsewhere leave none, or too few, to do.

    Args:
      config: of the run.
      done: completed steps.
      place: where they were done.
      finished: whether a run that is complete is fine.
    """
    last = last_step(config)
    if done > last or (done == last and not finished):
        raise InputError(
            f"{place}: is at step {done} and this run ends with step {last}; give a "
            "later step with config.until, or raise optimizer.steps"
        )


def starting_network(config: ConfigDict, model: TMFNet) -> TMFNet:
    """Put the weights that `config.init` or `config.encoder_init` names into it."""
    starts = ("init", "encoder_init", "continue_from")
    given = [f"config.{name}" for name in starts if config[name]]
    if len(given) > 1:
        both = "both" if len(given) == 2 else "all"
        raise InputError(f"{' and '.join(given)} are {both} set; give one")
    path = config.init or config.encoder_init
    if not path:
        return model
    load = load_start if config.init else load_encoder
    arrays = {**named_arrays(model), **load(path, model.config)}
    return network_from_arrays(model.config, arrays, origin=path)


def summary(scalars: dict[str, float]) -> str:
    """Return what the progress bar shows."""
    parts = [f"loss {scalars['loss']:.3f}"]
    parts.append(f"{scalars['images_per_second']:.1f} images/s")
    if share := scalars.get("share_of_peak"):
        parts.append(f"{share:.0%} of peak")
    return ", ".join(parts)


@contextmanager
def stop_signals():
    """Turn Ctrl-C and SIGTERM into a question to ask after each step.

    Several processes stop after the same step, whichever of them got the signal.
    """
    received = []
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(s, lambda *_: received.append(1)) for s in signals]

    def stop_asked(step: int) -> bool:
        if jax.process_count() > 1:
            return step % AGREE_EVERY == 0 and distributed.any_process(bool(received))
        return bool(received)

    try:
        yield stop_asked
    finally:
        for s, handler in zip(signals, previous, strict=True):
            signal.signal(s, handler)


def _main() -> None:
    options = flags.FLAGS
    config, workdir = options.config, Path(options.workdir)
    if options.coordinator:
        distributed.start(
            options.coordinator, processes=options.processes, process=options.process
        )
    if distributed.is_first():
        print(config.copy_and_resolve_references())
    try:
        state = train(config, workdir, profile_steps=options.profile)
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).partition("\n")[0]
        print(
            f"error: another process of the run was lost ({reason}); start all of them "
            "again to continue from the newest checkpoint",
            file=sys.stderr,
        )
        distributed.leave(launch.EXIT_BAD_INPUT)
    if int(state.step) == last_step(config) and distributed.is_first():
        print(f"{workdir / WEIGHTS_FILE}: weights after {int(state.step)} steps")


if __name__ == "__main__":
    restart_keeping_memory()
    config_flags.DEFINE_config_file("config", None, "Config file.", lock_config=True)
    flags.DEFINE_string("workdir", None, "Folder of the run.")
    flags.DEFINE_integer("profile", 0, "Trace so many steps to WORKDIR/profile.")
    flags.DEFINE_string(
        "coordinator",
        None,
        'Several hosts: HOST:PORT of process 0, or "auto" under SLURM, Kubernetes or '
        "Open MPI.",
    )
    flags.DEFINE_integer("processes", None, "With HOST:PORT: number of processes.")
    flags.DEFINE_integer("process", None, "With HOST:PORT: which this is, from 0.")
    flags.mark_flags_as_required(["config", "workdir"])
    launch.run(_main)
