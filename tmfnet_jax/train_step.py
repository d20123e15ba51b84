"""Training state and the jitted steps; all jitted training code is here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from tmfnet_jax.batch_metrics import batch_confidence, batch_sad_mse
from tmfnet_jax.errors import InputError
from tmfnet_jax.layers import CONVOLUTION, BatchNorm
from tmfnet_jax.losses import (
    LAPLACIAN_LEAST,
    LAPLACIAN_STRIDE,
    total_loss,
    unknown_counts,
)
from tmfnet_jax.model import STRIDE, TMFNet, network_input
from tmfnet_jax.optim import global_norm, running_average
from tmfnet_jax.trimap import TRIMAP_UNKNOWN

Arrays = dict[str, jax.Array]
Batch = Mapping[str, jax.Array] | Mapping[str, np.ndarray]
Metrics = dict[str, jax.Array]
Remat = Literal["none", "convolutions"]
REMAT = ("none", "convolutions")


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class TrainState:
    """All that a step changes: restoring it continues a run exactly.

    Attributes:
      step: [] int32, completed steps.
      params: parameters by name.
      statistics: BatchNorm statistics by name.
      average: running averages of both by name; empty if none are kept.
      optimizer: optax state over the names of the trained parameters.
      skipped: [] int32, steps that left all but the step as it was, because loss or
        gradient was not finite.
      skipped_running: [] int32, how many of them came last, without another between.
    """

    step: jax.Array
    params: Arrays
    statistics: Arrays
    average: Arrays
    optimizer: Any
    skipped: jax.Array
    skipped_running: jax.Array

    def tree(self) -> dict[str, Any]:
        """Return it as nested dicts of arrays, as checkpoints store it."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(self.optimizer)
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        optimizer = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
        return fields | {"optimizer": optimizer}

    def with_tree(self, tree: Mapping[str, Any]) -> TrainState:
        """Return a state of this structure with the values of `tree`."""
        optimizer = jax.tree_util.tree_map_with_path(
            lambda path, _: tree["optimizer"][jax.tree_util.keystr(path)],
            self.optimizer,
        )
        return TrainState(**{**tree, "optimizer": optimizer})

    def arrays(self) -> Arrays:
        """Return the weights to use, parameters and statistics by name."""
        return self.average or {**self.params, **self.statistics}


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """How a step is computed.

    Attributes:
      laplacian: whether the loss has its third term.
      accumulation: parts of the batch that are computed one after the other, which
        takes so much less memory; it changes nothing else.
      norm_groups: parts of the batch with BatchNorm statistics of their own, 1 for
        those of the whole batch. The published run had one of 16 samples on each
        GPU. A multiple of `accumulation`, because no part waits for the others.
      remat: what the backward pass computes again instead of keeping it:
        "convolutions" keeps their results alone.
      average_decay: see `optim.OptimizerConfig`.
    """

    laplacian: bool = True
    accumulation: int = 1
    norm_groups: int = 1
    remat: Remat = "none"
    average_decay: float = 0.0

    def __post_init__(self):
        if self.remat not in REMAT:
            raise InputError(f"remat is {self.remat!r}; expected one of {REMAT}")
        if self.norm_groups < 1 or self.norm_groups % self.accumulation:
            raise InputError(
                f"norm_groups is {self.norm_groups}; expected a multiple of "
                f"accumulation, {self.accumulation}: parts of a batch that are "
                "computed one after the other cannot share their BatchNorm statistics"
            )

    def check_crop(self, side: int) -> None:
        """Raise InputError unless network and losses take crops of so many pixels."""
        multiple, least = STRIDE, STRIDE
        if self.laplacian:
            multiple, least = LAPLACIAN_STRIDE, LAPLACIAN_LEAST
        if side < least or side % multiple:
            raise InputError(
                f"recipe.crop_px is {side}; give a multiple of {multiple}, at least "
                f"{least}"
            )


def parameter_names(model: TMFNet) -> list[str]:
    """Return the names of a network's parameters, as `TrainState.params` has them."""
    return list(_flat(nnx.state(model, nnx.Param)))


