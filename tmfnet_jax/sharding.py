"""Devices: how batches and training states are laid over them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tmfnet_jax.errors import InputError

DATA_AXIS = "data"
SHARD_AXIS = "shards"  # of parameters and of all that belongs to them
SMALLEST_SHARDED = 2**14  # values; below it an array is cheaper to copy than to split


def data_mesh(
    devices: Sequence[jax.Device] | None = None, *, parameter_shards: int = 1
) -> Mesh:
    """Arrange devices (default: all, of all processes) along the two axes.

    Batches are split over all devices; with more than one shard, parameters and
    optimiser state are split too, over groups of so many devices, and gathered for
    each use: less memory, more traffic.

    Raises:
      InputError: if the devices cannot be grouped so.
    """
    devices = jax.devices() if devices is None else devices
    if parameter_shards < 1 or len(devices) % parameter_shards:
        raise InputError(
            f"parameter_shards is {parameter_shards}; expected a divisor of the "
            f"number of devices, {len(devices)}"
        )
    return jax.make_mesh(
        (len(devices) // parameter_shards, parameter_shards),
        (DATA_AXIS, SHARD_AXIS),
        axis_types=(AxisType.Auto,) * 2,
        devices=devices,
    )


def state_shardings(mesh: Mesh, tree):
    """Tell where the arrays of a tree go: copied, or split along their longest axis."""
    shards = mesh.shape[SHARD_AXIS]

    def sharding(x) -> NamedSharding:
        axes: list[str | None] = [None] * len(x.shape)
        fitting = [i for i, n in enumerate(x.shape) if n % shards == 0]
        if shards > 1 and fitting and np.prod(x.shape) >= SMALLEST_SHARDED:
            axes[max(fitting, key=lambda i: x.shape[i])] = SHARD_AXIS
        return NamedSharding(mesh, PartitionSpec(*axes))

    return jax.tree.map(sharding, tree)


def place(mesh: Mesh, tree):
    """Put a tree of arrays, equal in all processes, on the devices."""
    on_host = jax.tree.map(np.asarray, tree)
    return jax.device_put(on_host, state_shardings(mesh, tree))


def replicate(mesh: Mesh, tree):
    """Copy a tree of arrays, wherever its parts are, to every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def put_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Split this process's samples over its devices.

    Args:
      mesh: from `data_mesh`.
      batch: arrays whose first axis counts this process's samples.
    Returns:
      Global arrays whose first axis counts the samples of all processes.
    """
    sharding = NamedSharding(mesh, PartitionSpec((DATA_AXIS, SHARD_AXIS)))
    return {
        name: jax.make_array_from_process_local_data(sharding, value)
        for name, value in batch.items()
    }


def local_rows(array: jax.Array) -> np.ndarray:
    """Return this process's part of an array that `put_batch` split."""
    parts = {
        shard.index[0].start or 0: np.asarray(shard.data)
        for shard in array.addressable_shards
    }
    return np.concatenate([parts[start] for start in sorted(parts)])


def check_batch_size(
    batch_size: int, mesh: Mesh, *, accumulation: int = 1, norm_groups: int = 1
) -> None:
    """Raise InputError unless the global batch splits evenly over the devices.

    Args:
      batch_size: samples of a step.
      mesh: from `data_mesh`.
      accumulation: parts of a batch that are computed one after the other.
      norm_groups: parts of a batch with BatchNorm statistics of their own.
    """
    if accumulation < 1:
        raise InputError(f"accumulation is {accumulation}; give at least 1")
    if batch_size < 1 or batch_size % (mesh.size * accumulation):
        parts = f", times accumulation, {accumulation}" if accumulation > 1 else ""
        raise InputError(
            f"batch_size is {batch_size}; expected a multiple of the number of "
            f"devices, {mesh.size}{parts}"
        )
    if norm_groups < 1 or batch_size % norm_groups:
        raise InputError(
            f"norm_groups is {norm_groups}; expected a divisor of batch_size, "
            f"{batch_size}"
        )


def prefetch_to_device(
    mesh: Mesh,
    stream: Generator[Mapping[str, np.ndarray], None, None],
    *,
    depth: int = 2,
) -> Generator[dict[str, jax.Array], None, None]:
    """Copy batches to the devices ahead of their use.

    Copies run beside the computation: while a step works on one batch, the next
    ones are on their way.

    Args:
      mesh: from `data_mesh`.
      stream: of this process's batches; closed with this generator. It must leave
        a batch as it is once given, as the copy may read it later.
      depth: batches on the devices at a time, the one in use included.
    Returns:
      Generator of batches as of `put_batch`, in order. An error of the stream is
      raised after the batches before it.
    Raises:
      InputError: at once, if depth is below 1.
    """
    if depth < 1:
        raise InputError(f"depth is {depth}; give at least 1")
    return _prefetch(mesh, stream, depth)


def _prefetch(
    mesh: Mesh, stream: Generator[Mapping[str, np.ndarray], None, None], depth: int
) -> Generator[dict[str, jax.Array], None, None]:
    pending: deque[dict[str, jax.Array]] = deque()
    with closing(stream):
        try:
            for batch in stream:
                pending.append(put_batch(mesh, batch))
                if len(pending) == depth:
                    yield pending.popleft()
        except Exception:
            yield from pending
            raise
        yield from pending
