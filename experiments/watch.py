"""What is looked at while a training runs: its finiteness, its speed, a profile."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments.workdir import NONFINITE_FOLDER, PROFILE_FOLDER
from tmfnet_jax.benchmark import matrix_rate
from tmfnet_jax.counting import convolution_macs
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.sharding import local_rows
from tmfnet_jax.train_step import Batch, Metrics

SAVED_BATCHES = 3  # of those that were not finite; each may be tens of megabytes
TRAINING_PASSES = 3  # a forward pass and, at twice its work, a backward one
PROFILE_AFTER = 3  # steps, which compile and warm up

_log = logging.getLogger(__name__)


class FiniteGuard:
    """Reports skipped steps, keeps their batches, ends a run of many of them.

    A step's outcome is looked at when the next one has been handed to the device,
    so that the device never waits for it.
    """

    def __init__(self, workdir: Path, *, stop_after: int):
        self._folder = workdir / NONFINITE_FOLDER
        self._stop_after = stop_after
        self._last: tuple[int, Batch, Metrics] | None = None

    def look(self, step: int, batch: Batch, metrics: Metrics) -> None:
        """Take note of a step, and look at the one before.

        Raises:
          InputError: too many steps running were not finite.
        """
        self.finish()
        self._last = step, batch, metrics

    def finish(self) -> None:
        """Look at the last step that was taken note of."""
        if self._last is None:
            return
        (step, batch, metrics), self._last = self._last, None
        running = int(metrics["skipped_running"])
        if not running:
            return
        place = self._save(step, batch)
        _log.warning("step %d skipped: loss or gradient not finite%s", step, place)
        if running >= self._stop_after:
            raise InputError(
                f"loss or gradient not finite in {running} steps running, the last "
                f"one {step}; batches are in {self._folder}; start another run from "
                "the last checkpoint: a new --workdir, --config.init=THIS_WORKDIR and "
                "a lower --config.optimizer.learning_rate"
            )

    def _save(self, step: int, batch: Mapping[str, Any]) -> str:
        part = f"-process-{jax.process_index()}" if jax.process_count() > 1 else ""
        path = self._folder / f"step-{step}{part}.npz"
        if self._folder.is_dir() and len([*self._folder.iterdir()]) >= SAVED_BATCHES:
            return f"; its batch is not kept, {SAVED_BATCHES} are in {self._folder}"
        self._folder.mkdir(exist_ok=True)
        with atomic_write(path) as file:
            arrays: dict[str, Any] = {n: local_rows(x) for n, x in batch.items()}
            np.savez(file, **arrays)
        return f"; its batch is in {path}"


class Speedometer:
    """Images a second since the last reading, hours, and the share of the peak.

    The share is that of multiply-adds of the convolutions, three forward passes a
    step, in the rate of a matrix product of the network's type on all devices.
    """

    def __init__(self, config: ConfigDict, *, first_step: int, hours: float):
        self._batch_size = config.batch_size
        self._step, self._clock = first_step, time.perf_counter()
        self._hours = hours
        self._per_image_share = 0.0
        if config.share_of_peak:
            network = TMFNetConfig.from_dict(config.network.to_dict())
            side = config.recipe.crop_px
            work = 2 * TRAINING_PASSES * convolution_macs(network, side, side)
            # Virtual devices of a CPU are one and the same.
            on_cpu = jax.default_backend() == "cpu"
            devices = jax.process_count() if on_cpu else jax.device_count()
            self._per_image_share = work / matrix_rate(network.dtype) / devices
            self._clock = time.perf_counter()

    def read(self, step: int) -> dict[str, float]:
        """Return the metrics of the steps since the last reading."""
        now = time.perf_counter()
        seconds = now - self._clock
        rate = (step - self._step) * self._batch_size / seconds
        self._step, self._clock = step, now
        self._hours += seconds / 3600
        found = {"images_per_second": rate, "hours": self._hours}
        if self._per_image_share:
            found["share_of_peak"] = rate * self._per_image_share
        return found


class Profiler:
    """Writes a trace of some steps to WORKDIR/profile, for TensorBoard or Perfetto."""

    def __init__(self, workdir: Path, *, first_step: int, steps: int):
        self._folder = workdir / PROFILE_FOLDER
        self._start = first_step + PROFILE_AFTER
        self._end = self._start + steps
        self._tracing = False

    def after(self, step: int, result: Any) -> None:
        """Start or stop after a step; waits for its result where it does."""
        if step == self._start < self._end:
            jax.block_until_ready(result)
            jax.profiler.start_trace(str(self._folder))
            self._tracing = True
        elif step == self._end and self._tracing:
            jax.block_until_ready(result)
            self.close()

    def close(self) -> None:
        """Stop if it has not ended."""
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing = False
            _log.warning("trace of the steps: %s", self._folder)
