"""The metrics against GNU Octave, and the time they take at 4000x3867.

    python -m experiments.benchmark_metrics
    python -m experiments.benchmark_metrics --octave [--goldens=FILE.npz]

Octave with its package `image` evaluates experiments/octave/matting_metrics.m, an
implementation of its own, on the stored cases and on two with equal components;
--goldens stores cases and values for the tests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from absl import flags

from experiments import launch
from tmfnet_jax.environment import device_name
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import METRICS
from tmfnet_jax.files import atomic_write
from tmfnet_jax.metrics import VARIANTS, evaluate_alpha
from tmfnet_jax.reporting import format_table

SCRIPT = Path(__file__).parent / "octave" / "matting_metrics.m"
TIMED_SIZE = (3867, 4000)  # the largest image of the CIOM set
REPEATS = 3
ROLES = ("pred", "alpha", "trimap")  # as the stored cases name them

Case = tuple[np.ndarray, np.ndarray, np.ndarray]  # prediction, alpha, trimap


def main() -> None:
    """Print the times, or the deviations from Octave."""
    if not flags.FLAGS.octave:
        _time()
        return
    with np.load(flags.FLAGS.cases) as stored:
        cases: dict[str, Case] = {
            str(name): tuple(stored[f"{name}_{role}"] for role in ROLES)
            for name in stored["names"]
        }
    cases |= _ties()
    version, expected = _octave(cases)
    rows = []
    for name, case in cases.items():
        found = evaluate_alpha(*case, variant="matlab")
        values = np.array([getattr(found, metric) for metric in METRICS])
        deviation = np.abs(values - expected[name]) / np.maximum(expected[name], 1e-12)
        rows.append((name, *(f"{d:.0e}" for d in deviation)))
    print(f"relative deviation of the variant matlab from Octave {version}\n")
    print(format_table(("case", *METRICS), rows))
    if flags.FLAGS.goldens:
        arrays = {
            "octave": np.array(version),
            "names": np.array(list(cases)),
            "values": np.array([expected[name] for name in cases]),
        }
        for name in _ties():
            parts = zip(ROLES, cases[name], strict=True)
            arrays |= {f"{name}_{role}": array for role, array in parts}
        with atomic_write(flags.FLAGS.goldens) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def _time() -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, *TIMED_SIZE), np.uint8)
    trimap = np.full(TIMED_SIZE, 128, np.uint8)
    scenes: dict[str, Case] = {"smooth": _smooth(rng), "noise": (*noise, trimap)}
    rows = []
    for scene, case in scenes.items():
        for variant in VARIANTS:
            times = []
            for _ in range(REPEATS):
                start = time.process_time()
                evaluate_alpha(*case, variant=variant)
                times.append(time.process_time() - start)
            rows.append((scene, variant, f"{min(times):.2f}"))
    height, width = TIMED_SIZE
    print(f"all four metrics at {width}x{height}, one thread, {device_name()}\n")
    print(format_table(("images", "variant", "CPU seconds"), rows))


def _smooth(rng: np.random.Generator) -> Case:
    """A smooth alpha with holes, and a noisy prediction of it."""
    height, width = TIMED_SIZE
    coarse = rng.random((height // 32, width // 32)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    alpha = np.clip((field - 0.3) * 2.5 * 255, 0, 255).astype(np.uint8)
    noise = rng.integers(-30, 31, alpha.shape)
    prediction = np.clip(alpha + noise, 0, 255).astype(np.uint8)
    return prediction, alpha, np.full(alpha.shape, 128, np.uint8)


def _ties() -> dict[str, Case]:
    """Equally large components whose order by rows is not that by columns."""
    alpha = np.zeros((6, 7), np.uint8)
    alpha[1, 4:6] = alpha[2, 5] = alpha[3:6, 1] = 255
    prediction = alpha.copy()
    prediction[1, 4:6] = 204
    prediction[3:5, 1] = 128
    trimap = np.full(alpha.shape, 128, np.uint8)
    turned = (np.rot90(x).copy() for x in (prediction, alpha, trimap))
    return {"ties": (prediction, alpha, trimap), "ties_turned": tuple(turned)}  # type: ignore[dict-item]


def _octave(cases: dict[str, Case]) -> tuple[str, dict[str, np.ndarray]]:
    program = shutil.which("octave-cli")
    if program is None:
        raise InputError("octave-cli is not installed; install GNU Octave and `image`")
    with tempfile.TemporaryDirectory() as folder:
        for name, case in cases.items():
            for role, array in zip(ROLES, case, strict=True):
                np.savetxt(Path(folder) / f"{name}_{role}.txt", array, fmt="%d")
        command = [program, "-q", str(SCRIPT), folder, *cases]
        done = subprocess.run(command, capture_output=True, text=True)
    values = {}
    for line in done.stdout.splitlines():
        name, *numbers = line.split()
        values[name] = np.array(numbers, float)
    if set(values) != set(cases):
        raise InputError(f"Octave gave no values: {done.stderr.strip() or 'no output'}")
    banner = subprocess.run([program, "--version"], capture_output=True, text=True)
    version = re.search(r"version (\S+)", banner.stdout)
    return version[1] if version else "of unknown version", values


if __name__ == "__main__":
    flags.DEFINE_bool("octave", False, "Compare with Octave instead of timing.")
    flags.DEFINE_string("cases", "tests/testdata/metrics.npz", "Stored cases.")
    flags.DEFINE_string("goldens", None, "File to store Octave's values in.")
    launch.run(main)
