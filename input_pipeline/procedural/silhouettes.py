"""Outlines of subjects: polygons [P, 2] in pixels, and masks [H, W] in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from input_pipeline.procedural.canvas import coverage, edge_coverage
from input_pipeline.procedural.textures import grid, noise

_TURN = np.linspace(0, 2 * np.pi, 96, endpoint=False)


def random(
    rng: np.random.Generator, shape: tuple[int, int], style: str | None = None
) -> np.ndarray:
    """Return the mask of one outline: of the style named, or of any."""
    styles = ["blob", "rough", "creature", "boxes", "sheet", "rings"]
    style = style or str(rng.choice(styles, p=[0.3, 0.25, 0.15, 0.1, 0.1, 0.1]))
    if style == "blob":
        return coverage([blob(rng, shape, size=rng.uniform(0.25, 0.55))], shape)
    if style == "rough":
        return rough(rng, shape)
    if style == "creature":
        return creature(rng, shape)
    if style == "boxes":
        return coverage([box(rng, shape) for _ in range(rng.integers(1, 4))], shape)
    return sheet(rng, shape) if style == "sheet" else rings(rng, shape)


def ellipse(centre, radii, angle=0.0) -> np.ndarray:
    """Return the outline of an ellipse with radii (a, b), a along `angle`."""
    local = np.stack([radii[0] * np.cos(_TURN), radii[1] * np.sin(_TURN)], axis=-1)
    return np.asarray(centre) + local @ _rotation(angle).T


def blob(
    rng: np.random.Generator, shape: tuple[int, int], *, size: float
) -> np.ndarray:
    """Return a smooth closed curve of mean radius `size` of the shorter side."""
    radius = np.ones_like(_TURN)
    roughness = rng.uniform(0.05, 0.35)
    for wave in range(2, 9):
        radius += (
            roughness / wave * rng.normal() * np.cos(wave * _TURN + rng.uniform(0, 6.3))
        )
    radius = np.maximum(radius, 0.15) * size * min(shape)
    squash = rng.uniform(0.6, 1)
    local = np.stack([radius * np.cos(_TURN), squash * radius * np.sin(_TURN)], axis=-1)
    return _centre(rng, shape) + local @ _rotation(rng.uniform(0, 2 * np.pi)).T


def rough(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return a mask with a fractal edge, from stone-like to ragged."""
    x, y = grid(shape)
    centre, size = _centre(rng, shape), min(shape) * rng.uniform(0.25, 0.5)
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / size
    edge = rng.uniform(0.1, 0.4) * noise(
        rng, shape, cell=size * rng.uniform(0.3, 1.2), octaves=7,
        persistence=rng.uniform(0.35, 0.65),
    )  # fmt: skip
    field = (1 - distance + edge).astype(np.float32)
    return edge_coverage(field, width=1 if rng.random() < 0.6 else rng.uniform(2, 12))


def creature(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask of a trunk with a head, ears and limbs."""
    unit = min(shape) * rng.uniform(0.75, 1.6)
    centre = _centre(rng, shape) + (0, 0.08 * unit)
    trunk = unit * rng.uniform(0.16, 0.27, 2)
    parts = [ellipse(centre, trunk, rng.uniform(0, 3))]
    up = rng.normal(-np.pi / 2, 0.4)
    head = unit * rng.uniform(0.12, 0.2)
    at = centre + (trunk.mean() + 0.6 * head) * _unit(up)
    parts.append(ellipse(at, head * rng.uniform(0.85, 1.15, 2), rng.uniform(0, 3)))
    ear, spread = head * rng.uniform(0.25, 0.6), rng.uniform(0.5, 0.9)
    tall = ear * rng.uniform(1, 2.5)
    for side in (-1, 1):
        out = up + side * spread
        parts.append(ellipse(at + (head + 0.5 * ear) * _unit(out), (tall, ear), out))
    for _ in range(rng.integers(2, 5)):
        out = rng.uniform(0, 2 * np.pi)
        limb = unit * np.array([rng.uniform(0.1, 0.2), rng.uniform(0.03, 0.08)])
        parts.append(ellipse(centre + trunk.mean() * 1.1 * _unit(out), limb, out))
    return coverage(parts, shape)


def box(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return a rectangle with corners from square to round."""
    radii = min(shape) * rng.uniform(0.12, 0.4, 2)
    roundness = rng.uniform(0.05, 0.9)
    wave = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=-1)
    local = np.sign(wave) * np.abs(wave) ** roundness * radii
    return _centre(rng, shape) + local @ _rotation(rng.uniform(0, np.pi)).T


