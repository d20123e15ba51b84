"""Operations of a network, counted in its traced program under a stated rule."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend import core

from tmfnet_jax.local_filter import TAPS
from tmfnet_jax.model import INPUT_CHANNELS, TMFNetConfig
from tmfnet_jax.parameters import abstract_network

PAPER_SIZE = 2048  # side of the image in the paper's Table 6, in pixels

# Each rule in words, to be printed beside its numbers.
RULES = {
    "convolutions": "multiply-adds of the convolutions alone.",
    "layers": "as MMCV's counter visits layers: the convolutions, 1 per output for a "
    "bias, 2 per value for batch normalisation, 1 per value for ReLU and LeakyReLU, "
    "1 per value that pooling reads.",
    "published": "layers, the per-pixel filters, and every tap of TMP's and MP's "
    "stride-1 pooling windows (31, 17, 11, 5) on all of C5's channels, as if C5 were "
    "pooled before its reduction from 2048 to 256. For TMFNet at 2048x2048 those are "
    "46.8 G of taps and 1121.8 G in all, beside the published 1121; on the maps that "
    "the network does pool they are 5.9 G, which would make 1080.8.",
}


@dataclasses.dataclass(frozen=True)
class Operations:
    """Operations for one image, by kind.

    Attributes:
      convolutions: multiply-adds, kernel height * kernel width * input channels
        for every output value.
      vectors: additions and multiplications of maps by one value a channel: 1
        per value for a bias, 2 for batch normalisation.
      activations: values that ReLU or LeakyReLU gives out.
      pooling: values that pooling of any kind reads; maps of which the mean is
        taken at several places are counted once.
      window_taps: taps of stride-1 pooling windows over all pixels, borders
        included, for one channel.
      filters: multiply-adds of the per-pixel filters (GLF and CARAFE).
      c5_channels: channels of the encoder's output.
    """

    convolutions: int
    vectors: int
    activations: int
    pooling: int
    window_taps: int
    filters: int
    c5_channels: int

    def total(self, rule: str) -> int:
        """Add up by one of RULES."""
        layers = self.convolutions + self.vectors + self.activations + self.pooling
        taps = self.window_taps * self.c5_channels
        return {
            "convolutions": self.convolutions,
            "layers": layers,
            "published": layers + self.filters + taps,
        }[rule]


def count_operations(config: TMFNetConfig, height: int, width: int) -> Operations:
    """Count the operations for one image, whatever rule is to add them up.

    Read off the traced program; nothing is run and no memory needed, for any size.

    Args:
      config: the network; the type of its computation makes no difference.
      height: of its input in pixels, divisible by 16.
      width: likewise.
    """
    # In bfloat16 values would go by other names after each conversion.
    abstract = abstract_network(dataclasses.replace(config, dtype="float32"))
    graph, state = nnx.split(nnx.view(abstract, use_running_average=True))
    x = jax.ShapeDtypeStruct((1, height, width, INPUT_CHANNELS), jnp.float32)
    traced = jax.make_jaxpr(lambda state, x: nnx.merge(graph, state)(x))(state, x)
    tally = _Tally()
    for equation in _equations(traced.jaxpr):
        tally.add(equation)
    return Operations(**tally.counts, c5_channels=abstract.encoder.channels[-1])


def convolution_macs(config: TMFNetConfig, height: int, width: int) -> int:
    """Count the convolutions' multiply-adds alone; see `count_operations`."""
    return count_operations(config, height, width).convolutions


class _Tally:
    """Adds equations up in their order, and knows two things of earlier values."""

    def __init__(self):
        self.counts = dict.fromkeys(_COUNTED, 0)
        self._per_channel: set[core.Var] = set()  # [1, 1, 1, C], made from [C]
        self._not_read: set[core.Var] = set()  # constants, what pooling has reduced

    def add(self, equation: core.JaxprEqn) -> None:
        counts, inputs = self.counts, _variables(equation)
        output = equation.outvars[0]
        values = _size(output)
        match _name(equation):
            case "conv_general_dilated":
                counts["convolutions"] += values * _macs_per_value(equation)
            case "relu" | "leaky_relu":
                counts["activations"] += values
            case "filter_shifts":
                counts["filters"] += TAPS * values
            case "add" | "mul" if self._per_channel.intersection(inputs):
                counts["vectors"] += values
            case "reshape" | "broadcast_in_dim" | "convert_element_type":
                ranks = [len(_shape(v)) for v in (*inputs, output)]
                if ranks == [1, 4] or self._per_channel.intersection(inputs):
                    self._per_channel.add(output)
                elif not inputs:
                    self._not_read.add(output)
            case "div" if self._not_read.intersection(inputs):
                self._not_read.add(output)
            case "reduce_sum" if equation.params["axes"] != (1, 2):
                pass
            case (
                "reduce_window_max" | "reduce_window_sum" | "dot_general" | "reduce_sum"
            ):
                self._pool(equation, inputs)
                self._not_read.add(output)

    def _pool(self, equation: core.JaxprEqn, inputs: list[core.Var]) -> None:
        """Count a pooling by its first step.

        Windows and cells are summed along one axis, then along the other; windows
        over ones only tell how many pixels lie inside the image.
        """
        for pooled in inputs:
            shape = _shape(pooled)
            if len(shape) != 4 or pooled in self._not_read:
                continue
            self.counts["pooling"] += math.prod(shape)
            if _name(equation) == "reduce_sum":
                self._not_read.add(pooled)  # G of three stages is one mean
            if _name(equation) == "reduce_window_sum" and shape[-1] > 1:
                # A square window; the one-channel mask's is the same again.
                side = max(equation.params["window_dimensions"])
                self.counts["window_taps"] += side**2 * shape[1] * shape[2]


_COUNTED = [f.name for f in dataclasses.fields(Operations) if f.name != "c5_channels"]


def _macs_per_value(equation: core.JaxprEqn) -> int:
    kernel = _shape(equation.invars[1])
    output_axis = equation.params["dimension_numbers"].rhs_spec[0]
    return math.prod(kernel) // kernel[output_axis]


def _variables(equation: core.JaxprEqn) -> list[core.Var]:
    return [v for v in equation.invars if isinstance(v, core.Var)]


def _shape(variable: core.Var | core.Literal) -> tuple[int, ...]:
    return cast(jax.core.ShapedArray, variable.aval).shape


def _size(variable: core.Var | core.Literal) -> int:
    return math.prod(_shape(variable))


def _name(equation: core.JaxprEqn) -> str:
    """Name the function that was called, or else the primitive."""
    if equation.primitive.name == "custom_vjp_call":
        return equation.params["call_jaxpr"].jaxpr.debug_info.func_name
    return equation.params.get("name", equation.primitive.name)


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
