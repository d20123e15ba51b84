"""Hair, fur and blades: curves grown from roots and drawn with tapering width."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from input_pipeline.procedural.canvas import Canvas, shade
from input_pipeline.procedural.textures import noise

_COLOUR_GROUPS = 8  # strands drawn per call share a colour; sorted by brightness
_PIECES = ((0.6, 1.0, 0.45), (0.3, 0.65, 0.85), (0.0, 0.35, 1.0))  # tip drawn first


@dataclass(frozen=True)
class Growth:
    """How strands bend on their way from root to tip."""

    steps: int = 12  # points per strand
    pull: float = 0.0  # how fast a strand turns towards `pull_angle`, per length
    pull_angle: float = np.pi / 2  # radians; pi / 2 is down
    bend: float = 0.5  # deviation of the constant turn over a length, radians
    curl: float = 0.0  # amplitude of the waves, radians
    curls: float = 2.0  # waves per length
    wander: float = 0.1  # deviation of the random turn at each step, radians
    clumps: int = 0  # number of locks; 0 for none
    clumping: float = 0.7  # share of the way to the lock's centre at the tip
    strays: float = 0.1  # share of strands that belong to no lock


def grow(
    rng: np.random.Generator,
    roots: np.ndarray,
    angles: np.ndarray,
    lengths: np.ndarray,
    growth: Growth,
) -> np.ndarray:
    """Grow strands from roots [N, 2] at angles [N] to lengths [N] in pixels.

    Returns:
      float32 [N, steps, 2], (x, y) from root to tip.
    """
    roots, angles = roots.astype(np.float32), angles.astype(np.float32)
    lengths, count = lengths.astype(np.float32), len(roots)
    lock, is_stray = np.arange(count), np.ones(count, bool)
    if 0 < growth.clumps < count:
        guides = rng.choice(count, growth.clumps, replace=False)
        distance = (roots[guides] ** 2).sum(axis=1) - 2 * roots @ roots[guides].T
        lock = guides[distance.argmin(axis=1)]
        is_stray = rng.random(count) < growth.strays
    t = np.linspace(0, 1, growth.steps, dtype=np.float32)
    shared = _turns(rng, count, t, growth)
    own = _turns(rng, count, t, growth)
    mixed = np.where(is_stray[:, None], own, shared[lock] + 0.2 * own)
    off = (growth.pull_angle - angles + np.pi) % (2 * np.pi) - np.pi
    turned = np.float32(1) - np.exp(-growth.pull * t).astype(np.float32)
    heading = angles[:, None] + mixed + off[:, None] * turned
    step = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    step *= (lengths / (growth.steps - 1))[:, None, None]
    step[:, 0] = 0
    paths = roots[:, None] + np.cumsum(step, axis=1)
    pull = np.float32(growth.clumping) * ~is_stray[:, None] * t**1.5
    paths += pull[..., None] * (paths[lock] - paths)
    return paths


def draw(
    rng: np.random.Generator,
    canvas: Canvas,
    paths: np.ndarray,
    colours: np.ndarray,
    widths: np.ndarray,
    *,
    opacity: float = 1.0,
    tip_light: float = 1.2,
) -> None:
    """Draw strands that taper and lighten towards the tip.

    Args:
      rng: where the randomness comes from.
      canvas: drawn on.
      paths: [N, T, 2] from root to tip.
      colours: [N, 3].
      widths: [N] at the root, in pixels; may be far below 1.
      opacity: of the faintest strands' roots; their tips are fainter still.
      tip_light: brightness of the tip relative to the root.
    """
    order = np.argsort(colours.sum(axis=1), kind="stable")
    groups = [
        part
        for group in np.array_split(order, _COLOUR_GROUPS)
        for part in np.array_split(group[np.argsort(widths[group])], 2)
        if len(part)
    ]
    rng.shuffle(groups)
    strokes = [
        (paths[group], colours[group].mean(axis=0), float(widths[group].mean()), share)
        # The faintest first: a fine pixel takes the last stroke's alpha.
        for group, share in zip(
            groups, np.linspace(opacity, 1, len(groups)).tolist(), strict=True
        )
    ]
    last = paths.shape[1] - 1
    for begin, end, taper in _PIECES:
        piece = slice(round(begin * last), round(end * last) + 1)
        light = 1 + (tip_light - 1) * begin
        for group, colour, width, share in strokes:
            canvas.strokes(
                group[:, piece], colour * light, width=width * taper, opacity=share
            )


def tangle(
    rng: np.random.Generator,
    shape: tuple[int, int],
    paths: np.ndarray,
    colours: np.ndarray,
    *,
    width: float,
) -> np.ndarray:
    """Draw strands [N, T, 2] on a layer of their own, varied and unevenly lit.

    Args:
      rng: where the randomness comes from.
      shape: height and width in pixels.
      paths: [N, T, 2] from root to tip.
      colours: [N, 3], or [K, 3] to draw from.
      width: typical width at the root, in pixels.
    """
    count = len(paths)
    if len(colours) != count:
        colours = colours[rng.integers(len(colours), size=count)]
    colours = colours * rng.lognormal(0, 0.2, (count, 1))
    canvas = Canvas(shape)
    widths = width * rng.lognormal(0, 0.35, count)
    opacity = rng.uniform(0.3, 1) if rng.random() < 0.5 else 1.0
    draw(
        rng,
        canvas,
        paths,
        colours,
        widths,
        opacity=opacity,
        tip_light=rng.uniform(0.8, 1.5),
    )
    light = 1 + 0.25 * noise(
        rng, shape, cell=min(shape) / rng.uniform(3, 10), octaves=3
    )
    return shade(canvas.layer(), light)


def contour_roots(
    rng: np.random.Generator, mask: np.ndarray, count: int, *, inset: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Pick points on the edge of a mask and the direction out of it there.

    Args:
      rng: where the randomness comes from.
      mask: float32 [H, W] in [0, 1].
      count: number of points.
      inset: largest distance into the mask, in pixels.

    Returns:
      points [count, 2] and angles [count] in radians; both empty without an edge.
    """
    solid = (mask > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.zeros((0, 2)), np.zeros(0)
    points = np.concatenate([contour[:, 0] for contour in contours])
    points = points[rng.integers(len(points), size=count)]
    angles = outward_angles(mask, points)
    depth = inset * rng.random(count) ** 2
    inwards = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * depth[:, None]
    return points + 0.5 - inwards + rng.uniform(-0.5, 0.5, points.shape), angles


def inner_roots(
    rng: np.random.Generator, mask: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pick points inside a mask and the direction towards its nearer edge."""
    inside = np.flatnonzero(mask > 0.5)
    if not len(inside):
        return np.zeros((0, 2)), np.zeros(0)
    index = inside[rng.integers(len(inside), size=count)]
    points = np.stack([index % mask.shape[1], index // mask.shape[1]], axis=-1)
    return points + rng.random(points.shape), outward_angles(mask, points)


def outward_angles(mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the direction [N] of falling mask density at integer points [N, 2]."""
    height, width = mask.shape
    small = cv2.resize(
        mask, (width // 4 + 1, height // 4 + 1), interpolation=cv2.INTER_AREA
    )
    density = cv2.GaussianBlur(small, (0, 0), 3, borderType=cv2.BORDER_REPLICATE)
    rows, columns = points[:, 1] // 4, points[:, 0] // 4
    dx = cv2.Sobel(density, cv2.CV_32F, 1, 0)[rows, columns]
    dy = cv2.Sobel(density, cv2.CV_32F, 0, 1)[rows, columns]
    return np.arctan2(-dy, -dx)


def _turns(
    rng: np.random.Generator, count: int, t: np.ndarray, growth: Growth
) -> np.ndarray:
    """Return each strand's change of direction [count, T] before any pull."""
    jitter = rng.standard_normal((count, len(t)), np.float32)
    turns = np.cumsum(np.float32(growth.wander) * jitter, axis=1)
    turns += rng.standard_normal((count, 1), np.float32) * np.float32(growth.bend) * t
    if growth.curl:
        pace, phase = rng.random((2, count, 1), np.float32) * np.float32(2 * np.pi)
        pace = (pace * 0.8 + 3.8) * np.float32(growth.curls)
        turns += np.float32(growth.curl) * np.sin(pace * t + phase)
    return turns
