"""A source that worker processes can import, and that fails as told."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np

from input_pipeline.protocol.recipe import Recipe
from tmfnet_jax.errors import InputError

RECIPE = Recipe.for_crop(24)
ONE_EACH = Recipe.for_crop(24, second_foreground_probability=0.0)


class RampSource:
    """Noise with an alpha that rises from left to right; any number of each.

    `faults` says what happens when a foreground is asked for. With ONE_EACH
    foreground i is asked for by sample i alone.
    """

    num_foregrounds = None
    num_backgrounds = None

    def __init__(self, faults=None):
        self.faults = faults or {}

    def foreground(self, index):
        fault = self.faults.get(index)
        if fault is not None:
            FAULTS[fault](index)
        ramp = np.linspace(-300, 555, 40).clip(0, 255).astype(np.uint8)
        return self.background(index), np.tile(ramp, (32, 1))

    def background(self, index):
        return np.random.default_rng(index).integers(0, 256, (32, 40, 3), np.uint8)


class UnopenableSource(RampSource):
    """Fails where a worker opens it."""

    def __setstate__(self, state):
        raise ModuleNotFoundError("No module named 'elsewhere'")


def _damaged(index):
    raise InputError(f"{index}.png: damaged,  not an image")


def _heavy_modules(index):
    heavy = {"jax", "flax", "tensorflow", "orbax"} & set(sys.modules)
    raise InputError(f"imported: {sorted(heavy)}")


FAULTS = {
    "damaged": _damaged,
    "bug": lambda index: [][index],
    "exit": lambda index: sys.exit(3),
    "crash": lambda index: os.kill(os.getpid(), signal.SIGSEGV),
    "sleep": lambda index: time.sleep(120),
    "modules": _heavy_modules,
}
