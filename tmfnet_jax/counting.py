"""Multiply-adds of a network, counted in its traced program."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend import core

from tmfnet_jax.model import INPUT_CHANNELS, TMFNetConfig
from tmfnet_jax.parameters import abstract_network

PAPER_SIZE = 2048  # side of the image in the paper's Table 6, in pixels


def convolution_macs(config: TMFNetConfig, height: int, width: int) -> int:
    """Count the convolutions' multiply-adds for one image.

    Kernel height * kernel width * input channels for every output value, biases
    and everything that is no convolution left out. Traced, not run: no memory
    is needed for any size.
    """
    model = nnx.view(abstract_network(config), use_running_average=True)
    graph, state = nnx.split(model)
    x = jax.ShapeDtypeStruct((1, height, width, INPUT_CHANNELS), jnp.float32)
    traced = jax.make_jaxpr(lambda state, x: nnx.merge(graph, state)(x))(state, x)
    return sum(
        _macs(equation)
        for equation in _equations(traced.jaxpr)
        if equation.primitive.name == "conv_general_dilated"
    )


def _macs(equation: core.JaxprEqn) -> int:
    kernel, output = (_shape(v) for v in (equation.invars[1], equation.outvars[0]))
    output_axis = equation.params["dimension_numbers"].rhs_spec[0]
    per_value = math.prod(kernel) // kernel[output_axis]
    return per_value * math.prod(output)


def _shape(variable: core.Var | core.Literal) -> tuple[int, ...]:
    return cast(jax.core.ShapedArray, variable.aval).shape


def _equations(jaxpr: core.Jaxpr) -> Iterator[core.JaxprEqn]:
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in _jaxprs(value):
                yield from _equations(inner)


def _jaxprs(value: Any) -> Iterator[core.Jaxpr]:
    if isinstance(value, core.ClosedJaxpr):
        yield value.jaxpr
    elif isinstance(value, core.Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _jaxprs(item)
