"""`tmfnet trimap`: make a trimap, or look at one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tmfnet_jax.commands.common import add_command, keep_inputs, with_name
from tmfnet_jax.errors import InputError

if TYPE_CHECKING:
    import numpy as np

_BAND = """\
--band is the width of the unknown band, half of it on either side of the edge:
pixels (24 or 24px) or percent of the subject's size (3%), which is the square
root of its area. Wide enough to hold every hair is right; much wider leaves the
network less to go by. The 6% by default suit fur and loose hair; 2 or 3% suit
bottles and boxes.

"""


def add(commands) -> None:
    """Declare the command and what it can do."""
    parser = commands.add_parser(
        "trimap",
        help="make a trimap from a mask, strokes or a photo; check one",
        description="Make a trimap from what you have, or check one.",
        epilog="Each explains itself: tmfnet trimap from-mask --help",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_from_mask(actions)
    _add_from_scribbles(actions)
    _add_from_photo(actions)
    _add_check(actions)


def _add_from_mask(actions) -> None:
    parser = add_command(
        actions,
        "from-mask",
        _from_mask,
        "lay the unknown band along the edge of a mask or an alpha",
        "A mask is black where there is background and white where there is the\n"
        "subject; of a cut-out with transparency, the alpha is taken. What is grey\n"
        "in a soft mask or an alpha is always unknown, and the band goes beyond it.\n\n"
        f"{_BAND}"
        "example: tmfnet trimap from-mask mask.png -o trimap.png --band 24px",
    )
    parser.add_argument("mask", type=Path, help="mask, alpha or cut-out")
    _add_making(parser)
    parser.add_argument(
        "--snap",
        metavar="PERCENT",
        default="0",
        help="take grey this near black or white for black or white, against the "
        "noise of JPEG files and networks: 4 is a lot; default: 0",
    )


def _add_from_scribbles(actions) -> None:
    parser = add_command(
        actions,
        "from-scribbles",
        _from_scribbles,
        "find the subject from a few strokes, then lay the band",
        "Mark the subject with white or green strokes, the background with black or\n"
        "red ones: on a grey or transparent layer of the photo's size, or on a copy\n"
        "of the photo (green and red are safest there; save it as PNG). A stroke\n"
        "should cross every colour of what it marks. GrabCut does the rest; look at\n"
        "it with `tmfnet trimap check`, and add strokes where it went wrong.\n\n"
        f"{_BAND}"
        "example: tmfnet trimap from-scribbles photo.jpg strokes.png -o trimap.png",
    )
    parser.add_argument("image", type=Path, help="photo: any 8- or 16-bit format")
    parser.add_argument("scribbles", type=Path, help="strokes, of the photo's size")
    _add_making(parser)


def _add_from_photo(actions) -> None:
    parser = add_command(
        actions,
        "from-photo",
        _from_photo,
        "let rembg find the subject, then lay the band",
        "Needs the package rembg, which is not installed with tmfnet:\n"
        'pip install "rembg[cpu]". At its first use it downloads a model, which has\n'
        "its own licence.\n\n"
        f"{_BAND}"
        "example: tmfnet trimap from-photo photo.jpg -o trimap.png",
    )
    parser.add_argument("image", type=Path, help="photo: any 8- or 16-bit format")
    _add_making(parser)
    parser.add_argument("--model", help="a rembg model; default: rembg's own choice")


def _add_making(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="trimap to write: .png or .tif"
    )
    parser.add_argument(
        "--band", help="width of the unknown band: 24, 24px or 3%%; default: 6%%"
    )


def _add_check(actions) -> None:
    parser = add_command(
        actions,
        "check",
        _check,
        "say what a trimap holds and what looks wrong",
        "With -o, a picture as well: subject green, background dark and red, the\n"
        "unknown band bright between two outlines. All hair and blur should lie\n"
        "inside the band.\n\n"
        "example:\n"
        "  tmfnet trimap check trimap.png --image photo.jpg -o overlay.jpg",
    )
    parser.add_argument("trimap", type=Path, help="trimap, or a mask taken for one")
    parser.add_argument("--image", type=Path, help="the photo that it belongs to")
    parser.add_argument("-o", "--output", type=Path, help="picture to write")


def _from_mask(options: argparse.Namespace) -> None:
    from tmfnet_jax.subject_mask import snap_ends

    _check_output(options, options.mask)
    share = _percent(options.snap)
    mask = _read_mask(options.mask)
    if share:
        mask = snap_ends(mask, share)
    _write_trimap(options, mask, options.mask)


def _from_scribbles(options: argparse.Namespace) -> None:
    from tmfnet_jax.images import read_image
    from tmfnet_jax.subject_mask import mask_from_scribbles

    _check_output(options, options.image, options.scribbles)
    image = read_image(options.image)
    scribbles = _read_cutout(options.scribbles)
    if scribbles is None:
        scribbles = read_image(options.scribbles)
    try:
        mask = mask_from_scribbles(image, scribbles)
    except InputError as error:
        raise InputError(with_name(options.scribbles, error)) from None
    _write_trimap(options, mask, options.scribbles)


def _from_photo(options: argparse.Namespace) -> None:
    from tmfnet_jax.images import read_image
    from tmfnet_jax.subject_mask import mask_from_photo

    _check_output(options, options.image)
    mask = mask_from_photo(read_image(options.image), model=options.model)
    _write_trimap(options, mask, options.image)


def _check(options: argparse.Namespace) -> None:
    from tmfnet_jax.images import check_output, read_image, read_mask, write_image
    from tmfnet_jax.trimap_check import describe_trimap, nearest_labels, overlay

    inputs = [options.trimap] + ([options.image] if options.image else [])
    if options.output:
        keep_inputs(options.output, *inputs)
        check_output(options.output, channels=3, dtype="uint8")
    image = read_image(options.image) if options.image else None
    values = read_mask(options.trimap)
    try:
        for finding in describe_trimap(values, image):
            print(finding)
        if options.output:
            write_image(options.output, overlay(image, nearest_labels(values)))
    except InputError as error:
        raise InputError(with_name(options.trimap, error)) from None
    if options.output:
        print(f"picture: {options.output}")


def _check_output(options: argparse.Namespace, *inputs: Path) -> None:
    """Check what can be checked before the inputs are read."""
    from tmfnet_jax.images import check_output
    from tmfnet_jax.trimap_making import DEFAULT_BAND, parse_band

    keep_inputs(options.output, *inputs)
    check_output(options.output, channels=1, dtype="uint8")
    options.band = parse_band(options.band) if options.band else DEFAULT_BAND


def _percent(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / 100
    except ValueError:
        raise InputError(
            f"--snap is {text[:40]!r}; expected a percentage, like 4"
        ) from None


def _read_mask(path: Path) -> np.ndarray:
    """Read a mask, or the alpha of a file with transparency."""
    from tmfnet_jax.images import read_mask

    cutout = _read_cutout(path)
    if cutout is not None and cutout[..., 3].min() < cutout[..., 3].max():
        return cutout[..., 3]
    return read_mask(path)


def _read_cutout(path: Path) -> np.ndarray | None:
    from tmfnet_jax.images import read_cutout

    try:
        return read_cutout(path)
    except InputError:  # no alpha channel, or unreadable: then read_mask will say so
        return None


def _write_trimap(options: argparse.Namespace, mask: np.ndarray, source: Path) -> None:
    from tmfnet_jax.images import write_image
    from tmfnet_jax.trimap import TRIMAP_UNKNOWN
    from tmfnet_jax.trimap_making import as_trimap

    try:
        trimap, notices = as_trimap(mask, band=options.band)
    except InputError as error:
        raise InputError(with_name(source, error)) from None
    for notice in notices:
        print(f"tmfnet: note: {source}: {notice}", file=sys.stderr)
    write_image(options.output, trimap)
    height, width = trimap.shape
    unknown = (trimap == TRIMAP_UNKNOWN).mean()
    print(f"{options.output}: trimap of {width}x{height} pixels, {unknown:.1%} unknown")
