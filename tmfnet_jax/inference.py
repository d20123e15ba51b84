"""From an image and a trimap to an alpha matte of the same size."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from tmfnet_jax.augmented_inference import SCALES, TTA_MODES, Member, members
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import STRIDE, TMFNet, TMFNetConfig
from tmfnet_jax.parameters import array_shapes, check_arrays, named_arrays
from tmfnet_jax.refinement import refined
from tmfnet_jax.serving.engine import Progress, StreamedNetwork
from tmfnet_jax.serving.memory import release_freed
from tmfnet_jax.serving.plan import Plan, make_plan, plans
from tmfnet_jax.trimap import (
    TRIMAP_BACKGROUND,
    TRIMAP_FOREGROUND,
    TRIMAP_UNKNOWN,
    canonical_trimap,
    size_mismatch,
)
from tmfnet_jax.weights import read_weights, wants_refinement

# Members of an augmentation are computed together up to so many pixels: small
# images leave a device idle.
BATCH_PIXELS = 2**20
PROGRESS_STEPS = 1000
NETWORK_SHARE = 0.5  # of the progress, where a refinement follows

_log = logging.getLogger(__name__)


class Matting:
    """A network ready to matte images: load once, call on arrays.

    Images of any size are computed whole or in strips, with the same result, as
    memory allows. The first image of about a size compiles programs for it; with
    `use_compile_cache` later processes find them on disk. May be shared by
    threads, which take turns.

    Args:
      model: the network; its weights are copied.
      max_memory: bytes that the process (on an accelerator: its memory) may use;
        by default what is free, on CPUs at most 3 GB as long as that suffices.
      refine: whether the network's alpha is refined; see `refinement`.
    """

    def __init__(
        self, model: TMFNet, *, max_memory: int | None = None, refine: bool = False
    ):
        self._setup(model.config, named_arrays(model), max_memory, refine)

    def _setup(
        self,
        config: TMFNetConfig,
        arrays: Mapping[str, np.ndarray],
        max_memory: int | None,
        refine: bool,
    ) -> None:
        self.config = config
        self.max_memory = max_memory
        self.refine = refine
        self._network = StreamedNetwork(config, arrays)
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        weights: str | Path,
        *,
        max_memory: int | None = None,
        dtype: Literal["float32", "bfloat16"] = "float32",
        refine: bool | None = None,
    ) -> Matting:
        """Read weights.

        Args:
          weights: a name that `tmfnet models` lists, a safetensors file of this
            package, or a run's workdir.
          max_memory: see the class.
          dtype: "float32" or "bfloat16", type of the computation.
          refine: see the class; None: as the weights' file recommends.
        Raises:
          InputError: not weights, truncated, or of another network than it says.
        """
        config, arrays = read_weights(weights)
        check_arrays(arrays, array_shapes(config), origin=str(weights))
        matting = cls.__new__(cls)
        refine = wants_refinement(weights) if refine is None else refine
        config = dataclasses.replace(config, dtype=dtype)
        matting._setup(config, arrays, max_memory, refine)
        del arrays
        release_freed()
        return matting

    def alpha(
        self,
        image: np.ndarray,
        trimap: np.ndarray,
        *,
        tta: str = "none",
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Predict the alpha matte.

        Args:
          image: [H, W, 3] RGB, uint8, uint16 or floating point in [0, 1].
          trimap: [H, W] background, unknown, foreground: 0, 128, 255 or what
            `canonical_trimap` takes for them.
          tta: "none", "8" (rotations and flip) or "10" (and two scales).
          progress: called with steps done, never fewer than before, and their number.
        Returns:
          [H, W] float32 in [0, 1]; exactly 0 and 1 where the trimap knows.
        Raises:
          InputError: wrong shapes, types, values or sizes that differ, or more
            memory needed than there is.
          MemoryError: memory ran out although enough seemed to be free.
        """
        _check_tta(tta)
        image = check_image(image)
        trimap, _ = canonical_trimap(trimap)
        if image.shape[:2] != trimap.shape:
            raise InputError(size_mismatch(image, trimap))
        predicting, refining = progress, None
        if self.refine:
            predicting = _part(progress, 0, NETWORK_SHARE)
            refining = _part(progress, NETWORK_SHARE, 1)
        if (trimap == TRIMAP_UNKNOWN).any():
            with self._lock:
                alpha = self._predict(image, trimap, tta, predicting)
        else:
            alpha = np.empty(trimap.shape, np.float32)
        alpha[trimap == TRIMAP_BACKGROUND] = 0
        alpha[trimap == TRIMAP_FOREGROUND] = 1
        if self.refine:
            alpha = refined(image, trimap, alpha, progress=refining)
            if progress is not None:
                progress(PROGRESS_STEPS, PROGRESS_STEPS)
        return alpha

    def cutout(
        self,
        image: np.ndarray,
        trimap: np.ndarray,
        *,
        tta: str = "none",
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Cut the subject out: its own colours, free of the background's.

        Arguments and errors are those of `alpha`.

        Returns:
          [H, W, 4] float32 in [0, 1], straight RGBA.
        """
        from tmfnet_jax.foreground import estimate_foreground

        alpha = self.alpha(image, trimap, tta=tta, progress=progress)
        return np.dstack([estimate_foreground(image, alpha), alpha])

    def plan(self, height: int, width: int, *, tta: str = "none") -> Plan:
        """Tell how an image of this size will be computed; see `serving.plan`."""
        _check_tta(tta)
        scale = round(max(SCALES)) if tta == "10" else 1
        height, width = (
            scale * _rounded(side, padding_multiple(tta)) for side in (height, width)
        )
        return self._plan(height, width, 1)

    def _plan(self, height: int, width: int, batch: int) -> Plan:
        return make_plan(
            self.config,
            height,
            width,
            max_memory=self.max_memory,
            weight_bytes=self._network.weight_bytes,
            batch=batch,
        )

    def _predict(self, image, trimap, tta, progress) -> np.ndarray:
        height, width = trimap.shape
        padding = [(0, _rounded(n, padding_multiple(tta)) - n) for n in trimap.shape]
        if any(after for _, after in padding):
            image = np.pad(image, (*padding, (0, 0)), mode="edge")
            trimap = np.pad(trimap, padding, mode="edge")
        found = members(image, trimap, mode=tta)
        total, done, shown = np.zeros(trimap.shape, np.float32), 0, 0

        def advance(step: int, steps: int) -> None:
            nonlocal shown  # never less, also where strips were made thinner
            share = (done + len(group) * step / steps) / len(found)
            shown = max(shown, round(PROGRESS_STEPS * share))
            if progress is not None:
                progress(shown, PROGRESS_STEPS)

        for group in self._groups(found):
            alphas = self._run([member.source for member in group], advance)
            for member, alpha in zip(group, alphas, strict=True):
                total += member.restore(alpha)
            done += len(group)
        total /= len(found)
        total = total[:height, :width]
        if not np.isfinite(total).all():
            raise InputError(
                "the network's output is not finite; the weights are damaged or were "
                "trained to divergence"
            )
        return np.clip(total, 0, 1, out=total)

    def _groups(self, found: list[Member]) -> list[list[Member]]:
        """Put members of one size together as far as memory allows."""
        groups: list[list[Member]] = []
        for member in sorted(found, key=_size):
            height, width = _size(member)
            group = (
                groups[-1] if groups and _size(groups[-1][0]) == _size(member) else []
            )
            count = len(group) + 1
            fits = count * height * width <= BATCH_PIXELS
            if group and fits and self._plan(height, width, count).geometry.strips == 1:
                group.append(member)
            else:
                groups.append([member])
        return groups

    def _run(self, sources, progress: Progress) -> np.ndarray:
        """Run the network; in thinner strips if memory runs out after all."""
        height, width, batch = sources[0].height, sources[0].width, len(sources)
        chosen = self._plan(height, width, batch)
        options = {"weight_bytes": self._network.weight_bytes, "batch": batch}
        thinner = (
            plan
            for plan in plans(self.config, height, width, **options)
            if plan.geometry.rows < chosen.geometry.rows
        )
        for plan in itertools.chain([chosen], thinner):
            if plan is not chosen:
                _log.warning("out of memory; trying %s", plan.how)
            try:
                return self._network.alpha(sources, plan.geometry, progress)
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                if not _out_of_memory(error):
                    raise
        raise MemoryError(f"out of memory at {width}x{height} pixels")


def _part(progress: Progress | None, first: float, last: float) -> Progress | None:
    """Return what tells of a part of the whole as such."""
    if progress is None:
        return None

    def tell(done: int, total: int) -> None:
        share = first + (last - first) * done / total
        progress(round(PROGRESS_STEPS * share), PROGRESS_STEPS)

    return tell


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _size(member: Member) -> tuple[int, int]:
    return member.source.height, member.source.width


def padding_multiple(tta: str) -> int:
    """Return what both sides are padded to a multiple of, by edge replication."""
    # The half-size member must be divisible by the stride as well.
    return round(STRIDE / min(SCALES)) if tta == "10" else STRIDE


def _rounded(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _check_tta(tta: str) -> None:
    if tta not in TTA_MODES:
        raise InputError(f"tta is {tta!r}; expected one of {', '.join(TTA_MODES)}")


def check_image(image: np.ndarray) -> np.ndarray:
    """Return [H, W, 3] as uint8 or as float32 in [0, 1]; InputError otherwise."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(
            f"image has shape {image.shape}; expected (height, width, 3), RGB"
        )
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return image.astype(np.float32) / 65535
    if np.issubdtype(image.dtype, np.floating):
        bad = ~((image >= 0) & (image <= 1))  # true for NaN as well
        if bad.any():
            raise InputError(
                f"image has {int(bad.sum())} values that are NaN or outside [0, 1]; "
                "scale floating-point images to [0, 1]"
            )
        return image.astype(np.float32)
    raise InputError(f"image has type {image.dtype}; expected uint8, uint16 or float")


def use_compile_cache() -> None:
    """Keep compiled programs on disk, so that the next process starts fast.

    In JAX_COMPILATION_CACHE_DIR if that is set, else in the user's cache folder.
    """
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(base) / "tmfnet_jax"
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.02)
