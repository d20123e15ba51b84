"""Several processes, on one host or many, that train one network together."""

from __future__ import annotations

import os
import sys

import jax
import numpy as np
from jax.experimental import multihost_utils

from tmfnet_jax.errors import InputError

AUTOMATIC = "auto"  # SLURM, Kubernetes, Open MPI or a TPU pod say who is who
START_SECONDS = 300  # for all processes to appear
LOST_SECONDS = 60  # without a sign of life after which a process counts as lost


def start(
    coordinator: str, *, processes: int | None = None, process: int | None = None
) -> None:
    """Join the other processes of a run; must come before any use of a device.

    Args:
      coordinator: "HOST:PORT" of process 0, the same for all, or AUTOMATIC.
      processes: their number; AUTOMATIC finds it out.
      process: number of this one, from 0; likewise.
    Raises:
      InputError: if these do not go together or the others do not appear.
    """
    if coordinator == AUTOMATIC:
        known: dict = {}
    elif processes is None or process is None:
        raise InputError(
            "a coordinator needs --processes (their number) and --process (which "
            "this is, from 0); or give --coordinator=auto under SLURM, Kubernetes or "
            "Open MPI"
        )
    elif not 0 <= process < processes:
        raise InputError(
            f"process is {process}; expected 0 to {processes - 1}, as there are "
            f"{processes} processes"
        )
    else:
        known = {
            "coordinator_address": coordinator,
            "num_processes": processes,
            "process_id": process,
        }
    # In the main thread a step that waits for a lost process would end in an abort.
    jax.config.update("jax_cpu_enable_async_dispatch", True)
    try:
        jax.distributed.initialize(
            **known,
            initialization_timeout=START_SECONDS,
            heartbeat_timeout_seconds=LOST_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"the processes of the run did not find each other ({reason}); start all "
            "of them with the same --coordinator=HOST:PORT and --processes"
        ) from None


def is_first() -> bool:
    """Tell whether this process is the one that writes and reports."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Tell whether the flag is set in any process; all must ask."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def wait_for_all(what: str) -> None:
    """Wait until every process has come to this point."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def leave(status: int) -> None:
    """End this process; the others notice and end as well.

    An ordinary end would wait for the others, who may be waiting for this one.
    """
    if jax.process_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
