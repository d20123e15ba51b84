"""Heads on shoulders, in clothes with a pattern: what hair grows on and falls over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.rendering.blender import shapes, strands
from experiments.rendering.blender.stage import Stage

SKULL = np.array([0.74, 0.92, 1.0])  # half axes of the head, the face towards -y
_NAPE = np.array([0.0, 0.12, -0.75])  # the head turns about this point
_CHEST = np.array([0.0, 0.2, -2.6])
_SHOULDERS = np.array([1.95, 0.85, 1.2])
_SKINS = np.array(
    [
        *([0.72, 0.43, 0.31], [0.62, 0.35, 0.23], [0.48, 0.24, 0.14]),
        *([0.30, 0.14, 0.075], [0.13, 0.06, 0.035], [0.80, 0.53, 0.42]),
    ]
)


@dataclass
class Ellipsoid:
    """A body that strands do not enter.

    Attributes:
      centre: [3].
      axes: half axes, [3].
      turn: rotation, [3, 3]; a row of points p in its own axes is at p @ turn.
    """

    centre: np.ndarray
    axes: np.ndarray
    turn: np.ndarray

    def push(self, points: np.ndarray, layer: np.ndarray) -> np.ndarray:
        """Move points [N, 3] that are inside to `layer` [N, 1] above the surface."""
        own = (points - self.centre) @ self.turn.T / self.axes
        reach = np.linalg.norm(own, axis=1, keepdims=True)
        least = 1 + layer / self.axes.mean()
        own = own * np.maximum(1, least / np.maximum(reach, 1e-6))
        return (own * self.axes) @ self.turn + self.centre


@dataclass
class Head:
    """A head that stands on the stage.

    Attributes:
      turn: its rotation, [3, 3].
      skin: its colour, [3].
      skull, neck, chest: what strands do not enter.
    """

    turn: np.ndarray
    skin: np.ndarray
    skull: Ellipsoid
    neck: Ellipsoid
    chest: Ellipsoid

    def place(self, points: np.ndarray) -> np.ndarray:
        """Return where points [..., 3] in the head's own axes are on the stage."""
        return (points - _NAPE) @ self.turn + _NAPE

    @property
    def bodies(self) -> list[Ellipsoid]:
        """Return all that strands do not enter."""
        return [self.skull, self.neck, self.chest]


def put_bust(stage: Stage, scalp_colour: np.ndarray, hairline: float) -> Head:
    """Put a head and shoulders on the stage.

    Args:
      stage: of the subject.
      scalp_colour: of the skin under the hair, [3].
      hairline: height of `scalp` that is shaved or skin below it.
    Returns:
      The head, for hair to grow on.
    """
    rng = stage.rng
    turn = _rotation(*(rng.normal(0, [0.16, 0.1, 0.3])))
    centre = (-_NAPE) @ turn + _NAPE
    straight = np.eye(3)
    head = Head(
        turn,
        _SKINS[rng.integers(len(_SKINS))],
        Ellipsoid(centre, SKULL, turn),
        Ellipsoid(np.array([0, 0.2, -1.2]), np.array([0.42, 0.44, 0.9]), straight),
        Ellipsoid(_CHEST, _SHOULDERS, straight),
    )
    flesh = stage.material(roughness=0.5, specular=0.35)
    _put_face(stage, head, flesh, scalp_colour, hairline)
    heights = np.linspace(-0.4, -2.0, 20)
    flare = 0.4 + 0.35 * np.clip((-1.3 - heights) / 0.7, 0, 1) ** 2
    path = np.stack([0 * heights, 0.22 + 0 * heights, heights], 1)
    vertices, faces = shapes.tube(path, flare, 40)
    tone = np.tile(head.skin * 0.95, (len(vertices), 1))
    stage.mesh(vertices, faces, flesh, colour=tone, framed=False)
    _put_clothes(stage, head)
    return head


