"""The training protocol step by step on whole images: the truth for tests.

`window_sample` gives the same at a fraction of the cost. Every image and alpha is
uint8; each step rounds to 8 bits. Source: spec of the published training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from input_pipeline.protocol.affine import (
    affine_matrix,
    invert,
    sample_at,
    source_positions,
)
from input_pipeline.protocol.colours import colour_rooms, shift_hsv
from input_pipeline.protocol.composition import Sample, composite, merge_alphas
from input_pipeline.protocol.crop_search import candidates, crop_around
from input_pipeline.protocol.draws import Draws, Jitter, Motion
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.resizing import enlarged_size, resize
from input_pipeline.protocol.trimap_synthesis import trimap_from_alpha
from input_pipeline.protocol.windows import Window
from input_pipeline.training_data.sources import Source
from tmfnet_jax.trimap import TRIMAP_UNKNOWN


def assemble_whole(
    source: Source, recipe: Recipe, chosen: int, draws: Draws
) -> Sample | None:
    """Make a sample of foreground `chosen`; None if no unknown pixel was found."""
    foreground, alpha = source.foreground(chosen)
    if draws.second is not None:
        under = source.foreground(draws.second)
        foreground, alpha = merge_foregrounds(foreground, alpha, *under, draws)
    if draws.jitter is not None:
        rooms = colour_rooms(foreground, alpha)
        foreground = jittered(foreground, rooms, draws.jitter)
    if draws.motion is not None:
        inverse = motion_inverse(draws.motion, recipe, *alpha.shape)
        positions = source_positions(inverse, *Window.whole(alpha.shape).grid)
        foreground, alpha = (
            sample_at(image, positions, interpolation=interpolation)
            for image, interpolation in zip(
                (foreground, alpha), draws.motion.interpolations, strict=True
            )
        )
    # Enlarged before the trimap is made, so that known pixels have alpha 0 or 255.
    height, width = enlarged_size(*alpha.shape, crop_px=recipe.crop_px)
    foreground, alpha = (
        resize(image, height=height, width=width, interpolation=interpolation)
        for image, interpolation in zip(
            (foreground, alpha), draws.enlarge_interpolations, strict=True
        )
    )
    trimap = trimap_from_alpha(
        alpha, erosion_px=draws.erosion_px, dilation_px=draws.dilation_px
    )
    rows, columns = candidates(height, width, draws.crop_seed)
    unknown = np.flatnonzero(trimap[rows, columns] == TRIMAP_UNKNOWN)
    if not unknown.size:
        return None
    first = unknown[0]
    window = crop_around(
        int(rows[first]),
        int(columns[first]),
        height=height,
        width=width,
        side=recipe.crop_px,
    )
    # One resize straight to the final size: nothing before it looks at it.
    background = resize(
        source.background(draws.background),
        height=height,
        width=width,
        interpolation=draws.background_interpolation,
    )
    crop = window.slices
    return complete(trimap[crop], alpha[crop], foreground[crop], background[crop])


def merge_foregrounds(
    foreground: np.ndarray,
    alpha: np.ndarray,
    under_foreground: np.ndarray,
    under_alpha: np.ndarray,
    draws: Draws,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay a second foreground, resized to the first, under the first.

    F = a1 F1 + (1 - a1) F2, a = 1 - (1 - a1)(1 - a2). Composited over B this is
    F1 over (F2 over B) wherever a1 is 0 or 1 or a2 is 1; elsewhere the training
    recipe departs from it on purpose: F stays defined where a is 0, and the
    sample is consistent in itself.

    Args:
      foreground: uint8 [H, W, 3], F1.
      alpha: uint8 [H, W], a1.
      under_foreground: uint8 [H2, W2, 3], F2.
      under_alpha: uint8 [H2, W2], a2.
      draws: with the two interpolations.
    Returns:
      F and a in the first one's size; F1 and a1 unchanged if a would be opaque
      everywhere, for then nothing would be left to matte.
    """
    height, width = alpha.shape
    under_foreground, under_alpha = (
        resize(image, height=height, width=width, interpolation=interpolation)
        for image, interpolation in zip(
            (under_foreground, under_alpha), draws.second_interpolations, strict=True
        )
    )
    merged = merge_alphas(alpha, under_alpha)
    if (merged == 255).all():
        return foreground, alpha
    return composite(foreground, under_foreground, alpha), merged


def motion_inverse(
    motion: Motion, recipe: Recipe, height: int, width: int
) -> np.ndarray:
    """Return the [2, 3] matrix from a warped image of this size to its source."""
    rotates = max(height, width) >= recipe.rotation_min_side_px
    matrix = affine_matrix(
        height=height,
        width=width,
        rotation_degrees=motion.rotation_degrees if rotates else 0.0,
        scale=motion.scale,
        shear_degrees=motion.shear_degrees,
        flip=motion.flip,
    )
    return invert(matrix)


def jittered(
    image: np.ndarray,
    rooms: tuple[float, float],
    jitter: Jitter,
    shift: Callable[..., np.ndarray] = shift_hsv,
) -> np.ndarray:
    """Apply a shift of colours; saturation and value by a share of their rooms."""
    saturation, value = rooms
    return shift(
        image,
        hue_degrees=jitter.hue_degrees,
        saturation=saturation * jitter.saturation,
        value=value * jitter.value,
    )


def complete(
    trimap: np.ndarray,
    alpha: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
) -> Sample:
    """Composite a crop and give its arrays their final form."""
    parts = {
        "trimap": trimap[..., np.newaxis],
        "alpha": alpha[..., np.newaxis],
        "foreground": foreground,
        "background": background,
    }
    # Copies, lest a crop keep its whole image in memory.
    copies = {name: np.array(array, order="C") for name, array in parts.items()}
    return {"image": composite(foreground, background, alpha)} | copies
