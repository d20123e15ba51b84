"""Compare estimates of foreground colours: errors and times.

    python -m experiments.benchmark_foreground
    python -m experiments.benchmark_foreground --sizes 512 --sizes 2048 --json

Generated foregrounds, whose colours and alpha are exact, lie on generated backdrops.
Errors are means over the pixels that are covered in part:

- colour: alpha-weighted absolute error of F, in steps of 8 bits;
- composite: squared error of alpha F x 1000, for any new background;
- wrong alpha: the same of the composites on black, white and green when the method
  and the composite get an alpha that is slightly blurred and uneven.

The first call is timed in a fresh process and includes the import of the method, not
that of NumPy and OpenCV; later calls are timed by their median over the samples.
PyMatting keeps on disk what Numba compiled; its very first call takes longer.
Takes less than a minute on two CPU cores.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
from absl import flags

from experiments import launch
from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.protocol.composition import composite
from tmfnet_jax.reporting import format_table

SEED = 11
BACKGROUNDS = np.array([[0, 0, 0], [1, 1, 1], [0, 0.7, 0]], np.float32)
COLUMNS = {
    "method": "{}",
    "size": "{}",
    "first_call_s": "{:.2f}",
    "seconds": "{:.3f}",
    "colour_error": "{:.2f}",
    "composite_error": "{:.3f}",
    "wrong_alpha_error": "{:.3f}",
}

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def image_itself(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Take the photo's colours, the old background's share included."""
    return image


def multi_level(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Use this project's estimate."""
    from tmfnet_jax.foreground import estimate_foreground

    return estimate_foreground(image, alpha)


def blur_fusion(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Take two passes of box means, 90 and 6 pixels wide (Forte, 2021)."""
    alpha = alpha[..., None]
    foreground = background = image
    for width in (90, 6):
        share = cv2.blur(alpha, (width, width))[..., None]
        behind = cv2.blur(background * (1 - alpha), (width, width))
        background = behind / (1 - share + 1e-5)
        foreground = cv2.blur(foreground * alpha, (width, width)) / (share + 1e-5)
        rest = image - alpha * foreground - (1 - alpha) * background
        foreground = np.clip(foreground + alpha * rest, 0, 1)
    return foreground


def pymatting_default(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Use PyMatting's multi-level estimate (Germer et al., 2020) as it comes."""
    from pymatting import estimate_foreground_ml

    return estimate_foreground_ml(image, alpha)


def pymatting_smooth(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Use PyMatting's estimate with settings that suit these samples better."""
    from pymatting import estimate_foreground_ml

    return estimate_foreground_ml(
        image, alpha, regularization=5e-3, gradient_weight=0.1
    )


METHODS: dict[str, Method] = {
    "image itself": image_itself,
    "tmfnet_jax.foreground": multi_level,
    "blur fusion x2": blur_fusion,
    "PyMatting ml": pymatting_default,
    "PyMatting ml, smooth": pymatting_smooth,
}


def slightly_wrong(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur an alpha by 0.7 pixels and add low-frequency noise to its mixed pixels.

    Args:
      alpha: [H, W] float32 in [0, 1].
      rng: source of the noise.

    Returns:
      [H, W] float32 in [0, 1].
    """
    noise = cv2.GaussianBlur(rng.standard_normal(alpha.shape, np.float32), (0, 0), 2)
    noise = noise / noise.std()
    mixed = (alpha > 0) & (alpha < 1)
    strength = 0.2 * alpha * (1 - alpha) + 0.02 * mixed
    return np.clip(cv2.GaussianBlur(alpha, (0, 0), 0.7) + strength * noise, 0, 1)


def _measure(method: Method, samples: list[tuple[np.ndarray, ...]]) -> dict[str, float]:
    errors, times = [], []
    for image, alpha, wrong_alpha, foreground in samples:
        start = time.perf_counter()
        estimate = method(image, alpha)
        times.append(time.perf_counter() - start)
        mixed = (alpha > 0) & (alpha < 1)
        share, true = alpha[mixed][:, None], foreground[mixed]
        difference = share * (estimate[mixed] - true)
        wrong_share, wrong = wrong_alpha[mixed][:, None], method(image, wrong_alpha)
        layer = wrong_share * wrong[mixed] - share * true
        on_new = [
            np.square(layer + (share - wrong_share) * background).mean()
            for background in BACKGROUNDS
        ]
        errors.append(
            (
                255 * np.abs(difference).sum() / share.sum() / 3,
                1e3 * np.square(difference).mean(),
                1e3 * np.mean(on_new),
            )
        )
    names = ("colour_error", "composite_error", "wrong_alpha_error")
    means = np.mean(errors, axis=0).tolist()
    return {"seconds": float(np.median(times)), **dict(zip(names, means, strict=True))}


def _samples(size: int, count: int) -> list[tuple[np.ndarray, ...]]:
    source = SyntheticSource(seed=SEED, size=(size, size))
    rng = np.random.default_rng(SEED)
    samples: list[tuple[np.ndarray, ...]] = []
    for index in range(count):
        foreground, alpha = source.foreground(index)
        image = composite(foreground, source.background(index), alpha)
        true, matte, photo = (
            values / np.float32(255) for values in (foreground, alpha, image)
        )
        samples.append((photo, matte, slightly_wrong(matte, rng), true))
    return samples


def _first_call(name: str, image: np.ndarray, alpha: np.ndarray) -> float:
    start = time.perf_counter()
    METHODS[name](image, alpha)
    return time.perf_counter() - start


def _main() -> None:
    options = flags.FLAGS
    names = list(METHODS)
    if importlib.util.find_spec("pymatting") is None:
        names = [name for name in names if not name.startswith("PyMatting")]
        print(
            "PyMatting is not installed, so it is left out; "
            "pip install 'tmfnet-jax[compare]' adds it",
            file=sys.stderr,
        )
    spawn = multiprocessing.get_context("spawn")
    results = []
    for size in options.sizes:
        samples = _samples(size, options.samples)
        for name in names:
            with ProcessPoolExecutor(1, mp_context=spawn) as fresh:
                first_s = fresh.submit(_first_call, name, *samples[0][:2]).result()
            METHODS[name](*samples[0][:2])  # imports and compiles
            measured = _measure(METHODS[name], samples)
            results.append(
                {"method": name, "size": size, "first_call_s": first_s, **measured}
            )
    if options.json:
        print(json.dumps(results, indent=2))
        return
    rows = [
        [form.format(result[key]) for key, form in COLUMNS.items()]
        for result in results
    ]
    print(format_table([key.replace("_", " ") for key in COLUMNS], rows))


if __name__ == "__main__":
    flags.DEFINE_multi_integer("sizes", [384, 1024], "Side of the square images.")
    flags.DEFINE_integer("samples", 4, "Images of each size.", lower_bound=1)
    flags.DEFINE_boolean("json", False, "Print JSON instead of a table.")
    launch.run(_main)
