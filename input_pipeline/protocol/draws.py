"""All that chance decides about a sample, drawn before any pixel is read."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from input_pipeline.protocol.recipe import Recipe

INTERPOLATIONS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,  # a warp takes it for INTER_LINEAR
    cv2.INTER_LANCZOS4,
)
HUE_SHIFT_DEGREES = (-40, 39)  # whole degrees, both ends included
COLOUR_SHIFT = 0.1  # of the room that `colours.colour_rooms` tells, to either side
UNBOUNDED_DRAWS = 2**31  # random indices into a source without an end

Pair = tuple[int, int]  # interpolations of colours and of alpha


@dataclass(frozen=True)
class Motion:
    """An affine change of foreground and alpha; see `affine.affine_matrix`."""

    rotation_degrees: float
    scale: tuple[float, float]
    shear_degrees: float
    flip: tuple[bool, bool]
    interpolations: Pair


@dataclass(frozen=True)
class Jitter:
    """A change of colours: degrees, and shares of the rooms."""

    hue_degrees: int
    saturation: float
    value: float


@dataclass(frozen=True)
class Draws:
    """The random decisions of one sample.

    Attributes:
      second: index of a foreground to lay under the first, or None.
      second_interpolations: to bring it to the first one's size.
      jitter: of the colours, or None.
      motion: of the foreground, or None.
      enlarge_interpolations: to bring small images to the crop's size.
      erosion_px: size of the trimap's ellipse.
      dilation_px: likewise.
      crop_seed: of the search for an unknown pixel.
      background: index.
      background_interpolation: to bring it to the foreground's size.
    """

    second: int | None
    second_interpolations: Pair
    jitter: Jitter | None
    motion: Motion | None
    enlarge_interpolations: Pair
    erosion_px: int
    dilation_px: int
    crop_seed: int
    background: int
    background_interpolation: int


def draw(
    recipe: Recipe,
    rng: np.random.Generator,
    *,
    num_foregrounds: int | None,
    num_backgrounds: int | None,
) -> Draws:
    """Draw a sample's decisions; the numbers of images are those of the source."""

    def interpolation() -> int:
        return INTERPOLATIONS[rng.integers(len(INTERPOLATIONS))]

    def index(length: int | None) -> int:
        return int(rng.integers(UNBOUNDED_DRAWS if length is None else length))

    def pair() -> Pair:
        return interpolation(), interpolation()

    merged = rng.random() < recipe.second_foreground_probability
    low, high = HUE_SHIFT_DEGREES
    jitter = Jitter(
        int(rng.integers(low, high, endpoint=True)),
        float(rng.uniform(-COLOUR_SHIFT, COLOUR_SHIFT)),
        float(rng.uniform(-COLOUR_SHIFT, COLOUR_SHIFT)),
    )
    across, down = rng.uniform(*recipe.scale_range, 2).tolist()
    mirrored, upside_down = (rng.random(2) < recipe.flip_probability).tolist()
    motion = Motion(
        rng.uniform(-recipe.rotation_degrees, recipe.rotation_degrees),
        (across, down),
        rng.uniform(-recipe.shear_degrees, recipe.shear_degrees),
        (mirrored, upside_down),
        pair(),
    )
    kernels = rng.integers(1, recipe.trimap_max_kernel_px, 2, endpoint=True).tolist()
    return Draws(
        second=index(num_foregrounds) if merged else None,
        second_interpolations=pair(),
        jitter=jitter if recipe.jitter else None,
        motion=motion if recipe.affine else None,
        enlarge_interpolations=pair(),
        erosion_px=kernels[0],
        dilation_px=kernels[1],
        crop_seed=int(rng.integers(2**63)),
        background=index(num_backgrounds),
        background_interpolation=interpolation(),
    )
