"""`tmfnet matte`: a photo and its trimap to an alpha matte, or a folder of them."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tmfnet_jax.commands.common import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    add_command,
    check_writable,
    keep_inputs,
    with_name,
)
from tmfnet_jax.commands.matte_output import STREAM, MatteOutput, add_output
from tmfnet_jax.commands.network_options import (
    add_computation,
    add_refinement,
    add_tta,
)
from tmfnet_jax.errors import InputError
from tmfnet_jax.named_weights import DEFAULT

if TYPE_CHECKING:
    import numpy as np

    from tmfnet_jax.batch import Progress
    from tmfnet_jax.images import Photo
    from tmfnet_jax.inference import Matting
    from tmfnet_jax.jobs import Job

    Loaded = tuple[Photo, np.ndarray, list[str]]  # photo, trimap, notices
    Made = tuple[np.ndarray, bytes | None]  # prediction, colour profile

Read = TypeVar("Read")

STREAM_BYTES = 2**31  # of standard input at most: more than readers of images take

_USAGE = """
  tmfnet matte IMAGE TRIMAP -o ALPHA [--weights WEIGHTS] [options]
  tmfnet matte IMAGE ... --trimaps DIR -o DIR [--weights WEIGHTS] [options]"""

_DETAILS = """\
The trimap is a grey image of the photo's size: 0 where there is surely
background, 255 where there is surely the subject, 128 where the network
has to decide. Draw the unknown band wide enough to hold every hair. A black
and white mask is taken as well: it gets such a band along its edge.

examples:
  tmfnet matte photo.jpg trimap.png -o alpha.png
  tmfnet matte photo.jpg mask.png --band 5% --cutout -o cutout.png
  tmfnet matte shots/ --trimaps trimaps/ -o mattes/
  tmfnet matte 'shots/*.jpg' --trimaps trimaps/ -o mattes/
  tmfnet matte - trimap.png -o - < photo.jpg > alpha.png

