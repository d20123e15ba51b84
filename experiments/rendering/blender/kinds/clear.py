"""Clear things with coloured ones inside: bags and film, glass, umbrellas, bubbles."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.rendering.blender import shapes, strands, things
from experiments.rendering.blender.kinds.nets import wrapped
from experiments.rendering.blender.stage import Stage


def bag(stage: Stage) -> None:
    """Clear film or glass with coloured things inside or beneath."""
    ways = (_plastic, _plastic, _drink, _bottle, _flowers, _umbrella, _bubbles)
    ways[stage.rng.integers(len(ways))](stage)


def _clear(stage: Stage, *, tint: Any = None, low: float = 0.15, film: bool = False):
    """Return a material as of glass, or of film."""
    rng = stage.rng
    if tint is None:
        tint = rng.choice([0.5, 0.7]) * np.ones(3) * np.exp(rng.normal(0, 0.06, 3))
    return stage.material(
        tuple(np.clip(tint, 0, 1)),
        opacity=low + rng.uniform(0, 0.12),
        glancing=rng.uniform(0.65, 0.95),
        roughness=rng.uniform(0.12, 0.3) if film else rng.uniform(0.02, 0.1),
        metallic=rng.uniform(0.1, 0.4) if film else rng.uniform(0.4, 0.8),
        specular=0.8,
    )


def _plastic(stage: Stage) -> None:
    """A plastic bag or wrapping, crumpled, with a print and things inside."""
    rng = stage.rng
    inside, count = [], int(rng.integers(2, 7))
    for index in range(count):
        size = rng.uniform(0.25, 0.45) * (1.5 if count == 2 else 1)
        turn = 2.4 * index + rng.uniform(0, 1)
        at = [0.4 * np.cos(turn), 0.35 * np.sin(turn), 0.25 * index - 0.4]
        put = things.fruit if rng.random() < 0.5 else things.thing
        inside.append(put(stage, at, size))
    hull = np.concatenate(inside)
    envelope = wrapped(hull * [1.12, 1.12, 1.06], neck=rng.uniform(0.4, 1), tail=False)
    vertices, faces, uv = things.surface(envelope, 160, 200)
    crumple = np.zeros(len(vertices))
    for scale in (2.5, 5, 9):  # sharp ridges between flat facets
        ridge = np.abs(shapes.smooth_noise(rng, vertices, scale=scale))
        crumple += rng.uniform(0.05, 0.13) / scale * (1 - ridge) * 1.6
    outward = strands.unit(vertices * [1, 1, 0.2] + 1e-6)
    vertices = vertices + crumple[:, None] * outward
    vertices[vertices[:, 2] < hull[:, 2].min() - 0.05, 2] = hull[:, 2].min() - 0.05
    tones = things.palette(rng, 3)
    colour = np.tile(rng.choice([[0.7, 0.7, 0.7], tones[0]]), (len(vertices), 1))
    opacity = np.full(len(vertices), rng.uniform(0.17, 0.3))
    opacity[uv[:, 1] > 0.84] += 0.15  # where it is gathered
    if rng.random() < 0.6:  # a print
        at = np.stack([(uv[:, 0] - rng.random() + 0.5) % 1 - 0.5, uv[:, 1] - 0.5], 1)
        noise = shapes.smooth_noise(rng, vertices, scale=3)
        printed = np.hypot(at[:, 0] * 3, at[:, 1] * 2) + 0.08 * noise < 0.35
        opacity[printed] = rng.uniform(0.6, 0.95)
        colour[printed] = np.where(noise[:, None] > 0, tones[1], tones[2])[printed]
    made = stage.material(
        opacity="attribute",
        glancing=rng.uniform(0.6, 0.9),
        roughness=rng.uniform(0.12, 0.3),
        metallic=rng.uniform(0, 0.3),
        specular=0.8,
    )
    stage.mesh(vertices, faces, made, colour=colour, opacity=opacity)
    ring = envelope(np.linspace(0, 1, 24), np.full(24, 0.86))
    middle = ring.mean(0)
    things.rod(stage, middle + 1.3 * (ring - middle), 0.03, tones[2])
    stage.view.fill = (0.85, 1.4)


def _vessel(
    stage: Stage, profile: np.ndarray, level: float, drink: Any, amount: float
) -> None:
    """Put a glass of a profile [K, 2], filled with so opaque a drink to a height."""
    vertices, faces, _ = things.surface(things.revolve(profile), 96, 96)
    stage.mesh(vertices, faces, _clear(stage))
    radius = np.interp(level, profile[:, 1], profile[:, 0])
    below = profile[profile[:, 1] < level]
    narrow = np.flatnonzero(below[:, 0] < 0.1)  # a stem holds no drink
    below = below[narrow[-1] + 1 if len(narrow) else 0 :]
    keys = [*(below * [0.94, 1]), [radius * 0.94, level], [0, level]]
    vertices, faces, _ = things.surface(things.revolve(np.array(keys)), 96, 64)
    made = stage.material(
        tuple(np.asarray(drink, float)), opacity=amount, glancing=0.4, roughness=0.1
    )
    stage.mesh(vertices, faces, made, framed=False)
    angle = np.linspace(0, 2 * np.pi, 64)
    for row in (0, -1):  # thick glass at foot and rim
        away, z = profile[row]
        away = max(away, profile[3, 0])
        ring = np.stack([away * np.cos(angle), away * np.sin(angle), z + 0 * angle], 1)
        tube, tube_faces = shapes.tube(ring, np.full(64, 0.018), 10)
        stage.mesh(tube, tube_faces, _clear(stage, low=0.4), framed=False)


def _drink(stage: Stage) -> None:
    """A glass with a drink, a straw, ice and a fruit at its rim, on a coaster."""
    rng = stage.rng
    drinks = np.array(
        [
            *([0.65, 0.25, 0.03], [0.35, 0.02, 0.03], [0.75, 0.70, 0.62]),
            *([0.10, 0.04, 0.015], [0.35, 0.5, 0.1], [0.1, 0.3, 0.5], [0.7, 0.45, 0.1]),
        ]
    )
    top, bottom = rng.uniform(0.35, 0.55), rng.uniform(0.28, 0.45)
    if rng.random() < 0.6:  # a tumbler
        keys = [[0, -0.8], [bottom, -0.8], [(top + bottom) / 2, 0], [top, 0.8]]
        level = rng.uniform(-0.1, 0.6)
    else:  # with a stem
        keys = [
            [0.35, -0.8],
            [0.06, -0.72],
            [0.05, -0.2],
            [top, 0.1],
            [top * 1.1, 0.45],
        ]
        keys += [[top * 0.9, 0.8]]
        level = rng.uniform(0.25, 0.6)
    profile = things.rounded(keys, 96, 5)
    drink = drinks[rng.integers(len(drinks))]
    _vessel(stage, profile, level, drink, rng.uniform(0.45, 0.95))
    tones = things.palette(rng, 3)
    disc, faces = shapes.sphere(24, 48)
    made = stage.material(roughness=0.6)
    coaster = disc * [0.6, 0.6, 0.03] + [0, 0, -0.84]
    stage.mesh(coaster, faces, made, colour=things.paint(rng, disc, tones))
    tilt = rng.uniform(-0.3, 0.3, 2)
    path = np.array([[-tilt[0], -tilt[1], -0.1], [*(tilt * 0.9), 0.9], [*tilt, 1.3]])
    path *= [0.8, 0.8, 1]
    for part in range(8):  # stripes
        ends = [path[0] + (path[2] - path[0]) * (part + s) / 8 for s in (0, 1)]
        things.rod(stage, ends, 0.035, tones[part % 2], framed=part == 7)
    cube = np.sign(disc) * np.abs(disc) ** 0.4
    for _ in range(rng.integers(0, 4)):
        at = [*rng.uniform(-0.12, 0.12, 2), level + rng.uniform(-0.12, 0.03)]
        ice = cube @ things.turn(rng) * 0.11 + at
        stage.mesh(ice, faces, _clear(stage, low=0.2), framed=False)
    if rng.random() < 0.8:
        angle = rng.uniform(0, 2 * np.pi)
        away = profile[-1, 0] + 0.05
        at = [away * np.cos(angle), away * np.sin(angle), 0.8]
        things.fruit(stage, at, rng.uniform(0.14, 0.22))
    if rng.random() < 0.5:
        things.fruit(stage, [0.75, rng.uniform(-0.3, 0.3), -0.6], 0.24)


def _bottle(stage: Stage) -> None:
    """A bottle or jar with a label, a cap, and a drink or sweets inside."""
    rng = stage.rng
    wide, neck = rng.uniform(0.3, 0.5), rng.uniform(0.09, 0.28)
    keys = [[0, -1], [wide, -1], [wide, 0.2], [neck, rng.uniform(0.35, 0.7)], [neck, 1]]
    profile = things.rounded(keys, 96, 7)
    tones = things.palette(rng, 4)
    level = rng.uniform(-0.6, 0.3)
    _vessel(stage, profile, level, tones[0] * 0.7, rng.uniform(0.4, 0.9))
    for _ in range(rng.choice([0, 0, 8])):
        small = rng.uniform(0.1, 0.16)
        turn, away = rng.uniform(0, 2 * np.pi), rng.random() * (wide - small - 0.03)
        z = rng.uniform(small - 1, 0.2)
        things.thing(stage, [away * np.cos(turn), away * np.sin(turn), z], small)
    start, span = rng.random(), rng.uniform(0.3, 0.7)
    low, high = rng.uniform(-0.8, -0.5), rng.uniform(-0.2, 0.15)

    def label(u, v):
        angle = 2 * np.pi * (start + span * u)
        z = low + (high - low) * v
        away = np.interp(z, profile[:, 1], profile[:, 0]) + 0.006
        return np.stack([away * np.cos(angle), away * np.sin(angle), z], -1)

    vertices, faces, uv = things.surface(label, 96, 192)
    flat = np.stack([uv[:, 0] * 2, 0 * uv[:, 0], uv[:, 1]], 1)
    paint = things.paint(rng, flat, tones[1:])
    paint[np.abs(uv[:, 1] - 0.5) > 0.44] = tones[1]
    stage.mesh(vertices, faces, stage.material(roughness=0.5), colour=paint)
    cap = [[0, 1.16], [neck + 0.03, 1.16], [neck + 0.03, 0.95]]
    vertices, faces, _ = things.surface(things.revolve(things.rounded(cap, 32, 3)))
    stage.mesh(vertices, faces, stage.material(tuple(tones[3]), roughness=0.3))
    if rng.random() < 0.5:
        things.thing(stage, [rng.choice([-1, 1]) * (wide + 0.35), 0, -0.7], 0.3)
    stage.view.fill = (0.85, 1.2)


def _flowers(stage: Stage) -> None:
    """A vase of clear glass with water, stems, leaves and blossoms."""
    rng = stage.rng
    radii = rng.uniform(0.22, 0.42, 4)
    keys = [[0, -1], *zip(radii, [-1, -0.6, -0.25, 0.1], strict=True)]
    profile = things.rounded(keys, 96, 9)
    _vessel(stage, profile, rng.uniform(-0.6, -0.2), [0.35, 0.45, 0.4], 0.25)
    tones = things.palette(rng, 4)
    ball, faces = shapes.sphere(16, 24)
    mouth = profile[-1, 0]
    for _ in range(rng.integers(5, 13)):
        angle, away = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        out = np.array([np.cos(angle), np.sin(angle), 0])
        head = out * away * 0.75 + [0, 0, 1.1 - 0.6 * away**2 + rng.normal(0, 0.12)]
        path = [-0.1 * out + [0, 0, -0.9], out * away * mouth * 0.8 + [0, 0, 0.1], head]
        things.rod(stage, path, 0.015, [0.10, 0.22, 0.04], framed=False)
        tone, petals = tones[rng.integers(3)], int(rng.integers(6, 14))
        size, axes = rng.uniform(0.14, 0.24), things.turn(rng)
        axes[2] = strands.unit(out * away + [0, 0, 0.8] + rng.normal(0, 0.2, 3))
        axes[0] = strands.unit(np.cross(axes[2], axes[0]))
        axes[1] = np.cross(axes[2], axes[0])
        parts = []
        for layer in range(2):
            for petal in range(petals):
                turn = 2 * np.pi * (petal + 0.5 * layer) / petals
                c, s = np.cos(turn), np.sin(turn)
                shape = ball * [0.5, 1.6 / petals + 0.06, 0.05] + [0.5, 0, 0.15 * layer]
                shape[:, 2] += 0.35 * shape[:, 0] ** 2
                shape *= 1 - 0.25 * layer
                parts.append(shape @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))
        points = np.concatenate(parts)
        index = len(ball) * np.arange(len(parts))[:, None, None]
        made = stage.material(roughness=0.6, translucent=0.3)
        inner = np.hypot(points[:, 0], points[:, 1])[:, None]
        paint = tone * np.clip(0.5 + 0.6 * inner, 0, 1.1)
        every = (faces + index).reshape(-1, 4)
        stage.mesh(points @ axes * size + head, every, made, colour=paint)
        middle = ball * [0.22, 0.22, 0.15] + [0, 0, 0.1]
        heart = stage.material(tuple(tones[3]), roughness=0.9)
        stage.mesh(middle @ axes * size + head, faces, heart, framed=False)
        leaf = ball * rng.uniform(0.15, 0.3) * [0.35, 0.04, 1] @ things.turn(rng)
        at = out * (0.1 + 0.5 * away * rng.random()) + [0, 0, rng.uniform(0.2, 0.6)]
        green = stage.material((0.09, 0.2, 0.05), translucent=0.2)
        stage.mesh(leaf + at, faces, green, framed=False)
    stage.view.elevation_degrees = (-5, 30)


def _umbrella(stage: Stage) -> None:
    """An umbrella of clear film with a coloured border, over a bust or open."""
    rng = stage.rng
    ribs, deep = int(rng.integers(6, 10)), rng.uniform(0.4, 0.9)

    def place(u, v):
        turn = 2 * np.pi * u
        hang = np.abs(np.sin(ribs * turn / 2))
        arc = v * np.pi / 2 * 0.95
        away = np.sin(arc) * (1 - 0.07 * hang * v)
        z = deep * np.cos(arc) + 0.05 * hang * v**2
        return np.stack([away * np.cos(turn), away * np.sin(turn), z], -1)

    vertices, faces, uv = things.surface(place, 64, 192)
    tones = things.palette(rng, 4)
    opacity = np.full(len(uv), rng.uniform(0.16, 0.35))
    colour = np.tile(rng.choice([[0.7, 0.72, 0.72], tones[3]]), (len(uv), 1))
    edge = uv[:, 1] > rng.uniform(0.82, 0.95)
    opacity[edge], colour[edge] = rng.uniform(0.6, 1), tones[0]
    if rng.random() < 0.5:  # spots
        spots = shapes.smooth_noise(rng, vertices, scale=5) > 1.3
        opacity[spots], colour[spots] = 0.9, tones[1]
    made = stage.material(
        opacity="attribute", glancing=0.8, roughness=0.12, metallic=0.2
    )
    stage.mesh(vertices, faces, made, colour=colour, opacity=opacity)
    for rib in range(ribs):
        t = np.linspace(0, 1, 16)
        path = place(np.full(16, rib / ribs), t)
        things.rod(stage, path, 0.012, [0.4, 0.4, 0.4], metallic=0.7, framed=False)
    foot = deep - rng.uniform(1.3, 1.8)
    things.rod(stage, [[0, 0, foot], [0, 0, deep + 0.12]], 0.02, tones[1])
    things.rod(stage, [[0, 0, foot - 0.3], [0, 0, foot]], 0.06, tones[2])
    if rng.random() < 0.7:
        things.bust(stage, [0.1, 0.3, deep - 1.6], 1.0)
    stage.view.elevation_degrees = (-20, 30)


def _bubbles(stage: Stage) -> None:
    """Soap bubbles round a ball or a vase."""
    rng = stage.rng
    things.thing(stage, [0, 0, -0.4], rng.uniform(0.4, 0.6))
    ball, faces = shapes.sphere(64, 96)
    hues = np.array(
        [[0.8, 0.35, 0.6], [0.3, 0.7, 0.7], [0.8, 0.7, 0.3], [0.6, 0.6, 0.8]]
    )
    for _ in range(rng.integers(5, 14)):
        size = rng.uniform(0.1, 0.4)
        at = strands.unit(rng.normal(size=3)) * rng.uniform(0.5, 1.2) + [0, 0, 0.2]
        paint = shapes.patches(rng, ball, hues, scale=1.5)
        made = stage.material(
            opacity=rng.uniform(0.13, 0.22),
            glancing=rng.uniform(0.7, 0.95),
            roughness=0.06,
            metallic=0.5,
        )
        stage.mesh(ball * size + at, faces, made, colour=paint)


KINDS = {"bag": bag}
