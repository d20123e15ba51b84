"""Test-time augmentation: rotations, a flip and scales of an image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from tmfnet_jax.layers import resize_bilinear
from tmfnet_jax.serving.source import PixelSource, ScaledSource, Source

TTA_MODES = ("none", "8", "10")
SCALES = (2, 0.5)


class Member(NamedTuple):
    """One version of an image, and how its alpha comes back into the frame."""

    source: Source
    restore: Callable[[np.ndarray], np.ndarray]


def members(image: np.ndarray, trimap: np.ndarray, *, mode: str) -> list[Member]:
    """List the versions of an image whose alphas are averaged.

    Args:
      image: [H, W, 3] RGB, uint8 or float32; H and W divisible by 16, for "10"
        by 32.
      trimap: [H, W] uint8 with values 0, 128, 255.
      mode: "none" is the image alone; "8" the four rotations of it and of its
        left-right flip, by k * 90 degrees clockwise; "10" adds the scales 2 and
        1/2 of the whole input, trimap planes included.
    Returns:
      Their sources; `restore` maps a member's [h, w] alpha to [H, W].
    """
    if mode == "none":
        return [Member(PixelSource(image, trimap), lambda alpha: alpha)]
    found = [
        Member(
            PixelSource(_turned(image, flip, k), _turned(trimap, flip, k)),
            partial(_restored, flip=flip, k=k),
        )
        for flip in (False, True)
        for k in range(4)
    ]
    if mode == "10":
        plain, size = PixelSource(image, trimap), trimap.shape
        for scale in SCALES:
            scaled = ScaledSource(plain, *(int(side * scale) for side in size))
            found.append(Member(scaled, partial(_resized, size=size)))
    return found


def _turned(x: np.ndarray, flip: bool, k: int) -> np.ndarray:
    return np.rot90(x[:, ::-1] if flip else x, k, axes=(1, 0))


def _restored(alpha: np.ndarray, *, flip: bool, k: int) -> np.ndarray:
    alpha = np.rot90(alpha, k, axes=(0, 1))
    return alpha[:, ::-1] if flip else alpha


def _resized(alpha: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    x = jnp.asarray(alpha)[None, ..., None]
    return np.asarray(resize_bilinear(x, size, align_corners=True))[0, ..., 0]
