"""Measure inference against the same network in PyTorch: time and peak memory.

    python -m experiments.benchmark_torch --sizes 512 1024 2048

Both get one random image and trimap per size as NumPy arrays and return the matte as
one; everything between is timed. Each case runs in a process of its own, so that its
peak is its own: resident memory on a CPU (interpreter, libraries and compilation
included), allocated device memory on CUDA. No compile cache is used. Ours lets the C
allocator keep freed memory, as `tmfnet matte` does (`tune_allocator`).

Needs `torch`; a case that cannot run (no torch, no compiler for torch.compile, out
of memory) is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tmfnet_jax.errors import InputError
from tmfnet_jax.fresh_process import in_fresh_process
from tmfnet_jax.serving.memory import peak_rss_bytes, tune_allocator

# This process imports neither JAX nor PyTorch: on Linux a child's peak starts at
# its parent's resident memory.

# Untrained kernels of full size let the three products of features in the fusion
# stages grow to 1e8; with this gain alpha stays in the range of a trained network's.
KERNEL_GAIN = 0.7
MODES = {  # name: (compiled, channels_last)
    "eager": (False, False),
    "compile": (True, False),
    "eager_nhwc": (False, True),
    "compile_nhwc": (True, True),
}
WEIGHTS, TORCH_WEIGHTS, MATTE = "weights.safetensors", "weights.pth", "{}_{}.npy"


@dataclass(frozen=True)
class Case:
    """What one process measures.

    Attributes:
      size: side of the square image in pixels.
      who: "ours" or "torch".
      mode: "jit" for ours, else a name in MODES.
      dtype: computation type, "float32" or "bfloat16".
    """

    size: int
    who: str
    mode: str
    dtype: Literal["float32", "bfloat16"]

    def __str__(self) -> str:
        return f"{self.size} px, {self.who} {self.mode}, {self.dtype}"


def random_image_and_trimap(size: int):
    """Draw what both are measured on.

    Returns:
      [size, size, 3] uint8 noise, and a trimap whose unknown region is 98% of the
      image and touches all of its borders: only a foreground square of an eighth of
      the side at the centre and a background one of a sixteenth in a corner are
      known.
    """
    import numpy as np

    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    trimap = np.full((size, size), 128, np.uint8)
    trimap[: size // 16, : size // 16] = 0
    centre = slice(size * 7 // 16, size * 9 // 16)
    trimap[centre, centre] = 255
    return image, trimap


def write_weights(folder: Path, variant: str) -> None:
    """Write a random network of a variant in both formats."""
    import numpy as np

    from tmfnet_jax import weights
    from tmfnet_jax.parameters import initial_network, named_arrays
    from tmfnet_jax.torch_file import write_torch_file
    from tmfnet_jax.torch_weights import to_torch
    from tmfnet_jax.variants import named_config

    config = named_config(variant)
    arrays = {
        name: np.float32(KERNEL_GAIN) * value if name.endswith(".kernel") else value
        for name, value in named_arrays(initial_network(config, seed=0)).items()
    }
    write_torch_file(folder / TORCH_WEIGHTS, to_torch(arrays, config))
    weights.write_weights(folder / WEIGHTS, config, arrays)


def measure_ours(case: Case, folder: Path, device: str, repeats: int) -> dict:
    """Measure `Matting.alpha`; leave the matte for comparison."""
    os.environ["JAX_PLATFORMS"] = device
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    import jax
    import numpy as np

    from tmfnet_jax.inference import Matting

    try:
        accelerator = jax.devices()[0]
    except (RuntimeError, AssertionError) as error:
        raise RuntimeError(f"JAX finds no {device} device {error}") from error
    tune_allocator()
    matting = Matting.load(folder / WEIGHTS, dtype=case.dtype)
    image, trimap = random_image_and_trimap(case.size)
    result, alpha = _timed(lambda: matting.alpha(image, trimap), repeats)
    peak = peak_rss_bytes()
    if device != "cpu":
        peak = accelerator.memory_stats()["peak_bytes_in_use"]
    np.save(folder / MATTE.format(case.size, case.dtype), alpha)
    return {**result, "peak_mb": peak / 1e6}


def measure_torch(case: Case, folder: Path, device: str, repeats: int) -> dict:
    """Measure the twin; compare its matte with ours."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(dir=folder)
    import numpy as np
    import torch

    from experiments.torch_twin import load, predict_alpha

    torch.backends.cudnn.benchmark = True
    compiled, channels_last = MODES[case.mode]
    options = _network_options(folder / WEIGHTS)
    network: Any = load(folder / TORCH_WEIGHTS, **options)
    network = network.to(device, getattr(torch, case.dtype))
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    run: Any = torch.compile(network) if compiled else network
    image, trimap = random_image_and_trimap(case.size)
    # Copying the matte to the host synchronises.
    result, alpha = _timed(lambda: predict_alpha(run, image, trimap), repeats)
    peak = peak_rss_bytes() if device == "cpu" else torch.cuda.max_memory_allocated()
    ours = folder / MATTE.format(case.size, case.dtype)
    if ours.exists():
        result["largest_difference"] = float(np.abs(alpha - np.load(ours)).max())
    return {**result, "peak_mb": peak / 1e6}


