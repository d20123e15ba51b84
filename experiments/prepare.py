"""`tmfnet prepare`: training data as arrays that are read without decoding.

tmfnet prepare composition-1k DIR -o OUT --backgrounds COCO
python -m experiments.prepare composition-1k DIR -o OUT  # the same
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.data_options import (
    KINDS_HELP,
    add_data,
    check_data,
    list_backgrounds,
)
from tmfnet_jax.commands.common import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    add_command,
)
from tmfnet_jax.errors import InputError

if TYPE_CHECKING:
    from input_pipeline.training_data.originals import Original

KINDS = ("folders", "composition-1k", "ciom", "synthetic")

_DETAILS = f"""\
{KINDS_HELP}
  synthetic           procedural foregrounds, --count of them and of backgrounds;
                      --backgrounds: photos to take textures and scenes from

Train with --config.data.kind=prepared --config.data.folder=OUT; without prepared
backgrounds also with --config.data.backgrounds=DIR.

Foregrounds and alphas become files of plain pixels, 4 bytes a pixel: the space is
estimated first. Photos whose longer side has more than --background-side pixels are
reduced to it (by averaging) and kept as JPEG, all others stay byte by byte. That
departs from the protocol for such photos: they are resized twice. COCO and PASCAL VOC
have none of them; --background-side 0 keeps all.

Killed or interrupted at any time, the same command goes on where it was. Files that
cannot be read are listed, also in OUT/skipped.json, and left out; the exit status is
1 then.

examples:
  tmfnet prepare folders FG --alphas ALPHA --backgrounds PHOTOS -o prepared
  tmfnet prepare synthetic --count 500 --size-px 512 -o generated"""


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands, "prepare", _prepare, "turn training data into a fast form", _DETAILS
    )
    add_data(parser)
    add = parser.add_argument
    add(
        *("-o", "--output"),
        type=Path,
        required=True,
        metavar="OUT",
        help="folder to write",
    )
    add(
        "--background-side",
        type=int,
        default=2048,
        metavar="PX",
        help="longer side of larger photos, 0: as they are; default: 2048",
    )
    add(
        "--raw-backgrounds",
        action="store_true",
        help="write the pixels of backgrounds too: 3 bytes each, nothing to decode; "
        "pays for photos of some megapixels",
    )
    add = parser.add_argument_group("synthetic").add_argument
    add("--count", type=int, default=500, help="of foregrounds; default: 500")
    add("--size-px", type=int, default=320, help="side of a foreground; default: 320")
    add("--seed", type=int, default=0, help="of all that is generated; default: 0")


def _prepare(options: argparse.Namespace) -> int:
    from input_pipeline.training_data.originals import estimate_bytes
    from input_pipeline.training_data.preparation import SKIPPED_FILE, Preparation
    from input_pipeline.training_data.prepared import BACKGROUNDS, FOREGROUNDS
    from tmfnet_jax.batch import say

    check_data(options, *KINDS)
    if options.background_side < 0 or options.count < 1:
        raise InputError("--background-side takes 0 or more, --count 1 or more")
    _keep_apart(options)
    foregrounds, backgrounds, settings = _originals(options)
    preparation = Preparation(
        options.output,
        settings=settings,
        foregrounds=foregrounds,
        backgrounds=backgrounds,
        background_side_px=options.background_side,
        raw_backgrounds=options.raw_backgrounds,
    )
    to_do = preparation.to_do
    say(
        f"to do: {len(to_do[FOREGROUNDS])} of {len(foregrounds)} foregrounds, "
        f"{len(to_do[BACKGROUNDS])} of {len(backgrounds)} backgrounds"
    )
    estimated = estimate_bytes(
        **to_do, raw_side=options.background_side if options.raw_backgrounds else None
    )
    _check_space(options.output, estimated)
    try:
        skipped = preparation.run(num_threads=options.threads)
    except KeyboardInterrupt:
        say("tmfnet: interrupted; the same command goes on")
        return EXIT_INTERRUPTED
    left_out = {role: sum(s.role == role for s in skipped) for role in to_do}
    print(
        f"{options.output}: {len(foregrounds) - left_out[FOREGROUNDS]} foregrounds, "
        f"{len(backgrounds) - left_out[BACKGROUNDS]} backgrounds, ready to train on"
    )
    if skipped:
        say(
            f"tmfnet: {len(skipped)} could not be read and are left out, see "
            f"{options.output / SKIPPED_FILE}"
        )
    return EXIT_SOME_FAILED if skipped else 0


def _originals(
    options: argparse.Namespace,
) -> tuple[list[Original], list[Original], dict[str, Any]]:
    """Return what to prepare, and the settings on which the result depends."""
    from input_pipeline.procedural.synthetic import SyntheticSource
    from input_pipeline.training_data import originals
    from input_pipeline.training_data.image_files import collect_foregrounds
    from input_pipeline.training_data.training_sets import TRAINING_SETS, check_whole
    from input_pipeline.training_data.training_sources import foreground_folders

    photos = list_backgrounds(options)
    settings: dict[str, Any] = {
        "kind": options.kind,
        "raw_backgrounds": options.raw_backgrounds,
    }
    if options.kind == "synthetic":
        source = SyntheticSource(
            seed=options.seed, size=(options.size_px, options.size_px), photos=photos
        )
        settings |= {
            "size_px": options.size_px,
            "seed": options.seed,
            "photos": [str(photo) for photo in photos],
        }
        return *originals.generated(source, options.count), settings
    pairs = foreground_folders(options.kind, options.folder, alphas=options.alphas)
    problems: list[str] = []
    foregrounds = collect_foregrounds(pairs, problems)
    if problems:
        raise InputError("; ".join(problems))
    if options.kind in TRAINING_SETS:
        check_whole(options.kind, foregrounds, options.folder)
    return (
        originals.foregrounds_in_files(foregrounds),
        originals.backgrounds_in_files(photos),
        settings | {"background_side_px": options.background_side},
    )


def _keep_apart(options: argparse.Namespace) -> None:
    """Refuse to write where photos are searched: they would be found there."""
    from input_pipeline.training_data.training_sources import split_folders

    for folder in split_folders(options.backgrounds) if options.backgrounds else ():
        if options.output.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{options.output}: lies in the folder of backgrounds {folder}; choose "
                "a place outside of it"
            )


def _check_space(folder: Path, needed: int) -> None:
    """Print how much space is needed and there; refuse to fill a disk."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    line = f"space: about {needed / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free"
    if needed > free:
        raise InputError(f"{folder}: {line}; make room or choose another place")
    print(line, file=sys.stderr)


if __name__ == "__main__":
    from experiments import prepare
    from tmfnet_jax import cli

    cli.run(["prepare", *sys.argv[1:]], commands=[prepare])