def create_state(
    model: TMFNet,
    optimizer: optax.GradientTransformation,
    *,
    frozen: Collection[str] = (),
    averaged: bool = False,
) -> TrainState:
    """Start training from a copy of a network's present weights.

    Args:
      model: the network.
      optimizer: over parameters by name.
      frozen: names of parameters that are not trained.
      averaged: whether running averages are kept.
    """
    _, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    # Copies, because the step donates its state and the model must survive.
    params, statistics = jax.tree.map(jnp.copy, [_flat(state) for state in states])
    average = jax.tree.map(jnp.copy, {**params, **statistics}) if averaged else {}
    zero = np.zeros((), np.int32)
    return TrainState(
        step=jnp.asarray(zero),
        params=params,
        statistics=statistics,
        average=average,
        optimizer=optimizer.init(_without(params, frozen)),
        skipped=jnp.asarray(zero),
        skipped_running=jnp.asarray(zero),
    )


def make_loss(
    model: TMFNet, config: StepConfig, *, frozen: Collection[str] = ()
) -> Callable[..., tuple[jax.Array, Any]]:
    """Build the loss of one of the parts that a batch is computed in.

    Args:
      model: gives the structure; its values are not used.
      config: of the step.
      frozen: names of parameters that are not trained.
    Returns:
      (trained, fixed, statistics, batch, counts) -> (loss, (its terms, new
      statistics)): parameters that are trained and that are not, BatchNorm statistics,
      the part of the batch, and `unknown_counts` of the whole batch. The losses of
      the parts add up to that of the batch.
    """
    parts = config.accumulation
    model = nnx.view(model, groups=config.norm_groups // parts)
    _fix_statistics(model, frozen)
    graph, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    like = jax.eval_shape(lambda: states)

    def loss(trained, fixed, statistics, batch, counts):
        states = map(_unflat, like, ({**fixed, **trained}, statistics))
        network = nnx.merge(graph, *states, copy=True)
        x = network_input(batch["image"], batch["trimap"])
        error_logit = None
        if network.config.confidence:
            pred, error_logit = network.with_error_logit(x)
        else:
            pred = network(x)
        total, terms = total_loss(
            pred,
            _as_floats(batch),
            laplacian=config.laplacian,
            share=1 / parts,
            counts=counts,
            error_logit=error_logit,
        )
        return total, (terms, _flat(nnx.state(network, nnx.BatchStat)))

    if config.remat == "none":
        return loss
    policy = jax.checkpoint_policies.save_only_these_names(CONVOLUTION)
    return jax.checkpoint(loss, policy=policy)


def make_train_step(
    model: TMFNet,
    optimizer: optax.GradientTransformation,
    *,
    config: StepConfig | None = None,
    frozen: Collection[str] = (),
    shardings: Any = None,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Build the jitted step (state, batch) -> (state, metrics).

    Args:
      model: gives the structure; its values are not used.
      optimizer: the one that `create_state` got.
      config: how to compute it.
      frozen: names of parameters that are not trained; BatchNorm layers whose scale
        is among them use their stored statistics.
      shardings: a `TrainState` of them, to be kept; by default the compiler's choice.

    The step donates the state. A batch holds uint8 arrays: image, foreground and
    background [B, H, W, 3]; alpha and trimap [B, H, W, 1]. Over a sharded batch
    BatchNorm and losses see the global batch, so the number of devices does not
    change the result. Where loss or gradient is not finite the state stays as it is
    but for its counters.
    """
    config = StepConfig() if config is None else config
    parts = config.accumulation
    value_and_gradient = jax.value_and_grad(
        make_loss(model, config, frozen=frozen), has_aux=True
    )

    def gradient_of(state, batch):
        """Return ((loss, (terms, statistics)), gradient) of the whole batch."""
        trained = _without(state.params, frozen)
        fixed = {n: p for n, p in state.params.items() if n in frozen}
        counts = unknown_counts(_unknown(batch))

        def part(batch):
            return value_and_gradient(trained, fixed, state.statistics, batch, counts)

        if parts == 1:
            return part(batch)

        def add(sums, batch):
            return jax.tree.map(jnp.add, sums, part(batch)), None

        # Sample i goes to part i modulo parts, which keeps every part spread evenly
        # over the devices.
        split = {
            name: jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0)
            for name, x in batch.items()
        }
        first = {name: x[0] for name, x in split.items()}
        zeros = jax.tree.map(jnp.zeros_like, jax.eval_shape(part, first))
        sums, _ = jax.lax.scan(add, zeros, split)
        (total, (terms, statistics)), gradient = sums
        # Losses are shares of the whole one, but statistics are to be averaged.
        means = jax.tree.map(lambda x: x / parts, statistics)
        return (total, (terms, means)), gradient

    def step(state, batch):
        (total, (terms, statistics)), grads = gradient_of(state, batch)
        trained = _without(state.params, frozen)
        updates, optimizer_state = optimizer.update(grads, state.optimizer, trained)
        params = {**state.params, **optax.apply_updates(trained, updates)}
        average = state.average
        if config.average_decay:
            average = running_average(
                average,
                {**params, **statistics},
                decay=config.average_decay,
                step=state.step,
            )
        gradient_norm = global_norm(grads)
        finite = jnp.isfinite(total) & jnp.isfinite(gradient_norm)
        skipped = (~finite).astype(jnp.int32)

        def kept(new, old):
            return jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)

        new_state = TrainState(
            step=state.step + 1,
            params=kept(params, state.params),
            statistics=kept(statistics, state.statistics),
            average=kept(average, state.average),
            optimizer=kept(optimizer_state, state.optimizer),
            skipped=state.skipped + skipped,
            skipped_running=skipped * (state.skipped_running + 1),
        )
        metrics = {
            "loss": total,
            **terms,
            "gradient_norm": gradient_norm,
            "update_norm": global_norm(updates),
            "parameter_norm": global_norm(new_state.params),
            "skipped": new_state.skipped,
            "skipped_running": new_state.skipped_running,
        }
        return new_state, metrics

    if shardings is None:
        return jax.jit(step, donate_argnums=0)
    everywhere = jax.sharding.NamedSharding(
        shardings.step.mesh, jax.sharding.PartitionSpec()
    )
    return jax.jit(step, donate_argnums=0, out_shardings=(shardings, everywhere))


def make_validation_step(
    model: TMFNet, mesh: jax.sharding.Mesh
) -> Callable[[Arrays, Batch], dict[str, jax.Array]]:
    """Build the jitted (weights, batch) -> arrays of one value a sample, and mattes.

    Args:
      model: gives the structure; its values are not used.
      mesh: over which batches are split.

    Weights are those of `TrainState.arrays`; a batch has image, alpha and trimap as in
    training. The result: sad / 1000 and mse x 1000, [B], of `batch_sad_mse`, and alpha,
    uint8 [B, H, W, 1]; whole on every device. Where the network estimates its error
    also confidence_predicted and confidence_actual, [B], of `batch_confidence`.
    """
    model = nnx.view(model, use_running_average=True)
    graph, state = nnx.split(model)
    like = jax.eval_shape(lambda: state)

    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    @jax.jit(out_shardings=everywhere)
    def validate(weights, batch):
        network = nnx.merge(graph, _unflat(like, weights))
        x = network_input(batch["image"], batch["trimap"])
        calibration = {}
        if network.config.confidence:
            pred, error = network.with_error(x)
            predicted, actual = batch_confidence(
                error, pred, batch["alpha"], batch["trimap"]
            )
            calibration = {
                "confidence_predicted": predicted,
                "confidence_actual": actual,
            }
        else:
            pred = network(x)
        sad, mse = batch_sad_mse(pred, batch["alpha"], batch["trimap"])
        alpha = jnp.rint(255 * jnp.clip(pred, 0, 1)).astype(jnp.uint8)
        return {"sad": sad, "mse": 1000 * mse, "alpha": alpha, **calibration}

    return validate


def _fix_statistics(model: TMFNet, frozen: Collection[str]) -> None:
    for path, module in nnx.iter_modules(model):
        if isinstance(module, BatchNorm) and _name((*path, "scale")) in frozen:
            module.set_view(use_running_average=True)


def _as_floats(batch: Mapping[str, jax.Array]) -> Arrays:
    names = ("image", "alpha", "foreground", "background")
    values = {name: batch[name].astype(jnp.float32) / 255 for name in names}
    return {**values, "unknown": _unknown(batch)}


def _unknown(batch: Batch) -> jax.Array:
    return jnp.asarray(batch["trimap"] == TRIMAP_UNKNOWN, jnp.float32)


def _without(params: Arrays, frozen: Collection[str]) -> Arrays:
    return {name: param for name, param in params.items() if name not in frozen}


def _flat(state: nnx.State) -> Arrays:
    return {_name(path): leaf.get_value() for path, leaf in nnx.to_flat_state(state)}


def _unflat(like: nnx.State, values: Mapping[str, jax.Array]) -> nnx.State:
    return nnx.from_flat_state(
        [
            (path, leaf.replace(values[_name(path)]))
            for path, leaf in nnx.to_flat_state(like)
        ]
    )


def _name(path: tuple) -> str:
    return ".".join(map(str, path))
