"""What bfloat16 gains and how far it moves an alpha.

    make demo && python -m experiments.benchmark_bfloat16

The demo's photo, or another with --image and --trimap; both types take turns in one
process.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from absl import flags

from experiments import launch
from tmfnet_jax.images import read_image, read_mask
from tmfnet_jax.inference import Matting
from tmfnet_jax.serving.memory import tune_allocator
from tmfnet_jax.trimap import canonical_trimap

DEMO = Path(__file__).parent / "demo"


def main() -> None:
    """Print times, their ratio and the deviation over the unknown region."""
    options = flags.FLAGS
    tune_allocator()
    image = read_image(options.image)
    trimap, _ = canonical_trimap(read_mask(options.trimap))
    wide = Matting.load(options.weights)
    narrow = Matting.load(options.weights, dtype="bfloat16")
    alphas = [matting.alpha(image, trimap) for matting in (wide, narrow)]
    best = [float("inf")] * 2
    for _ in range(options.repeats):
        for index, matting in enumerate((wide, narrow)):
            start = time.perf_counter()
            matting.alpha(image, trimap)
            best[index] = min(best[index], time.perf_counter() - start)
    deviation = np.abs(alphas[0] - alphas[1])[trimap == 128]
    print(f"float32 {best[0]:.3f} s, bfloat16 {best[1]:.3f} s", end=", ")
    print(f"{best[0] / best[1]:.2f} times as fast")
    print(f"alpha moves by {deviation.max():.4f} at most, {deviation.mean():.5f} on")
    print("average over the unknown region")


if __name__ == "__main__":
    flags.DEFINE_string("image", str(DEMO / "photo.png"), "Photo.")
    flags.DEFINE_string("trimap", str(DEMO / "trimap.png"), "Its trimap.")
    flags.DEFINE_string("weights", "runs/demo/weights.safetensors", "Weights.")
    flags.DEFINE_integer("repeats", 5, "Timed calls of each.")
    launch.run(main)
