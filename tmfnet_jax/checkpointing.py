"""Every use of Orbax: saving and restoring a run, reading weights from a run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from tmfnet_jax.differences import differing_fields, differing_networks
from tmfnet_jax.distributed import any_process, is_first, wait_for_all
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write
from tmfnet_jax.model import TMFNetConfig

FOLDER = "checkpoints"
DAMAGED_FOLDER = "damaged-checkpoints"
DIGESTS_FILE = "sha256.json"  # in a checkpoint's folder: of its other files
LONGEST_REASON = 200  # characters of another library's message
LISTED_DIFFERENCES = 3
RANKED_BY = "sad"  # metric of the best checkpoints: the lower the better

_log = logging.getLogger(__name__)


class RunCheckpoints:
    """The checkpoints of one run, under WORKDIR/checkpoints.

    A checkpoint is a tree of named arrays; with it goes the network's configuration,
    so that its weights can be used without the run's config. Saving happens in the
    background; a checkpoint that is listed is complete. `poll` then adds the digests
    of its files, by which later damage is found: a damaged checkpoint is moved to
    WORKDIR/damaged-checkpoints, with a warning, if there is a whole one beside it.

    Args:
      workdir: of the run.
      network: its network.
      keep: how many of the last ones stay.
      keep_best: how many of those with the lowest SAD stay beside them.

    Raises:
      InputError: if there are checkpoints, but all are damaged.
    """

    def __init__(
        self, workdir: Path, network: TMFNetConfig, *, keep: int, keep_best: int = 0
    ):
        policies = ocp.training.preservation_policies
        best = policies.BestN(
            get_metric_fn=lambda metrics: -metrics[RANKED_BY],  # the highest stay
            n=keep_best,
            keep_checkpoints_without_metrics=False,
        )
        self._workdir = Path(workdir).absolute()
        # Before Orbax looks at them, which fills the terminal over a damaged one.
        self._set_damaged_aside()
        every = ocp.training.save_decision_policies.FixedIntervalPolicy(1)
        self._checkpointer = ocp.training.Checkpointer(
            self._workdir / FOLDER,
            save_decision_policy=every,
            preservation_policy=policies.AnyPreservationPolicy(
                [policies.LatestN(keep), best]
            ),
            cleanup_tmp_directories=True,
        )
        self._metadata = {"network": network.to_dict()}
        self._saving: tuple[int, Any] | None = None
        self._failed = False

    @property
    def latest_step(self) -> int | None:
        """Number of completed steps in the newest checkpoint, or None."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def measured(self) -> dict[int, dict[str, float]]:
        """Return the metrics that checkpoints were saved with, by step."""
        return {c.step: c.metrics for c in self._checkpointer.checkpoints if c.metrics}

    def save(
        self,
        step: int,
        tree: Mapping[str, Any],
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Save after `step` completed steps, unless that is saved already.

        Raises:
          InputError: if the save before this one has failed.
        """
        if step == self.latest_step:
            return
        self._finish()
        try:
            saving = self._checkpointer.save_async(
                step,
                tree,
                metrics=dict(metrics) if metrics else None,
                custom_metadata=self._metadata,
            )
        except Exception as error:  # many kinds for one full disk
            self._failed = True
            raise _not_written(step, error) from None
        self._saving = step, saving

    def poll(self) -> None:
        """Complete the save under way if it is written; to be called now and then."""
        if self._saving and not self._checkpointer.is_saving_in_progress():
            self._finish()

    def restore_latest(self, like: Mapping[str, Any]) -> dict[str, Any] | None:
        """Load the newest checkpoint, None if there is none; see `load`."""
        step = self.latest_step
        return None if step is None else self.load(step, like)

    def load(self, step: int, like: Mapping[str, Any]) -> dict[str, Any]:
        """Load the checkpoint of a step.

        Args:
          step: of one of the checkpoints.
          like: tree whose shapes and shardings the result gets; the checkpoint may
            have been written from other devices.
        Raises:
          InputError: if it is of another structure or cannot be read.
        """
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
        )
        try:
            return self._checkpointer.load(step, abstract)
        except Exception as error:  # of many kinds
            folder = self._workdir / FOLDER / str(step)
            raise InputError(
                f"{folder}: cannot be restored ({_first_line(error)}); move this "
                "folder away to continue from the checkpoint before it"
            ) from None

    def close(self) -> None:
        """Wait for the last save to be complete; InputError if it failed."""
        try:
            self._finish()
        finally:
            # Orbax raises the error of a failed save once more.
            with contextlib.suppress(*([Exception] if self._failed else [])):
                self._checkpointer.close()

    def __enter__(self) -> RunCheckpoints:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close, also after an error in the run."""
        self.close()

    def _finish(self) -> None:
        """Wait for the save under way."""
        if self._saving is None:
            return
        (step, saving), self._saving = self._saving, None
        try:
            saving.result()
            if is_first():
                _write_digests(self._workdir / FOLDER / str(step))
        except Exception as error:
            self._failed = True
            raise _not_written(step, error) from None

    def _set_damaged_aside(self) -> None:
        folder = self._workdir / FOLDER
        steps, reasons = _steps(folder), {}
        if is_first():
            found = {step: _damage(folder / str(step)) for step in steps}
            reasons = {step: why for step, why in found.items() if why is not None}
        listed = ", ".join(f"{step} ({why})" for step, why in reasons.items())
        if any_process(bool(reasons) and len(reasons) == len(steps)):
            raise InputError(
                f"{folder}: all checkpoints are damaged: {listed}; put "
                "a copy in their place, or use another workdir to start anew"
            )
        for step in reasons:
            place = self._workdir / DAMAGED_FOLDER
            place.mkdir(exist_ok=True)
            taken = len([*place.glob(f"{step}*")])
            name = f"{step}-{taken}" if taken else str(step)
            (folder / str(step)).rename(place / name)
        if reasons:
            _log.warning(
                "damaged checkpoints moved to %s: %s",
                self._workdir / DAMAGED_FOLDER,
                listed,
            )
        wait_for_all("damaged checkpoints are set aside")


def read_weights(path: Path) -> tuple[TMFNetConfig, dict[str, np.ndarray]]:
    """Read configuration and arrays from a checkpoint.

    Args:
      path: a run's workdir, its `checkpoints` folder (both: newest step), or
        the folder of one step.
    Returns:
      The network's configuration, and parameters and batch statistics by name: their
      running averages where the run keeps any.
    Raises:
      InputError: no complete checkpoint there, a damaged one, or one that is not a
        TMFNet's.
    """
    folder = _step_folder(Path(path))
    try:
        if reason := _damage(folder):
            raise InputError(reason)
        metadata = ocp.metadata(folder)
        network = metadata.custom_metadata["network"]
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
            metadata.metadata,
        )
        tree = ocp.load(folder, abstract)
        found = tree["average"] or {**tree["params"], **tree["statistics"]}
        arrays = {name: np.asarray(value) for name, value in found.items()}
    except Exception as error:  # Orbax raises many kinds for a damaged folder
        raise _unreadable(path, error) from None
    return TMFNetConfig.from_dict(network), arrays