def sheet(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask of a cloth that leaves the frame on one or more sides."""
    x, y = grid(shape)
    away = rng.uniform(0, 2 * np.pi)
    along = np.cos(away) * (x - shape[1] / 2) + np.sin(away) * (y - shape[0] / 2)
    wave = rng.uniform(0.01, 0.15) * noise(rng, shape, cell=min(shape) / 2, octaves=2)
    field = along / min(shape) + rng.uniform(-0.1, 0.3) + wave
    return edge_coverage(field.astype(np.float32))


def rings(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask of wires, handles and rings: long, even and with holes."""
    mask = np.zeros(shape, np.float32)
    for _ in range(rng.integers(2, 6)):
        centre = _centre(rng, shape)
        radii = min(shape) * rng.uniform(0.1, 0.45, 2)
        angle, width = rng.uniform(0, np.pi), min(shape) * 10 ** rng.uniform(-1.9, -0.9)
        outer = coverage([ellipse(centre, radii + width / 2, angle)], shape)
        inner = coverage(
            [ellipse(centre, np.maximum(radii - width / 2, 0), angle)], shape
        )
        mask = np.maximum(mask, outer - inner)
    return mask


def leaves(
    roots: np.ndarray,
    angles: np.ndarray,
    lengths: np.ndarray,
    slim: np.ndarray | float,
) -> np.ndarray:
    """Return pointed ovals [N, 12, 2]: from the root up one side, down the other.

    Args:
      roots: [N, 2].
      angles: [N], from root to tip, radians.
      lengths: [N] in pixels.
      slim: width relative to the length, [N] or one for all.
    """
    t = np.concatenate([np.linspace(0, 1, 7), np.linspace(1, 0, 7)[1:-1]])
    side = np.where(np.arange(12) < 7, 0.5, -0.5) * np.sin(np.pi * t**0.8)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[:, None]
    across = along[..., ::-1] * (-1, 1)
    lengths = lengths[:, None, None]
    half_width = np.reshape(slim, (-1, 1, 1)) * lengths * side[:, None]
    return roots[:, None] + lengths * t[:, None] * along + half_width * across


@dataclass(frozen=True)
class Head:
    """A head on shoulders, seen from the front or from the back."""

    centre: np.ndarray
    radius: float
    tilt: float
    shoulder_width: float
    bottom: float

    @classmethod
    def random(cls, rng: np.random.Generator, shape: tuple[int, int]) -> Head:
        """Place a head in the upper part of the frame."""
        height, width = shape
        radius = min(shape) * rng.uniform(0.11, 0.3)
        return cls(
            centre=np.array(
                [width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.55)]
            ),
            radius=radius,
            tilt=rng.normal(0, 0.15),
            shoulder_width=radius * rng.uniform(1.8, 2.8),
            bottom=height + 2.0 * radius,
        )

    def face(self, *, scale: float = 1.0, drop: float = 0.0) -> np.ndarray:
        """Return the face's outline, scaled, and moved down by `drop` radii."""
        centre = self.centre + (0, drop * self.radius)
        radii = scale * self.radius * np.array([1.25, 1.0])
        return ellipse(centre, radii, np.pi / 2 + self.tilt)

    def neck(self) -> np.ndarray:
        """Return the neck's outline."""
        return ellipse(
            self.centre + (0, 1.3 * self.radius),
            0.55 * self.radius * np.array([1.4, 1]),
            np.pi / 2,
        )

    def shoulders(self) -> np.ndarray:
        """Return the outline of shoulders that leave the frame at the bottom."""
        top = self.centre[1] + 1.6 * self.radius
        height = self.bottom - top
        t = np.linspace(-1, 1, 41)
        reach = np.sign(t) * np.abs(t) ** 0.8 * self.shoulder_width
        drop = height * np.abs(t) ** 4 + 0.5 * self.radius * np.abs(t)
        return np.stack([self.centre[0] + reach, top + drop], axis=-1)

    def scalp(
        self, rng: np.random.Generator, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return roots [count, 2] on the upper head and their outward angles."""
        around = rng.uniform(-np.pi - 0.5, 0.5, count) + self.tilt
        depth = 1 - 0.5 * rng.random(count) ** 2
        out = np.stack([np.cos(around), 1.2 * np.sin(around)], axis=-1)
        return self.centre + self.radius * depth[:, None] * out, around


def _centre(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.uniform(0.35, 0.65, 2) * shape[::-1]


def _rotation(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])
