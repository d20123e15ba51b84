"""Nets of cord and webs of threads: for fruit, fish, goals, rackets, spiders."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import shapes, strands, things
from experiments.rendering.blender.kinds.mesh import knit, netting
from experiments.rendering.blender.stage import Stage


def nets(stage: Stage) -> None:
    """A net of fruit, a fishing net, a goal, a hoop, a racket or a spider's web."""
    ways = (_fruit_net, _fruit_net, _fishing_net, _fishing_net, _goal, _racket, _web)
    ways[stage.rng.integers(len(ways))](stage)


def _fruit_net(stage: Stage) -> None:
    """Fruit in a net that is gathered above, and perhaps below."""
    rng = stage.rng
    count, long = int(rng.integers(4, 14)), rng.uniform(0.7, 1.3)
    centres, sizes = [], []
    for _ in range(count):
        size = rng.uniform(0.24, 0.38)
        tries = strands.unit(rng.normal(size=(60, 3))) * rng.random((60, 1)) ** 0.4
        tries *= [0.55, 0.5, 0.6 * long]
        if centres:  # where there is most room
            away = np.linalg.norm(tries[:, None] - np.array(centres), axis=-1)
            room = (away - np.array(sizes) - size).min(1)
        else:
            room = -np.linalg.norm(tries, axis=1)
        centres.append(tries[np.argmax(room)])
        sizes.append(size)
    hull = np.concatenate(
        [things.fruit(stage, c, s) for c, s in zip(centres, sizes, strict=True)]
    )
    slack = [*([rng.uniform(1, 1.35)] * 2), rng.uniform(1, 1.15)]
    place = wrapped(hull * slack, neck=rng.uniform(0.3, 1.0), tail=rng.random() < 0.3)
    across = int(rng.integers(16, 40))
    cords = netting(
        place,
        across,
        int(across * rng.uniform(0.5, 1.0)),
        diamond=rng.random() < 0.8,
        closed=True,
        steps=220,
    )
    colours = things.palette(rng, int(rng.integers(1, 3)))
    knit(stage, cords, rng.uniform(0.004, 0.012), colours, translucent=0.2)
    top = place(np.linspace(0, 1, 24), np.full(24, 0.86))
    middle = top.mean(0)
    things.rod(
        stage,
        middle + 1.3 * (top - middle),
        rng.uniform(0.02, 0.05),
        things.palette(rng, 1)[0],
    )
    stage.view.fill = (0.85, 1.5)


def wrapped(points: np.ndarray, *, neck: float, tail: bool) -> things.Place:
    """Return a bag around points [N, 3]: v runs from its bottom up to its neck."""
    rows, columns = 24, 48
    low, high = points[:, 2].min() - 0.03, points[:, 2].max() + 0.03
    away = np.hypot(points[:, 0], points[:, 1])
    turned = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) % 1
    row = ((points[:, 2] - low) / (high - low) * (rows - 1)).astype(int)
    radius = np.zeros((rows, columns))
    np.maximum.at(radius, (row, (turned * columns).astype(int) % columns), away)
    for _ in range(4):  # cords span the gaps between the fruits
        for axis in (0, 1):
            before, after = (_shifted(radius, step, axis) for step in (-2, 2))
            radius = np.maximum(radius, 0.98 * (before + after) / 2)
    for axis in (0, 1, 1):
        sides = _shifted(radius, -1, axis) + _shifted(radius, 1, axis)
        radius = np.maximum(radius, 0.5 * radius + 0.25 * sides)
    radius = radius + 0.015
    ends = np.linspace(0, 1, rows)
    radius *= np.sqrt(np.minimum(1, 0.02 + 6 * ends))[:, None]
    radius *= np.sqrt(np.minimum(1, 0.02 + 5 * (1 - ends)))[:, None]

    def place(u, v):
        inside = np.clip((v - 0.1) / 0.75, 0, 1)
        i, j = inside * (rows - 1), (u % 1) * columns
        i0, j0 = np.minimum(i.astype(int), rows - 2), j.astype(int) % columns
        a, b = i - i0, j - np.floor(j)
        j1 = (j0 + 1) % columns
        first = (1 - b) * radius[i0, j0] + b * radius[i0, j1]
        second = (1 - b) * radius[i0 + 1, j0] + b * radius[i0 + 1, j1]
        away = (1 - a) * first + a * second
        above = np.clip((v - 0.86) / 0.14, 0, 1)
        below = np.clip((0.1 - v) / 0.1, 0, 1)
        away = away * (1 - below) * (v < 0.86) + (v >= 0.86) * (
            0.04 + 0.5 * neck * above**1.3 * (0.6 + 0.4 * np.cos(6 * np.pi * u))
        )
        z = low + inside * (high - low) + neck * above - (0.4 * below if tail else 0)
        angle = 2 * np.pi * u
        return np.stack([away * np.cos(angle), away * np.sin(angle), z], -1)

    return place


