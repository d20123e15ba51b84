"""Networks from named arrays and back: the form every file format shares.

An array's name is its path in the network, joined with dots, for example
`encoder.layer1.0.conv1.conv.kernel`; batch statistics are among them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tmfnet_jax.confidence import CONFIDENCE
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNet, TMFNetConfig

LISTED_MISMATCHES = 8
SAME_NETWORK = "weights of the same variant and width"
LAST_SCALE = "conv3.norm.scale"  # of a residual block


@functools.lru_cache(maxsize=16)
def abstract_network(config: TMFNetConfig) -> TMFNet:
    """Return a network of shapes and dtypes only, shared by all callers.

    Costs a second of tracing, but no memory and no compilation.
    """
    return nnx.eval_shape(lambda: TMFNet(config, rngs=nnx.Rngs(0)))


def array_shapes(config: TMFNetConfig) -> dict[str, tuple[int, ...]]:
    """Map the name of every parameter and batch statistic to its shape."""
    return {name: leaf.shape for name, leaf in _leaves(abstract_network(config))}


def named_arrays(model: TMFNet) -> dict[str, np.ndarray]:
    """Copy all parameters and batch statistics to the host, by name."""
    return {name: np.asarray(leaf) for name, leaf in _leaves(model)}


def parameter_count(config: TMFNetConfig) -> int:
    """Count trainable values (batch statistics are not)."""
    state = nnx.state(abstract_network(config), nnx.Param)
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state))


def network_from_arrays(
    config: TMFNetConfig, arrays: Mapping[str, np.ndarray], *, origin: str
) -> TMFNet:
    """Build a network that holds the given arrays as float32.

    Args:
      config: which network.
      arrays: exactly the names of `array_shapes(config)`, any float dtype.
      origin: where the arrays come from; the error message starts with it.
    Raises:
      InputError: lists missing and unexpected names, wrong shapes and
        non-finite values, all at once.
    """
    check_arrays(arrays, array_shapes(config), origin=origin)
    graph, state = nnx.split(abstract_network(config))
    flat = [
        (path, leaf.replace(jnp.asarray(arrays[_name(path)], jnp.float32)))
        for path, leaf in nnx.to_flat_state(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(flat))


def initial_network(config: TMFNetConfig, *, seed: int) -> TMFNet:
    """Build an untrained network: He-normal kernels, zero biases, unit scales.

    The last scale of each residual block is zero, so that the deep encoder starts
    as its shortcuts (Goyal et al. 2017, section 5.1), from which it learns faster
    without pretrained weights.

    Drawn with NumPy, so that a seed means the same network on every device and
    library version, and nothing is compiled.
    """
    arrays = {}
    # The confidence head comes last: all else has the values that it has without one.
    named = sorted(
        array_shapes(config).items(),
        key=lambda item: (item[0].startswith(f"{CONFIDENCE}."), item[0]),
    )
    for index, (name, shape) in enumerate(named):
        if name.endswith(".kernel"):
            draw = np.random.default_rng([seed, index])
            gain = np.sqrt(2 / np.prod(shape[:-1]))
            arrays[name] = gain * draw.standard_normal(shape, np.float32)
        else:
            one = name.endswith((".scale", ".var")) and not name.endswith(LAST_SCALE)
            arrays[name] = np.full(shape, float(one), np.float32)
    return network_from_arrays(config, arrays, origin="initial values")


def check_arrays(
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    origin: str,
    expected: str = SAME_NETWORK,
) -> None:
    """Raise one InputError that names every mismatch between arrays and shapes.

    The message starts with `origin` and ends with what was `expected` instead.
    """
    problems = {
        "missing": [name for name in shapes if name not in arrays],
        "unexpected": [name for name in arrays if name not in shapes],
        "of another shape": [
            f"{name} {tuple(arrays[name].shape)} instead of {tuple(shape)}"
            for name, shape in shapes.items()
            if name in arrays and tuple(arrays[name].shape) != tuple(shape)
        ],
        "not finite": [
            name
            for name in shapes
            if name in arrays
            and not np.isfinite(np.asarray(arrays[name], np.float32)).all()
        ],
    }
    found = [
        f"{len(names)} {kind}: {_listed(names)}"
        for kind, names in problems.items()
        if names
    ]
    if found:
        raise InputError(
            f"{origin}: does not fit this network: {'; '.join(found)}. "
            f"Expected {expected}"
        )


def _listed(names: list[str]) -> str:
    more = len(names) - LISTED_MISMATCHES
    shown = ", ".join(names[:LISTED_MISMATCHES])
    return f"{shown} and {more} more" if more > 0 else shown


def _leaves(model: TMFNet):
    state = nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat))
    return [(_name(path), leaf.get_value()) for path, leaf in nnx.to_flat_state(state)]


def _name(path: tuple) -> str:
    return ".".join(map(str, path))
