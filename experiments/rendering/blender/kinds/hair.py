"""Heads with hair: loose, curly, short, standing, tied into tails, buns and braids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.rendering.blender import bust, shapes, strands
from experiments.rendering.blender.stage import Stage

_NATURAL = np.array(
    [
        *([0.015, 0.012, 0.01], [0.05, 0.028, 0.017], [0.11, 0.055, 0.028]),
        *([0.20, 0.11, 0.05], [0.42, 0.26, 0.12], [0.62, 0.46, 0.27]),
        *([0.33, 0.09, 0.025], [0.18, 0.04, 0.015], [0.45, 0.44, 0.43]),
    ]
)
_LOOSE = ("straight", "wavy", "curly", "bob")
_TIED = ("tail", "pigtails", "bun", "braid")
_SHORT = ("wisps", "spiky", "afro")


@dataclass
class _Hair:
    """Roots on a head.

    Attributes:
      head: that they are on.
      spots: on a unit sphere in the head's own axes, [N, 3].
      roots, normals: on the stage, [N, 3].
      lock: index of the lock that each strand is of, [N].
      wild: how far each strand strays, 1 for most and more for few, [N].
    """

    head: bust.Head
    spots: np.ndarray
    roots: np.ndarray
    normals: np.ndarray
    lock: np.ndarray
    wild: np.ndarray

    def part(self, chosen: np.ndarray) -> _Hair:
        """Return some of the strands."""
        return _Hair(
            self.head,
            *(
                values[chosen]
                for values in (
                    *(self.spots, self.roots, self.normals),
                    *(self.lock, self.wild),
                )
            ),
        )


def hair(stage: Stage) -> None:
    """A head with hair, seen from the back or a side more often than from the front."""
    rng = stage.rng
    style = str(rng.choice(_LOOSE + _TIED + _SHORT))
    base = _NATURAL[rng.integers(len(_NATURAL))]
    hairline = rng.uniform(0.15, 0.4) if rng.random() < 0.12 else 0.0
    head = bust.put_bust(stage, base * 0.6, hairline)
    turned = rng.normal(180, 60)
    view = stage.view
    view.azimuth_degrees = (turned - 10, turned + 10)
    view.elevation_degrees = (-8, 22)
    view.fill = (0.8, 1.0) if rng.random() < 0.75 else (1.0, 1.2)
    count = int(rng.uniform(13_000, 20_000))
    grown = _roots(rng, head, count, hairline)
    if style in _TIED:
        pieces = _tied(rng, grown, style)
        _put_band(stage, pieces.pop())
    elif style in _LOOSE:
        pieces = [_loose(rng, grown, style)]
    else:
        pieces = [_short(rng, grown, style)]
    made = stage.material(
        roughness=rng.uniform(0.3, 0.55), translucent=0.12, specular=0.4
    )
    paint = _dye(rng, base, grown)
    thickness = rng.uniform(0.0025, 0.004)
    for points in pieces:
        steps = points.shape[1]
        stage.curves(
            points,
            thickness * strands.taper(steps, 0.35),
            made,
            colour=paint(points),
        )


def _roots(
    rng: np.random.Generator, head: bust.Head, count: int, hairline: float
) -> _Hair:
    spots = strands.unit(rng.normal(size=(4 * count, 3)))
    spots = spots[bust.scalp(spots) > hairline + rng.normal(0, 0.03, len(spots))]
    spots = spots[:count]
    own = bust.skull_shape(spots)
    locks = rng.choice(len(spots), int(rng.uniform(60, 400)), replace=False)
    wild = np.exp(rng.normal(0, 0.3, len(spots)))
    stray = rng.random(len(spots)) < rng.uniform(0.01, 0.06)
    wild[stray] *= rng.uniform(3, 9, stray.sum())
    return _Hair(
        head,
        spots,
        head.place(own),
        strands.unit(spots / bust.SKULL) @ head.turn,
        strands.nearest_of(own, own[locks]),
        wild,
    )


def _dye(rng: np.random.Generator, base: np.ndarray, grown: _Hair):
    """Return a function that colours strands [N, K, 3] along their length."""
    count = len(grown.roots)
    by_lock = np.exp(rng.normal(0, 0.18, (count, 1)))[grown.lock]
    root = np.tile(base, (count, 1))
    other = _NATURAL[rng.integers(len(_NATURAL))]
    if rng.random() < 0.6:
        other = shapes.hue_colour(
            rng.random(), rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.8)
        )
    tip = root.copy()
    way = rng.integers(5)
    streaked = (rng.random(count) < rng.uniform(0.1, 0.4))[grown.lock]
    if way == 0:  # tips of another colour
        tip[:] = other
    elif way == 1:  # streaks
        root[streaked] = tip[streaked] = other
    elif way == 2:  # bleached by the sun
        tip = np.minimum(2.2 * root + 0.03, 0.75)
    elif way == 3:  # dyed in patches
        dyes = np.stack(
            [base, other, shapes.hue_colour(rng.random(), 0.5, rng.uniform(0.4, 0.85))]
        )
        root = tip = shapes.patches(rng, grown.spots, dyes, scale=1.5)
    else:  # greying
        grey = rng.random(count) < rng.uniform(0, 0.35)
        root[grey] = tip[grey] = [0.5, 0.5, 0.5]
    middle = rng.uniform(0.3, 0.7)

    def paint(points: np.ndarray) -> np.ndarray:
        """Colour strands; those beyond the roots' number take colours anew."""
        pick = np.arange(len(points)) % count
        t = np.linspace(0, 1, points.shape[1])
        blend = np.clip((t - middle) * 3 + 0.5, 0, 1)[None, :, None]
        shade = strands.melange(rng, by_lock[pick], len(points), 0.12)[:, None]
        along = root[pick][:, None] + blend * (tip - root)[pick][:, None]
        return np.clip(along * shade, 0, 0.9)

    return paint