def _shifted(values: np.ndarray, step: int, axis: int) -> np.ndarray:
    """Shift rows, repeating the last, or columns, turning round."""
    if axis == 1:
        return np.roll(values, step, 1)
    index = np.clip(np.arange(len(values)) - step, 0, len(values) - 1)
    return values[index]


def _fishing_net(stage: Stage) -> None:
    """A net that hangs from a line with floats, over crates and balls."""
    rng = stage.rng
    width, high = rng.uniform(0.8, 1.3), rng.uniform(0.7, 1.1)
    seed, folds = rng.integers(1 << 31), rng.uniform(0.05, 0.2)
    sag, ends = rng.uniform(0.1, 0.5), rng.uniform(-0.3, 0.3)

    def place(u, v):
        field = np.random.default_rng(seed)
        x = (2 * u - 1) * width
        flat = np.stack([x * 1.6, 0 * x, (v - 0.5) * high * 0.7], -1)
        y = folds * (1.3 - v) * shapes.smooth_noise(field, flat, scale=2)
        x = x + 0.15 * (1 - v) * shapes.smooth_noise(field, flat, scale=1)
        z = (2 * v - 1) * high + sag * (2 * u - 1) ** 2 + ends * (2 * u - 1)
        z = z + 0.2 * (1 - v) * shapes.smooth_noise(field, flat, scale=1)
        return np.stack([x, y, z], -1)

    across = int(rng.integers(22, 56))
    along = int(across * high / width)
    cords = netting(place, across, along, diamond=rng.random() < 0.8, steps=200)
    tones = things.palette(rng, 4)
    thick = width / across * rng.uniform(0.05, 0.12)
    knit(stage, cords, thick, tones[: rng.integers(1, 3)], roughness=0.8)
    edge = np.linspace(0, 1, 60)
    for v in (0.0, 1.0):
        things.rod(stage, place(edge, v + 0 * edge), 0.02, tones[2], roughness=0.8)
    spots = np.linspace(0.04, 0.96, int(rng.integers(5, 12)))
    for at in place(spots, np.ones_like(spots)):
        points, faces = shapes.sphere(20, 32)
        size = rng.uniform(0.06, 0.1)
        look = stage.material(tuple(tones[rng.integers(2, 4)]), roughness=0.4)
        stage.mesh(points * [1.2 * size, size, size] + at, faces, look)
    if rng.random() < 0.6:
        for side in (0.0, 1.0):
            x, _, z = place(np.array(side), np.array(1.0))
            path = [[x, 0.04, -high * 1.1], [x * 1.03, 0.04, z + 0.15]]
            things.rod(stage, path, rng.uniform(0.05, 0.08), [0.2, 0.12, 0.06])
    for _ in range(rng.integers(1, 5)):
        size = rng.uniform(0.18, 0.4)
        x, z = rng.uniform(-0.7, 0.7) * width, -high + size + rng.uniform(0, 0.4)
        y = rng.choice([-1, 1]) * (size + folds)
        things.thing(stage, [x, y, z], size)
    stage.view.azimuth_degrees = (-45, 45)
    stage.view.fill = (0.85, 1.35)