def _network_options(path: Path) -> dict:
    """Read width and fusion from a weights file without importing JAX."""
    import safetensors

    with safetensors.safe_open(path, framework="numpy") as file:
        network = json.loads(file.metadata()["tmfnet_jax.network"])
    return {"width": network["width"], "fusion": network["fusion"]}


def _timed(call: Callable[[], Any], repeats: int) -> tuple[dict, Any]:
    """Time a first call, which compiles, and some more."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        alpha = call()
        seconds.append(time.perf_counter() - start)
    first, *rest = seconds
    result = {
        "best_s": min(rest),
        "median_s": statistics.median(rest),
        "compile_s": max(0.0, first - statistics.median(rest)),
    }
    return result, alpha


def run_cases(options: argparse.Namespace, folder: Path) -> list[dict]:
    """Measure every case; one row each, with ratios to ours."""
    cases = [
        Case(size, who, mode, dtype)
        for size in options.sizes
        for dtype in options.dtype
        for who, modes in (("ours", ["jit"]), ("torch", options.modes))
        for mode in modes
    ]
    rows = []
    for index, case in enumerate(cases, start=1):
        print(f"{index}/{len(cases)}: {case}", file=sys.stderr)
        measure = measure_ours if case.who == "ours" else measure_torch
        arguments = (case, folder, options.device, options.repeats)
        row = {**asdict(case), "device": options.device}
        try:
            row |= in_fresh_process(measure, *arguments, timeout_s=options.timeout_s)
        except (InputError, RuntimeError) as error:
            row["failed"] = str(error)
        if case.who == "ours":
            ours = row
        if "failed" not in row and "failed" not in ours:
            row["time_ratio"] = row["best_s"] / ours["best_s"]
            row["peak_ratio"] = row["peak_mb"] / ours["peak_mb"]
        rows.append(row)
    return rows


def as_table(rows: list[dict]) -> str:
    """Format the rows for a terminal."""
    from tmfnet_jax.reporting import format_table

    numbers = {
        "best_s": ("best s", ".3f"),
        "median_s": ("median s", ".3f"),
        "compile_s": ("compile s", ".1f"),
        "peak_mb": ("peak MB", ".0f"),
        "time_ratio": ("time/ours", ".2f"),
        "peak_ratio": ("peak/ours", ".2f"),
        "largest_difference": ("difference", ".1e"),
    }
    names = ("size", "who", "mode", "dtype")
    header = [*names, *(title for title, _ in numbers.values()), "note"]
    lines = [
        [
            *(str(row[name]) for name in names),
            *(
                format(row[key], style) if key in row else "-"
                for key, (_, style) in numbers.items()
            ),
            f"failed: {row['failed']}" if "failed" in row else "",
        ]
        for row in rows
    ]
    return format_table(header, lines)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmark_torch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--sizes", type=_positive, nargs="+", default=[512, 1024], help="sides, px")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--modes", choices=MODES, nargs="+", default=["eager", "compile"])
    add("--dtype", choices=("float32", "bfloat16"), nargs="+", default=["float32"])
    add("--variant", default="tmfnet", help="network, as `tmfnet info` lists")
    add("--repeats", type=_positive, default=5, help="timed calls after the first")
    add("--timeout_s", type=_positive, default=1800, help="for one case")
    add("--json", action="store_true", help="print the rows as JSON")
    return parser


def main() -> int:
    """Run the benchmark; return the exit status: 0, 2 for bad input."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory() as name:
        try:
            in_fresh_process(write_weights, Path(name), options.variant)
        except (InputError, RuntimeError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        rows = run_cases(options, Path(name))
    print(json.dumps(rows, indent=1) if options.json else as_table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
