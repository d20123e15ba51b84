"""What a camera and a hand add to a sample that was only composited.

A naive composite is sharp, noiseless, lit apart from its background, and its trimap is
an even band. Each effect here is applied with its own probability, all zero in the
paper's protocol. Alpha is never changed, and no pixel becomes known in the trimap.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

from input_pipeline.defocus import disc
from input_pipeline.protocol.composition import Sample, composite
from tmfnet_jax.errors import InputError
from tmfnet_jax.trimap import TRIMAP_UNKNOWN

SPILL = (0.05, 0.3)  # share of the background's light in the foreground's colour
NOISE = (0.002, 0.02)  # deviation at mid grey, of full scale, drawn by its logarithm
JPEG_QUALITY = (70, 98)
DEFOCUS_PX = (1.5, 12.0)  # radius, drawn by its logarithm
GAMMA = (0.7, 1.4)


@dataclass(frozen=True)
class Capture:
    """Probabilities of the effects.

    Attributes:
      matched_colours: the background takes mean and deviation of the foreground's
        channels over, in part: subject and scene are hard to tell apart.
      spill: light of the background, far out of focus, tints the foreground.
      exposure: one gamma curve for both layers.
      noise: of the sensor, in part in proportion to the light.
      jpeg: blocks and smeared colours of a compressed file.
      drawn_trimap: known regions are set back unevenly, as a hand draws them.
      drawn_reach_px: how far at most.
      defocus: the background is out of focus.

    Raises:
      InputError: naming the field that is out of range.
    """

    matched_colours: float = 0.0
    spill: float = 0.0
    exposure: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0
    drawn_trimap: float = 0.0
    drawn_reach_px: int = 0
    defocus: float = 0.0

    def __post_init__(self):
        for field in fields(self):
            value, name = getattr(self, field.name), field.name
            if name != "drawn_reach_px" and not 0 <= value <= 1:
                raise InputError(f"capture.{name} is {value}; give from 0 to 1")
        if self.drawn_reach_px < 0:
            raise InputError(
                f"capture.drawn_reach_px is {self.drawn_reach_px}; give 0 or more"
            )


def captured(sample: Sample, capture: Capture, rng: np.random.Generator) -> Sample:
    """Apply the effects that chance chooses.

    Args:
      sample: as `protocol.sample.make_sample` describes it.
      capture: probabilities.
      rng: of this sample alone.
    Returns:
      A sample of the same form; its image departs from the composite of its layers
      by noise and compression. Where the unknown region has grown and alpha is 0,
      `foreground` may be black, as it may be in the known background.
    """
    foreground, background = sample["foreground"], sample["background"]
    alpha, trimap = sample["alpha"], sample["trimap"]
    (focus,) = rng.spawn(1)  # apart, so that it moves no other draw
    if focus.random() < capture.defocus:
        blur = disc(_log_uniform(focus, DEFOCUS_PX))
        background = cv2.filter2D(background, -1, blur)
    if rng.random() < capture.matched_colours:
        background = _matched(background, foreground, alpha, rng.uniform(0.3, 1))
    if rng.random() < capture.spill:
        foreground = _tinted(foreground, background, rng.uniform(*SPILL))
    if rng.random() < capture.exposure:
        curve = _gamma_curve(_log_uniform(rng, GAMMA))
        foreground, background = (cv2.LUT(x, curve) for x in (foreground, background))
    image = sample["image"]
    if not (foreground is sample["foreground"] and background is sample["background"]):
        image = composite(foreground, background, alpha)
    if rng.random() < capture.noise:
        image = _noisy(image, rng)
    if rng.random() < capture.jpeg:
        image = _compressed(image, int(rng.integers(*JPEG_QUALITY)))
    if rng.random() < capture.drawn_trimap and capture.drawn_reach_px:
        trimap = redrawn(trimap[..., 0], rng, reach_px=capture.drawn_reach_px)
        trimap = trimap[..., np.newaxis]
    changed = {
        "image": image,
        "trimap": trimap,
        "foreground": foreground,
        "background": background,
    }
    return sample | changed


def redrawn(
    trimap: np.ndarray, rng: np.random.Generator, *, reach_px: int
) -> np.ndarray:
    """Widen a trimap's unknown region as an uneven hand would.

    Args:
      trimap: uint8 [H, W] of 0, 128, 255.
      rng: where the unevenness comes from.
      reach_px: the most that it grows, to either side.
    Returns:
      uint8 [H, W] whose known pixels are among those of `trimap`.
    """
    height, width = trimap.shape
    known = (trimap != TRIMAP_UNKNOWN).astype(np.uint8)
    distance = cv2.distanceTransform(known, cv2.DIST_L2, 3)
    # A slowly varying reach, of its own on the subject's side and on the other.
    cells = int(rng.integers(2, 6))
    inside, outside = (
        cv2.resize(
            rng.random((cells, cells), np.float32), (width, height),
            interpolation=cv2.INTER_LINEAR,
        )
        * np.float32(reach_px * rng.random())
        for _ in range(2)
    )  # fmt: skip
    grown = distance <= np.where(trimap == 0, outside, inside)
    if rng.random() < 0.4:  # straight strokes: the outline's polygon
        grown |= _polygons(grown | (known == 0), reach_px * rng.uniform(0.1, 0.4))
    return np.where(grown, np.uint8(TRIMAP_UNKNOWN), trimap)


def _polygons(region: np.ndarray, tolerance_px: float) -> np.ndarray:
    """Fill the outlines of a region with their corners cut to straight lines."""
    outlines, _ = cv2.findContours(
        region.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    filled = np.zeros(region.shape, np.uint8)
    straight = [cv2.approxPolyDP(line, tolerance_px, True) for line in outlines]
    cv2.fillPoly(filled, straight, (1,))  # holes stay holes: filled by parity
    return filled.astype(bool)


def _matched(background, foreground, alpha, share):
    """Move the background's colour statistics towards the subject's."""
    weights = alpha[..., 0].astype(np.float32).ravel()
    total = weights.sum()
    if not total:
        return background
    colours = foreground.reshape(-1, 3).astype(np.float32)
    mean = weights @ colours / total
    deviation = np.sqrt(weights @ (colours - mean) ** 2 / total)
    scene = background.astype(np.float32)
    scene_mean, scene_deviation = scene.mean((0, 1)), scene.std((0, 1)) + 1
    scale = 1 + share * (np.clip(deviation / scene_deviation, 0.3, 3) - 1)
    moved = scene_mean + share * (mean - scene_mean)
    return _eight_bits((scene - scene_mean) * scale + moved)


def _tinted(foreground, background, share):
    """Mix the colours with those of the scene, seen out of focus."""
    side = foreground.shape[0] // 4 * 2 + 1
    light = cv2.blur(background, (side, side))
    return cv2.addWeighted(foreground, 1 - share, light, share, 0)


def _gamma_curve(gamma):
    return _eight_bits(255 * np.linspace(0, 1, 256) ** gamma)


def _noisy(image, rng):
    """Add noise of photons and of the amplifier; smooth it at times, as cameras do."""
    level = 255 * _log_uniform(rng, NOISE)
    grain = rng.standard_normal(image.shape, np.float32)
    if rng.random() < 0.5:  # the same in all channels, in part
        grain = 0.5 * grain + 0.7 * grain[..., :1]
    if rng.random() < 0.4:
        grain = 1.6 * cv2.GaussianBlur(grain, (3, 3), 0.7)
    shot = np.sqrt(image.astype(np.float32) / 128)
    return _eight_bits(image + level * (0.3 + 0.7 * shot) * grain)


def _compressed(image, quality):
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, file = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert decoded is not None  # what OpenCV writes it reads
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _log_uniform(rng, bounds):
    return np.exp(rng.uniform(*np.log(bounds)))


def _eight_bits(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
