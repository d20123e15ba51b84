"""Weights on disk that a training starts from: an encoder, or a whole network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tmfnet_jax.differences import differing_networks
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import INPUT_CHANNELS, TMFNetConfig
from tmfnet_jax.parameters import array_shapes, check_arrays
from tmfnet_jax.torch_file import read_torch_file
from tmfnet_jax.torch_weights import (
    TORCH_STEM,
    Stem,
    encoder_keys,
    find_state_dict,
    read_torch_weights,
    rename,
)
from tmfnet_jax.weights import (
    NETWORK_ENTRY,
    TORCH_SUFFIXES,
    read_safetensors,
    read_weights,
)

RGB = 3  # channels of the image, the first of the network's input
FIRST_KERNEL = "encoder.stem.0.conv.kernel"
ANCHOR = "layer1.0.conv1.weight"  # every spelling has it; what precedes is the prefix
PARTS = ("conv1.", "bn1.", "stem.", "layer")  # of a ResNet; all but its classifier
STEMS: tuple[Stem, ...] = (
    TORCH_STEM,  # PyTorch-Encoding and timm
    # MMSegmentation
    (("stem.0", "stem.1"), ("stem.3", "stem.4"), ("stem.6", "stem.7")),
    # MMPretrain
    (
        ("stem.0.conv", "stem.0.bn"),
        ("stem.1.conv", "stem.1.bn"),
        ("stem.2.conv", "stem.2.bn"),
    ),
)
STEM_CHANNELS = (64, 64, 128)
FITTING = (
    f"a ResNet-50-s with a stem of 3x3 convolutions to {STEM_CHANNELS} channels, such "
    "as resnet50s of PyTorch-Encoding or of timm"
)
TO_START = "to start from its weights set config.init"


def load_encoder(path: str | Path, config: TMFNetConfig) -> dict[str, np.ndarray]:
    """Read an ImageNet ResNet-50-s into the encoder.

    The kernels of the three image channels are the file's, those of the trimap's
    three are zero. A file's names may stand behind any prefix and under
    "state_dict" or "model"; what is not of the ResNet, as its classifier, is left
    out. The ResNet must take RGB images with IMAGE_MEAN subtracted and divided by
    IMAGE_STD: a file does not tell, and one for BGR or for values up to 255 (those
    from Caffe) fits in shape, but its features of our images are worthless.

    Args:
      path: PyTorch file (.pth, .pt, .ckpt, .bin) or .safetensors.
      config: the network; of width 1.
    Returns:
      Every parameter and batch statistic of the encoder, float32, by the names of
      `array_shapes`, all of which start with "encoder.".
    Raises:
      InputError: unreadable, or not a ResNet-50-s; lists all mismatches.
    Source: the published training configuration.
    """
    path = Path(path)
    if config.width != 1:
        raise InputError(
            f"{path}: a pretrained encoder fits networks of width 1, this one has "
            f"{config.width}; set the width to 1 or start without pretrained weights"
        )
    if path.suffix == ".safetensors":
        metadata, tensors = read_safetensors(path)
        if NETWORK_ENTRY in metadata:
            raise InputError(f"{path}: holds a whole network; {TO_START}")
    elif path.suffix in TORCH_SUFFIXES:
        tensors = find_state_dict(read_torch_file(path), origin=str(path))
    else:
        raise InputError(
            f"{path}: unknown kind of weights; expected a name ending in .safetensors, "
            + ", ".join(TORCH_SUFFIXES)
        )
    return encoder_from_torch(tensors, config, origin=str(path))


def encoder_from_torch(
    state_dict: Mapping[str, Any], config: TMFNetConfig, *, origin: str
) -> dict[str, np.ndarray]:
    """Rename a ResNet's state_dict; see `load_encoder`."""
    prefix = _prefix(state_dict, origin=origin)
    tensors = {
        key: value
        for key, value in state_dict.items()
        if key.startswith(prefix) and key.removeprefix(prefix).startswith(PARTS)
    }
    stems = [s for s in STEMS if f"{prefix}{s[0][0]}.weight" in tensors]
    stem = stems[0] if stems else TORCH_STEM
    shapes = dict(array_shapes(config))
    height, width, inputs, outputs = shapes[FIRST_KERNEL]
    shapes[FIRST_KERNEL] = (height, width, RGB, outputs)
    arrays = rename(
        tensors,
        dict(encoder_keys(prefix=prefix, stem=stem)),
        shapes,
        origin=origin,
        expected=_fitting([f"{prefix}{conv}.weight" for conv, _ in stem], tensors),
    )
    trimap = np.zeros((height, width, inputs - RGB, outputs), np.float32)
    arrays[FIRST_KERNEL] = np.concatenate([arrays[FIRST_KERNEL], trimap], axis=2)
    # Copies: a file's arrays change with the file.
    return {name: np.array(v, np.float32, order="C") for name, v in arrays.items()}


def load_start(path: str | Path, config: TMFNetConfig) -> dict[str, np.ndarray]:
    """Read the weights of a whole network, to train on from them.

    Args:
      path: what `Matting.load` takes (a safetensors file of this package, or a
        run's workdir), or a .pth file of the published code.
      config: the network that they must be of; only `dtype` may be another, and
        weights may lack the confidence head.
    Returns:
      Every parameter and batch statistic, float32, by name; of the confidence head
      only where the weights have it.
    Raises:
      InputError: unreadable, or of another network; lists the settings that
        differ, or, as a .pth file tells no settings, the arrays.
    """
    path = Path(path)
    if path.suffix in TORCH_SUFFIXES:
        arrays = read_torch_weights(path, config)
    else:
        found, arrays = read_weights(path)
        if not found.confidence:
            config = dataclasses.replace(config, confidence=False)
        if differing := differing_networks(found, config):
            raise InputError(
                f"{path}: weights of another network: {', '.join(differing)}; give "
                "weights of this network, or this network their settings"
            )
        check_arrays(arrays, array_shapes(config), origin=str(path))
    return {name: np.array(v, np.float32, order="C") for name, v in arrays.items()}


def _prefix(state_dict: Mapping[str, Any], *, origin: str) -> str:
    """Return what precedes the ResNet's own names; "" where none are found."""
    prefixes = [
        key.removesuffix(ANCHOR)
        for key in state_dict
        if key == ANCHOR or key.endswith(f".{ANCHOR}")
    ]
    if len(prefixes) > 1:
        raise InputError(
            f"{origin}: holds {len(prefixes)} encoders, below "
            f"{', '.join(map(repr, prefixes))}; expected one, delete the others"
        )
    return prefixes[0] if prefixes else ""


def _fitting(stem: list[str], tensors: Mapping[str, Any]) -> str:
    """Say what would fit, and what the stem with these keys is instead."""
    shapes: list[tuple[int, ...]] = [
        getattr(tensors.get(key), "shape", ()) for key in stem
    ]
    if not all(len(shape) == 4 for shape in shapes):
        return FITTING
    if shapes[0][1] == INPUT_CHANNELS:
        return f"{FITTING}; this is a matting network's encoder, {TO_START}"
    channels = tuple(shape[0] for shape in shapes)
    return FITTING if channels == STEM_CHANNELS else f"{FITTING}; this has {channels}"
