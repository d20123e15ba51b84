"""`tmfnet matte`: a photo and its trimap to an alpha matte, or a folder of them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tmfnet_jax.commands.common import add_command, keep_inputs, with_name
from tmfnet_jax.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from tmfnet_jax.batch import Job, Progress
    from tmfnet_jax.images import Photo
    from tmfnet_jax.inference import Matting

    Loaded = tuple[Photo, np.ndarray, list[str]]  # photo, trimap, notices
    Made = tuple[np.ndarray, bytes | None]  # prediction, colour profile

STREAM = "-"  # standard input or output in place of a file
STREAM_BYTES = 2**31  # read from it at most: more than the readers of images take
EXIT_SOME_FAILED = 1
EXIT_INTERRUPTED = 130

_USAGE = """
  tmfnet matte IMAGE TRIMAP -o ALPHA --weights WEIGHTS [options]
  tmfnet matte IMAGE ... --trimaps DIR -o DIR --weights WEIGHTS [options]"""

_DETAILS = """\
The trimap is a grey image of the photo's size: 0 where there is surely
background, 255 where there is surely the subject, 128 where the network
has to decide. Draw the unknown band wide enough to hold every hair. A black
and white mask is taken as well: it gets such a band along its edge.

examples:
  tmfnet matte photo.jpg trimap.png -o alpha.png --weights W
  tmfnet matte photo.jpg mask.png --band 5% --cutout -o cutout.png --weights W
  tmfnet matte shots/ --trimaps trimaps/ -o mattes/ --weights W
  tmfnet matte 'shots/*.jpg' --trimaps trimaps/ -o mattes/ --weights W
  tmfnet matte - trimap.png -o - --weights W < photo.jpg > alpha.png

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
        help="file to write: .png, .tif or .exr, or - for standard output; with "
        "--trimaps: a folder, created if need be",
    )
    add(
        "--weights",
        type=Path,
        required=True,
        help="safetensors file from `tmfnet convert`, or a training run's workdir",
    )
    add(
        "--tta",
        choices=("none", "8", "10"),
        default="none",
        help="average over rotations and flip (8), and two scales (10): slower, "
        "slightly better; default: none",
    )
    add(
        "--max-memory",
        metavar="SIZE",
        help="let the network use about this much, like 2GB or 900MB: large photos "
        "are matted in strips",
    )

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

    result = parser.add_argument_group("what to write instead of the alpha")
    add = result.add_mutually_exclusive_group().add_argument
    add(
        "--cutout",
        action="store_true",
        help="the subject in its own colours, without the background's: straight RGBA",
    )
    add(
        "--premultiplied",
        action="store_true",
        help="the same with colours multiplied by alpha, as compositors expect in .exr",
    )
    add(
        "--background",
        metavar="COLOUR|IMAGE",
        help="the subject before a colour (white, '#00ff00') or another picture",
    )
    add = result.add_argument
    add(
        "--bits",
        type=int,
        choices=(8, 16),
        default=8,
        help="depth of .png and .tif, default 8; .exr holds floats, colours as linear "
        "light",
    )
    add(
        "--format",
        choices=("png", "tif", "exr"),
        help="for folders and standard output; default: png",
    )

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