def _goal(stage: Stage) -> None:
    """A goal or a hoop with a net, and a ball that is in it."""
    rng = stage.rng
    tones = things.palette(rng, 5)
    ball, faces = shapes.sphere(64, 96)
    cord = stage.rng.choice([0.75, 0.7, 0.1]) * np.ones(3)
    if rng.random() < 0.5:  # a hoop at its board
        knots = [[0.30, -0.75], [0.33, -0.45], [0.42, -0.2], [0.5, 0]]
        place = things.revolve(things.rounded(knots, 48, 9))
        across = int(rng.integers(10, 18))
        along = int(rng.integers(6, 9))
        cords = netting(place, across, along, diamond=True, closed=True)
        knit(stage, cords, rng.uniform(0.008, 0.016), cord, roughness=0.8)
        angle = np.linspace(0, 2 * np.pi, 64)
        ring = np.stack([0.5 * np.cos(angle), 0.5 * np.sin(angle), 0 * angle], 1)
        things.rod(stage, ring, 0.025, [0.6, 0.13, 0.03], roughness=0.4)
        board = np.array([[x, 0.62, z] for z in (-0.15, 0.85) for x in (-0.9, 0.9)])
        frame = board[[0, 1, 3, 2, 0]]
        made = stage.material(tuple(tones[0]), roughness=0.3)
        stage.mesh(board, np.array([[0, 1, 3, 2]]), made)
        things.rod(stage, frame, 0.04, tones[1])
        things.rod(stage, [[0, 0.5, 0], [0, 0.62, 0]], 0.06, [0.6, 0.13, 0.03])
        size, at = 0.26, [0, 0, rng.uniform(-0.4, 0.4)]
    else:  # a goal of posts
        width = rng.uniform(0.9, 1.5)
        deep, back = rng.uniform(0.3, 0.8), rng.uniform(0.5, 1)

        def behind(u, v):
            x, down = (2 * u - 1) * width, np.clip(2 * v - 1, 0, 1)
            y = deep * (np.minimum(2 * v, 1) * back + (1 - back) * down)
            belly = 0.12 * np.sin(np.pi * u) * np.sin(np.pi * v)
            return np.stack([x, y + belly, 0.6 - 1.2 * down - 0.5 * belly], -1)

        across = int(rng.integers(16, 36))
        along = int(across * (deep + 1.2) / (2 * width))
        cords = netting(behind, across, along, diamond=rng.random() < 0.5)
        knit(stage, cords, rng.uniform(0.006, 0.012), cord, roughness=0.8)
        path = np.array([[-1, 0, -0.6], [-1, 0, 0.6], [1, 0, 0.6], [1, 0, -0.6]])
        things.rod(stage, path[[0, 1]] * [width, 1, 1], 0.05, tones[0], roughness=0.3)
        things.rod(stage, path[[1, 2]] * [width, 1, 1], 0.05, tones[1], roughness=0.3)
        things.rod(stage, path[[2, 3]] * [width, 1, 1], 0.05, tones[0], roughness=0.3)
        size = rng.uniform(0.22, 0.4)
        at = [rng.uniform(-0.6, 0.6) * width, rng.uniform(-0.5, 0.5), size - 0.6]
    paint = things.paint(rng, ball, tones[2:])
    coat = stage.material(roughness=0.5)
    stage.mesh((ball * size) @ things.turn(rng) + at, faces, coat, colour=paint)
    stage.view.azimuth_degrees = (-55, 55)
    stage.view.fill = (0.85, 1.25)


def _racket(stage: Stage) -> None:
    """One or two rackets with strings, and balls."""
    rng = stage.rng
    for index in range(rng.integers(1, 3)):
        tones = things.palette(rng, 4)
        wide, high = rng.uniform(0.42, 0.55), rng.uniform(0.55, 0.7)
        tilt = rng.normal(0, 0.3) + index * 0.7
        c, s = np.cos(tilt), np.sin(tilt)
        about = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        shift = np.array([0.3 * index, 0.12 * index, 0])

        count = int(rng.integers(16, 24))
        t = np.linspace(-1, 1, count + 2)[1:-1]
        reach = np.sqrt(1 - t**2)
        ends = np.linspace(-1, 1, 24)[None]
        weave = 0.006 * np.cos(np.pi * np.arange(count)[:, None] + 12 * ends)
        for horizontal in (False, True):
            along, fixed = reach[:, None] * ends, t[:, None] + 0 * ends
            x, z = (along, fixed) if horizontal else (fixed, along)
            points = np.stack([wide * x, weave, high * z], -1)
            look = rng.uniform(0.003, 0.006)
            knit(stage, [points @ about + shift], look, tones[0], roughness=0.3)
        angle = np.linspace(0, 2 * np.pi, 64)
        ring = np.stack([wide * np.cos(angle), 0 * angle, high * np.sin(angle)], 1)
        half = int(rng.integers(20, 44))
        thick = rng.uniform(0.022, 0.04)
        things.rod(stage, ring[:half] @ about + shift, thick, tones[1], coat=0.5)
        things.rod(stage, ring[half - 1 :] @ about + shift, thick, tones[2], coat=0.5)
        for side in (-0.22, 0.22):
            path = [[side, 0, -high * 0.93], [0, 0, -high - 0.4]]
            things.rod(stage, path @ about + shift, thick, tones[1], coat=0.5)
        path = [[0, 0, -high - 0.35], [0, 0, -high - rng.uniform(0.8, 1.1)]]
        things.rod(stage, path @ about + shift, 0.055, tones[3], roughness=0.8)
    for _ in range(rng.integers(1, 4)):
        size = rng.uniform(0.12, 0.24)
        x, z = rng.uniform(-0.6, 0.6, 2)
        at = [x, rng.choice([-1, 1]) * (size + 0.03), z]
        ball, faces = shapes.sphere(48, 64)
        tones = things.palette(rng, 3)
        paint = things.paint(rng, ball, tones)
        made = stage.material(roughness=0.7)
        stage.mesh(ball @ things.turn(rng) * size + at, faces, made, colour=paint)
    stage.view.azimuth_degrees = (-45, 45)
    stage.view.fill = (0.85, 1.5)


