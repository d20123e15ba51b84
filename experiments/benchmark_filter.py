"""Time both forms of the per-pixel filter, forward and backward.

    python -m experiments.benchmark_filter

Sizes are those of the three fusion stages for two 256x256 images at full width
and for `lite`. Times are the best of several runs; compare ratios, not times.
On Linux set MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1000000000000: otherwise
single calls this short mostly measure the system handing out fresh memory pages.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import jax
from absl import flags

from experiments import launch
from tmfnet_jax.local_filter import GROUP_CHANNELS, TAPS, filter_patches, filter_shifts
from tmfnet_jax.reporting import format_table

SHAPES = {
    "F1": (2, 64, 64, 256),
    "F2": (2, 128, 128, 256),
    "F3": (2, 256, 256, 32),
    "lite F1": (2, 64, 64, 64),
    "lite F2": (2, 128, 128, 64),
    "lite F3": (2, 256, 256, 16),
}


REFERENCE_REPEATS = 2  # it takes seconds


def bias_before(x: jax.Array, kernels: jax.Array, bias: jax.Array) -> jax.Array:
    """Filter with kernels that the bias was added to: it fuses into the loop."""
    return filter_shifts(x, kernels + bias)


FORMS: dict[str, Callable[..., jax.Array]] = {
    "shifts (default)": filter_shifts,
    "shifts, bias before": bias_before,
    "shifts, autodiff": filter_shifts.fun,
    "patches (reference)": filter_patches,
}


def best_seconds(function, *arguments, repeats: int) -> float:
    """Return the shortest of several timed calls, after one to compile."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return min(times)


def _main() -> None:
    wanted = flags.FLAGS.repeats
    device = jax.devices()[0]
    print(f"{device.device_kind}, jax {jax.__version__}, best of {wanted} runs")
    rows = []
    for stage, shape in SHAPES.items():
        keys = jax.random.split(jax.random.key(0), 4)
        x, cotangent = (jax.random.normal(key, shape) for key in keys[:2])
        taps = (*shape[:3], TAPS * shape[3] // GROUP_CHANNELS)
        arrays = (
            x,
            jax.random.normal(keys[2], taps),
            jax.random.normal(keys[3], taps[-1:]),
        )
        for name, form in FORMS.items():

            def backward(cotangent, *arrays, form=form):
                return jax.vjp(form, *arrays)[1](cotangent)

            repeats = REFERENCE_REPEATS if form is filter_patches else wanted
            forward_s = best_seconds(jax.jit(form), *arrays, repeats=repeats)
            backward_s = best_seconds(
                jax.jit(backward), cotangent, *arrays, repeats=repeats
            )
            rows.append(
                (
                    stage,
                    name,
                    f"{forward_s * 1e3:.2f}",
                    f"{backward_s * 1e3:.2f}",
                    f"{backward_s / forward_s:.1f}",
                )
            )
    header = ("stage", "form", "forward ms", "backward ms", "ratio")
    print(format_table(header, rows))


if __name__ == "__main__":
    flags.DEFINE_integer("repeats", 20, "Timed runs of each.", lower_bound=1)
    launch.run(_main)