def parse_memory(text: str) -> int:
    """Read an amount of memory, such as 2GB, 900MB or 1.5GiB, in bytes.

    Raises:
      InputError: anything else, or zero.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT])(i?)B?\s*", text, re.I)
    if not match or not float(match[1]):
        raise InputError(
            f"memory is {text!r}; expected a number with its unit, like 2GB or 900MB"
        )
    base = 1024 if match[3] else 1000
    return round(float(match[1]) * base ** ("KMGT".index(match[2].upper()) + 1))


def _matte(options: argparse.Namespace) -> None:
    from tmfnet_jax.trimap_making import DEFAULT_BAND, parse_band

    # All input is checked before anything slow starts.
    if options.band is not None:
        options.band = parse_band(options.band)
    elif options.mask:
        options.band = DEFAULT_BAND
    if options.max_memory is not None:
        options.max_memory = parse_memory(options.max_memory)
    if options.background is not None:
        from tmfnet_jax.cutout import load_background

        load_background(options.background, 1, 1)
    if options.trimaps is None:
        _matte_one(options)
    else:
        _matte_many(options)


def _matte_one(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    _check_one(options)
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

        result = _predict(matting, photo, labels, options, show)
    _write(options.output, result, photo.profile, options)
    depth = "float" if _is_float(options) else f"{options.bits} bit"
    streamed = options.output == STREAM
    print(
        f"{_name(options.output, 'output')}: {_kind(options)} of {width}x{height} "
        f"pixels, {depth}",
        file=sys.stderr if streamed else sys.stdout,
    )


def _check_one(options: argparse.Namespace) -> None:
    """Refuse what the names alone tell to be wrong."""
    from tmfnet_jax.images import check_output

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
    if options.output == STREAM:
        if sys.stdout.isatty():
            raise InputError("standard output is a terminal; redirect it: > alpha.png")
        return
    output = Path(options.output)
    if options.format:
        raise InputError(
            f"{output}: its end says the format; --format is for folders and -o -"
        )
    sources = [*options.inputs, options.background or STREAM, options.weights]
    keep_inputs(output, *(Path(source) for source in sources if source != STREAM))
    check_output(output, channels=_channels(options), dtype=_dtype(options))
    _check_writable(output.parent)
    _check_writable(output)


def _matte_many(options: argparse.Namespace) -> None:
    from tmfnet_jax.batch import find_jobs, run_jobs, say

    if STREAM in (*options.inputs, options.output):
        raise InputError("- is for one photo; with --trimaps name files and folders")
    output = Path(options.output)
    jobs, tally = find_jobs(
        options.inputs,
        trimaps=options.trimaps,
        output=output,
        suffix=_suffix(options),
        recursive=options.recursive,
        overwrite=options.overwrite,
    )
    if options.background is not None:
        for job in jobs:
            keep_inputs(job.output, Path(options.background))
    output.mkdir(parents=True, exist_ok=True)
    _check_writable(output)
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
        return _predict(matting, photo, trimap, options, show), photo.profile

    def write(job: Job, made: Made) -> None:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        _write(str(job.output), *made, options)

    if jobs:
        matting = _network(options)
        run_jobs(jobs, read=read, compute=compute, write=write, tally=tally)
    for kind, count in notices.items():
        if count > 1:
            say(f"tmfnet: warning: {count} trimaps in all: {kind}")
    for failure in tally.failures:
        say(f"tmfnet: failed: {failure}")
    print(f"{output}: {tally}")
    if tally.interrupted:
        again = "with --overwrite all starts anew" if options.overwrite else "goes on"
        say(f"tmfnet: interrupted; the same command, run again, {again}")
        sys.exit(EXIT_INTERRUPTED)
    if tally.failures:
        sys.exit(EXIT_SOME_FAILED)


def _load(image: str, trimap: str, options: argparse.Namespace) -> Loaded:
    """Read a photo and its trimap and check them against each other."""
    from tmfnet_jax.images import decode_mask, decode_photo, read_mask, read_photo
    from tmfnet_jax.trimap_making import as_trimap

    if image == STREAM:
        photo = decode_photo(sys.stdin.buffer.read(STREAM_BYTES), name=_name(image))
    else:
        photo = read_photo(image)
    if trimap == STREAM:
        values = decode_mask(sys.stdin.buffer.read(STREAM_BYTES), name=_name(trimap))
    else:
        values = read_mask(trimap)
    if photo.pixels.shape[:2] != values.shape[:2]:
        from tmfnet_jax.trimap import size_mismatch

        raise InputError(size_mismatch(photo.pixels, values))
    try:
        labels, notices = as_trimap(values, band=options.band)
    except InputError as error:
        raise InputError(with_name(Path(_name(trimap)), error)) from None
    return photo, labels, notices


def _network(options: argparse.Namespace) -> Matting:
    from tmfnet_jax.inference import Matting, use_compile_cache
    from tmfnet_jax.serving.memory import tune_allocator

    use_compile_cache()
    tune_allocator()
    return Matting.load(options.weights, max_memory=options.max_memory)


def _predict(
    matting: Matting,
    photo: Photo,
    trimap: np.ndarray,
    options: argparse.Namespace,
    progress: Progress,
) -> np.ndarray:
    wanted = matting.alpha if _kind(options) == "alpha" else matting.cutout
    return wanted(photo.pixels, trimap, tta=options.tta, progress=progress)


def _write(
    output: str, result: np.ndarray, profile: bytes | None, options: argparse.Namespace
) -> None:
    """Bring a prediction into the form that was asked for and store it."""
    from tmfnet_jax.images import encode_image, write_image

    if _kind(options) != "alpha":
        values = _coloured(result, options)
    else:
        values = result if _is_float(options) else _integers(result, options.bits)
    more = {"profile": profile, "premultiplied": options.premultiplied}
    if output != STREAM:
        write_image(output, values, **more)
        return
    data = encode_image(values, _suffix(options), **more)
    try:
        # Not through sys.stdout, which tries again at exit what it could not write.
        with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
            stream.write(data)
    except OSError as error:
        raise InputError(
            f"standard output: cannot be written ({error.strerror})"
        ) from None


def _coloured(rgba: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """Turn a straight cut-out into the picture that was asked for."""
    import numpy as np

    from tmfnet_jax import cutout

    linear = _is_float(options)
    if options.background is not None:
        size = rgba.shape[:2]
        # Before linear light: alpha mixes the values that the photo holds.
        rgb = cutout.over(rgba, cutout.load_background(options.background, *size))
        values = cutout.linear_light(rgb) if linear else rgb
    else:
        if linear:
            rgba = np.dstack([cutout.linear_light(rgba[..., :3]), rgba[..., 3]])
        values = cutout.premultiply(rgba) if options.premultiplied else rgba
    return values if linear else cutout.quantise(values, options.bits)


def _integers(values: np.ndarray, bits: int) -> np.ndarray:
    import numpy as np

    return np.round(values * (2**bits - 1)).astype(f"uint{bits}")


def _kind(options: argparse.Namespace) -> str:
    if options.background is not None:
        return "composite"
    return "cut-out" if options.cutout or options.premultiplied else "alpha"


def _channels(options: argparse.Namespace) -> int:
    return {"alpha": 1, "cut-out": 4, "composite": 3}[_kind(options)]


def _suffix(options: argparse.Namespace) -> str:
    if options.trimaps is None and options.output != STREAM:
        return Path(options.output).suffix.lower()
    return f".{options.format or 'png'}"


def _is_float(options: argparse.Namespace) -> bool:
    return _suffix(options) == ".exr"


def _dtype(options: argparse.Namespace) -> str:
    return "float32" if _is_float(options) else f"uint{options.bits}"


def _name(text: str, stream: str = "input") -> str:
    return f"standard {stream}" if text == STREAM else text


def _check_writable(path: Path) -> None:
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{path}: is protected from writing; choose another output")
