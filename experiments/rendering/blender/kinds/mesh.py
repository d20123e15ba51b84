"""Wire mesh and perforated metal: fences, sieves, bins, baskets and cages."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.rendering.blender import shapes, things
from experiments.rendering.blender.stage import Stage

_METALS = np.array(
    [[0.55, 0.55, 0.56], [0.75, 0.72, 0.68], [0.60, 0.36, 0.16], [0.12, 0.12, 0.13]]
)


def mesh(stage: Stage) -> None:
    """A fence, sieve, colander, basket or cage, with something in or beside it."""
    ways = (_fence, _perforated, _perforated, _cage, _basket, _sieve)
    ways[stage.rng.integers(len(ways))](stage)


def netting(
    place: things.Place,
    across: int,
    along: int,
    *,
    diamond: bool,
    closed: bool = False,
    steps: int = 120,
) -> list[np.ndarray]:
    """Return cords of a net on a surface: arrays [N, steps, 3].

    Args:
      place: the surface.
      across: meshes along u.
      along: meshes along v.
      diamond: whether cords run aslant.
      closed: whether u = 1 is u = 0.
      steps: points of a cord.
    """
    t = np.linspace(0, 1, steps)[None]
    if not diamond:
        u = np.linspace(0, 1, across, endpoint=not closed)[:, None]
        v = np.linspace(0, 1, along)[:, None]
        return [place(u + 0 * t, t + 0 * u), place(t + 0 * v, v + 0 * t)]
    start = np.arange(across)[:, None] / across
    cords = []
    for sign in (-1, 1):
        u = start + sign * t * along / across
        if not closed:  # cords turn back at the borders
            u = 1 - np.abs(1 - u % 2)
        cords.append(place(u, t + 0 * u))
    return cords


def knit(
    stage: Stage, cords: list[np.ndarray], radius: float, colours: Any, **look: Any
) -> None:
    """Put cords, each of one of some colours."""
    rng = stage.rng
    colours = np.atleast_2d(colours)
    made = stage.material(**look)
    for points in cords:
        chosen = colours[rng.integers(len(colours), size=len(points))]
        tone = np.exp(rng.normal(0, 0.08, (len(points), 1)))
        stage.curves(points, radius, made, colour=np.clip(chosen * tone, 0, 1))


def _wire(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, float]]:
    """Draw a colour of wire and how it looks: bare or painted metal."""
    if rng.random() < 0.5:
        look = {"metallic": rng.uniform(0.5, 1), "roughness": rng.uniform(0.2, 0.5)}
        return _METALS[rng.integers(len(_METALS))], look
    return things.palette(rng, 1)[0], {"roughness": rng.uniform(0.3, 0.6)}


def _bowed(rng: np.random.Generator, width: float, height: float, bow: float):
    """Return an upright panel of half extents that is uneven by `bow`."""
    seed = rng.integers(1 << 31)

    def place(u, v):
        flat = np.stack([(2 * u - 1) * width, 0 * u, (2 * v - 1) * height], -1)
        field = np.random.default_rng(seed)
        shift = [shapes.smooth_noise(field, flat, scale=1.1) for _ in range(3)]
        return flat + bow * np.stack(shift, -1) * [0.3, 1, 0.3]

    return place


def _fence(stage: Stage) -> None:
    """A piece of fence between posts, with things before and behind it."""
    rng = stage.rng
    width, height = rng.uniform(0.7, 1.4), 1.0
    place = _bowed(rng, width, height, rng.uniform(0, 0.06))
    colour, look = _wire(rng)
    cells = int(rng.integers(8, 22))
    along = int(cells * height / width)
    cords = netting(place, cells, along, diamond=rng.random() < 0.7, steps=160)
    knit(stage, cords, width / cells * rng.uniform(0.07, 0.15), colour, **look)
    posts = things.palette(rng, 2)
    thick = rng.uniform(0.04, 0.09)
    for side in (-1, 1):
        x = side * (width + thick)
        path = [[x, 0, -height * 1.05], [x, 0, height * 1.1]]
        things.rod(stage, path, thick, posts[0], roughness=0.6)
    for z in (-1, 1):
        if rng.random() < 0.7:
            path = [[-width, 0, z * height], [width, 0, z * height]]
            things.rod(stage, path, thick * 0.6, posts[1], roughness=0.5)
    for _ in range(rng.integers(1, 4)):
        size = rng.uniform(0.2, 0.42)
        x, z = rng.uniform(-0.6, 0.6) * width, rng.uniform(size - 1, 0.4)
        y = rng.choice([-1, 1]) * (size + 0.1)
        things.thing(stage, [x, y, z], size)
    stage.view.azimuth_degrees = (-50, 50)
    stage.view.fill = (0.85, 1.3)


def holes(
    rng: np.random.Generator, across: int, along: int, size: int = 1024
) -> np.ndarray:
    """Return the opacity of a perforated plate or a mesh of wires, [size, size]."""
    u, v = np.meshgrid(np.arange(size) / size, np.arange(size) / size)
    x, y = u * across, v * along
    soft = size / max(across, along)  # pixels of a mesh
    way = rng.integers(5)
    if way == 0:  # round holes in staggered rows
        x = x + 0.5 * (np.floor(y) % 2)
        gap = np.hypot(x % 1 - 0.5, y % 1 - 0.5) - rng.uniform(0.32, 0.46)
    elif way == 1:  # square wires
        thick = rng.uniform(0.1, 0.25)
        gap = np.maximum(np.abs(x % 1 - 0.5), np.abs(y % 1 - 0.5)) - 0.5 + thick / 2
    elif way == 2:  # expanded metal: diamonds
        x, y = x + y, x - y
        thick = rng.uniform(0.15, 0.35)
        gap = np.maximum(np.abs(x % 1 - 0.5), np.abs(y % 1 - 0.5)) - 0.5 + thick / 2
    elif way == 3:  # slots
        x = x / 2 + 0.5 * (np.floor(y) % 2)
        slot = np.abs(x % 1 - 0.5) * 2 - rng.uniform(0.4, 0.6)
        gap = np.hypot(np.maximum(slot, 0), y % 1 - 0.5) - rng.uniform(0.25, 0.38)
    else:  # flowers
        x, y = x % 1 - 0.5, y % 1 - 0.5
        petals = 1 + 0.35 * np.cos(rng.integers(3, 7) * np.arctan2(y, x))
        gap = np.hypot(x, y) - 0.36 * petals
    return np.clip(gap * soft + 0.5, 0, 1)


def _plate(
    stage: Stage, place: things.Place, cells: int, colour: np.ndarray, **look: Any
) -> None:
    """Put a perforated surface with so many holes along u."""
    vertices, faces, uv = things.surface(place, 64, 128)
    grid = vertices.reshape(64, 128, 3)
    wide, high = (
        np.linalg.norm(np.diff(grid, axis=a), axis=-1).sum(a).max() for a in (1, 0)
    )
    opacity = holes(stage.rng, cells, max(2, round(cells * high / wide)))
    rim = int(stage.rng.integers(4, 40))
    opacity[:rim], opacity[-rim:] = 1, 1
    if colour.ndim == 2:  # a colour from bottom to top
        rows = np.linspace(len(colour) - 1e-3, 0, 64).astype(int)
        colour = np.repeat(colour[rows][:, None], 4, 1)
    else:
        colour = tuple(colour)
    made = stage.material(colour, opacity=opacity, **look)
    stage.mesh(vertices, faces, made, uv=uv)


def _perforated(stage: Stage) -> None:
    """A lantern, bin or colander of perforated metal, with things inside."""
    rng = stage.rng
    heights = np.linspace(-0.8, 0.8, 5)
    if rng.random() < 0.5:  # a vessel
        radii = rng.uniform(0.55, 0.9, 5)
    else:  # a bowl
        radii = rng.uniform(0.7, 1.1) * np.sqrt(np.linspace(0.1, 1, 5))
        heights = heights * 0.6
    profile = things.rounded(np.stack([radii, heights], 1), 48, 13)
    place = things.revolve(profile)
    colour, look = _wire(rng)
    if rng.random() < 0.4:
        colour = things.palette(rng, 3)
    _plate(stage, place, int(rng.integers(24, 70)), colour, **look)
    others = things.palette(rng, 3)
    angle = np.linspace(0, 2 * np.pi, 64)
    for row, tone in ((0, others[0]), (-1, others[1])):
        radius, z = profile[row]
        ring = [radius * np.cos(angle), radius * np.sin(angle), z + 0 * angle]
        things.rod(stage, np.stack(ring, 1), rng.uniform(0.02, 0.06), tone)
    foot, faces = shapes.sphere(16, 48)
    radius, z = profile[0]
    stage.mesh(
        foot * [radius, radius, 0.03] + [0, 0, z],
        faces,
        stage.material(tuple(others[0])),
    )
    _fill(stage, profile)
    stage.view.fill = (0.8, 1.3)


def _fill(stage: Stage, profile: np.ndarray) -> None:
    """Put some things inside a vessel of a profile [K, 2]."""
    rng = stage.rng
    low, high = profile[0, 1], profile[-1, 1]
    for _ in range(rng.integers(2, 6)):
        z = rng.uniform(low + 0.2, high)
        inside = np.interp(z, profile[:, 1], profile[:, 0])
        size = rng.uniform(0.25, 0.45) * inside
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.9) * (inside - size)
        z = max(z, low + size)
        things.thing(stage, [away * np.cos(angle), away * np.sin(angle), z], size)


def _cage(stage: Stage) -> None:
    """A bird cage with one or two birds."""
    rng = stage.rng
    high, dome = rng.uniform(0.6, 1.1), rng.uniform(0.3, 0.8)
    arc = np.linspace(0, np.pi / 2, 16)
    radius = rng.uniform(0.5, 0.75)
    top = np.stack([radius * np.cos(arc), high + dome * np.sin(arc)], 1)
    place = things.revolve(things.rounded([[radius, -high], [radius, 0], *top], 120, 3))
    colour, look = _wire(rng)
    cords = netting(place, int(rng.integers(20, 44)), 6, diamond=False, closed=True)
    cords[1] = cords[1][: rng.integers(3, 6)]
    knit(stage, cords, rng.uniform(0.006, 0.014), colour, **look)
    tones = things.palette(rng, 2)
    base = things.rounded(
        [[0, -high], [radius, -high], [radius * 1.04, -high * 0.75]], 32, 3
    )
    vertices, faces, _ = things.surface(things.revolve(base), 32, 64)
    stage.mesh(vertices, faces, stage.material(tuple(tones[0])))
    things.rod(stage, [[0, 0, high + dome], [0, 0, high + dome + 0.2]], 0.03, tones[1])
    for level in (-0.25, 0.4)[: rng.integers(1, 3)]:
        z = level * high
        path = [[-radius, 0, z], [radius, 0, z]]
        things.rod(stage, path, 0.025, [0.40, 0.22, 0.10])
        _bird(stage, [rng.uniform(-0.25, 0.25), 0, z + 0.2], rng.uniform(0.2, 0.27))
    stage.view.fill = (0.85, 1.4)


def _bird(stage: Stage, centre: Any, size: float) -> None:
    """Put a small bird that looks aside."""
    rng = stage.rng
    colours = things.palette(rng, 3)
    points, faces = shapes.sphere(32, 48)
    side = rng.choice([-1, 1])
    slope = np.array([[0.8, 0, 0.6 * side], [0, 1, 0], [-0.6 * side, 0, 0.8]])
    body = points * [0.55, 0.5, 0.95] @ slope
    head = points * 0.42 + [0.5 * side, 0, 0.95]
    beak = points * [0.25, 0.09, 0.09] + [0.95 * side, 0, 0.9]
    tail = points * [0.1, 0.2, 0.8] @ slope + [-0.75 * side, 0, -1.0]
    eye = points * 0.06 + [0.62 * side, 0, 1.03]
    tones = things.paint(rng, body, colours)
    made = stage.material(roughness=0.7)
    stage.mesh(body * size + centre, faces, made, colour=tones)
    black = np.array([0.02, 0.02, 0.02])
    for part, tone in (
        *((head, colours[0]), (beak, np.array([0.7, 0.3, 0.05]))),
        *((tail, colours[2]), (eye * [1, 0, 1] + [0, -0.38, 0], black)),
        (eye * [1, 0, 1] + [0, 0.38, 0], black),
    ):
        paint = np.tile(tone, (len(part), 1))
        stage.mesh(part * size + centre, faces, made, colour=paint, framed=False)


def _basket(stage: Stage) -> None:
    """A basket of wire or wicker full of fruit, with a handle."""
    rng = stage.rng
    bottom, top = rng.uniform(0.5, 0.75), rng.uniform(0.75, 1.0)
    high = rng.uniform(0.35, 0.6)
    profile = things.rounded([[bottom * 0.9, -high], [top, high]], 48, 3)
    wicker = rng.random() < 0.4
    straight = things.revolve(profile)
    count = 2 * int(rng.integers(10, 18)) + 1

    def woven(u, v):  # weavers pass stakes on one side, then on the other
        row = np.round(v * (rows - 1))
        wave = 1 + 0.03 * np.cos(np.pi * (count * u + row))
        return straight(u, v) * np.stack([wave, wave, 0 * wave + 1], -1)

    rows = int(rng.integers(9, 16))
    if wicker:
        colours = np.array([[0.45, 0.28, 0.12], [0.30, 0.15, 0.06], [0.6, 0.45, 0.25]])
        cords = netting(woven, count, rows, diamond=False, closed=True, steps=240)
        knit(stage, cords, high / rows * rng.uniform(0.45, 0.8), colours)
        colour, look = colours[1], {"roughness": 0.6}
    else:
        colour, look = _wire(rng)
        diamond = rng.random() < 0.4
        cords = netting(straight, count, rows, diamond=diamond, closed=True)
        knit(stage, cords, rng.uniform(0.008, 0.016), colour, **look)
    angle = np.linspace(0, 2 * np.pi, 64)
    for radius, z in ((top, high), (bottom * 0.9, -high)):
        ring = [radius * np.cos(angle), radius * np.sin(angle), z + 0 * angle]
        things.rod(stage, np.stack(ring, 1), rng.uniform(0.02, 0.05), colour, **look)
    if rng.random() < 0.6:
        arc = np.linspace(0, np.pi, 32)
        rise = rng.uniform(0.6, 1.1)
        path = [top * np.cos(arc), 0 * arc, high + rise * np.sin(arc)]
        things.rod(stage, np.stack(path, 1), 0.035, things.palette(rng, 1)[0])
    for _ in range(rng.integers(8, 18)):
        angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.16, 0.27)
        z = rng.uniform(-high + size, high + 0.15)
        away = np.sqrt(rng.random()) * (np.interp(z, [-high, high], [bottom, top]))
        away = max(0, away - size - 0.06)
        things.fruit(stage, [away * np.cos(angle), away * np.sin(angle), z], size)
    stage.view.elevation_degrees = (5, 40)


def _sieve(stage: Stage) -> None:
    """A sieve or tea strainer with a rim, a handle and something in it."""
    rng = stage.rng
    arc = np.linspace(0.05, np.pi / 2, 32)
    deep = rng.uniform(0.5, 1.0)
    profile = np.stack([0.8 * np.sin(arc), -0.8 * deep * np.cos(arc)], 1)
    colour, look = _wire(rng)
    cells = int(rng.integers(50, 110))

    def place(u, v):  # as cloth of wires pressed into a bowl
        x, y = 1.6 * u - 0.8, 1.6 * v - 0.8
        away = np.maximum(np.hypot(x, y), 1e-6)
        most = np.maximum(np.abs(x), np.abs(y)) / 0.8
        x, y = (0.8 * np.sin(most * np.pi / 2) * c / away for c in (x, y))
        return np.stack([x, y, -0.8 * deep * np.cos(most * np.pi / 2)], -1)

    t = np.linspace(0, 1, 64)[None]
    lines = np.linspace(0, 1, cells)[:, None]
    cords = [place(lines + 0 * t, t + 0 * lines), place(t + 0 * lines, lines + 0 * t)]
    knit(stage, cords, 0.8 / cells * rng.uniform(0.15, 0.4), colour, **look)
    tones = things.palette(rng, 2)
    angle = np.linspace(0, 2 * np.pi, 64)
    ring = np.stack([0.82 * np.cos(angle), 0.82 * np.sin(angle), 0 * angle], 1)
    things.rod(stage, ring, rng.uniform(0.03, 0.07), tones[0], roughness=0.3)
    path = [[0.8, 0, 0], [1.2, 0, 0.03], [rng.uniform(1.6, 2.2), 0, 0.1]]
    things.rod(stage, path[:2], 0.03, colour, **look)
    things.rod(stage, path[1:], rng.uniform(0.05, 0.09), tones[1], roughness=0.5)
    _fill(stage, profile)
    stage.view.elevation_degrees = (-25, 45)
    stage.view.fill = (0.9, 1.3)


KINDS = {"mesh": mesh}