def _web(stage: Stage) -> None:
    """A spider's web with dew between twigs, the spider at its middle."""
    rng = stage.rng
    spokes, turns = int(rng.integers(12, 22)), int(rng.integers(10, 24))
    angles = np.sort(np.linspace(0, 2 * np.pi, spokes, endpoint=False))
    angles = angles + rng.normal(0, 0.06, spokes)
    reach = rng.uniform(0.8, 1.1, spokes)
    ends = np.stack([reach * np.cos(angles), 0 * angles, reach * np.sin(angles)], 1)
    t = np.linspace(0, 1, 12)[None, :, None]
    threads = [ends[:, None] * t]
    share = np.linspace(0.1, 0.88, turns)[:, None, None]
    corners = ends[None] * share * np.exp(rng.normal(0, 0.02, (turns, spokes, 1)))
    after = np.roll(corners, -1, 1)
    sag = 1 - 0.12 * np.sin(np.pi * t)
    rings = (corners[:, :, None] * (1 - t) + after[:, :, None] * t) * sag
    threads.append(rings.reshape(-1, 12, 3))
    grey = np.array([0.7, 0.72, 0.75])
    knit(stage, threads, rng.uniform(0.0025, 0.006), grey, roughness=0.2)
    drops = rings.reshape(-1, 3)
    drops = drops[rng.choice(len(drops), rng.integers(40, 160), replace=False)]
    ball, ball_faces = shapes.sphere(8, 10)
    size = rng.uniform(0.008, 0.02) * rng.uniform(0.5, 1.2, (len(drops), 1, 1))
    beads = (drops[:, None] + size * ball).reshape(-1, 3)
    faces = (ball_faces + len(ball) * np.arange(len(drops))[:, None, None]).reshape(
        -1, 4
    )
    stage.mesh(beads, faces, stage.material(tuple(grey), roughness=0.05))
    tones = things.palette(rng, 4) * 0.7
    greens = np.array([[0.1, 0.2, 0.04], [0.25, 0.3, 0.05], [0.4, 0.12, 0.03]])
    for side in range(rng.integers(2, 5)):  # twigs with leaves, around
        angle = side * np.pi / 2 + rng.normal(0, 0.2)
        out = np.array([np.cos(angle), 0, np.sin(angle)])
        along = np.array([-out[2], 0, out[0]])
        s = np.linspace(-1.3, 1.3, 24)[:, None]
        bend = 0.08 * shapes.smooth_noise(rng, s * along, scale=2)[:, None]
        path = 1.02 * out + s * along + bend * (out + [0, 1, 0])
        vertices, faces = shapes.tube(path, np.linspace(0.07, 0.03, 24), 14)
        stage.mesh(vertices, faces, stage.material((0.16, 0.09, 0.05), roughness=0.8))
        for _ in range(rng.integers(3, 9)):
            at = path[rng.integers(24)]
            leaf = ball * rng.uniform(0.15, 0.3) * [0.5, 0.08, 1]
            leaf = (leaf + [0, 0, 0.15]) @ things.turn(rng) + at
            tone = greens[rng.integers(3)]
            stage.mesh(leaf, ball_faces, stage.material(tuple(tone), translucent=0.3))
    size = rng.uniform(0.07, 0.14)
    smooth, faces = shapes.sphere(24, 32)
    for centre, extent in (([0, -0.3, -0.5], [1, 0.9, 1.4]), ([0, -0.3, 0.9], 0.6)):
        body = (smooth * extent + centre) * size
        paint = things.paint(rng, body, tones)
        stage.mesh(body, faces, stage.material(roughness=0.6), colour=paint)
    for leg in range(8):
        side, row = (-1) ** leg, leg // 2 - 1.5
        path = np.array([[0.3, -0.3, 0.7], [1.6, -0.6, 0.7 + row], [2.4, 0, 1.7 * row]])
        things.rod(stage, path * [side, 1, 1] * size, 0.1 * size, tones[0])
    stage.view.azimuth_degrees = (-35, 35)
    stage.view.elevation_degrees = (-15, 20)


KINDS = {"nets": nets}
