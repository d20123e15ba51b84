"""`tmfnet eval`: measure weights, or other mattes, on an evaluation set.

tmfnet eval generated --weights runs/lite
python -m experiments.evaluate generated --weights runs/lite  # the same
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmfnet_jax.commands.common import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    add_command,
)
from tmfnet_jax.commands.network_options import (
    add_computation,
    add_refinement,
    add_tta,
)
from tmfnet_jax.errors import InputError

if TYPE_CHECKING:
    from input_pipeline.evaluation_data.evaluation import EvaluationSet
    from tmfnet_jax.evaluation import Evaluation, Matte
    from tmfnet_jax.evaluation_records import Record

LISTED = 30  # of more images only the worst are printed
WORST = 10

_DETAILS = """\
Sets:
  generated           procedural composites with exact alpha, always the same
  triples DIR         DIR/image, DIR/trimap, DIR/alpha: files of equal names
  alphamatting DIR    alphamatting.com's training images; --trimaps trimap1|trimap2
  alphamatting-test DIR   its 8 test images, three trimaps: predictions only
  composition-1k DIR  Adobe's test set, folder or zip; --backgrounds: PASCAL VOC
  ciom DIR            the CIOM test set; --backgrounds: ADE20k
  open DIR            this project's own, CC0, from `python -m
                      experiments.open_test_set`, folder or zip; --count N measures
                      N images spread evenly over its subjects, not the whole set

Files are checked first: what is missing or surplus is listed before anything
runs, with where the data comes from; --check stops there. Of the set open damaged
files are found, too, and its digest tells whether two people have the same one.

With -o, images.csv gets a row per image as it is measured, and manifest.json all
that the numbers depend on. Two identical runs give identical files. Run again, the
command goes on where it ended. `tmfnet compare` compares two such folders.

SAD, Grad and Conn are divided by 1000, MSE is multiplied by 1000. --variant python
is the protocol of the paper's code, matlab that of the original scripts.

examples:
  tmfnet eval generated --weights W
  tmfnet eval alphamatting DIR --weights W -o runs/eval --tta 8
  tmfnet eval composition-1k Adobe.zip --backgrounds VOCdevkit --check
  tmfnet eval alphamatting DIR --predictions mattes/ -o runs/theirs
  tmfnet eval open DIR --count 100 --classical closed-form -o runs/closed-form"""


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands, "eval", _eval, "measure mattes on an evaluation set", _DETAILS
    )
    add = parser.add_argument
    add("set", metavar="SET", help="a set listed above")
    add("folder", nargs="?", type=Path, metavar="DIR", help="where its files are")
    method = parser.add_mutually_exclusive_group()
    method.add_argument(
        "--weights",
        type=Path,
        help="a name that `tmfnet models` lists, a safetensors file, or a training "
        "run's workdir",
    )
    method.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="measure the mattes of this folder, DIR/NAME.png for image NAME",
    )
    method.add_argument(
        "--classical",
        metavar="METHOD",
        help="measure a method of PyMatting: closed-form, KNN or large-kernel",
    )
    add("-o", "--output", type=Path, metavar="OUT", help="folder for the results")
    add(
        "--save-alphas",
        action="store_true",
        help="also write the mattes, as OUT/predictions/NAME.png; sets without a "
        "public alpha always do",
    )
    add(
        "--variant",
        choices=("python", "matlab"),
        default="python",
        help="of the metrics; default: python, the paper's",
    )
    add("--check", action="store_true", help="only check and list the files")

    add = parser.add_argument_group("data").add_argument
    add("--trimaps", metavar="NAME", help="which trimaps, where there are several")
    add("--backgrounds", type=Path, metavar="DIR", help="photos to compose over")
    add(
        "--count",
        type=int,
        help="of generated images, default: 20; or of set open a part",
    )

    inference = parser.add_argument_group("inference")
    add_tta(inference)
    add_refinement(inference)
    add_computation(inference)


def _eval(options: argparse.Namespace) -> int:
    from input_pipeline.evaluation_data.evaluation_sets import open_set

    examples = open_set(
        options.set,
        options.folder,
        trimaps=options.trimaps,
        backgrounds=options.backgrounds,
        count=options.count,
    )
    inventory = examples.inventory
    if options.check:
        print(inventory.report())
        return 0 if inventory.complete else EXIT_BAD_INPUT
    if inventory.missing or inventory.surplus or inventory.notes:
        print(inventory.report(listed=WORST), file=sys.stderr)
    if not inventory.complete:
        raise InputError(
            f"{options.folder}: {len(inventory.missing)} files are missing, see above; "
            "nothing was measured"
        )
    _check_options(options, examples)
    matte, method = (
        _predictions(options, examples) or _classical(options) or _network(options)
    )

    from tmfnet_jax.batch import say
    from tmfnet_jax.evaluation import evaluate

    say(f"{len(examples.names)} images to measure")
    result = evaluate(
        examples,
        matte,
        method=method,
        folder=options.output,
        variant=options.variant,
        save_predictions=options.save_alphas or not examples.has_alpha,
    )
    return _report(options, examples, result)


def _check_options(options: argparse.Namespace, examples: EvaluationSet) -> None:
    if not (options.weights or options.predictions or options.classical):
        raise InputError(
            "nothing to measure; give --weights or --predictions or --classical"
        )
    if options.weights is None and (
        options.tta != "none"
        or options.refine is not None
        or options.dtype != "float32"
        or options.max_memory
    ):
        raise InputError(
            "--tta, --refine, --dtype and --max-memory are for --weights only"
        )
    if options.output is None:
        if options.save_alphas:
            raise InputError("--save-alphas needs a folder; give one with -o")
        if not examples.has_alpha:
            raise InputError(
                f"{examples.name} has no public alpha: its results are the mattes; "
                "give a folder for them with -o"
            )


def _network(options: argparse.Namespace) -> tuple[Matte, dict[str, Any]]:
    import dataclasses

    from tmfnet_jax.inference import Matting, padding_multiple, use_compile_cache
    from tmfnet_jax.serving.memory import tune_allocator
    from tmfnet_jax.weights import fingerprint

    use_compile_cache()
    tune_allocator()
    config, digest = fingerprint(options.weights)
    matting = Matting.load(
        options.weights,
        max_memory=options.max_memory,
        dtype=options.dtype,
        refine=options.refine,
    )

    def matte(example, progress):
        return matting.alpha(
            example.image, example.trimap, tta=options.tta, progress=progress
        )

    network = dataclasses.replace(config, dtype="float32").to_dict()
    inference = {
        "tta": options.tta,
        "refine": matting.refine,
        "dtype": options.dtype,
        "padding": "edge replication at the bottom and right to multiples of "
        f"{padding_multiple(options.tta)}",
        "max_memory": options.max_memory,
    }
    return matte, {
        "network": {"weights_sha256": digest, "config": network},
        "inference": inference,
    }


def _classical(
    options: argparse.Namespace,
) -> tuple[Matte, dict[str, Any]] | None:
    """Matte by a method of PyMatting; None if that is not asked for."""
    if options.classical is None:
        return None
    from experiments.peers import peer, peer_settings
    from tmfnet_jax.batch import say

    name = options.classical.replace("-", " ")
    run = peer(name)
    say("PyMatting compiles itself on its first use, for a minute")

    def matte(example, progress):
        del progress
        return run(example.image, example.trimap)

    return matte, peer_settings(name)


def _predictions(
    options: argparse.Namespace, examples: EvaluationSet
) -> tuple[Matte, dict[str, Any]] | None:
    """Take mattes from files; None if they are not asked for."""
    if options.predictions is None:
        return None
    import hashlib

    from tmfnet_jax.images import read_alpha

    files = _matte_files(options.predictions, examples.names)

    def matte(example, progress):
        del progress
        return read_alpha(files[example.name])

    # Other mattes are another evaluation, which must not go on with these rows.
    digest = hashlib.sha256()
    for name, file in files.items():
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return matte, {"inference": {"files_sha256": digest.hexdigest()}}


def _matte_files(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    import functools

    from tmfnet_jax.jobs import images_by_stem

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of the mattes")
    listing = functools.cache(images_by_stem)
    files: dict[str, Path] = {}
    missing = []
    for name in names:
        path = folder / name
        found = listing(path.parent).get(path.name, [])
        if len(found) > 1:
            raise InputError(f"{found[0]} and {found[1]}: keep one of them")
        if found:
            files[name] = found[0]
        else:
            missing.append(name)
    if missing:
        raise InputError(
            f"{folder}: lacks {len(missing)} of {len(names)} mattes: "
            f"{', '.join(missing[:WORST])}{', ...' * (len(missing) > WORST)}; expected "
            "a picture of each image's name"
        )
    return files


def _report(
    options: argparse.Namespace, examples: EvaluationSet, result: Evaluation
) -> int:
    from tmfnet_jax.batch import say
    from tmfnet_jax.evaluation_records import HEADINGS, METRICS, mean
    from tmfnet_jax.reporting import format_table

    records, tally = result.records, result.tally
    if records and examples.has_alpha:
        shown = records
        if len(records) > LISTED:
            shown = sorted(records, key=lambda record: record.sad)[-WORST:]
            print(f"the {WORST} of {len(records)} images with the largest SAD:")
        averages = mean(records)
        rows = [(r.name, *(f"{v:.3f}" for v in r.metrics().values())) for r in shown]
        whole = len(records) == len(examples.names)
        name = "mean" if whole else f"mean of these {len(records)}"
        rows.append((name, *(f"{averages[metric]:.3f}" for metric in METRICS)))
        print(format_table((f"image ({options.variant})", *HEADINGS), rows))
        if examples.kind is not None:
            print(f"\n{_kinds(records, examples.kind)}")
    for failure in tally.failures:
        say(f"tmfnet: failed: {failure}")
    left = len(examples.names) - len(records)
    if left:
        say(f"tmfnet: {left} of {len(examples.names)} images were not measured")
    if options.output is not None:
        what = "complete" if not left else "incomplete; the same command goes on"
        print(f"{options.output}: {len(records)} images, {what}")
    if tally.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_SOME_FAILED if left or tally.failures else 0


def _kinds(records: Sequence[Record], kind: Callable[[str], str]) -> str:
    """Return a table of the means of each kind."""
    from tmfnet_jax.evaluation_records import HEADINGS, mean
    from tmfnet_jax.reporting import format_table

    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(kind(record.name), []).append(record)
    rows = [
        (name, str(len(group)), *(f"{value:.3f}" for value in mean(group).values()))
        for name, group in sorted(groups.items())
    ]
    return format_table(("mean of kind", "images", *HEADINGS), rows)


if __name__ == "__main__":
    from experiments import evaluate
    from tmfnet_jax import cli

    cli.run(["eval", *sys.argv[1:]], commands=[evaluate])
