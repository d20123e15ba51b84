r"""Measure weights on a set of images: SAD, MSE, Grad and Conn per image.

    python -m experiments.evaluate --weights=runs/lite --data=generated
    python -m experiments.evaluate --weights=lite.safetensors --data=DIR \
        --trimaps=trimap1

DIR holds folders image, alpha and trimap (or the name given) with files of equal
stems. Metrics follow the Python protocol of tmfnet_jax.metrics.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from experiments import launch
from input_pipeline.evaluation import Example, folder_set, generated_set
from tmfnet_jax.augmented_inference import TTA_MODES
from tmfnet_jax.files import atomic_write
from tmfnet_jax.inference import Matting
from tmfnet_jax.metrics import evaluate_alpha, to_8bit
from tmfnet_jax.reporting import format_table

PROTOCOL = "python"  # of the four the paper's code used; see tmfnet_jax.metrics
METRICS = ("sad", "mse", "grad", "conn")


def measure(
    matte: Callable[[np.ndarray, np.ndarray], np.ndarray],
    examples: Iterable[Example],
    *,
    total: int | None = None,
) -> list[dict[str, str | float]]:
    """Run a method over examples.

    Args:
      matte: maps image and trimap to float alpha in [0, 1].
      examples: what to run it on.
      total: their number, for the progress bar.
    Returns:
      A record per image: name, sad, mse (x 1000), grad, conn.
    """
    records = []
    for example in tqdm(examples, total=total, unit="image"):
        predicted = to_8bit(matte(example.image, example.trimap))
        values = dataclasses.asdict(
            evaluate_alpha(predicted, example.alpha, example.trimap)
        )
        values["mse"] *= 1000
        records.append({"name": example.name, **values})
    return records


def mean(records: list[dict[str, str | float]]) -> dict[str, float]:
    """Average each metric over the images."""
    return {k: float(np.mean([record[k] for record in records])) for k in METRICS}


def _main() -> None:
    options = flags.FLAGS
    generated = options.data == "generated"
    if generated:
        examples = generated_set(options.count)
    else:
        examples = folder_set(Path(options.data), trimaps=options.trimaps)
    matting = Matting.load(options.weights)
    records = measure(
        lambda image, trimap: matting.alpha(image, trimap, tta=options.tta),
        examples,
        total=options.count if generated else None,
    )
    averages: dict[str, str | float] = {"name": "mean", **mean(records)}
    rows = [
        (record["name"], *(f"{record[k]:.3f}" for k in METRICS))
        for record in (*records, averages)
    ]
    print(
        format_table(("image", "SAD/1000", "MSE x1000", "Grad/1000", "Conn/1000"), rows)
    )
    if options.output:
        report = {
            "weights": options.weights,
            "data": options.data,
            "trimaps": None if generated else options.trimaps,
            "tta": options.tta,
            "protocol": PROTOCOL,
            "images": records,
            "mean": mean(records),
        }
        with atomic_write(options.output) as file:
            file.write(json.dumps(report, indent=2).encode())
        print(f"{options.output}: report of {len(records)} images")


if __name__ == "__main__":
    flags.DEFINE_string("weights", None, "Safetensors file or workdir of a training.")
    flags.DEFINE_string("data", "generated", "'generated', or a folder of triples.")
    flags.DEFINE_string("trimaps", "trimap", "Name of the folder of trimaps in it.")
    flags.DEFINE_integer("count", 20, "Images of the generated set.", lower_bound=1)
    flags.DEFINE_enum("tta", "none", TTA_MODES, "Test-time augmentation.")
    flags.DEFINE_string("output", None, "JSON report to write.")
    flags.mark_flag_as_required("weights")
    launch.run(_main)
