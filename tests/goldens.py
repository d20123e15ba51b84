"""Reference values and the weight recipe they were computed with.

The arrays in testdata/ come from an independent float64 PyTorch evaluation of
the published network; `forward_eval.npz` and its siblings hold inputs and
expected values. Weights follow a recipe instead of being stored.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np

TESTDATA = Path(__file__).parent / "testdata"

GAINS = {
    ".downsample.0.weight": 0.5,
    ".pretrained.conv1.6.weight": 0.5,
    ".decoder.conv_up1.0.weight": 2.0,
    ".reduce.weight": 0.7,
    ".embconv.weight": 1.5,
    ".out.0.weight": 0.5,
    ".conv_up4_2.2.weight": 0.15,
}


@cache
def load(name: str) -> dict[str, np.ndarray]:
    """Read all arrays of testdata/<name>.npz."""
    with np.load(TESTDATA / f"{name}.npz") as file:
        return dict(file)


@cache
def load_json(name: str):
    """Read testdata/<name>.json."""
    return json.loads((TESTDATA / f"{name}.json").read_text())


@cache
def state_dict() -> dict[str, np.ndarray]:
    """Return the reference network's PyTorch state_dict, seed 0."""
    return {
        key: _weight(key, tuple(shape))
        for key, shape, _ in load_json("state_dict_keys")
    }


def _gain(key: str) -> float:
    for suffix, gain in GAINS.items():
        if key.endswith(suffix):
            return gain
    return 0.35 if ".decoder." in key and key.endswith(".conv2.weight") else 1.0


def _weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    leaf = key.rsplit(".", 1)[1]
    if leaf == "num_batches_tracked":
        return np.zeros((), np.int64)
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if leaf == "running_var":
        value = rng.uniform(0.5, 1.5, shape)
    elif leaf == "weight" and len(shape) == 1:
        low, high = (0.2, 0.5) if key.endswith("bn3.weight") else (0.5, 1.5)
        value = rng.uniform(low, high, shape)
    elif leaf == "weight":
        value = rng.standard_normal(shape, dtype=np.float32)
        value = value * np.float32(np.sqrt(2.0 / np.prod(shape[1:])))
        value = value * np.float32(_gain(key))
    else:
        value = np.float32(0.1) * rng.standard_normal(shape, dtype=np.float32)
        if key.endswith("conv_up4_2.2.bias"):
            value = value + np.float32(0.5)
    return np.asarray(value, np.float32)