def _loose(rng: np.random.Generator, grown: _Hair, style: str) -> np.ndarray:
    """Let hair fall from a parting."""
    count = len(grown.roots)
    across, front, _ = (grown.spots * [1, -1, 1]).T
    parting = rng.uniform(-0.4, 0.4)
    side = np.tanh(8 * (across - parting))
    flow = np.stack([0.9 * side, 0.35 + 0.5 * np.clip(front, 0, 1), 0 * side - 0.2], 1)
    if rng.random() < 0.3:  # combed back
        flow = np.stack([0.2 * across, 1 + 0 * side, 0 * side], 1)
    long = rng.uniform(1.6, 3.8) if style != "bob" else rng.uniform(1.0, 1.2)
    length = long * np.exp(rng.normal(0, rng.uniform(0.04, 0.2), count))
    if rng.random() < 0.4:  # a fringe over the forehead
        fringe = (front > 0.45) & (np.abs(across) < 0.5)
        flow[fringe] = [0, -1, -0.1]
        length[fringe] = rng.uniform(0.6, 0.8)
    flow = flow @ grown.head.turn
    lift = rng.uniform(0.3, 0.7) * grown.wild[:, None] ** 0.5
    directions = strands.unit(
        flow + lift * grown.normals + 0.15 * rng.normal(size=(count, 3))
    )
    wind = np.zeros((count, 3))
    if rng.random() < 0.35:
        wind += rng.normal(0, [0.9, 0.5, 0.2])
        wind += 0.5 * rng.normal(size=(count, 3))[grown.lock]
    wind += 0.06 * grown.wild[:, None] * rng.normal(size=(count, 3))
    face = bust.Ellipsoid(
        grown.head.place(np.array([0, -0.8, -0.4])),
        np.array([0.55, 0.5, 0.85]),
        grown.head.turn,
    )
    bodies = grown.head.bodies
    if not (front > 0.45)[length < 0.85].any():
        bodies = [*bodies, face]
    steps = {"curly": 36, "wavy": 24}.get(style, 16)
    points = bust.fall(
        grown.roots,
        directions,
        length,
        bodies,
        rng.uniform(0.02, 0.14, (count, 1)) * np.sqrt(grown.wild[:, None]),
        steps=steps,
        weight=rng.uniform(0.15, 0.5),
        wind=wind,
    )
    size, turns = 0.0, 1.0
    if style == "curly":
        size, turns = rng.uniform(0.05, 0.11), rng.uniform(1.2, 2.4) * long
    elif style == "wavy":
        size, turns = rng.uniform(0.05, 0.1), rng.uniform(0.6, 1.0) * long
    return _locked(rng, grown, points, rng.uniform(0.3, 0.75), size, turns)


