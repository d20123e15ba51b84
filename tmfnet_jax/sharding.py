"""Devices: one mesh axis, replicated parameters, batches split along it."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tmfnet_jax.errors import InputError

DATA_AXIS = "data"


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Arrange devices (default: all) along the data axis."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh(
        (len(devices),), (DATA_AXIS,), axis_types=(AxisType.Auto,), devices=devices
    )


def replicate(mesh: Mesh, tree):
    """Copy a tree of arrays to every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def put_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Split this process's samples over its devices.

    Args:
      mesh: from `data_mesh`.
      batch: arrays whose first axis counts this process's samples.
    Returns:
      Global arrays whose first axis counts the samples of all processes.
    """
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return {
        name: jax.make_array_from_process_local_data(sharding, value)
        for name, value in batch.items()
    }


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raise InputError unless the global batch splits evenly over the devices."""
    if batch_size < 1 or batch_size % mesh.size:
        raise InputError(
            f"batch_size is {batch_size}; expected a multiple of the number of "
            f"devices, {mesh.size}"
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
