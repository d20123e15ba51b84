"""`tmfnet convert`: weights between PyTorch and safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from tmfnet_jax.commands.common import add_command, keep_inputs
from tmfnet_jax.errors import InputError


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "convert",
        _convert,
        "convert weights between PyTorch and safetensors",
        "The direction follows from the names: .pth to .safetensors or back. PyTorch\n"
        "is not needed, and nothing in the file is executed: a file that holds more\n"
        "than tensors and plain values is refused.\n\n"
        "example: tmfnet convert comp1k.pth comp1k.safetensors",
    )
    parser.add_argument("source", type=Path, help=".pth, .safetensors or a workdir")
    parser.add_argument("target", type=Path, help=".safetensors or .pth to write")
    parser.add_argument(
        "--variant",
        default="tmfnet",
        help="network of a .pth file, a name that `tmfnet info` lists; default: tmfnet",
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="store kernels as float16: half the size, about three decimal digits",
    )


def _convert(options: argparse.Namespace) -> None:
    import numpy as np

    from tmfnet_jax.confidence import CONFIDENCE
    from tmfnet_jax.named_weights import resolve
    from tmfnet_jax.torch_file import write_torch_file
    from tmfnet_jax.torch_weights import read_torch_weights, to_torch
    from tmfnet_jax.variants import named_config
    from tmfnet_jax.weights import (
        TORCH_SUFFIXES,
        read_notes,
        read_weights,
        write_weights,
    )

    source, target = resolve(options.source), options.target
    keep_inputs(target, source)
    if target.suffix not in (".safetensors", *TORCH_SUFFIXES):
        raise InputError(
            f"{target}: unknown kind of weights; expected a name ending in "
            f".safetensors or {TORCH_SUFFIXES[0]}"
        )
    notes = {}
    if source.suffix in TORCH_SUFFIXES:
        config = named_config(options.variant)
        arrays = read_torch_weights(source, config)
    else:
        config, arrays = read_weights(source)
        if source.is_file():  # a workdir has none
            notes = read_notes(source)
    if config.confidence and target.suffix != ".safetensors":
        print("left out, as the PyTorch code has no such module: the confidence head")
        arrays = {n: a for n, a in arrays.items() if not n.startswith(f"{CONFIDENCE}.")}
    dtype = np.float16 if options.half else np.float32
    if target.suffix == ".safetensors":
        write_weights(target, config, arrays, dtype=dtype, notes=notes)
    else:
        arrays = {name: np.asarray(value, dtype) for name, value in arrays.items()}
        write_torch_file(target, to_torch(arrays, config))
    size = target.stat().st_size / 1e6
    print(f"{target}: {len(arrays)} arrays, {size:.1f} MB")
