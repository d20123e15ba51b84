"""The folder of a run: what lies where, and that it belongs to one config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from tmfnet_jax.differences import ABSENT, differing_fields
from tmfnet_jax.distributed import any_process, is_first, wait_for_all
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"  # after the last step
BEST_FILE = "best.safetensors"  # of the checkpoint with the lowest SAD, if another
CARD_FILE = "model_card.md"
CARD_VALUES_FILE = "model_card.json"  # the same, for programs
NONFINITE_FOLDER = "nonfinite"  # batches whose loss or gradient was not finite
PROFILE_FOLDER = "profile"
LISTED_DIFFERENCES = 3
# What a run may change between its parts: the batches and steps are the same.
FREE_FIELDS = (
    *("data.loader", "data.workers", "parameter_shards", "remat", "accumulation"),
    *("keep_checkpoints", "keep_best", "checkpoint_every", "log_every"),
    *("tensorboard", "histograms", "share_of_peak", "stop_after_skipped"),
    *("license", "data_license", "until"),
)

# What runs begun before a field came into the config did, which they do not say.
LATER_FIELDS = {
    "network.confidence": False,
    "continue_from": None,
    "data.shares": None,
}


def open_workdir(workdir: Path, config: ConfigDict) -> None:
    """Create the folder with its config, or check that it is this config's.

    Raises:
      InputError: a folder of other things or of another config, or one that cannot
        be written to.
    """
    problem = None
    if is_first():
        try:
            _open(workdir, config)
        except (InputError, OSError) as error:
            problem = error
    if any_process(problem is not None):
        raise problem or InputError(f"{workdir}: see what process 0 says of it")
    wait_for_all("the workdir is open")


def is_later_field(name: str, there: Any, here: Any) -> bool:
    """Tell whether a field is absent only because the run is older than it.

    Args:
      name: of a field that differs, as `differing_fields` gives it.
      there: its value in the older config.
      here: its value now.
    """
    return there == ABSENT and name in LATER_FIELDS and here == LATER_FIELDS[name]


def _open(workdir: Path, config: ConfigDict) -> None:
    path = workdir / CONFIG_FILE
    wanted = json.loads(config.to_json_best_effort())
    if path.exists():
        _check_config(path, wanted)
    elif workdir.exists() and any(workdir.iterdir()):
        raise InputError(
            f"{workdir}: is not empty and holds no run; use a new or an empty folder"
        )
    workdir.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:  # with what may have changed; or it fails early
        file.write(json.dumps(wanted, indent=2).encode())


def _check_config(path: Path, wanted: dict) -> None:
    try:
        found = json.loads(path.read_text())
    except ValueError:
        raise InputError(f"{path}: damaged; use another workdir") from None
    differing = [
        f"{name} is {there} there and {here} here"
        for name, there, here in differing_fields(found, wanted)
        if name not in FREE_FIELDS and not is_later_field(name, there, here)
    ]
    if differing:
        raise InputError(
            f"{path.parent}: holds a run with another config: "
            f"{', '.join(differing[:LISTED_DIFFERENCES])}; use another workdir, or "
            "the same config to continue"
        )
