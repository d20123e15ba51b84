"""What the runs in a folder have to say about a row of the paper's tables.

RUNS/ROW is the workdir of the row's training, with weights.safetensors at its end;
weights from elsewhere may lie there without a training. RUNS/ROW/eval-SET-TTA holds
what `tmfnet eval SET` wrote, for example RUNS/table1-tmfnet/eval-composition-1k-8.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.configs.paper import get_config
from experiments.paper_rows import Row
from experiments.workdir import CONFIG_FILE, WEIGHTS_FILE, is_later_field
from tmfnet_jax.differences import differing_fields
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import MANIFEST_FILE, METRICS, read_manifest
from tmfnet_jax.variants import VARIANTS
from tmfnet_jax.weights import fingerprint

# Images of the sets whose parts would give other means than the whole.
WHOLE = {"composition-1k": 1000, "ciom": 1000}
# Settings of a training that make it the row's; paths and intervals do not.
TRAINED = ("batch_size", "laplacian", "network", "optimizer", "recipe")


@dataclasses.dataclass(frozen=True)
class Result:
    """What is known of a row.

    Attributes:
      row: which.
      measured: metric to mean over the images, or None.
      status: "measured", with the number of images, or why there is nothing.
      notes: in what the training is not the row's, though it is taken.
    """

    row: Row
    measured: dict[str, float] | None
    status: str
    notes: tuple[str, ...] = ()


def workdir(row: Row, runs: Path) -> Path:
    """Name the folder of a row's training."""
    return runs / row.run


def evaluation_folder(row: Row, runs: Path) -> Path:
    """Name the folder of a row's evaluation."""
    return workdir(row, runs) / f"eval-{row.data}-{row.tta}"


def has_weights(row: Row, runs: Path) -> bool:
    """Tell whether a row's training has ended, or weights were put there."""
    return (workdir(row, runs) / WEIGHTS_FILE).is_file()


def read_result(row: Row, runs: Path) -> Result:
    """Look a row up; what is missing or does not fit is said in the status."""
    manifest = evaluation_folder(row, runs) / MANIFEST_FILE
    if not manifest.is_file():
        return Result(row, None, _without_evaluation(row, runs))
    try:
        return _measured(row, runs, read_manifest(manifest))
    except InputError as error:
        return Result(row, None, str(error))


def _without_evaluation(row: Row, runs: Path) -> str:
    if has_weights(row, runs):
        return "not evaluated"
    return "training not ended" if workdir(row, runs).is_dir() else "no run"


def _measured(row: Row, runs: Path, manifest: dict[str, Any]) -> Result:
    images = manifest.get("images")
    if manifest.get("complete") is not True:
        done = manifest.get("measured")
        raise InputError(f"evaluation incomplete: {done!r} of {images!r} images")
    expected = _expected(row)
    differing = _differing(_part(manifest, expected), expected)
    if differing:
        raise InputError(f"not taken, another evaluation: {differing}")
    if has_weights(row, runs):
        _, digest = fingerprint(workdir(row, runs) / WEIGHTS_FILE)
        if manifest["network"].get("weights_sha256") != digest:
            raise InputError("not taken, the weights have changed since")
    means = manifest.get("mean")
    if not isinstance(means, dict) or not all(
        _is_finite(means.get(m)) for m in METRICS
    ):
        raise InputError("evaluation damaged: no means of all metrics")
    values = {metric: float(means[metric]) for metric in METRICS}
    notes = _training_notes(row, runs)
    return Result(row, values, f"measured on {images!r} images", notes)


def _expected(row: Row) -> dict[str, Any]:
    """Return what the manifest of a row's evaluation says, as far as it matters."""
    expected: dict[str, Any] = {
        "metrics": {"variant": "python"},  # the protocol of the paper's code
        "data": {"set": row.data},
        "network": {"config": VARIANTS[row.variant].config.to_dict()},
        "inference": {"tta": row.tta, "refine": False, "dtype": "float32"},
    }
    if row.trimaps:
        expected["data"]["settings"] = {"trimaps": row.trimaps}
    if row.data in WHOLE:
        expected["images"] = WHOLE[row.data]
    return json.loads(json.dumps(expected))  # tuples as lists, as in a file


def _training_notes(row: Row, runs: Path) -> tuple[str, ...]:
    """Say in what the training was not the row's; InputError for another loss."""
    path = workdir(row, runs) / CONFIG_FILE
    if not path.is_file():
        return ("weights without their training's config",)
    try:
        found = read_manifest(path)
    except InputError:
        raise InputError(f"not taken, {path} is damaged") from None
    if found.get("laplacian") is not row.laplacian:
        raise InputError("not taken, trained with another loss")
    wanted = json.loads(get_config(row.name).to_json_best_effort())
    expected = {key: wanted[key] for key in TRAINED}
    whole = {key: found[key] for key in TRAINED if key in found}
    kind = {"data": {"kind": wanted["data"]["kind"]}}
    differing = _differing({**whole, **_part(found, kind)}, {**expected, **kind})
    return (f"trained with {differing}",) if differing else ()


def _part(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the expected mapping does not name."""
    return {
        key: _part(found[key], value)
        if isinstance(value, dict) and isinstance(found[key], dict)
        else found[key]
        for key, value in expected.items()
        if key in found
    }


def _differing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{name} {there!r}, not {here!r}"  # from a file: no control characters
        for name, there, here in differing_fields(found, expected)
        if not is_later_field(name, there, here)
    )


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
