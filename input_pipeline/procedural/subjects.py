"""Kinds of matting subject, each drawn as a layer with exact alpha.

A kind is a function of (rng, shape, texture) that returns a layer; `texture` paints
[H, W, 3] colours for a random generator, a shape and a palette.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from input_pipeline.procedural import silhouettes, strands
from input_pipeline.procedural.canvas import coverage, over, shade, tint
from input_pipeline.procedural.plants import foliage, tuft
from input_pipeline.procedural.sheer import film, netting, smoke
from input_pipeline.procedural.strands import Growth
from input_pipeline.procedural.textures import (
    Texture,
    body,
    noise,
    palette,
    relief,
    sampled,
)


class _Haircut(NamedTuple):
    lengths: tuple[float, float]  # in radii of the head
    pull: float  # see Growth
    curl: float
    weight: float  # how often it is drawn


_HAIRCUTS = (
    _Haircut(lengths=(1.2, 3.2), pull=6.0, curl=0.25, weight=0.45),  # long
    _Haircut(lengths=(0.2, 0.6), pull=0.8, curl=0.2, weight=0.15),  # short
    _Haircut(lengths=(0.5, 1.3), pull=0.6, curl=1.6, weight=0.2),  # curly
    _Haircut(lengths=(0.6, 1.8), pull=1.2, curl=0.5, weight=0.2),  # windblown
)


def solid(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture
) -> np.ndarray:
    """Draw a body with a crisp, soft or fractal outline."""
    mask = silhouettes.random(rng, shape)
    if rng.random() < 0.4:  # out of focus in some places
        soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1.5, 8))
        where = np.clip(0.5 + noise(rng, shape, cell=max(shape) / 2, octaves=1), 0, 1)
        mask = mask + (soft - mask) * where
    return body(rng, shape, texture, mask)


def portrait(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture
) -> np.ndarray:
    """Draw a head and shoulders under loose hair."""
    head = silhouettes.Head.random(rng, shape)
    shoulders = body(rng, shape, texture, coverage([head.shoulders()], shape))
    skin = palette(rng, "skin")[2]
    face = tint(coverage([head.face(), head.neck()], shape), skin)
    face = shade(face, relief(rng, face[..., 3]))
    haircut = _HAIRCUTS[rng.choice(4, p=[cut.weight for cut in _HAIRCUTS])]
    hair = _hair(rng, shape, head, haircut)
    order = rng.random()
    if order < 0.25:  # hair behind the shoulders
        return over(over(face, shoulders), hair)
    if order < 0.4:  # seen from the back
        return over(hair, over(face, shoulders))
    return over(_parted(rng, hair, head), over(face, over(shoulders, hair)))


def furry(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture
) -> np.ndarray:
    """Draw a toy or an animal: fur on every edge and over the body."""
    outline = str(rng.choice(["creature", "creature", "blob", "rough"]))
    mask = silhouettes.random(rng, shape, outline)
    return under_fur(rng, body(rng, shape, texture, mask))


def under_fur(rng: np.random.Generator, layer: np.ndarray) -> np.ndarray:
    """Grow fur in a layer's own colours on its edges and over it."""
    shape, mask = layer.shape[:2], layer[..., 3]
    length = min(shape) * 10 ** rng.uniform(-1.8, -0.75)
    width = 10 ** rng.uniform(-0.5, 0.3)
    count = int(min(shape) * rng.uniform(3, 6) / max(width, 1))
    inset = rng.uniform(2, 4 + 0.4 * length)
    edge, edge_angles = strands.contour_roots(rng, mask, count, inset=inset)
    inner, inner_angles = strands.inner_roots(rng, mask, count // 3)
    roots = np.concatenate([inner, edge])
    angles = np.concatenate([inner_angles, edge_angles])
    comb = rng.uniform(-np.pi, np.pi)
    angles += 0.4 * np.sin(comb - angles)
    angles += rng.normal(0, rng.uniform(0.15, 0.6), len(angles))
    uneven = 1 + 0.3 * noise(rng, shape, cell=min(shape) / 6)
    lengths = length * sampled(uneven, roots) * rng.uniform(0.5, 1.2, len(roots))
    growth = Growth(
        steps=8, pull=rng.uniform(0, 1.2), bend=rng.uniform(0.2, 0.9),
        curl=float(rng.choice([0, 0, 1])), wander=rng.uniform(0.02, 0.15),
        clumps=int(rng.choice([0, 80, 200])), clumping=rng.uniform(0.4, 1),
    )  # fmt: skip
    paths = strands.grow(rng, roots, angles, np.maximum(lengths, 1.5), growth)
    at_root = sampled(layer, roots)
    colours = at_root[:, :3] / np.maximum(at_root[:, 3:], 1e-3)
    return over(strands.tangle(rng, shape, paths, colours, width=width), layer)


KINDS = {  # how to draw it, how often
    "portrait": (portrait, 0.24),
    "furry": (furry, 0.18),
    "tuft": (tuft, 0.1),
    "foliage": (foliage, 0.1),
    "netting": (netting, 0.11),
    "film": (film, 0.11),
    "smoke": (smoke, 0.04),
    "solid": (solid, 0.12),
}


def _hair(rng, shape, head, haircut):
    """Grow hair from the scalp, solid where it is dense."""
    width = 10 ** rng.uniform(-0.55, 0.2)
    count = rng.uniform(2.5, 5) * (0.5 * min(shape) + 2.5 * head.radius)
    count = int(count / max(width, 1))
    roots, angles = head.scalp(rng, count)
    lengths = head.radius * rng.uniform(*haircut.lengths)
    lengths = lengths * rng.uniform(0.6, 1.15, count)
    growth = Growth(
        steps=24 if haircut.curl > 1 else 14, pull=haircut.pull * rng.uniform(0.6, 1.5),
        bend=rng.uniform(0.2, 0.7), curl=haircut.curl * rng.uniform(0.3, 1.3),
        curls=rng.uniform(1, 3), wander=rng.uniform(0.02, 0.12),
        clumps=int(rng.uniform(25, 120)), clumping=rng.uniform(0.3, 0.9),
        strays=rng.uniform(0.03, 0.3),
    )  # fmt: skip
    angles = angles + rng.normal(0, 0.35, count)
    paths = strands.grow(rng, roots, angles, lengths, growth)
    names = ["hair", "hair", "black hair", "black hair", "grey hair", "vivid"]
    colours = palette(rng, rng.choice(names))
    hair = strands.tangle(rng, shape, paths, colours, width=width)
    # A head has a hundred times more hairs than are drawn: most lie where hair is
    # dense, unseen behind the others, and close the gaps.
    density = cv2.GaussianBlur(hair[..., 3], (0, 0), head.radius / rng.uniform(5, 12))
    mass = np.clip((density - rng.uniform(0.35, 0.8)) * rng.uniform(3, 12), 0, 1)
    return over(hair, tint(mass, colours[:3].mean(axis=0) * 0.8))


def _parted(rng, hair, head):
    """Take the hair in front of the face away."""
    drop, scale = rng.uniform(0.1, 0.4), rng.uniform(0.6, 0.9)
    face = coverage([head.face(scale=scale, drop=drop)], hair.shape[:2])
    soft = cv2.GaussianBlur(face, (0, 0), head.radius / 12)
    return hair * (1 - np.clip(1.5 * soft, 0, 1))[..., None]
