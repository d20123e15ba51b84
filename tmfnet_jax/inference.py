"""From an image and a trimap to an alpha matte of the same size."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from tmfnet_jax.augmented_inference import SCALES, TTA_MODES, augmented_prediction
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import STRIDE, TMFNet, network_input
from tmfnet_jax.trimap import (
    TRIMAP_FOREGROUND,
    TRIMAP_UNKNOWN,
    canonical_trimap,
)


class Matting:
    """A network ready to matte images: load once, call on arrays.

    The first image of a size compiles a program for that size; with
    `use_compile_cache` later processes find it on disk.
    """

    def __init__(self, model: TMFNet):
        """Wrap a network; its weights are shared, not copied."""
        view = nnx.view(model, use_running_average=True)
        self.config = model.config
        self._graph, self._state = nnx.split(view)

    @classmethod
    def load(cls, weights: str | Path) -> Matting:
        """Read a safetensors file or a run's workdir (see `weights.load_network`)."""
        from tmfnet_jax.weights import load_network

        return cls(load_network(weights))

    def alpha(
        self, image: np.ndarray, trimap: np.ndarray, *, tta: str = "none"
    ) -> np.ndarray:
        """Predict the alpha matte.

        Args:
          image: [H, W, 3] RGB, uint8, uint16 or floating point in [0, 1].
          trimap: [H, W] background, unknown, foreground: 0, 128, 255 or what
            `canonical_trimap` takes for them.
          tta: "none", "8" (rotations and flip) or "10" (and two scales).
        Returns:
          [H, W] float32 in [0, 1]; exactly 0 and 1 where the trimap knows.
        Raises:
          InputError: wrong shapes, types, values or sizes that differ.
        """
        if tta not in TTA_MODES:
            raise InputError(f"tta is {tta!r}; expected one of {', '.join(TTA_MODES)}")
        image = check_image(image)
        trimap, _ = canonical_trimap(trimap)
        if image.shape[:2] != trimap.shape:
            raise InputError(size_mismatch(image, trimap))
        unknown = trimap == TRIMAP_UNKNOWN
        known = (trimap == TRIMAP_FOREGROUND).astype(np.float32)
        if not unknown.any():
            return known
        return np.where(unknown, self._network_alpha(image, trimap, tta), known)

    def _network_alpha(self, image, trimap, tta) -> np.ndarray:
        h, w = trimap.shape
        # The half-size member must be divisible by the stride as well.
        multiple = STRIDE if tta != "10" else round(STRIDE / min(SCALES))
        padding = ((0, -h % multiple), (0, -w % multiple))
        image = np.pad(image, (*padding, (0, 0)), mode="edge")
        trimap = np.pad(trimap, padding, mode="edge")
        x = _assemble(image[None], trimap[None, ..., None])
        predicted = augmented_prediction(
            partial(_predict, self._graph, self._state), x, mode=tta
        )
        alpha = np.asarray(predicted)[0, :h, :w, 0]
        if not np.isfinite(alpha).all():
            raise InputError(
                "the network's output is not finite; the weights are damaged or were "
                "trained to divergence"
            )
        return alpha.clip(0, 1)


_assemble = jax.jit(network_input)


@partial(jax.jit, static_argnums=0)
def _predict(graph, state, x):
    return nnx.merge(graph, state)(x)


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


def size_mismatch(image: np.ndarray, trimap: np.ndarray) -> str:
    """Word the error for an image and a trimap of different sizes."""
    (ih, iw), (th, tw) = image.shape[:2], trimap.shape[:2]
    return (
        f"image is {iw}x{ih} and trimap is {tw}x{th} pixels; expected equal sizes: "
        "export the trimap at the image's size"
    )


def use_compile_cache() -> None:
    """Keep compiled programs on disk, so that the next process starts fast.

    In JAX_COMPILATION_CACHE_DIR if that is set, else in the user's cache folder.
    """
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(base) / "tmfnet_jax"
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
