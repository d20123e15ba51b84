"""`tmfnet matte`: a photo and its trimap to an alpha matte."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tmfnet_jax.commands.common import add_command, keep_inputs, with_name
from tmfnet_jax.errors import InputError


def add(commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "matte",
        _matte,
        "predict the alpha matte of a photo",
        "The trimap is a grey image of the photo's size: 0 where there is surely\n"
        "background, 255 where there is surely the subject, 128 where the network\n"
        "has to decide. Draw the unknown band wide enough to hold every hair.\n\n"
        "example:\n"
        "  tmfnet matte photo.jpg trimap.png -o alpha.png --weights runs/demo",
    )
    parser.add_argument("image", type=Path, help="photo: any 8- or 16-bit format")
    parser.add_argument("trimap", type=Path, help="its trimap: 0, 128, 255")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="alpha to write: .png or .tif"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        required=True,
        help="safetensors file from `tmfnet convert`, or a training run's workdir",
    )
    parser.add_argument(
        "--tta",
        choices=("none", "8", "10"),
        default="none",
        help="average over rotations and flip (8), and two scales (10): slower, "
        "slightly better; default: none",
    )
    parser.add_argument(
        "--bits", type=int, choices=(8, 16), default=8, help="depth of the alpha file"
    )


def _matte(options: argparse.Namespace) -> None:
    from tmfnet_jax.images import check_output, read_image, read_mask, write_image
    from tmfnet_jax.trimap import canonical_trimap

    # All input is checked before anything slow starts.
    keep_inputs(options.output, options.image, options.trimap, options.weights)
    check_output(options.output, channels=1, dtype=f"uint{options.bits}")
    image = read_image(options.image)
    try:
        trimap, warnings = canonical_trimap(read_mask(options.trimap))
    except InputError as error:
        raise InputError(with_name(options.trimap, error)) from None
    for warning in warnings:
        print(f"tmfnet: warning: {options.trimap}: {warning}", file=sys.stderr)

    from tmfnet_jax.inference import Matting, size_mismatch, use_compile_cache

    if image.shape[:2] != trimap.shape:
        raise InputError(size_mismatch(image, trimap))
    matting = Matting.load(options.weights)
    use_compile_cache()
    height, width = trimap.shape
    print(f"matting {width}x{height} pixels ...", file=sys.stderr)
    alpha = matting.alpha(image, trimap, tta=options.tta)
    write_image(options.output, _integers(alpha, options.bits))
    print(f"{options.output}: alpha of {width}x{height} pixels, {options.bits} bit")


def _integers(alpha, bits: int):
    import numpy as np

    return np.round(alpha * (2**bits - 1)).astype(f"uint{bits}")
