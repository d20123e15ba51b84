"""Weights of the published PyTorch code, to and from the names used here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import SAME_NETWORK, array_shapes, check_arrays
from tmfnet_jax.torch_file import read_torch_file

Stem = tuple[tuple[str, str], ...]  # names of its convolutions and BatchNorms

WRAPPERS = ("state_dict", "model")  # keys under which checkpoints keep the tensors
IGNORED_SUFFIX = ".num_batches_tracked"
ENCODER = "backbone.encoder.pretrained"
DECODER = "backbone.decoder"
TORCH_STEM: Stem = (("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1"))
TORCH_FUSION = ("conv_up2", "conv_up3", "conv_up4_1")
TORCH_HEAD = ("conv_up4_2.0", "conv_up4_2.2")
TORCH_CONTEXTS = ("tmp", "mp", "ppm", "tp")
TORCH_FUSIONS = ("lf", "glf", "glf_b", "glf_c")


def key_table(config: TMFNetConfig) -> dict[str, str]:
    """Map each PyTorch state_dict key to the name used here, in PyTorch's order.

    The confidence head is not among them: the published code has none.

    Raises:
      InputError: for a variant that the published PyTorch code does not contain.
    """
    foreign: list[str] = [kind for kind in config.fusion if kind not in TORCH_FUSIONS]
    if config.context not in TORCH_CONTEXTS:
        foreign.append(config.context)
    if foreign:
        raise InputError(
            f"variant with {foreign[0]!r}: the published PyTorch code has no such "
            f"module; expected {', '.join(TORCH_CONTEXTS + TORCH_FUSIONS)}"
        )
    return dict([*encoder_keys(prefix=f"{ENCODER}."), *_decoder_keys(config)])


def read_torch_weights(
    path: str | os.PathLike[str], config: TMFNetConfig
) -> dict[str, np.ndarray]:
    """Read the published code's checkpoint of a network; see `from_torch`."""
    tensors = find_state_dict(read_torch_file(path), origin=str(path))
    return from_torch(tensors, config, origin=str(path))


def from_torch(
    state_dict: Mapping[str, Any], config: TMFNetConfig, *, origin: str
) -> dict[str, np.ndarray]:
    """Rename and transpose a PyTorch state_dict.

    Args:
      state_dict: NumPy arrays by PyTorch key, kernels OIHW.
      config: the network they belong to.
      origin: file name for the error message.
    Returns:
      Arrays by the names used here, kernels HWIO, without a confidence head.
    Raises:
      InputError: lists every missing, unexpected or misshapen entry at once,
        by PyTorch key.
    """
    return rename(state_dict, key_table(config), array_shapes(config), origin=origin)


def rename(
    state_dict: Mapping[str, Any],
    table: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    origin: str,
    expected: str = SAME_NETWORK,
) -> dict[str, np.ndarray]:
    """Rename and transpose by a table; batch counters are left out.

    Args:
      state_dict: NumPy arrays by PyTorch key, kernels OIHW.
      table: PyTorch key to the name used here.
      shapes: by the names used here, kernels HWIO.
      origin: file name for the error message.
      expected: what that message says would fit.
    Returns:
      Views of the arrays by the names used here, kernels HWIO.
    Raises:
      InputError: as `from_torch`.
    """
    tensors = {
        key: value
        for key, value in state_dict.items()
        if not key.endswith(IGNORED_SUFFIX)
    }
    wrong = [key for key, value in tensors.items() if not hasattr(value, "shape")]
    if wrong:
        raise InputError(f"{origin}: entry {wrong[0]!r} is not a tensor")
    wanted = {key: _torch_shape(shapes[name]) for key, name in table.items()}
    check_arrays(tensors, wanted, origin=origin, expected=expected)
    return {name: _to_hwio(tensors[key]) for key, name in table.items()}


def to_torch(
    arrays: Mapping[str, np.ndarray], config: TMFNetConfig
) -> dict[str, np.ndarray]:
    """Inverse of `from_torch`, with a zero batch counter for each BatchNorm.

    A confidence head is left out.
    """
    state_dict = {}
    for key, name in key_table(config).items():
        value = arrays[name]
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        state_dict[key] = np.ascontiguousarray(value)
        if key.endswith(".running_var"):
            counter = key.removesuffix(".running_var") + IGNORED_SUFFIX
            state_dict[counter] = np.zeros((), np.int64)
    return state_dict