With --trimaps, photo.jpg goes with photo.png or photo_trimap.png of that folder.
One bad file does not stop the others: it is named at the end, and the exit status
is 1. Started again, the command goes on: mattes that exist are skipped."""


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands, "matte", _matte, "predict the alpha matte of photos", _DETAILS
    )
    parser.usage = _USAGE
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="IMAGE",
        help="a photo of any 8- or 16-bit format and its trimap; with --trimaps: "
        "photos, folders and quoted patterns; - is standard input",
    )
    add(
        *("-o", "--output"),
        required=True,
        help="file to write: .png, .tif or .exr, with --background also .jpg, or - for "
        "standard output; with "
        "--trimaps: a folder, created if need be",
    )
    add(
        "--weights",
        type=Path,
        default=Path(DEFAULT),
        help="a name that `tmfnet models` lists, a safetensors file from `tmfnet "
        f"convert`, or a training run's workdir; default: {DEFAULT}",
    )
    add_tta(parser)
    add_refinement(parser)
    add_computation(parser)

    add = parser.add_argument_group("trimap").add_argument
    add(
        "--mask",
        action="store_true",
        help="it is a mask, hard or soft; one of black and white alone is recognised",
    )
    add(
        "--band",
        metavar="WIDTH",
        help="it is a mask, and gets an unknown band of this width: pixels, or percent "
        "of the subject's size, like 24 or 5%%",
    )

    add_output(parser)
    add = parser.add_argument_group("folders").add_argument
    add("--trimaps", type=Path, metavar="DIR", help="folder of the photos' trimaps")
    add(
        "--recursive",
        action="store_true",
        help="search subfolders too; trimaps and outputs have the same subfolders",
    )
    add(
        "--overwrite",
        action="store_true",
        help="matte again what has an output already; default: skip it",
    )


def _matte(options: argparse.Namespace) -> int:
    from tmfnet_jax.trimap_making import DEFAULT_BAND, parse_band

    # All input is checked before anything slow starts.
    if options.band is not None:
        options.band = parse_band(options.band)
    elif options.mask:
        options.band = DEFAULT_BAND
    if options.background is not None:
        from tmfnet_jax.cutout import load_background

        load_background(options.background, 1, 1)
    matte = _matte_one if options.trimaps is None else _matte_many
    return matte(options, MatteOutput.from_options(options))


def _matte_one(options: argparse.Namespace, output: MatteOutput) -> int:
    from tqdm import tqdm

    _check_one(options, output)
    image, trimap = options.inputs
    photo, labels, notices = _load(image, trimap, options)
    for notice in notices:
        print(f"tmfnet: warning: {_name(trimap)}: {notice}", file=sys.stderr)
    matting = _network(options)
    height, width = labels.shape
    print(matting.plan(height, width, tta=options.tta), file=sys.stderr)
    with tqdm(unit="part", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        predict = output.predictor(matting)
        result = predict(photo.pixels, labels, tta=options.tta, progress=show)
    output.write(options.output, result, profile=photo.profile)
    print(
        f"{_name(options.output, 'output')}: {output.kind} of {width}x{height} "
        f"pixels, {output.depth}",
        file=sys.stderr if options.output == STREAM else sys.stdout,
    )
    return 0


def _check_one(options: argparse.Namespace, output: MatteOutput) -> None:
    """Refuse what the names alone tell to be wrong."""
    if len(options.inputs) != 2 or options.recursive:
        raise InputError(
            f"got {len(options.inputs)} inputs without --trimaps; expected a photo and "
            "its trimap, or photos, folders and patterns with --trimaps DIR"
        )
    if options.inputs == [STREAM, STREAM]:
        raise InputError("photo and trimap are both -; name a file for one of them")
    if STREAM in options.inputs and sys.stdin.isatty():
        raise InputError("standard input is a terminal; redirect a file: < photo.jpg")
    if Path(options.inputs[0]).is_dir():
        raise InputError(
            f"{options.inputs[0]}: is a folder; give its trimaps with --trimaps DIR"
        )
    if options.output != STREAM:
        if options.format:
            raise InputError(
                f"{options.output}: its end says the format; --format is for folders "
                "and -o -"
            )
        sources = [*options.inputs, options.background or STREAM, options.weights]
        files = (Path(source) for source in sources if source != STREAM)
        keep_inputs(Path(options.output), *files)
    if options.output != STREAM and Path(options.output).is_dir():
        raise InputError(f"{options.output}: is a folder; add a file name")
    output.check_target(options.output)


def _matte_many(options: argparse.Namespace, output: MatteOutput) -> int:
    from tmfnet_jax.batch import run_jobs, say
    from tmfnet_jax.jobs import IMAGE_SUFFIXES, find_jobs

    if STREAM in (*options.inputs, options.output):
        raise InputError("- is for one photo; with --trimaps name files and folders")
    folder = Path(options.output)
    if folder.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(
            f"{folder}: is named like a picture; with --trimaps -o names a folder"
        )
    jobs, tally = find_jobs(
        options.inputs,
        trimaps=options.trimaps,
        output=folder,
        suffix=output.suffix,
        recursive=options.recursive,
        overwrite=options.overwrite,
    )
    if options.background is not None:
        for job in jobs:
            keep_inputs(job.output, Path(options.background))
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder)
    if tally.failures:
        say(f"tmfnet: warning: {len(tally.failures)} failed already; listed at the end")
    notices: Counter[str] = Counter()
    plans: list[object] = []

    def read(job: Job) -> Loaded:
        return _load(str(job.image), str(job.trimap), options)

    def compute(job: Job, loaded: Loaded, show: Progress) -> Made:
        photo, trimap, found = loaded
        for notice in found:
            kind = re.sub(r"[0-9.]+", "#", notice)
            if not notices[kind]:
                say(f"tmfnet: warning: {job.trimap}: {notice}")
            notices[kind] += 1
        if not plans:
            plans.append(matting.plan(*trimap.shape, tta=options.tta))
            say(f"{job.image}: {plans[0]}")
        predict = output.predictor(matting)
        result = predict(photo.pixels, trimap, tta=options.tta, progress=show)
        return result, photo.profile

    def write(job: Job, made: Made) -> None:
        result, profile = made
        job.output.parent.mkdir(parents=True, exist_ok=True)
        output.write(str(job.output), result, profile=profile)

    if jobs:
        matting = _network(options)
        run_jobs(jobs, read=read, compute=compute, write=write, tally=tally)
    for kind, count in notices.items():
        if count > 1:
            say(f"tmfnet: warning: {count} trimaps in all: {kind}")
    for failure in tally.failures:
        say(f"tmfnet: failed: {failure}")
    print(f"{folder}: {tally}")
    if tally.interrupted:
        again = "with --overwrite all starts anew" if options.overwrite else "goes on"
        say(f"tmfnet: interrupted; the same command, run again, {again}")
        return EXIT_INTERRUPTED
    return EXIT_SOME_FAILED if tally.failures else 0


def _load(image: str, trimap: str, options: argparse.Namespace) -> Loaded:
    """Read a photo and its trimap and check them against each other."""
    from tmfnet_jax.images import decode_mask, decode_photo, read_mask, read_photo
    from tmfnet_jax.trimap_making import as_trimap

    photo = _read(image, read_photo, decode_photo)
    values = _read(trimap, read_mask, decode_mask)
    if photo.pixels.shape[:2] != values.shape[:2]:
        from tmfnet_jax.trimap import size_mismatch

        raise InputError(size_mismatch(photo.pixels, values))
    try:
        labels, notices = as_trimap(values, band=options.band)
    except InputError as error:
        raise InputError(with_name(Path(_name(trimap)), error)) from None
    return photo, labels, notices


def _read(name: str, read: Callable[[str], Read], decode: Callable[..., Read]) -> Read:
    if name != STREAM:
        return read(name)
    return decode(sys.stdin.buffer.read(STREAM_BYTES), name=_name(name))


def _network(options: argparse.Namespace) -> Matting:
    from tmfnet_jax.inference import Matting, use_compile_cache
    from tmfnet_jax.serving.memory import tune_allocator

    use_compile_cache()
    tune_allocator()
    return Matting.load(
        options.weights,
        max_memory=options.max_memory,
        dtype=options.dtype,
        refine=options.refine,
    )


def _name(text: str, stream: str = "input") -> str:
    return f"standard {stream}" if text == STREAM else text
