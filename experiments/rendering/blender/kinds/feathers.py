"""Feathers: single ones, bunches, boas, and birds that are covered with them."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import shapes, strands
from experiments.rendering.blender.stage import Stage

_PLUMAGE = np.array(
    [
        *([0.75, 0.72, 0.66], [0.03, 0.03, 0.035], [0.28, 0.15, 0.07]),
        *([0.45, 0.30, 0.16], [0.22, 0.22, 0.23], [0.60, 0.22, 0.05]),
        *([0.06, 0.14, 0.35], [0.05, 0.22, 0.14], [0.55, 0.10, 0.07]),
        *([0.68, 0.48, 0.10], [0.70, 0.35, 0.36], [0.10, 0.30, 0.36]),
    ]
)


def feathers(stage: Stage) -> None:
    """One big feather or a few, a bunch, a boa or a bird."""
    rng = stage.rng
    made = stage.material(roughness=rng.uniform(0.4, 0.7), translucent=0.2)
    form = rng.choice(4, p=[0.28, 0.27, 0.2, 0.25])
    (_few, _bunch, _boa, _bird)[form](stage, made)


def vanes(
    rng: np.random.Generator,
    count: int,
    barbs: int,
    steps: int,
    *,
    width: float,
    down: float,
    soft: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return feathers of length 1 that lie along z, their upper side towards -y.

    Args:
      rng: random numbers.
      count: number of feathers, F.
      barbs: on each side of a shaft, B.
      steps: points of a barb, K.
      width: of half a feather, in lengths.
      down: share of the shaft with downy barbs.
      soft: 0 for stiff barbs that make a closed vane, 1 for loose, curved ones.
    Returns:
      Points [F, 2 B, K, 3]; how far along the shaft barbs begin, [F, 2 B, 1]; how far
      along themselves their points are, [1, 1, K].
    """
    side = np.repeat([-1.0, 1.0], barbs)[None, :, None]
    start = np.tile(np.linspace(0.1, 1, barbs), 2)[None, :, None]
    start = start + rng.uniform(-0.5, 0.5, (count, 2 * barbs, 1)) / barbs
    out = np.linspace(0, 1, steps)[None, None]
    pointed = rng.uniform(0.5, 1.0, (count, 1, 1))
    profile = np.clip(start / 0.25, 0, 1) ** 0.6
    profile = profile * np.clip((1.06 - start) / 0.6, 0, 1) ** (0.7 * pointed)
    # Neighbouring barbs hook into each other; the vane splits between groups.
    groups = np.cumsum(rng.random((count, 2 * barbs, 1)) < 9 / barbs, axis=1)
    split = rng.normal(0, 0.10 + 0.1 * soft, (count, groups.max() + 1))
    split = np.take_along_axis(split, groups[..., 0], 1)[..., None]
    lopsided = 1 + side * rng.uniform(-0.35, 0.35, (count, 1, 1))
    long = width * lopsided * profile * np.exp(rng.normal(0, 0.04, start.shape))
    long = 1.25 * long * (1 + 0.25 * soft * rng.normal(size=start.shape))
    angle = np.interp(start, [0, 0.3, 0.85, 1], [1.25, 0.95, 0.6, 0.25]) + split
    fluffy = np.clip((down - start) / 0.08 + 0.5, 0, 1)
    long = long * (1 - 0.3 * fluffy)
    angle = angle + fluffy * rng.normal(0, 0.35, start.shape)
    turned = angle - (0.35 + 0.5 * soft * rng.random(start.shape)) * out
    step = long / (steps - 1)
    across = np.cumsum(np.sin(turned) * step, -1) - np.sin(angle) * step
    along = np.cumsum(np.cos(turned) * step, -1) - np.cos(angle) * step
    cup = rng.uniform(-0.1, 0.6, (count, 1, 1))
    lift = (cup + soft * rng.normal(0, 0.5, start.shape)) * long * out**2
    lift = lift + fluffy * rng.normal(0, 0.6, start.shape) * long * out
    points = np.stack([side * across, lift, start + along], -1)
    noise = rng.normal(size=points.shape).cumsum(2) / steps**0.5
    ragged = (0.015 + 0.12 * soft + 0.15 * fluffy) * long * out
    points = points + ragged[..., None] * noise
    return points, start, out


def _bent(points: np.ndarray, bend: np.ndarray, sway: np.ndarray) -> np.ndarray:
    """Bend feathers [F, ..., 3] along their length: to the upper side, to a side."""
    shape = (-1,) + (1,) * (points.ndim - 2)
    x, y, z = np.moveaxis(points, -1, 0)
    y = y + bend.reshape(shape) * z**2
    x = x + sway.reshape(shape) * z**2
    return np.stack([x, y, z * (1 - 0.15 * np.abs(bend).reshape(shape) * z)], -1)