def find_state_dict(checkpoint: Any, *, origin: str) -> dict[str, Any]:
    """Return the mapping that holds the tensors: bare or under one of WRAPPERS."""
    if isinstance(checkpoint, dict):
        found = [checkpoint[key] for key in WRAPPERS if key in checkpoint]
        inner = found[0] if found else checkpoint
        if isinstance(inner, dict) and inner and all(isinstance(k, str) for k in inner):
            return inner
    raise InputError(
        f"{origin}: holds no state_dict; expected tensors by name, as they are or "
        f"under {' or '.join(map(repr, WRAPPERS))}"
    )


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape


def _to_hwio(value: np.ndarray) -> np.ndarray:
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value


def _conv(torch: str, ours: str, *, bias: bool) -> Iterator[tuple[str, str]]:
    yield f"{torch}.weight", f"{ours}.kernel"
    if bias:
        yield f"{torch}.bias", f"{ours}.bias"


def _norm(torch: str, ours: str) -> Iterator[tuple[str, str]]:
    yield f"{torch}.weight", f"{ours}.scale"
    yield f"{torch}.bias", f"{ours}.bias"
    yield f"{torch}.running_mean", f"{ours}.mean"
    yield f"{torch}.running_var", f"{ours}.var"


def _conv_norm(conv: str, norm: str, ours: str, *, bias: bool):
    yield from _conv(conv, f"{ours}.conv", bias=bias)
    yield from _norm(norm, f"{ours}.norm")


def encoder_keys(
    *, prefix: str = "", stem: Stem = TORCH_STEM
) -> Iterator[tuple[str, str]]:
    """Yield PyTorch key and name used here of each array of the encoder.

    Args:
      prefix: of the PyTorch keys, with its dot.
      stem: the code's names for the three convolutions in front of layer1, each
        with its BatchNorm; the other names are those of torchvision.
    """
    for index, (conv, norm) in enumerate(stem):
        yield from _conv_norm(
            f"{prefix}{conv}", f"{prefix}{norm}", f"encoder.stem.{index}", bias=False
        )
    for layer, blocks in (("layer1", 3), ("layer2", 4), ("layer3", 6), ("layer4", 3)):
        for block in range(blocks):
            torch, ours = f"{prefix}{layer}.{block}", f"encoder.{layer}.{block}"
            for i in (1, 2, 3):
                yield from _conv_norm(
                    f"{torch}.conv{i}", f"{torch}.bn{i}", f"{ours}.conv{i}", bias=False
                )
            if block == 0:
                yield from _conv_norm(
                    f"{torch}.downsample.0",
                    f"{torch}.downsample.1",
                    f"{ours}.shortcut",
                    bias=False,
                )


def _decoder_keys(config: TMFNetConfig) -> Iterator[tuple[str, str]]:
    for branch in range(4):
        torch = f"{DECODER}.ppm.{branch}.conv"
        ours = f"context.branches.{branch}"
        yield from _conv_norm(f"{torch}.0", f"{torch}.1", ours, bias=True)
    for index in range(2):
        torch = f"{DECODER}.conv_up1"
        yield from _conv_norm(
            f"{torch}.{3 * index}",
            f"{torch}.{3 * index + 1}",
            f"context.merge.{index}",
            bias=True,
        )
    for index, (stage, kind) in enumerate(
        zip(TORCH_FUSION, config.fusion, strict=True)
    ):
        torch, ours = f"{DECODER}.{stage}", f"fusion.{index}"
        yield from _conv(f"{torch}.reduce", f"{ours}.mix", bias=True)
        yield from _conv_norm(
            f"{torch}.out.0", f"{torch}.out.1", f"{ours}.project", bias=True
        )
        yield from _conv(f"{torch}.conv1.0", f"{ours}.squeeze", bias=True)
        yield from _conv(f"{torch}.conv2", f"{ours}.predict", bias=True)
        if kind != "lf":
            yield from _conv(f"{torch}.embconv", f"{ours}.embed", bias=True)
    for index, stage in enumerate(TORCH_HEAD):
        yield from _conv(f"{DECODER}.{stage}", f"head.{index}", bias=True)