def scalp(directions: np.ndarray) -> np.ndarray:
    """Return how far inside the hairy part of a head directions [N, 3] are, [N]."""
    front = -directions[:, 1]
    line = np.interp(front, [-1.0, -0.2, 0.3, 0.75, 1.0], [-0.55, -0.45, 0, 0.58, 0.62])
    return directions[:, 2] - line


def skull_shape(directions: np.ndarray) -> np.ndarray:
    """Return points of the head, without its face, in directions [N, 3]: [N, 3]."""
    x, y, z = (directions * SKULL).T
    low = np.clip(-z, 0, 1)
    y = np.where(y > 0, y * (1 - 0.5 * low**1.5), y)
    return np.stack([x * (1 - 0.33 * low**2), y, z], 1)


def cloth_colours(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """Colour a cloth at points [N, 3] plainly or in a pattern of hues, [N, 3]."""
    hue = rng.random()
    steps = rng.choice([0.0, 0.12, 0.33, 0.5, 0.6], 3, replace=False)
    colours = np.stack(
        [
            shapes.hue_colour(
                hue + step, rng.uniform(0.05, 0.55), rng.uniform(0.2, 0.85)
            )
            for step in steps
        ]
    )
    pick = np.zeros(len(points), int)
    kind = rng.integers(6)
    period = rng.uniform(0.2, 0.6)
    wave = np.floor(points / period).astype(int)
    if kind == 0:  # stripes, across or along
        pick = wave[:, rng.choice([0, 2])] % rng.integers(2, 4)
    elif kind == 1:  # checks
        pick = wave[:, 0] % 2 + wave[:, 2] % 2
    elif kind == 2:  # dots
        inside = points / period % 1 - 0.5
        pick = (np.hypot(inside[:, 0], inside[:, 2]) < 0.28).astype(int)
    elif kind == 3:
        return shapes.patches(rng, points, colours, scale=rng.uniform(2, 6))
    elif kind == 4:  # a yoke of another colour
        pick = (points[:, 2] > points[:, 2].max() - 0.7).astype(int)
    return colours[pick]


def _put_face(
    stage: Stage, head: Head, flesh, scalp_colour: np.ndarray, hairline: float
) -> None:
    rng = stage.rng
    ball, faces = shapes.sphere(130, 180)
    x, _, z = (ball * SKULL).T
    front = np.clip(-ball[:, 1], 0, 1) ** 0.5 * (ball[:, 1] < 0)
    aside = np.abs(x)

    def bump(x0, z0, width, height):
        return front * np.exp(-(((aside - x0) / width) ** 2) - ((z - z0) / height) ** 2)

    nose = bump(0, -0.3, 0.09, 0.1) * 0.2 + bump(0, -0.12, 0.075, 0.2) * 0.13
    lips = bump(0.0, -0.53, 0.17, 0.035) + bump(0.0, -0.62, 0.14, 0.04)
    mouth = bump(0, -0.575, 0.2, 0.014)
    relief = (
        *(nose, 0.07 * bump(0.3, 0.16, 0.2, 0.07), -0.13 * bump(0.29, 0, 0.15, 0.1)),
        *(0.05 * bump(0.42, -0.25, 0.15, 0.15), 0.055 * lips, -0.04 * mouth),
        0.1 * bump(0, -0.85, 0.22, 0.14),
    )
    vertices = skull_shape(ball)
    vertices[:, 1] -= sum(relief)
    tone = 1 + 0.08 * shapes.smooth_noise(rng, vertices, scale=3)
    paint = head.skin * tone[:, None]
    red = np.array([0.75, 0.33, 0.33]) * head.skin / head.skin.max()
    paint += np.clip(lips, 0, 1)[:, None] * 0.8 * (red - paint)
    paint += 0.3 * bump(0.4, -0.28, 0.17, 0.14)[:, None] * (red - paint)
    brow = np.clip(2 * bump(0.29, 0.2 + 0 * z, 0.15, 0.03), 0, 0.85)[:, None]
    hairy = np.clip(8 * (scalp(ball) - hairline), 0, 1)[:, None]
    for amount in (brow, hairy):
        paint += amount * (scalp_colour - paint)
    stage.mesh(head.place(vertices), faces, flesh, colour=np.clip(paint, 0, 1))
    ball, faces = shapes.sphere(24, 32)
    glossy = stage.material(roughness=0.08)
    iris = shapes.hue_colour(rng.choice([0.08, 0.3, 0.6]), 0.6, 0.4)
    off = np.hypot(ball[:, 0], ball[:, 2])[:, None] + 9 * (ball[:, 1:2] > 0)
    paint = np.where(off < 0.26, 0.01, np.where(off < 0.55, iris, [0.7, 0.67, 0.65]))
    for side in (-1, 1):
        eye = ball * [0.11, 0.09, 0.07] + [0.29 * side, -0.755, 0.0]
        stage.mesh(head.place(eye), faces, glossy, colour=paint, framed=False)
        ear = ball * [0.06, 0.15, 0.2] + [0.73 * side, 0.08, -0.1]
        tone = np.tile(head.skin, (len(ear), 1))
        stage.mesh(head.place(ear), faces, flesh, colour=tone, framed=False)


def _put_clothes(stage: Stage, head: Head) -> None:
    rng = stage.rng
    ball, faces = shapes.sphere(200, 260)
    across = np.hypot(ball[:, 0], ball[:, 1])[:, None]
    below = ball[:, 2:] < 0
    points = np.where(below, ball / np.where(below, across, 1), ball)
    points[:, 2] = np.where(below[:, 0], 4 * ball[:, 2], ball[:, 2])
    points = points * _SHOULDERS
    folds = shapes.smooth_noise(rng, points * [1, 1, 0.4], scale=2.5)
    points = points * (1 + 0.012 * folds[:, None]) + _CHEST
    paint = cloth_colours(rng, points)
    neckline = rng.uniform(0.45, 0.95)
    gap = np.hypot(points[:, 0], 1.2 * (points[:, 1] - 0.1)) - neckline
    inside = np.clip(0.5 - 25 * gap, 0, 1)[:, None] * (points[:, 2:] > -2.6)
    paint = paint + inside * (head.skin - paint)
    woven = stage.material(roughness=0.85, sheen=0.3, specular=0.2)
    wide = rng.random() < 0.5
    stage.mesh(points, faces, woven, colour=np.clip(paint, 0, 1), framed=False)
    # The camera steps back to show some or all of the shoulders.
    reach, low = (1.9, -2.7) if wide else (1.0, -1.9)
    shown = (np.abs(points[:, 0]) < reach) & (points[:, 2] > low)
    stage.frame(points[shown])


def _rotation(pitch: float, roll: float, yaw: float) -> np.ndarray:
    """Return a rotation for rows of points: nod, tilt, then turn."""
    turns = []
    for first, second, angle in ((1, 2, pitch), (2, 0, roll), (0, 1, yaw)):
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = np.sin(angle), -np.sin(angle)
        turns.append(turn)
    return turns[0] @ turns[1] @ turns[2]


def fall(
    roots: np.ndarray,
    directions: np.ndarray,
    length: np.ndarray,
    bodies: list[Ellipsoid],
    layer: np.ndarray,
    *,
    steps: int,
    weight: float = 0.35,
    wind: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Let strands grow out of a head, bend down and slide over bodies.

    Args:
      roots: [N, 3].
      directions: [N, 3] of length 1.
      length: [N].
      bodies: that strands do not enter.
      layer: [N, 1] how far above the bodies strands lie.
      steps: points of a strand.
      weight: how fast strands bend down, per tenth of a unit.
      wind: added to the pull down, [3] or [N, 3].
    Returns:
      Points [N, steps, 3].
    """
    points = [roots]
    step = length[:, None] / (steps - 1)
    pull = weight * 10 * step * (np.array([0, 0, -1.0]) + wind)
    for _ in range(steps - 1):
        directions = strands.unit(directions + pull)
        moved = points[-1] + step * directions
        for body in bodies:
            moved = body.push(moved, layer)
        directions = strands.unit(moved - points[-1])
        points.append(moved)
    return np.stack(points, 1)
