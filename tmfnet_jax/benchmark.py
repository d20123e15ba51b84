"""Time, memory and share of a device's peak for mattes of given sizes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tmfnet_jax.errors import InputError
from tmfnet_jax.fresh_process import in_fresh_process

PEAK_SIDE = 2048  # of the square matrices whose product sets the peak
PEAK_REPEATS = 5
MEGABYTE = 10**6


@dataclass(frozen=True)
class Case:
    """What to measure.

    Attributes:
      height: of the image in pixels.
      width: likewise.
      weights: safetensors file.
      dtype: of the computation.
      max_memory: bytes, or None; see `Matting`.
      repeats: timed calls after the first, of which the fastest counts.
    """

    height: int
    width: int
    weights: Path
    dtype: str
    max_memory: int | None
    repeats: int


@dataclass(frozen=True)
class Measurement:
    """What one case took.

    Attributes:
      size: "WIDTHxHEIGHT" in pixels.
      device: name of the device, with the number of cores for a CPU.
      seconds: of one call of `Matting.alpha`, the best of the repeats.
      first_seconds: of the first call, which compiles what the cache lacks.
      peak_rss_mb: most memory the process held, interpreter and libraries included;
        on an accelerator the most that was taken of its memory. In 10**6 bytes.
      share_of_peak: multiply-adds of the network's convolutions per second, over
        what a matrix product of the same type makes in the same process. The
        faster form of 3x3 convolutions needs fewer than it is credited with.
      plan: whole or strips.
      gflops: of the matrix product.
    """

    size: str
    device: str
    seconds: float
    first_seconds: float
    peak_rss_mb: float
    share_of_peak: float
    plan: str
    gflops: float


def measure_all(cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    """Measure each case in a process of its own, so that its peak is its alone.

    Yields:
      `Measurement` as a dict, or size and error where a case failed.
    """
    for case in cases:
        try:
            yield asdict(in_fresh_process(measure, case))
        except (InputError, RuntimeError) as error:
            yield {"size": f"{case.width}x{case.height}", "error": str(error)}


def measure(case: Case) -> Measurement:
    """Measure one case in this process."""
    import jax
    import numpy as np

    from tmfnet_jax.counting import convolution_macs
    from tmfnet_jax.environment import device_name
    from tmfnet_jax.inference import Matting, use_compile_cache
    from tmfnet_jax.model import STRIDE
    from tmfnet_jax.serving.memory import peak_rss_bytes, tune_allocator

    use_compile_cache()
    tune_allocator()
    dtype: Any = case.dtype
    matting = Matting.load(case.weights, max_memory=case.max_memory, dtype=dtype)
    image, trimap = scene(case.height, case.width)
    rates, times = [matrix_rate(case.dtype)], []
    for _ in range(1 + case.repeats):
        start = time.perf_counter()
        matting.alpha(image, trimap)
        times.append(time.perf_counter() - start)
    rates.append(matrix_rate(case.dtype))
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    peak = stats["peak_bytes_in_use"] if stats else peak_rss_bytes()
    seconds = min(times[1:] or times)
    sides = (-(-side // STRIDE) * STRIDE for side in (case.height, case.width))
    operations = 2 * convolution_macs(matting.config, *sides)
    return Measurement(
        size=f"{case.width}x{case.height}",
        device=device_name(),
        seconds=seconds,
        first_seconds=times[0],
        peak_rss_mb=peak / MEGABYTE,
        share_of_peak=operations / seconds / float(np.max(rates)),
        plan=matting.plan(case.height, case.width).how,
        gflops=float(np.max(rates)) / 1e9,
    )


def scene(height: int, width: int):
    """Make an image and a trimap that is unknown but for two corners.

    Returns:
      [H, W, 3] and [H, W] uint8. Every tile of the decoder has unknown pixels.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    trimap = np.full((height, width), 128, np.uint8)
    corner = max(1, min(height, width) // 16)
    trimap[:corner, :corner] = 255
    trimap[-corner:, -corner:] = 0
    return image, trimap


def matrix_rate(dtype: str) -> float:
    """Operations per second of a matrix product, the best of a few."""
    import jax
    import jax.numpy as jnp

    x = jnp.full((PEAK_SIDE, PEAK_SIDE), 0.5, dtype)
    product = jax.jit(jnp.dot)
    times = []
    for _ in range(1 + PEAK_REPEATS):
        start = time.perf_counter()
        product(x, x).block_until_ready()
        times.append(time.perf_counter() - start)
    return 2 * PEAK_SIDE**3 / min(times[1:])
