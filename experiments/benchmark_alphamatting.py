"""Our weights and classical matting on alphamatting.com's training photos, in one run.

    python -m experiments.benchmark_alphamatting --photos=DIR --weights=lite=W \\
        --output=runs/alphamatting

DIR is laid out as `tmfnet eval --help` says for the set alphamatting. Each method
has a folder of its own with rows, manifest and mattes; a method that is there
already is not run again, so its seconds are those of its own run. Leaves table.txt
and sheet.png.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import flags

from experiments import launch
from experiments.panels import grey, stack
from experiments.peers import PEERS, peer, peer_settings
from input_pipeline.evaluation_data.evaluation import EvaluationSet
from input_pipeline.evaluation_data.evaluation_sets import open_set
from tmfnet_jax.environment import device_name
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation import PREDICTIONS_FOLDER, evaluate
from tmfnet_jax.evaluation_records import HEADINGS, Record, mean, read_manifest
from tmfnet_jax.files import atomic_write
from tmfnet_jax.images import read_mask, write_image
from tmfnet_jax.inference import Matting
from tmfnet_jax.refinement import refined
from tmfnet_jax.reporting import format_table
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND
from tmfnet_jax.trimap_check import overlay
from tmfnet_jax.weights import fingerprint, wants_refinement

SECONDS_FILE = "seconds.json"  # beside the manifest, which knows no times
# SAD/1000 and MSE x 1000 of PyMatting 1.1.16 on the 14 photos with odd numbers and
# trimap1, as stated for them: a run that differs measures something else.
STATED = {
    "closed form": (4.63, 20.1),
    "KNN": (4.57, 16.6),
    "large kernel": (5.47, 22.1),
}
STATED_PHOTOS = [f"GT{number:02}" for number in range(1, 28, 2)]

Matte = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Method:
    """A method by name, what defines it, and how to make it ready.

    One that `compiles` meets each size of image once before it is timed.
    """

    name: str
    settings: dict
    load: Callable[[], Matte]
    compiles: bool


def main() -> None:
    """Measure all methods, print and write the table, draw the sheet."""
    options = flags.FLAGS
    if not Path(options.photos).is_dir():
        print(f"{options.photos}: no such folder; skipped, nothing was measured")
        return
    output = Path(options.output)
    photos = open_set("alphamatting", Path(options.photos), trimaps=options.trimaps)
    if photos.inventory.missing:
        raise InputError(photos.inventory.report())
    methods = [_weights(w, options.tta, options.refine) for w in options.weights]
    methods += [_peer(name) for name in options.peers]
    if options.refinement_alone:
        methods.append(_REFINEMENT_ALONE)
    if not methods:
        raise InputError(
            "nothing to measure; give --weights, --peers or --refinement_alone"
        )
    results = {}
    for method in methods:
        print(f"{method.name}: {len(photos.names)} photos", flush=True)
        if method.name in PEERS:
            print(
                "  (PyMatting compiles itself on its first use: a minute)", flush=True
            )
        results[method.name] = _measure(method, photos, output)
    table = _table(results, photos, options.trimaps)
    print(f"\n{table}")
    with atomic_write(output / "table.txt") as file:
        file.write(f"{table}\n".encode())
    write_image(output / "sheet.png", _sheet(photos, results, output))
    print(f"{output / 'sheet.png'}: photos, truth and mattes")


def _weights(text: str, tta: str, refine: bool | None) -> Method:
    name, _, path = text.rpartition("=")
    _, digest = fingerprint(path)
    refine = wants_refinement(path) if refine is None else refine
    inference = {"tta": tta, "refine": refine}
    settings = {"network": {"weights_sha256": digest}, "inference": inference}

    def load() -> Matte:
        matting = Matting.load(path, refine=refine)
        return lambda image, trimap: matting.alpha(image, trimap, tta=tta)

    return Method(name or Path(path).stem, settings, load, compiles=True)


def _peer(name: str) -> Method:
    matte = peer(name)
    return Method(name, peer_settings(name), lambda: matte, compiles=False)


def _refined_from_nothing(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    known = [trimap == TRIMAP_BACKGROUND, trimap == TRIMAP_FOREGROUND]
    undecided = np.select(known, [np.float32(0), np.float32(1)], np.float32(0.5))
    return refined(image, trimap, undecided)


_REFINEMENT_ALONE = Method(
    "refinement alone",
    {"method": "refinement of alpha 0.5"},
    lambda: _refined_from_nothing,
    compiles=False,
)


def _measure(
    method: Method, photos: EvaluationSet, output: Path
) -> tuple[list[Record], float]:
    """Return the records and the mean seconds of the mattes that were timed.

    Compilation is left out; NaN where a killed run has left no times.
    """
    folder = output / method.name.replace(" ", "-")
    seconds: dict[str, float] = {}
    if (folder / SECONDS_FILE).exists():
        seconds = read_manifest(folder / SECONDS_FILE)
    loaded = functools.cache(method.load)  # not at all if all is there already
    compiled: set[tuple[int, ...]] = set()

    def matte(example, progress):
        del progress
        run = loaded()
        if method.compiles and example.trimap.shape not in compiled:
            compiled.add(example.trimap.shape)
            run(example.image, example.trimap)
        start = time.perf_counter()
        alpha = run(example.image, example.trimap)
        seconds[example.name] = time.perf_counter() - start
        return alpha

    result = evaluate(
        photos, matte, method=method.settings, folder=folder, save_predictions=True
    )
    with atomic_write(folder / SECONDS_FILE) as file:
        file.write(json.dumps(seconds, indent=1, sort_keys=True).encode())
    if result.tally.failures or result.tally.interrupted:
        why = "; ".join(map(str, result.tally.failures)) or "interrupted"
        raise InputError(f"{method.name}: not complete ({why}); run again")
    return result.records, float(np.mean(list(seconds.values()) or [np.nan]))


def _table(results: dict, photos: EvaluationSet, trimaps: str) -> str:
    comparable = trimaps == "trimap1" and sorted(photos.names) == STATED_PHOTOS
    rows = []
    for name, (records, seconds) in results.items():
        averages = mean(records)
        stated = "-"
        if comparable and name in STATED:
            ratios = zip((averages["sad"], averages["mse"]), STATED[name], strict=True)
            stated = ", ".join(
                f"{100 * (got / want - 1):+.1f} %" for got, want in ratios
            )
        values = (f"{value:.2f}" for value in averages.values())
        rows.append((name, *values, f"{seconds:.2f}", stated))
    header = ("method", *HEADINGS, "s/image", "SAD, MSE vs. stated")
    title = f"{len(photos.names)} photos, {trimaps}, metrics: python; {device_name()}"
    if comparable:
        title += (
            "\nStated: what is known of PyMatting on these photos, over the unknown "
            "region; here known pixels count too"
        )
    per_image = [
        (name, *(f"{records[i].sad:.2f}" for records, _ in results.values()))
        for i, name in enumerate(photos.names)
    ]
    images = format_table(("SAD/1000", *results), per_image)
    return f"{title}\n\n{format_table(header, rows)}\n\n{images}"


def _sheet(photos: EvaluationSet, results: dict, output: Path) -> np.ndarray:
    rows = []
    for i, example in enumerate(photos.examples()):
        assert example.alpha is not None  # the set has them
        row = [
            (example.name, overlay(example.image, example.trimap)),
            ("true alpha", grey(example.alpha)),
        ]
        for name, (records, _) in results.items():
            folder = output / name.replace(" ", "-") / PREDICTIONS_FOLDER
            alpha = read_mask(folder / f"{example.name}.png")
            row.append((f"{name} {records[i].sad:.2f}", grey(alpha)))
        rows.append(row)
    return stack(rows)


if __name__ == "__main__":
    flags.DEFINE_string("photos", None, "Folder of the photos.", required=True)
    flags.DEFINE_multi_string("weights", [], "NAME=PATH of weights; may be repeated.")
    flags.DEFINE_list("peers", list(PEERS), "Methods of PyMatting to run.")
    flags.DEFINE_enum("trimaps", "trimap1", ("trimap1", "trimap2"), "Which trimaps.")
    flags.DEFINE_enum("tta", "none", ("none", "8", "10"), "Test-time augmentation.")
    flags.DEFINE_boolean("refinement_alone", False, "Also refine without a network.")
    flags.DEFINE_boolean("refine", None, "Refine; default: as the weights recommend.")
    flags.DEFINE_string("output", "runs/alphamatting", "Folder for the results.")
    launch.run(main)