def has_checkpoint(workdir: Path) -> bool:
    """Tell whether a run has left a checkpoint, whole or damaged."""
    return newest_step(workdir) > 0


def newest_step(workdir: Path) -> int:
    """Return the step of a run's newest checkpoint, whole or damaged; 0 for none."""
    return max(_steps(Path(workdir) / FOLDER), default=0)


def read_state(
    path: Path, network: TMFNetConfig, like: Mapping[str, Any]
) -> dict[str, Any]:
    """Read the whole state of another run, to go on from it.

    Args:
      path: as of `read_weights`.
      network: that the state must be of; only `dtype` may be another.
      like: as of `RunCheckpoints.load`.
    Returns:
      The tree that was saved, on the devices of `like`.
    Raises:
      InputError: no complete checkpoint there, a damaged one, one of another network,
        or a state of other parts, as after another optimiser.
    """
    folder = _step_folder(Path(path))
    try:
        if reason := _damage(folder):
            raise InputError(reason)
        metadata = ocp.metadata(folder)
        theirs = TMFNetConfig.from_dict(metadata.custom_metadata["network"])
        found = _forms(metadata.metadata)
    except Exception as error:  # Orbax raises many kinds for a damaged folder
        raise _unreadable(path, error) from None
    if others := differing_networks(theirs, network):
        raise InputError(
            f"{path}: a run of another network: {', '.join(others)}; give this one "
            "its settings"
        )
    differing = [
        f"{name} is {there} there and {here} here"
        for name, there, here in differing_fields(found, _forms(like))
    ]
    if differing:
        more = len(differing) - LISTED_DIFFERENCES
        raise InputError(
            f"{folder}: a state of other parts: "
            f"{', '.join(differing[:LISTED_DIFFERENCES])}"
            f"{f' and {more} more' if more > 0 else ''}; give this run the optimizer "
            "settings of that one, or start from its weights with config.init"
        )
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
    )
    try:
        return ocp.load(folder, abstract)
    except Exception as error:
        raise _unreadable(path, error) from None


def _forms(tree: Any) -> dict[str, str]:
    """Return the shape and type of each array of a tree, by its path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(
            path, simple=True, separator="."
        ): f"{np.dtype(leaf.dtype)} {list(leaf.shape)}"
        for path, leaf in leaves
    }


def _step_folder(path: Path) -> Path:
    if path.name.isdigit():
        return path.absolute()
    for folder in (path / FOLDER, path):
        if steps := _steps(folder):
            return folder.absolute() / str(max(steps))
    raise InputError(
        f"{path}: holds no checkpoint; expected a workdir of experiments/train.py, "
        f"its {FOLDER} folder or a step in it"
    )


def _steps(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.glob("*") if path.name.isdigit()]


def _write_digests(folder: Path) -> None:
    digests = {name: _digest(folder / name) for name in _files(folder)}
    with atomic_write(folder / DIGESTS_FILE) as file:
        file.write(json.dumps(digests, indent=1).encode())


def _damage(folder: Path) -> str | None:
    """Say how a checkpoint's files differ from those written; None if they do not.

    One without digests counts as whole: its run was killed right after the save.
    """
    try:
        expected = json.loads((folder / DIGESTS_FILE).read_bytes())
        for name, digest in expected.items():
            if not (folder / name).is_file():
                return f"{name} is missing"
            if _digest(folder / name) != digest:
                return f"{name} has changed since it was written"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        return f"{DIGESTS_FILE} is unreadable ({_first_line(error)})"
    return None


def _files(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _not_written(step: int, error: Exception) -> InputError:
    return InputError(
        f"the checkpoint of step {step} could not be written ({_first_line(error)}); "
        "the ones before it are whole: make room and run again to continue"
    )


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: unreadable checkpoint ({_first_line(error)}); use another step or run"
    )


def _first_line(error: Exception) -> str:
    line = str(error).strip().partition("\n")[0] or type(error).__name__
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."
