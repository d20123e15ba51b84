"""The `tmfnet` command: argument parsing and messages only."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tmfnet_jax.errors import InputError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except InputError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("out of memory; close other programs or use a smaller image")
    except OSError as error:
        return _fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("tmfnet: interrupted; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _fail(message: str) -> int:
    print(f"tmfnet: error: {' '.join(message.split())}", file=sys.stderr)
    return EXIT_BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tmfnet",
        description="Trimap-based image matting with TMFNet.",
        epilog="Every command explains itself: tmfnet COMMAND --help",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_matte, _add_convert, _add_info):
        add(commands)
    return parser


def _command(commands, name: str, run, summary: str, details: str):
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{details}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_matte(commands) -> None:
    parser = _command(
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


def _add_convert(commands) -> None:
    parser = _command(
        commands,
        "convert",
        _convert,
        "convert weights between PyTorch and safetensors",
        "The direction follows from the names: .pth to .safetensors or back. PyTorch\n"
        "is not needed, and nothing in the file is executed: a file that holds more\n"
        "than tensors and plain values is refused.\n\n"
        "example: tmfnet convert comp1k.pth comp1k.safetensors",
    )
    parser.add_argument("source", type=Path, help=".pth, .safetensors or a workdir")
    parser.add_argument("target", type=Path, help=".safetensors or .pth to write")
    parser.add_argument(
        "--variant",
        default="tmfnet",
        help="network of a .pth file, a name that `tmfnet info` lists; default: tmfnet",
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="store float16: half the size, about three decimal digits",
    )


def _add_info(commands) -> None:
    parser = _command(
        commands,
        "info",
        _info,
        "list the networks with their sizes beside the paper's",
        "Parameters are counted in the network, multiply-adds in its traced program\n"
        "(convolutions only, one multiply-add counted as one).",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def _matte(options: argparse.Namespace) -> None:
    from tmfnet_jax.images import check_output, read_image, read_mask, write_image
    from tmfnet_jax.trimap import canonical_trimap

    # All input is checked before anything slow starts.
    _keep_inputs(options.output, options.image, options.trimap, options.weights)
    check_output(options.output, channels=1, dtype=f"uint{options.bits}")
    image = read_image(options.image)
    try:
        trimap, warnings = canonical_trimap(read_mask(options.trimap))
    except InputError as error:
        raise InputError(_with_name(options.trimap, error)) from None
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


def _convert(options: argparse.Namespace) -> None:
    import numpy as np

    from tmfnet_jax.torch_file import read_torch_file, write_torch_file
    from tmfnet_jax.torch_weights import find_state_dict, from_torch, to_torch
    from tmfnet_jax.variants import named_config
    from tmfnet_jax.weights import TORCH_SUFFIXES, read_weights, write_weights

    source, target = options.source, options.target
    _keep_inputs(target, source)
    if target.suffix not in (".safetensors", *TORCH_SUFFIXES):
        raise InputError(
            f"{target}: unknown kind of weights; expected a name ending in "
            f".safetensors or {TORCH_SUFFIXES[0]}"
        )
    if source.suffix in TORCH_SUFFIXES:
        config = named_config(options.variant)
        tensors = find_state_dict(read_torch_file(source), origin=str(source))
        arrays = from_torch(tensors, config, origin=str(source))
    else:
        config, arrays = read_weights(source)
    dtype = np.float16 if options.half else np.float32
    if target.suffix == ".safetensors":
        write_weights(target, config, arrays, dtype=dtype)
    else:
        arrays = {name: np.asarray(value, dtype) for name, value in arrays.items()}
        write_torch_file(target, to_torch(arrays, config))
    size = target.stat().st_size / 1e6
    print(f"{target}: {len(arrays)} arrays, {size:.1f} MB")


def _info(options: argparse.Namespace) -> None:
    from tmfnet_jax.counting import PAPER_SIZE, convolution_macs
    from tmfnet_jax.parameters import parameter_count
    from tmfnet_jax.reporting import format_table
    from tmfnet_jax.variants import VARIANTS

    records: list[dict] = [
        {
            "variant": name,
            "params": parameter_count(variant.config),
            "macs": convolution_macs(variant.config, PAPER_SIZE, PAPER_SIZE),
            "paper_params": variant.paper_params,
            "paper_macs": variant.paper_macs,
        }
        for name, variant in VARIANTS.items()
    ]
    if options.json:
        print(json.dumps(records, indent=2))
        return
    rows = [
        (
            record["variant"],
            f"{record['params']:,}",
            _scaled(record["paper_params"], 1e6, "M"),
            _scaled(record["macs"], 1e9, "G"),
            _scaled(record["paper_macs"], 1e9, "G"),
            VARIANTS[record["variant"]].paper_row,
        )
        for record in records
    ]
    header = ("variant", "parameters", "paper", "multiply-adds", "paper", "is")
    print(format_table(header, rows))
    print(
        f"\nMultiply-adds: convolutions alone, {PAPER_SIZE}x{PAPER_SIZE}. The paper's "
        "count adds normalisation,\nactivations and pooling."
    )


def _scaled(value: int | None, unit: float, name: str) -> str:
    if value is None:
        return "-"
    digits = 1 if unit == 1e6 else 0
    return f"{value / unit:.{digits}f} {name}"


def _keep_inputs(output: Path, *inputs: Path) -> None:
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"{output}: is an input; choose another output")


def _with_name(path: Path, error: InputError) -> str:
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _integers(alpha, bits: int):
    import numpy as np

    return np.round(alpha * (2**bits - 1)).astype(f"uint{bits}")


if __name__ == "__main__":
    sys.exit(main())
