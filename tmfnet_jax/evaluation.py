"""Measuring a matting method on a set of examples, so that others can check it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tmfnet_jax.batch import Progress, run_jobs, say
from tmfnet_jax.differences import differing_fields
from tmfnet_jax.environment import commit, device_name, versions
from tmfnet_jax.errors import EXPECTED_ERRORS, InputError, reason
from tmfnet_jax.evaluation_records import (
    IMAGES_FILE,
    MANIFEST_FILE,
    METRICS,
    Record,
    mean,
    read_manifest,
)
from tmfnet_jax.example_set import Example, ExampleSet
from tmfnet_jax.files import atomic_write
from tmfnet_jax.images import write_image
from tmfnet_jax.jobs import Tally
from tmfnet_jax.metrics import Variant, evaluate_alpha, to_8bit
from tmfnet_jax.record_file import RecordFile, write_records
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND, TRIMAP_UNKNOWN

PREDICTIONS_FOLDER = "predictions"
FORMAT = 1  # of the manifest
RESULTS = ("complete", "measured", "mean", "predictions")  # all else is settings
NAMED_DIFFERENCES = 3
LONGEST = 60  # characters of a value that a message quotes


Matte = Callable[[Example, Progress], np.ndarray]  # to [H, W] float, in [0, 1]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation gave.

    Attributes:
      records: of the measured images, in the set's order.
      tally: counts, failures, and whether it was interrupted.
    """

    records: list[Record]
    tally: Tally


class _InVain(Exception):
    """Measuring more would be in vain, and why."""


def evaluate(
    examples: ExampleSet,
    matte: Matte,
    *,
    method: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    variant: Variant = "python",
    save_predictions: bool = False,
) -> Evaluation:
    """Measure a method on each example, with progress on standard error.

    A folder gets a row per image as soon as it is measured, and a manifest that
    states all that the numbers depend on, without times or paths: two identical
    runs give identical manifests. A folder that holds part of the same evaluation
    is completed, once the pixels of its rows have been found unchanged. An example
    that cannot be read or matted is a failure of the tally and does not stop the
    others.

    Args:
      examples: what to measure on.
      matte: the method; its result is clipped, set to 0 and 1 where the trimap
        knows, and rounded to 8 bits before it is measured or saved.
      method: JSON values for the manifest that define the method.
      folder: where to write, created if need be, or None.
      variant: of the metrics.
      save_predictions: also write the mattes, as FOLDER/predictions/NAME.png.
    Raises:
      InputError: the folder holds another evaluation or one of other pixels, is in
        use, or cannot be written to; rows that are there stay.
    """
    _check_names(examples.names)
    if folder is None:
        return _run(examples, matte, variant, None, None)
    settings = {
        "format": FORMAT,
        "images": len(examples.names),
        "metrics": {
            "variant": variant,
            "scale": "sad, grad, conn: / 1000; mse: x 1000",
            "prediction": "clipped, 0 and 1 where the trimap knows, 8 bits",
        },
        "data": {"set": examples.name, "settings": dict(examples.settings)},
        **(method or {}),
        "versions": {**versions(), "commit": commit()},
        "device": device_name(),
    }
    # As it will be read again: tuples as lists, for one.
    settings = json.loads(json.dumps(settings))
    _open_folder(folder, settings)
    rows = RecordFile(folder / IMAGES_FILE)
    saved = folder / PREDICTIONS_FOLDER if save_predictions else None
    try:
        result = _run(examples, matte, variant, rows, saved)
    finally:
        rows.close()
    write_records(folder / IMAGES_FILE, result.records)
    _write_manifest(folder, settings, result.records)
    return result


def measure(
    example: Example, prediction: np.ndarray, *, variant: Variant = "python"
) -> tuple[Record, np.ndarray]:
    """Measure one prediction.

    Args:
      example: the image that was matted.
      prediction: [H, W] floating point; values outside [0, 1] are clipped.
      variant: of the metrics.
    Returns:
      The record, and the [H, W] uint8 prediction that it is of.
    Raises:
      InputError: a prediction of another size or type, or with NaN.
    """
    if prediction.shape != example.trimap.shape:
        raise InputError(
            f"prediction is {_size(prediction)} and the image {_size(example.trimap)} "
            "pixels; expected equal sizes, one channel"
        )
    prediction = to_8bit(prediction)
    for label in (TRIMAP_BACKGROUND, TRIMAP_FOREGROUND):
        prediction[example.trimap == label] = label
    values = dict.fromkeys(METRICS, float("nan"))
    if example.alpha is not None:
        found = evaluate_alpha(
            prediction, example.alpha, example.trimap, variant=variant
        )
        values = {metric: getattr(found, metric) for metric in METRICS}
        values["mse"] *= 1000
    height, width = prediction.shape
    record = Record(
        name=example.name,
        variant=variant,
        **values,
        width=width,
        height=height,
        unknown_pixels=int(np.count_nonzero(example.trimap == TRIMAP_UNKNOWN)),
        data_sha256=_data_digest(example),
        prediction_sha256=_digest(prediction),
    )
    return record, prediction