def _short(rng: np.random.Generator, grown: _Hair, style: str) -> np.ndarray:
    """Let short hair stand or lie."""
    count = len(grown.roots)
    swirl = np.array([rng.normal(0, 0.5), rng.uniform(-1, 1), -0.3]) @ grown.head.turn
    rise = {"wisps": rng.uniform(0.2, 0.6), "spiky": 1.5, "afro": 2.5}[style]
    flow = swirl + 0.6 * rng.normal(size=(count, 3))[grown.lock]
    directions = strands.unit(
        flow + rise * grown.normals + 0.3 * rng.normal(size=(count, 3))
    )
    long = {"wisps": (0.25, 0.7), "spiky": (0.3, 0.8), "afro": (0.5, 1.2)}[style]
    length = rng.uniform(*long) * np.exp(rng.normal(0, 0.2, count))
    if style == "spiky" and rng.random() < 0.5:  # a crest
        length = length * np.exp(-((grown.spots[:, 0] / 0.3) ** 2)) + 0.1
    if style == "wisps":
        layer = rng.uniform(0.01, 0.1, (count, 1)) * np.sqrt(grown.wild[:, None])
        points = bust.fall(
            grown.roots,
            directions,
            length,
            grown.head.bodies,
            layer,
            steps=10,
            weight=0.3,
        )
        return _locked(rng, grown, points, rng.uniform(0.2, 0.7), 0.0, 1.0)
    points = strands.grow(
        rng,
        grown.roots,
        directions,
        length,
        steps=20 if style == "afro" else 8,
        clump=0 if style == "afro" else rng.uniform(0.5, 0.9),
        clumps=150,
        curl=rng.uniform(0.04, 0.09) if style == "afro" else 0,
        curl_turns=rng.uniform(3, 6),
        frizz=0.06,
        droop=0.1,
    )
    return points


def _locked(
    rng: np.random.Generator,
    grown: _Hair,
    points: np.ndarray,
    clump: float,
    curl: float,
    turns: float,
) -> np.ndarray:
    """Gather strands [N, K, 3] into their locks, curl these, and let some stray."""
    count, steps = points.shape[:2]
    t = np.linspace(0, 1, steps)[None, :, None]
    middle = np.zeros((grown.lock.max() + 1, steps, 3))
    np.add.at(middle, grown.lock, points)
    members = np.bincount(grown.lock, minlength=len(middle))
    middle /= np.maximum(members, 1)[:, None, None]
    near = (clump / grown.wild)[:, None, None] * t
    points = points + np.clip(near, 0, 1) * (middle[grown.lock] - points)
    if curl:
        along = strands.unit(np.gradient(points, axis=1))
        fixed = rng.normal(size=(count, 3))[grown.lock]
        side = strands.unit(np.cross(along, fixed[:, None]))
        other = np.cross(along, side)
        phase = rng.uniform(0, 7, count)[grown.lock] + rng.normal(0, 0.35, count)
        rate = turns * np.exp(rng.normal(0, 0.15, count))[grown.lock]
        angle = (phase[:, None] + 2 * np.pi * rate[:, None] * t[..., 0])[..., None]
        points = points + curl * np.minimum(1, 2.5 * t) * (
            np.cos(angle) * side + np.sin(angle) * other
        )
    noise = rng.normal(size=points.shape).cumsum(1) / steps**0.5
    return points + 0.02 * grown.wild[:, None, None] * t * noise


def _tied(rng: np.random.Generator, grown: _Hair, style: str) -> list[np.ndarray]:
    """Comb hair to one or two knots; return pieces, and last the knots [M, 2, 3]."""
    height = rng.uniform(-0.3, 0.9)
    knots = np.array([[0, 1, height]], float)
    if style == "pigtails":
        knots = np.array([[-1, 0.5, height], [1, 0.5, height]])
    knots = strands.unit(knots)
    half = (grown.spots[:, 0] > 0).astype(int) if len(knots) == 2 else 0 * grown.lock
    target = knots[half]
    t = np.linspace(0, 1, 14)[None, :, None]
    way = strands.unit(grown.spots[:, None] * (1 - t) + target[:, None] * t)
    loose = 0.02 + 0.05 * rng.random((len(half), 1, 1))
    over = 1 + (loose * np.sqrt(grown.wild)[:, None, None]) * np.sin(np.pi * t)
    over += 0.08 * t**2
    combed = bust.skull_shape(way.reshape(-1, 3)).reshape(way.shape) * over
    noise = rng.normal(size=combed.shape).cumsum(1) / 14**0.5
    combed += 0.012 * grown.wild[:, None, None] * np.sin(np.pi * t) * noise
    combed = grown.head.place(combed)
    loosened = (grown.wild > 2.5) & (rng.random(len(half)) < 0.5)
    pieces = [combed[~loosened]]
    if loosened.sum() > 1:  # wisps that the knot does not hold
        free = grown.part(loosened)
        aside = strands.unit(
            free.normals + rng.normal(size=free.roots.shape) + [0, 0, -0.4]
        )
        pieces.append(
            bust.fall(
                free.roots,
                aside,
                rng.uniform(0.2, 0.9, len(aside)),
                grown.head.bodies,
                np.full((len(aside), 1), 0.05),
                steps=12,
            )
        )
    ends = []
    for knot in knots:
        start = grown.head.place(bust.skull_shape(knot[None])[0] * 1.1)
        out = strands.unit(knot / bust.SKULL) @ grown.head.turn
        pieces.append(_knotted(rng, grown, style, start, out, len(knots)))
        ends.append([start, start + 0.12 * out])
    return [*pieces, np.array(ends)]