def _painted(
    rng: np.random.Generator, colours: np.ndarray, start: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Colour barbs [F, 2 B] in a pattern of [F, 3, 3] colours: [F, 2 B, K, 3]."""
    along = start + 0.12 * out
    kind = rng.integers(6)
    first = 0 * along
    if kind == 0:  # bars
        wave = np.sin(along * rng.uniform(20, 60) - 2 * out)
        first = np.clip(3 * wave + 0.5, 0, 1)
    elif kind == 1:  # a tip
        first = np.clip((along - rng.uniform(0.5, 0.85)) * 10, 0, 1)
    elif kind == 2:  # an edge
        first = np.clip((out - rng.uniform(0.4, 0.7)) * 8, 0, 1) + first
    elif kind == 3:  # an eye
        away = np.hypot((along - 0.8) / 0.13, out / 0.75)
        first = np.clip((1 - away) * 5, 0, 1)
    elif kind == 4:  # from one colour to the other
        first = np.clip(along, 0, 1)
    second = np.clip(4 * (0.35 - along), 0, 1) * rng.choice([0, 1])
    if kind == 3:
        second = np.maximum(second, np.clip((0.5 - away) * 6, 0, 1))
    base, other, third = np.moveaxis(colours, 1, 0)[:, :, None, None]
    paint = base + first[..., None] * (other - base)
    paint = paint + second[..., None] * (third - paint)
    shade = np.exp(rng.normal(0, 0.1, (*start.shape, 1)))
    return np.clip(paint * shade, 0, 0.9)


def _put(
    stage: Stage,
    made,
    places: np.ndarray,
    frames: np.ndarray,
    sizes: np.ndarray,
    colours: np.ndarray,
    *,
    barbs: int,
    steps: int,
    width: float,
    down: float,
    soft: float,
    bend: np.ndarray,
    cover: float = 1.3,
) -> None:
    """Put feathers on the stage.

    Args:
      stage, made: the stage and the feathers' material.
      places: of their lower ends, [F, 3].
      frames: rows are their directions across, down and along, [F, 3, 3].
      sizes: their lengths, [F].
      colours: [F, 3, 3].
      barbs, steps, width, down, soft: of `vanes`.
      bend: to the upper side, [F].
      cover: thickness of barbs over their distance.
    """
    rng = stage.rng
    count = len(places)
    points, start, out = vanes(
        rng, count, barbs, steps, width=width, down=down, soft=soft
    )
    sway = rng.normal(0, 0.1, count)
    shaft = np.zeros((count, 14, 3))
    shaft[..., 2] = np.linspace(-0.06, 1.0, 14)

    def placed(local: np.ndarray) -> np.ndarray:
        local = _bent(local, bend, sway)
        flat = local.reshape(count, -1, 3) @ frames * sizes[:, None, None]
        return (flat + places[:, None]).reshape(local.shape)

    paint = _painted(rng, colours, start, out)
    radius = cover * 0.5 / barbs * sizes[:, None, None]
    radius = radius * (1 - 0.5 * np.clip((down - start) / 0.1, 0, 1))
    radius = radius * strands.taper(steps, 0.3)
    stage.curves(
        placed(points).reshape(-1, steps, 3),
        radius.reshape(-1, steps),
        made,
        colour=paint.reshape(-1, steps, 3),
    )
    quill = colours[:, 0] * 0.5 + rng.uniform(0.05, 0.35)
    stage.curves(
        placed(shaft),
        0.007 * sizes[:, None] * strands.taper(14, 0.15),
        made,
        colour=np.clip(quill, 0, 0.9),
    )


def _hues(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw three colours for each of some feathers that are much alike: [count, 3, 3].

    Now and then each feather has colours of its own.
    """
    if rng.random() < 0.3:
        dyed = [
            shapes.hue_colour(
                rng.random(), rng.uniform(0.3, 0.65), rng.uniform(0.4, 0.85)
            )
            for _ in range(4)
        ]
        known = np.concatenate([_PLUMAGE[:3], dyed])
    else:
        known = _PLUMAGE
    if rng.random() < 0.35:
        picked = rng.integers(0, len(known), (count, 3))
    else:
        picked = np.tile(rng.choice(len(known), 3, replace=False), (count, 1))
    return np.clip(known[picked] * np.exp(rng.normal(0, 0.1, (count, 3, 1))), 0, 0.9)


def _frames(along: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return frames of feathers along [F, 3] whose lower side is towards `below`."""
    along = strands.unit(along)
    across = strands.unit(np.cross(below, along))
    return np.stack([across, np.cross(along, across), along], 1)


def _few(stage: Stage, made) -> None:
    rng = stage.rng
    count = int(rng.choice([1, 1, 2, 3]))
    lean = rng.uniform(-0.9, 0.9, count)
    along = np.stack([np.sin(lean), rng.normal(0, 0.15, count), np.cos(lean)], 1)
    frames = _frames(along, np.array([0, 1.0, 0]) + rng.normal(0, 0.3, (count, 3)))
    places = rng.normal(0, 0.12, (count, 3)) - 0.5 * along
    stage.view.azimuth_degrees = (-35, 35) if rng.random() < 0.7 else (145, 215)
    stage.view.elevation_degrees = (-15, 30)
    stage.view.fill = (0.9, 1.3)
    _put(
        stage,
        made,
        places,
        frames,
        rng.uniform(0.8, 1.2, count),
        _hues(rng, count),
        barbs=int(rng.uniform(350, 600)),
        steps=9,
        width=rng.uniform(0.13, 0.32),
        down=rng.uniform(0.1, 0.35),
        soft=rng.choice([0.0, 0.1, 0.4, 0.9]),
        bend=rng.normal(0, 0.25, count),
        cover=rng.uniform(1.4, 2.4),
    )


def _bunch(stage: Stage, made) -> None:
    rng = stage.rng
    count = int(rng.uniform(6, 22))
    lean = rng.uniform(-1, 1, count) * rng.uniform(0.4, 1.3)
    deep = rng.normal(0, 0.25, count)
    along = np.stack([np.sin(lean), deep, np.cos(lean)], 1)
    frames = _frames(along, np.array([0, 1.0, 0]) + rng.normal(0, 0.4, (count, 3)))
    stage.view.azimuth_degrees = (-40, 40)
    _put(
        stage,
        made,
        rng.normal(0, 0.03, (count, 3)),
        frames,
        rng.uniform(0.7, 1.15, count),
        _hues(rng, count),
        barbs=int(3600 / count + 60),
        steps=8,
        width=rng.uniform(0.1, 0.22),
        down=rng.uniform(0.1, 0.3),
        soft=rng.choice([0.0, 0.2, 0.6, 1.0]),
        bend=rng.normal(0.1, 0.25, count),
        cover=rng.uniform(1.5, 2.4),
    )
    heights = np.linspace(0.08, -0.35, 30)
    turns = 0.09 + 0.012 * np.sin(heights * 300)
    path = np.stack([0 * heights, 0 * heights, heights], 1)
    vertices, faces = shapes.tube(path, turns, 32)
    wound = shapes.hue_colour(rng.random(), 0.5, rng.uniform(0.2, 0.8))
    stage.mesh(vertices, faces, stage.material(tuple(wound), roughness=0.6))


def _boa(stage: Stage, made) -> None:
    """A rope of soft feathers, hung or coiled."""
    rng = stage.rng
    t = np.linspace(0, 1, 400)
    turns = rng.uniform(0.4, 1.6)
    angle = 2 * np.pi * turns * t + rng.uniform(0, 6)
    size = 1 - rng.uniform(0, 0.5) * t
    path = np.stack(
        [
            size * np.cos(angle),
            rng.uniform(0.2, 0.8) * t,
            rng.uniform(0.4, 1) * size * np.sin(angle) - 1.0 * t,
        ],
        1,
    )
    path = path + 0.1 * np.stack(
        [shapes.smooth_noise(rng, path, scale=1.5) for _ in range(3)], 1
    )
    thick = rng.uniform(0.1, 0.17)
    vertices, faces = shapes.tube(path, np.full(400, thick), 20)
    count = int(rng.uniform(14_000, 20_000))
    roots, normals, _ = strands.scatter(rng, vertices, faces, count)
    directions = strands.unit(normals + 0.6 * rng.normal(size=roots.shape))
    colours = _hues(rng, 1)[0]
    points = strands.grow(
        rng,
        roots,
        directions,
        rng.uniform(0.15, 0.32) * np.exp(rng.normal(0, 0.3, count)),
        steps=8,
        droop=rng.uniform(0.1, 0.5),
        clump=rng.uniform(0.3, 0.8),
        clumps=count // 30,
        frizz=0.2,
    )
    paint = shapes.patches(rng, roots, colours, scale=rng.uniform(1, 4))
    along = np.repeat(strands.melange(rng, paint, count, 0.12)[:, None], 8, 1)
    if rng.random() < 0.5:
        tips = np.linspace(0, 1, 8)[None, :, None] ** 2
        along = along + tips * (colours[rng.integers(3)] - along)
    stage.curves(points, 0.004 * strands.taper(8, 0.25), made, colour=along)
    core = stage.material(roughness=0.9)
    skin = shapes.patches(rng, vertices, colours * 0.6, scale=2)
    stage.mesh(vertices, faces, core, colour=skin, framed=False)
    stage.view.azimuth_degrees = (-50, 50)


def _bird(stage: Stage, made) -> None:
    """A bird without wings spread: body, head, tail, beak and eyes."""
    rng = stage.rng
    ball, faces = shapes.sphere(60, 90)
    plump = rng.uniform(0.45, 0.65)
    body = ball * [0.95, plump, plump] + [0, 0, 0]
    body[:, 2] += 0.25 * np.clip(body[:, 0], 0, 1) ** 2
    size = rng.uniform(0.28, 0.4)
    centre = np.array([0.8, 0, rng.uniform(0.5, 0.75)])
    parts = [(body, 420, 0.32), (ball * size + centre, 300, 0.17)]
    colours = _hues(rng, 1)[0]
    extra = _PLUMAGE[rng.integers(len(_PLUMAGE), size=2)]
    under = stage.material(roughness=0.9)
    soft = rng.choice([0.0, 0.1, 0.4])
    back = np.array([-1, 0, -0.25])
    shown = np.concatenate([colours, extra])
    for vertices, count, long in parts:
        roots, normals, _ = strands.scatter(rng, vertices, faces, count)
        paint = shapes.patches(rng, np.concatenate([roots, vertices]), shown)
        paint, skin = paint[:count], paint[count:]
        stage.mesh(vertices, faces, under, colour=skin * 0.7)
        along = back - (normals @ back)[:, None] * normals
        along = strands.unit(along + 0.15 * rng.normal(size=roots.shape))
        along = along + rng.uniform(0.08, 0.3) * normals
        triple = np.stack([paint, *np.broadcast_to(extra[:, None], (2, count, 3))], 1)
        _put(
            stage,
            made,
            roots,
            _frames(along, -normals),
            long * np.exp(rng.normal(0, 0.15, count)),
            triple,
            barbs=32,
            steps=5,
            width=0.32,
            down=0.4,
            soft=soft,
            bend=rng.uniform(0.0, 0.3, count),
            cover=1.8,
        )
    # Wings that lie at the sides, and a tail.
    count = 26
    side = np.repeat([-1.0, 1.0], 9)
    side = np.concatenate([side, np.zeros(count - 18)])
    rank = np.concatenate([np.tile(np.linspace(-1, 1, 9), 2), np.linspace(-1, 1, 8)])
    roots = np.stack([0.35 + 0 * rank, side * plump * 0.95, 0.15 + 0.12 * rank], 1)
    roots[18:] = np.stack([-0.8 + 0 * rank[18:], 0.08 * rank[18:], 0 * rank[18:]], 1)
    fan = rng.uniform(0.1, 0.7)
    along = np.stack([-1 + 0 * rank, 0.25 * side, 0.35 * rank - 0.15], 1)
    along[18:] = np.stack(
        [-1 + 0 * rank[18:], fan * rank[18:], rng.uniform(-0.3, 0.5) + 0 * rank[18:]], 1
    )
    below = np.stack([0 * side, -side, -0.3 - (side == 0)], 1)
    _put(
        stage,
        made,
        roots,
        _frames(along, below),
        np.where(side == 0, rng.uniform(0.6, 1.3), 1.0) * rng.uniform(0.85, 1.1, count),
        _hues(rng, count),
        barbs=110,
        steps=7,
        width=0.13,
        down=0.15,
        soft=0.05,
        bend=rng.normal(0, 0.1, count),
        cover=2.0,
    )
    black = stage.material((0.01, 0.01, 0.01), roughness=0.05)
    beak = stage.material(tuple(_PLUMAGE[rng.choice([1, 4, 5, 9])]), roughness=0.35)
    for turn in (-1, 1):
        eye = ball * 0.055 + centre + size * np.array([0.55, 0.88 * turn, 0.25])
        stage.mesh(eye, faces, black, framed=False)
    t = np.linspace(0, 1, 20)
    path = centre + size * np.stack([0.9 + 1.1 * t, 0 * t, -0.25 * t**2], 1)
    cone, cone_faces = shapes.tube(path, 0.35 * size * (1.02 - t) ** 0.8, 24)
    stage.mesh(cone, cone_faces, beak)


KINDS = {"feathers": feathers}
