"""`tmfnet data`: look through training data, and at the samples made of them.

tmfnet data check composition-1k DIR --backgrounds COCO
python -m experiments.data_command check composition-1k DIR  # the same
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.data_options import (
    KINDS_HELP,
    add_data,
    check_data,
    list_backgrounds,
)
from tmfnet_jax.commands.common import EXIT_BAD_INPUT, add_command
from tmfnet_jax.errors import InputError

if TYPE_CHECKING:
    from input_pipeline.training_data.data_check import Findings
    from input_pipeline.training_data.image_files import ForegroundFiles

FILE_KINDS = ("folders", "composition-1k", "ciom")
KINDS = (*FILE_KINDS, "prepared")

_CHECK_DETAILS = f"""\
Every file is read as training reads it. Told are missing and doubled files, those
that cannot be read, alphas of another size than their foreground, in colour, empty or
opaque everywhere, and what is changed in reading: 16 bits, grey. The exit status is 2
if anything has to be mended.

{KINDS_HELP}
  prepared DIR        what `tmfnet prepare` wrote

examples:
  tmfnet data check folders FG --alphas ALPHA --backgrounds PHOTOS
  tmfnet data check composition-1k DIR"""

_SHOW_DETAILS = """\
Samples of a training's config as the network gets them: image, trimap over it, alpha
and foreground, a row for each. The network itself is not made.

examples:
  tmfnet data show experiments/configs/synthetic.py
  tmfnet data show experiments/configs/paper.py -o sheet.png --set \\
      data.foregrounds=FG data.alphas=ALPHA data.backgrounds=PHOTOS"""


def add(commands) -> None:
    """Declare the command."""
    data = add_command(
        commands,
        "data",
        _check,
        "check training data, show training samples",
        "Each part explains itself: tmfnet data PART --help",
    )
    parts = data.add_subparsers(dest="part", required=True, metavar="PART")
    check = add_command(
        parts, "check", _check, "say what is wrong with training data", _CHECK_DETAILS
    )
    add_data(check)
    show = add_command(parts, "show", _show, "draw training samples", _SHOW_DETAILS)
    add = show.add_argument
    add("config", metavar="CONFIG[:ARG]", help="config file, as of experiments.train")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=VALUE",
        help="fields of the config to set, such as data.size_px=96",
    )
    add("--count", type=int, default=8, help="of samples; default: 8")
    add("--seed", type=int, help="of the samples; default: the config's")
    add(
        *("-o", "--output"),
        type=Path,
        default=Path("sheet.png"),
        metavar="FILE",
        help="picture to write; default: sheet.png",
    )


def _check(options: argparse.Namespace) -> int:
    from input_pipeline.training_data.data_check import (
        Findings,
        check_files,
        check_source,
    )
    from input_pipeline.training_data.prepared import PreparedSource, read_index

    check_data(options, *KINDS)
    findings = Findings()
    if options.kind == "prepared":
        if options.backgrounds is not None:
            raise InputError("kind 'prepared' has its own backgrounds; leave it out")
        folder = Path(options.folder).expanduser()
        own = None if read_index(folder).backgrounds else ()
        source = PreparedSource(folder, backgrounds=own)
        check_source(source, findings, num_threads=options.threads)
    else:
        photos = list_backgrounds(options)
        foregrounds = _listed(options, findings)
        check_files(foregrounds, photos, findings, num_threads=options.threads)
    print(findings.report())
    return EXIT_BAD_INPUT if findings.problems else 0


def _listed(options: argparse.Namespace, findings: Findings) -> list[ForegroundFiles]:
    """List the foregrounds; what is missing becomes problems, not an error."""
    from input_pipeline.training_data.image_files import list_foregrounds
    from input_pipeline.training_data.training_sets import TRAINING_SETS, check_whole
    from input_pipeline.training_data.training_sources import foreground_folders

    foregrounds: list[ForegroundFiles] = []
    pairs = foreground_folders(options.kind, options.folder, alphas=options.alphas)
    for folder, alphas in pairs:
        listing = list_foregrounds(folder, alphas)
        foregrounds += listing.complete
        findings.problems += [
            f"{name}: missing, or doubled" for name in listing.missing
        ]
        if listing.surplus:
            findings.notes["files belong to no foreground: left unused"] += (
                listing.surplus
            )
    if options.kind in TRAINING_SETS:
        if note := TRAINING_SETS[options.kind].note:
            print(f"note: {note}")
        try:
            check_whole(options.kind, foregrounds, options.folder)
        except InputError as error:
            findings.problems.append(str(error))
    return foregrounds


def _show(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from experiments.config_file import load_config
    from experiments.panels import grey, stack
    from input_pipeline.protocol.recipe import Recipe
    from input_pipeline.protocol.sample import make_sample
    from input_pipeline.training_data.training_sources import open_source
    from tmfnet_jax.images import check_output, write_image
    from tmfnet_jax.trimap_check import overlay

    check_output(options.output, channels=3, dtype="uint8")
    if options.count < 1:
        raise InputError(f"--count is {options.count}; give at least 1")
    config = load_config(options.config, options.set)
    recipe = Recipe.from_dict(config.recipe.to_dict())
    source = open_source(config.data, seed=config.seed)
    seed = config.seed if options.seed is None else options.seed
    rows = []
    for index in tqdm(range(options.count), unit="sample", disable=None):
        sample = make_sample(source, recipe, seed=seed, index=index)
        trimap, alpha = sample["trimap"][..., 0], sample["alpha"][..., 0]
        rows.append(
            [
                (f"sample {index}", sample["image"]),
                ("trimap", overlay(sample["image"], trimap)),
                ("alpha", grey(alpha)),
                ("foreground", sample["foreground"]),
            ]
        )
    write_image(options.output, stack(rows))
    print(f"{options.output}: {options.count} samples of seed {seed}")


if __name__ == "__main__":
    from experiments import data_command
    from tmfnet_jax import cli

    cli.run(["data", *sys.argv[1:]], commands=[data_command])