def _knotted(
    rng: np.random.Generator,
    grown: _Hair,
    style: str,
    start: np.ndarray,
    out: np.ndarray,
    shares: int,
) -> np.ndarray:
    """Return the hair beyond a knot: a tail, a bun or a braid."""
    count = len(grown.roots) // (2 * shares)
    wild = grown.wild[:count, None]
    angle, reach = rng.uniform(0, 2 * np.pi, (count, 1)), rng.random((count, 1)) ** 0.5
    if style == "bun":
        t = np.linspace(0, 1, 30)
        turn = angle + t * rng.uniform(1, 5, (count, 1))
        size = rng.uniform(0.16, 0.24)
        lie = size * reach * (1 + 0.1 * wild * rng.random((count, 1)))
        around = angle * 3 + 2.5 * t
        ring = size * 1.3 + lie * np.cos(around)
        side = strands.unit(np.cross(out, [0.3, 0.2, 1.0]))
        up = np.cross(out, side)
        rise = size + lie * np.sin(around) + 0.02 * wild * t**6
        ring = ring * (1 + 0.2 * np.maximum(wild - 2, 0) * t**8)
        parts = ((ring * np.cos(turn), side), (ring * np.sin(turn), up), (rise, out))
        return start + sum(amount[..., None] * axis for amount, axis in parts)
    steps = 64 if style == "braid" else 26
    long = rng.uniform(1.0, 3.0)
    path = bust.fall(
        start[None],
        strands.unit(out + [0, 0, 0.3])[None],
        np.array([long]),
        grown.head.bodies,
        np.array([[0.2]]),
        steps=steps,
        weight=rng.uniform(0.3, 0.6),
        wind=rng.normal(0, [0.3, 0.1, 0]) * (rng.random() < 0.5),
    )[0]
    along = strands.unit(np.gradient(path, axis=0))
    side = strands.unit(np.cross(along, [0.2, 0.9, 0.37]))
    other = np.cross(along, side)
    t = np.linspace(0, 1, steps)[None]
    if style == "braid":
        phase = 2 * np.pi * (t * long * 2.2 + rng.integers(0, 3, (count, 1)) / 3)
        end = np.clip((t - 0.88) / 0.12, 0, 1)
        swing = 0.13 * (1 - 0.4 * t) * (1 - end)
        lie = 0.085 * (1 - 0.3 * t) * reach * (1 + 0.12 * wild) * (1 - end + 2 * end**2)
        first = swing * np.sin(phase) + lie * np.cos(angle)
        second = swing * 0.7 * np.sin(2 * phase) + lie * np.sin(angle)
    else:
        wide = rng.uniform(0.2, 0.45)
        spread = 0.06 + wide * np.sin(np.pi * np.clip(t, 0, 0.9)) ** 0.7
        spread = spread * reach * np.exp(0.25 * np.log(wild) * 2 * t)
        wave = rng.uniform(0, 0.08) * np.sin(t * rng.uniform(5, 16) + 3 * reach)
        first, second = spread * np.cos(angle) + wave, spread * np.sin(angle)
    points = path + first[..., None] * side + second[..., None] * other
    noise = rng.normal(size=points.shape).cumsum(1) / steps**0.5
    stray = wild * t * (1 if style != "braid" else 0.4)
    points += 0.03 * stray[..., None] * noise
    if style != "braid":  # strands end at different heights
        ends = rng.uniform(0.75, 1, (count, 1)) * t * (steps - 1)
        low = np.minimum(ends.astype(int), steps - 2)[..., None]
        part = ends[..., None] - low
        rows = np.arange(count)[:, None]
        low = low[..., 0]
        points = points[rows, low] * (1 - part) + points[rows, low + 1] * part
    return points


def _put_band(stage: Stage, knots: np.ndarray) -> None:
    """Wind an elastic around each knot."""
    rng = stage.rng
    colour = shapes.hue_colour(rng.random(), 0.7, rng.uniform(0.2, 0.9))
    cloth = stage.material(tuple(colour), roughness=0.7, sheen=0.4)
    angle = np.linspace(0, 2 * np.pi, 40)
    for start, end in knots:
        out = strands.unit(end - start)
        side = strands.unit(np.cross(out, [0.3, 0.2, 1.0]))
        up = np.cross(out, side)
        ring = start + 0.13 * (
            np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up
        )
        vertices, faces = shapes.tube(ring, np.full(40, rng.uniform(0.03, 0.06)), 12)
        stage.mesh(vertices, faces, cloth, framed=False)


KINDS = {"hair": hair}
