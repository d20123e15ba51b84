"""Weights files: safetensors that name their own network, or a checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write
from tmfnet_jax.model import TMFNet, TMFNetConfig
from tmfnet_jax.named_weights import resolve
from tmfnet_jax.parameters import array_shapes, check_arrays, network_from_arrays

NETWORK_ENTRY = "tmfnet_jax.network"  # in the file's metadata: TMFNetConfig as JSON
REFINE_ENTRY = "tmfnet_jax.refine"  # "yes" where mattes are better refined
TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin")


def load_network(path: str | Path) -> TMFNet:
    """Load a network with its weights.

    Args:
      path: as of `read_weights`.
    Raises:
      InputError: not weights, truncated, or of another network than it says.
    """
    config, arrays = read_weights(path)
    return network_from_arrays(config, arrays, origin=str(path))


def read_weights(path: str | Path) -> tuple[TMFNetConfig, dict[str, np.ndarray]]:
    """Read a network's configuration and its arrays by name, as stored.

    Args:
      path: a name that `tmfnet models` lists, a safetensors file written by this
        package, or a run's workdir.
    Raises:
      InputError: not weights, truncated, or of another network than it says.
    """
    path = resolve(path)
    if path.is_dir():
        from tmfnet_jax import checkpointing  # Orbax takes a second to import

        return checkpointing.read_weights(path)
    if path.suffix in TORCH_SUFFIXES and path.exists():
        raise InputError(
            f"{path}: a PyTorch file; convert it first: "
            f"tmfnet convert {path.name} {path.stem}.safetensors"
        )
    metadata, arrays = read_safetensors(path)
    return _network_of(metadata, path), arrays


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Read any safetensors file: its metadata and its arrays by name.

    Raises:
      InputError: no such file, another kind of file, or a truncated one.
    """
    with _opened(path) as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return file.metadata() or {}, arrays


def read_notes(path: Path) -> dict[str, str]:
    """Read what `write_weights` noted in a file beside the network."""
    with _opened(path) as file:
        notes = file.metadata() or {}
    return {name: text for name, text in notes.items() if name != NETWORK_ENTRY}


def wants_refinement(path: str | Path) -> bool:
    """Tell whether weights, as of `read_weights`, are best used with `refinement`."""
    path = resolve(path)
    return path.is_file() and read_notes(path).get(REFINE_ENTRY) == "yes"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: no such weights file") from None
    except (safetensors.SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not a whole safetensors file ({error}); name one or copy it again"
        ) from None


def fingerprint(path: str | Path) -> tuple[TMFNetConfig, str]:
    """Return a network's configuration and the SHA-256 of its arrays.

    The digest covers names, types, shapes and values, so that equal weights in a
    file and in a workdir have equal ones.
    """
    config, arrays = read_weights(path)
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return config, digest.hexdigest()


def write_weights(
    path: str | Path,
    config: TMFNetConfig,
    arrays: Mapping[str, np.ndarray],
    *,
    dtype: type[np.floating] = np.float32,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file, whole or not at all.

    Args:
      path: where to; replaced if it exists.
      config: the network, stored in the file.
      arrays: parameters and batch statistics by name.
      dtype: of the kernels, np.float32 or np.float16. Biases and what belongs to
        batch statistics, a hundredth of the whole, stay float32: variances of
        fusion's products exceed float16.
      notes: further text entries for the file's metadata, such as a licence.

    Equal arguments give equal bytes.
    """
    with np.errstate(over="ignore"):  # the check below names what became infinite
        stored = {
            name: np.ascontiguousarray(array, dtype if array.ndim > 1 else np.float32)
            for name, array in arrays.items()
        }
    check_arrays(stored, array_shapes(config), origin=f"{np.dtype(dtype)} weights")
    # Precision of the computation is the user's choice, not the weights'.
    network = dataclasses.replace(config, dtype="float32").to_dict()
    metadata = {**(notes or {}), NETWORK_ENTRY: json.dumps(network)}
    data = memoryview(safetensors.numpy.save(stored))
    # The library would write the entries in an order that changes from run to run.
    start = 8 + int.from_bytes(data[:8], "little")
    header = {"__metadata__": metadata, **json.loads(bytes(data[8:start]))}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the arrays stay aligned
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        file.write(data[start:])


def _network_of(metadata: Mapping[str, str], path: Path) -> TMFNetConfig:
    if NETWORK_ENTRY not in metadata:
        raise InputError(
            f"{path}: a safetensors file, but not of this package (its metadata lacks "
            f"{NETWORK_ENTRY!r}); expected one made by tmfnet convert or by training"
        )
    try:
        return TMFNetConfig.from_dict(json.loads(metadata[NETWORK_ENTRY]))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: unusable network description: {error}") from None