def _run(
    examples: ExampleSet,
    matte: Matte,
    variant: Variant,
    rows: RecordFile | None,
    saved: Path | None,
) -> Evaluation:
    known = {record.name: record for record in rows.records} if rows else {}
    strangers = sorted(set(known).difference(examples.names))
    if strangers:
        raise InputError(f"the rows there are of other images, such as {strangers[0]}")

    def is_done(name: str) -> bool:
        return name in known and (saved is None or _picture(saved, name).is_file())

    done = sum(map(is_done, examples.names))
    if done:
        say(f"{done} of {len(examples.names)} images are measured already")

    def read(name: str) -> Example:
        example = examples.load(name)
        if name in known and _data_digest(example) != known[name].data_sha256:
            raise _InVain(
                f"{name}: image, trimap or alpha has changed since it was measured; "
                "use another folder"
            )
        return example

    def compute(
        name: str, example: Example, progress: Progress
    ) -> tuple[Example, np.ndarray] | None:
        return None if is_done(name) else (example, matte(example, progress))

    def write(name: str, result: tuple[Example, np.ndarray] | None) -> None:
        if result is None:
            return
        record, prediction = measure(*result, variant=variant)
        try:
            if saved is not None:
                path = _picture(saved, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, prediction)
            if rows is not None and name not in known:
                rows.append(record)
        except EXPECTED_ERRORS as error:
            raise _InVain(
                f"{reason(error)}; stopped, the rows so far are kept: make room and "
                "run the same command again"
            ) from None
        known[name] = record

    try:
        tally = run_jobs(examples.names, read=read, compute=compute, write=write)
    except _InVain as error:
        raise InputError(str(error)) from None
    return Evaluation([known[n] for n in examples.names if n in known], tally)


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        parts = Path(name).parts
        if not name.isprintable() or Path(name).is_absolute() or ".." in parts:
            raise InputError(f"{name!r} cannot name a row and a file; rename the image")


def _open_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Create the folder with its manifest, or check that it is of these settings."""
    path = folder / MANIFEST_FILE
    if path.exists():
        found = read_manifest(path)
        theirs = {key: value for key, value in found.items() if key not in RESULTS}
        if isinstance(theirs.get("data"), dict):
            theirs["data"].pop("sha256", None)
        differing = [
            f"{key} is {_brief(there)} there and {_brief(here)} here"
            for key, there, here in differing_fields(theirs, settings)
        ]
        if differing:
            raise InputError(
                f"{folder}: holds another evaluation: "
                f"{', '.join(differing[:NAMED_DIFFERENCES])}; use another folder"
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(
                f"{folder}: is not empty and holds no evaluation; use another folder"
            )
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; use another folder") from None
    _write_manifest(folder, settings, [])


def _write_manifest(
    folder: Path, settings: Mapping[str, Any], records: Sequence[Record]
) -> None:
    complete = len(records) == settings["images"]
    measured = complete and not any(math.isnan(record.sad) for record in records)
    manifest = {
        **settings,
        "data": {**settings["data"], "sha256": _joint(records, "data_sha256")},
        "complete": complete,
        "measured": len(records),
        "mean": mean(records) if measured else None,
        "predictions": {"sha256": _joint(records, "prediction_sha256")},
    }
    with atomic_write(folder / MANIFEST_FILE) as file:
        file.write((json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _joint(records: Iterable[Record], field: str) -> str:
    lines = (f"{record.name} {getattr(record, field)}\n" for record in records)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _data_digest(example: Example) -> str:
    return _digest(example.image, example.trimap, example.alpha)


def _digest(*arrays: np.ndarray | None) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        if array is not None:
            digest.update(str(array.shape).encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def _picture(folder: Path, name: str) -> Path:
    return folder / f"{name}.png"


def _size(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape[1::-1]))
