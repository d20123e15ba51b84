"""Training state and the one jitted step; all jitted training code is here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from tmfnet_jax.losses import total_loss
from tmfnet_jax.model import TMFNet, network_input
from tmfnet_jax.trimap import TRIMAP_UNKNOWN

Batch = Mapping[str, jax.Array] | Mapping[str, np.ndarray]
Metrics = dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class TrainState:
    """All that a step changes: restoring it continues a run exactly.

    Attributes:
      step: [] int32, completed steps.
      params: parameters by name.
      statistics: BatchNorm statistics by name.
      optimizer: optax state over the same names.
    """

    step: jax.Array
    params: dict[str, jax.Array]
    statistics: dict[str, jax.Array]
    optimizer: Any

    def tree(self) -> dict[str, Any]:
        """Return it as nested dicts of arrays, as checkpoints store it."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(self.optimizer)
        return {
            "step": self.step,
            "params": self.params,
            "statistics": self.statistics,
            "optimizer": {jax.tree_util.keystr(path): leaf for path, leaf in leaves},
        }

    def with_tree(self, tree: Mapping[str, Any]) -> TrainState:
        """Return a state of this structure with the values of `tree`."""
        optimizer = jax.tree_util.tree_map_with_path(
            lambda path, _: tree["optimizer"][jax.tree_util.keystr(path)],
            self.optimizer,
        )
        return TrainState(tree["step"], tree["params"], tree["statistics"], optimizer)

    def arrays(self) -> dict[str, jax.Array]:
        """Return parameters and statistics by name: the network's weights."""
        return {**self.params, **self.statistics}


def create_state(model: TMFNet, optimizer: optax.GradientTransformation) -> TrainState:
    """Start training from a copy of a network's present weights."""
    _, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    # A copy, because the step donates its state and the model must survive.
    params, statistics = jax.tree.map(jnp.copy, [_flat(state) for state in states])
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        statistics=statistics,
        optimizer=optimizer.init(params),
    )


def make_train_step(
    model: TMFNet,
    optimizer: optax.GradientTransformation,
    *,
    laplacian: bool = True,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Build the jitted step (state, batch) -> (state, metrics).

    Args:
      model: gives the structure; its values are not used.
      optimizer: the one that `create_state` got.
      laplacian: whether the loss has its Laplacian term.

    The step donates the state. A batch holds uint8 arrays: image, foreground and
    background [B, H, W, 3]; alpha and trimap [B, H, W, 1]. Over a sharded batch
    BatchNorm and losses see the global batch, so the number of devices does not
    change the result.
    """
    graph, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    like = jax.eval_shape(lambda: states)

    def loss(params, statistics, batch):
        states = map(_unflat, like, (params, statistics))
        network = nnx.merge(graph, *states, copy=True)
        pred = network(network_input(batch["image"], batch["trimap"]))
        total, terms = total_loss(pred, _on_device(batch), laplacian=laplacian)
        return total, (terms, _flat(nnx.state(network, nnx.BatchStat)))

    @jax.jit(donate_argnums=0)
    def step(state, batch):
        gradient = jax.value_and_grad(loss, has_aux=True)
        (total, (terms, statistics)), grads = gradient(
            state.params, state.statistics, batch
        )
        updates, new_optimizer = optimizer.update(grads, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {
            "loss": total,
            **terms,
            "gradient_norm": optax.tree.norm(grads),
            "update_norm": optax.tree.norm(updates),
            "parameter_norm": optax.tree.norm(params),
        }
        return TrainState(state.step + 1, params, statistics, new_optimizer), metrics

    return step


def _on_device(batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    names = ("image", "alpha", "foreground", "background")
    values = {name: batch[name].astype(jnp.float32) / 255 for name in names}
    unknown = batch["trimap"] == TRIMAP_UNKNOWN
    return {**values, "unknown": unknown.astype(jnp.float32)}


def _flat(state: nnx.State) -> dict[str, jax.Array]:
    return {
        ".".join(map(str, path)): leaf.get_value()
        for path, leaf in nnx.to_flat_state(state)
    }


def _unflat(like: nnx.State, values: Mapping[str, jax.Array]) -> nnx.State:
    return nnx.from_flat_state(
        [
            (path, leaf.replace(values[".".join(map(str, path))]))
            for path, leaf in nnx.to_flat_state(like)
        ]
    )
