"""Every use of Orbax: saving and restoring a run, reading weights from a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig

FOLDER = "checkpoints"
WEIGHTS = ("params", "statistics")


class RunCheckpoints:
    """The checkpoints of one run, under WORKDIR/checkpoints.

    A checkpoint is a tree of named arrays; with it goes the network's
    configuration, so that its weights can be used without the run's config.
    Saving happens in the background; a checkpoint that is listed is complete.
    """

    def __init__(self, workdir: Path, network: TMFNetConfig, *, keep: int):
        policies = ocp.training.preservation_policies
        self._checkpointer = ocp.training.Checkpointer(
            Path(workdir).absolute() / FOLDER,
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(
                1
            ),
            preservation_policy=policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )
        self._metadata = {"network": dataclasses.asdict(network)}

    @property
    def latest_step(self) -> int | None:
        """Number of completed steps in the newest checkpoint, or None."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, tree: Any) -> None:
        """Save after `step` completed steps, unless that is saved already."""
        if step != self.latest_step:
            self._checkpointer.save_async(step, tree, custom_metadata=self._metadata)

    def restore_latest(self, like: Any) -> Any:
        """Load the newest checkpoint into the shapes and shardings of `like`."""
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
        )
        return self._checkpointer.load(self.latest_step, abstract)

    def close(self) -> None:
        """Wait for the last save to be complete."""
        self._checkpointer.close()

    def __enter__(self) -> RunCheckpoints:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close, also after an error in the run."""
        self.close()


def read_weights(path: Path) -> tuple[TMFNetConfig, dict[str, np.ndarray]]:
    """Read configuration and arrays from a checkpoint.

    Args:
      path: a run's workdir, its `checkpoints` folder (both: newest step), or
        the folder of one step.
    Returns:
      The network's configuration, and parameters and batch statistics by name.
    Raises:
      InputError: no complete checkpoint there, or one that is not a TMFNet's.
    """
    folder = _step_folder(Path(path))
    try:
        metadata = ocp.metadata(folder)
        tree = metadata.metadata
        network = metadata.custom_metadata["network"]
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
        )
        loaded = ocp.load(folder, abstract)
        arrays = {k: np.asarray(v) for part in WEIGHTS for k, v in loaded[part].items()}
    except InputError:
        raise
    except Exception as error:  # Orbax raises many kinds for a damaged folder
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{path}: unreadable checkpoint ({reason}); use another step or run"
        ) from None
    return TMFNetConfig.from_dict(network), arrays


def _step_folder(path: Path) -> Path:
    if path.name.isdigit():
        return path.absolute()
    for folder in (path / FOLDER, path):
        steps = [int(p.name) for p in folder.glob("*") if p.name.isdigit()]
        if steps:
            return folder.absolute() / str(max(steps))
    raise InputError(
        f"{path}: holds no checkpoint; expected a workdir of experiments/train.py, "
        f"its {FOLDER} folder or a step in it"
    )
