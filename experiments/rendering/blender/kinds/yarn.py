"""Things of yarn: balls, knitting, cloths with a fringe, pompons, frayed ropes."""

from __future__ import annotations

import numpy as np

from experiments.rendering.blender import bust, shapes, strands
from experiments.rendering.blender.stage import Stage

_WOOLS = np.array(
    [
        *([0.70, 0.64, 0.53], [0.32, 0.24, 0.17], [0.08, 0.07, 0.07]),
        *([0.45, 0.43, 0.41], [0.40, 0.06, 0.05], [0.04, 0.10, 0.24]),
        *([0.55, 0.33, 0.07], [0.09, 0.20, 0.10], [0.55, 0.24, 0.24]),
        *([0.10, 0.28, 0.30], [0.24, 0.09, 0.24], [0.62, 0.50, 0.33]),
    ]
)


def yarn(stage: Stage) -> None:
    """A ball of yarn, or something made of yarn."""
    form = stage.rng.choice(5, p=[0.2, 0.24, 0.22, 0.2, 0.14])
    (_balls, _knitting, _fringe, _pompons, _ropes)[form](stage)


def _wool(stage: Stage):
    return stage.material(roughness=0.8, specular=0.2, translucent=0.1)


def _hues(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw colours of wool, some of them dyed, [count, 3]."""
    colours = _WOOLS[rng.choice(len(_WOOLS), count, replace=False)]
    for index in np.flatnonzero(rng.random(count) < 0.3):
        colours[index] = shapes.hue_colour(
            rng.random(), rng.uniform(0.2, 0.5), rng.uniform(0.25, 0.75)
        )
    return colours


def _spin(
    stage: Stage,
    paths: np.ndarray,
    thick: float,
    colour: np.ndarray,
    *,
    plies: int = 3,
    pitch: float = 6.0,
    fuzz: int = 8000,
    hairy: float = 3.0,
    made=None,
) -> None:
    """Put yarn on the stage: plies that wind around paths, and fuzz.

    Args:
      stage: of the subject.
      paths: [N, K, 3].
      thick: radius of the yarn.
      colour: along the paths, [N, K, 3].
      plies: that the yarn is of.
      pitch: length of a turn of the plies, in radii.
      fuzz: number of short fibres that stand off.
      hairy: their length, in radii.
      made: material.
    """
    rng = stage.rng
    made = made or _wool(stage)
    count, steps = paths.shape[:2]
    along = strands.unit(np.gradient(paths, axis=1))
    side = strands.unit(np.cross(along, [0.36, 0.48, 0.8]))
    other = np.cross(along, side)
    run = np.linalg.norm(np.diff(paths, axis=1), axis=2).cumsum(1)
    run = np.concatenate([np.zeros((count, 1)), run], 1)
    for ply in range(plies):
        angle = 2 * np.pi * (run / (pitch * thick) + ply / plies)[..., None]
        wind = np.cos(angle) * side + np.sin(angle) * other
        shade = colour * np.exp(rng.normal(0, 0.08, (count, 1, 1)))
        stage.curves(
            paths + 0.5 * thick * wind,
            thick * (0.62 if plies > 2 else 0.75),
            made,
            colour=np.clip(shade, 0, 0.9),
        )
    which, where = rng.integers(0, count, fuzz), rng.integers(0, steps, fuzz)
    angle = rng.uniform(0, 2 * np.pi, (fuzz, 1))
    aside = np.cos(angle) * side[which, where] + np.sin(angle) * other[which, where]
    lean = along[which, where] * rng.normal(0, 0.9, (fuzz, 1))
    fibres = strands.grow(
        rng,
        paths[which, where] + 0.8 * thick * aside,
        strands.unit(aside + lean),
        hairy * thick * rng.exponential(0.6, fuzz) + 0.5 * thick,
        steps=6,
        frizz=0.35,
    )
    stage.curves(
        fibres,
        min(0.08 * thick, 0.0024) * strands.taper(6, 0.3),
        made,
        colour=np.clip(colour[which, where] * 1.1, 0, 0.9),
        framed=False,
    )


def _balls(stage: Stage) -> None:
    """Balls that yarn is wound to, a loose end hanging out."""
    rng = stage.rng
    count = int(rng.choice([1, 1, 2, 3]))
    made = _wool(stage)
    for index in range(count):
        radius = rng.uniform(0.7, 1.0)
        middle = np.array([1.7 * index, rng.normal(0, 0.4), radius])
        hues = _hues(rng, 3)
        thick = rng.uniform(0.022, 0.05)
        loops = int(2.6 / thick) + 30
        # Windings go in bundles: many loops about nearly one axis.
        bundle = np.arange(loops) // int(rng.uniform(6, 14))
        axes = rng.normal(size=(bundle.max() + 1, 3))[bundle]
        axes = strands.unit(strands.unit(axes) + 0.16 * rng.normal(size=axes.shape))
        side = strands.unit(np.cross(axes, rng.normal(size=3)))
        other = np.cross(axes, side)
        angle = np.linspace(0, 2 * np.pi * 0.97, 90)[None, :, None]
        tall = rng.uniform(-0.45, 0.45, (loops, 1, 1))
        level = radius * (0.9 + 0.1 * np.linspace(0, 1, loops))[:, None, None]
        paths = np.cos(angle) * side[:, None] + np.sin(angle) * other[:, None]
        paths = paths * np.sqrt(1 - tall**2) + tall * axes[:, None]
        paths = middle + paths * level
        if rng.random() < 0.5:  # dyed along its length
            wave = shapes.smooth_noise(rng, paths, scale=2.0)[..., None]
            paint = hues[0] + np.clip(wave + 0.5, 0, 1) * (hues[1] - hues[0])
        else:
            paint = np.repeat(hues[(bundle // 3) % 3][:, None], 90, 1)
        _spin(stage, paths, thick, paint, fuzz=7000, hairy=rng.uniform(2, 6), made=made)
        t = np.linspace(0, 1, 160)[:, None]
        end = middle + radius * np.array([0.7, -0.7, -0.2])
        aside = np.sin(t * rng.uniform(4, 9)) * rng.uniform(0.2, 0.5) * t
        end = end + np.concatenate([rng.normal(0, 1) * t + aside, -aside, -t * 0.9], 1)
        last = np.tile(hues[0], (1, 160, 1))
        _spin(stage, end[None], thick, last, fuzz=700, made=made)
        ball, faces = shapes.sphere(40, 60)
        core = stage.material(tuple(hues[0] * 0.5), roughness=0.95)
        stage.mesh(ball * radius * 0.88 + middle, faces, core, framed=False)
    stage.view.fill = (0.8, 1.15)


def _draped(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """Hang a flat cloth, points [..., 3] near x and z, in folds."""
    folds = rng.uniform(0.05, 0.3)
    waves = rng.uniform(2, 6)
    phase = rng.uniform(0, 6)
    x, y, z = np.moveaxis(points, -1, 0)
    down = 1 - 0.5 * (z - z.min()) / np.ptp(z)
    wave = folds * down * np.sin(waves * x + phase + 0.6 * np.sin(2 * z))
    slack = rng.uniform(0, 0.25) * (x**2 - 0.3)
    turned = np.stack([x * (1 - 0.5 * folds), y + wave, z + slack], -1)
    return turned + 0.03 * np.stack(
        [shapes.smooth_noise(rng, points, scale=1.5) for _ in range(3)], -1
    )


def _knitting(stage: Stage) -> None:
    """Knitted cloth, loop by loop; an edge may hang in loose yarn."""
    rng = stage.rng
    columns, rows = int(rng.uniform(20, 42)), int(rng.uniform(22, 44))
    width = 2.0 / columns
    height = width * 0.75
    t = np.linspace(0, 2 * np.pi * columns, 16 * columns + 1)
    level = np.arange(rows)[:, None] * height
    x = width * t / (2 * np.pi) + 0.21 * width * np.sin(2 * t)
    z = level - 0.85 * height * np.cos(t)
    y = 0.22 * width * np.cos(2 * t) + 0 * level
    flat = np.stack([x - 1 + 0 * level, y, z - level.mean()], -1)
    flat += 0.04 * width * rng.normal(size=(rows, 1, 3))
    hues = _hues(rng, 4)
    stitch = np.floor(t / (2 * np.pi)).astype(int)[None] + 0 * np.arange(rows)[:, None]
    row = np.arange(rows)[:, None] + 0 * stitch
    way = rng.integers(4)
    if way == 0:
        pick = row // rng.integers(2, 7) % 4
    elif way == 1:  # a figure that repeats
        figure = rng.integers(0, 2, (rng.integers(4, 9), rng.integers(3, 6)))
        figure = np.concatenate([figure, figure[:, ::-1]], 1)
        bands = row // len(figure)
        pick = figure[row % len(figure), stitch % figure.shape[1]] + bands % 3
    elif way == 2:
        pick = ((row // 4 + stitch // 4) % 2) * 2
    else:
        pick = np.digitize(shapes.smooth_noise(rng, flat, scale=2), [-0.6, 0.2, 0.9])
    paint = hues[pick]
    seed = rng.integers(2**31)
    thick = width * rng.uniform(0.17, 0.23)

    def hang(points: np.ndarray) -> np.ndarray:
        return _draped(np.random.default_rng(seed), points)

    hung = hang(np.concatenate([flat.reshape(-1, 3), [[0, 0, -2.0], [0, 0, 1.2]]]))
    hung = hung[:-2].reshape(flat.shape)
    if rng.random() < 0.45:  # rolled to a tube, as a sleeve or a cap is
        angle = np.pi * (flat[..., 0] + 1)
        out = 0.6 + 0.06 * shapes.smooth_noise(rng, flat, scale=1.5) + flat[..., 1]
        out = out * (1 - rng.uniform(-0.2, 0.3) * flat[..., 2])
        hung = np.stack([np.cos(angle) * out, np.sin(angle) * out, flat[..., 2]], -1)
    _spin(
        stage,
        hung,
        thick,
        paint,
        plies=2,
        pitch=5,
        fuzz=int(rng.uniform(6000, 16_000)),
        hairy=rng.uniform(2, 7),
    )
    # Yarn that hangs from the lowest row.
    count = int(rng.uniform(3, 30))
    roots = hung[0, rng.integers(0, len(t), count)]
    loose = strands.grow(
        rng,
        roots,
        strands.unit(rng.normal(size=(count, 3)) * 0.3 + [0, 0, -1]),
        rng.uniform(0.1, 0.7, count),
        steps=40,
        frizz=0.2,
        curl=0.04,
    )
    tone = np.repeat(hues[rng.integers(0, 4, count)][:, None], 40, 1)
    _spin(stage, loose, thick, tone, plies=2, fuzz=1500)
    stage.view.azimuth_degrees = (-45, 45)
    stage.view.fill = (0.85, 1.4)


def _fringe(stage: Stage) -> None:
    """A woven cloth whose lower edge ends in tassels."""
    rng = stage.rng
    flat, faces, _ = shapes.sheet(200, 260)
    flat = flat * [1, 1, rng.uniform(0.5, 0.9)]
    low = flat[:, 2].min()
    seed = rng.integers(2**31)
    hung = _draped(np.random.default_rng(seed), flat)
    paint = bust.cloth_colours(rng, flat + 3)
    weave = np.sin(flat[:, 0] * 400) * np.sin(flat[:, 2] * 400)
    paint = np.clip(paint * (1 + 0.25 * weave[:, None]), 0, 0.9)
    cloth = stage.material(roughness=0.9, sheen=0.4, specular=0.15, translucent=0.1)
    stage.mesh(hung, faces, cloth, colour=paint)
    edge = hung[:260]
    tassels = int(rng.uniform(18, 60))
    each = int(rng.uniform(4, 14))
    at = np.linspace(2, 257, tassels).astype(int)
    which = np.repeat(np.arange(tassels), each)
    count = len(which)
    long = rng.uniform(0.25, 0.9) * np.exp(rng.normal(0, 0.08, count))
    lean = rng.normal(0, 0.12, (tassels, 3))[which] + rng.normal(0, 0.1, (count, 3))
    fallen = strands.grow(
        rng,
        edge[at][which],
        strands.unit(lean + [0, 0, -1]),
        long,
        steps=28,
        frizz=0.07,
        curl=rng.uniform(0, 0.02),
    )
    knot = rng.uniform(0.12, 0.3)
    spot = np.linspace(0, 1, 28)[None, :, None]
    drawn = np.exp(-(((spot - knot) / 0.07) ** 2)) + np.clip(1 - spot / knot, 0, 1)
    axis = fallen.reshape(tassels, each, 28, 3).mean(1)[which]
    fallen = fallen + 0.75 * np.clip(drawn, 0, 1) * (axis - fallen)
    tone = np.repeat(paint[at][which][:, None], 28, 1)
    if rng.random() < 0.4:
        hues = _hues(rng, 3)
        tone = np.repeat(hues[which % 3][:, None], 28, 1)
    thick = rng.uniform(0.006, 0.013)
    _spin(stage, fallen, thick, tone, plies=2, fuzz=7000, hairy=rng.uniform(2, 8))
    fuzz = 5000
    roots, normals, _ = strands.scatter(rng, hung, faces, fuzz)
    away = strands.unit(rng.normal(size=(fuzz, 3)) + normals * rng.choice([-1, 1]))
    nap = strands.grow(
        rng, roots, away, rng.exponential(0.03, fuzz), steps=5, frizz=0.3
    )
    mean = np.tile(paint.mean(0), (fuzz, 1))
    stage.curves(nap, 0.0015, _wool(stage), colour=mean, framed=False)
    stage.view.azimuth_degrees = (-50, 50)
    stage.view.elevation_degrees = (-15, 25)
    stage.frame(np.array([[0, 0, low]]))
    stage.view.fill = (0.85, 1.3)


def _pompons(stage: Stage) -> None:
    """Balls of cut yarn on cords."""
    rng = stage.rng
    count = int(rng.choice([1, 2, 3, 5]))
    made = _wool(stage)
    each = int(18_000 / count**0.7)
    middle = np.zeros(3)
    knot = np.array([0.0, 0.0, 2.2])
    for _ in range(count):
        radius = rng.uniform(0.6, 1.0)
        hues = _hues(rng, int(rng.integers(2, 5)))
        directions = strands.unit(rng.normal(size=(each, 3)))
        tuft = strands.nearest_of(directions, directions[:400])
        long = (
            radius
            * 0.75
            * np.exp(rng.normal(0, 0.04, each) + rng.normal(0, 0.03, 400)[tuft])
        )
        stray = rng.random(each) < 0.01
        long[stray] *= rng.uniform(1.05, 1.35, stray.sum())
        ends = strands.unit(directions + 0.14 * rng.normal(size=(each, 3)))
        points = strands.grow(
            rng,
            middle + directions * radius * 0.4,
            ends,
            long,
            steps=8,
            curl=rng.choice([0.0, 0.03]),
            frizz=rng.uniform(0.03, 0.1),
        )
        paint = shapes.patches(rng, directions, hues, scale=rng.uniform(1, 3))
        if rng.random() < 0.4:  # each tuft is of one yarn
            paint = hues[rng.integers(0, len(hues), 400)[tuft]]
        stage.curves(
            points,
            rng.uniform(0.005, 0.009),
            made,
            colour=strands.melange(rng, paint, each, 0.12),
        )
        ball, faces = shapes.sphere(30, 40)
        core = stage.material(tuple(hues[0] * 0.4), roughness=0.95)
        stage.mesh(ball * radius * 0.75 + middle, faces, core, framed=False)
        t = np.linspace(0, 1, 120)[:, None]
        cord = middle + (knot - middle) * t
        cord = cord + 0.12 * np.sin(np.pi * t) * rng.normal(size=3)
        tone = np.tile(hues[-1], (1, 120, 1))
        _spin(stage, cord[None], 0.035, tone, fuzz=500, made=made)
        middle = middle + [rng.choice([-1, 1]) * 1.5, rng.normal(0, 0.5), 0.0]
        middle[2] = rng.uniform(-0.9, 0.9)
    stage.view.fill = (0.85, 1.15)


def _ropes(stage: Stage) -> None:
    """Ropes of three strands that come apart at an end."""
    rng = stage.rng
    made = stage.material(roughness=0.7, specular=0.25, translucent=0.1)
    t = np.linspace(0, 1, 240)
    for _ in range(int(rng.integers(1, 4))):
        start, way = rng.uniform(-0.6, 0.6, 3), rng.uniform(-0.5, 0.5)
        heights = 2.6 * (0.5 - t)
        sway = rng.uniform(0.15, 0.6) * np.sin(
            rng.uniform(2, 7) * t + rng.uniform(0, 6)
        )
        path = np.stack([start[0] + way * t + sway, start[1] + 0.4 * sway, heights], 1)
        thick = rng.uniform(0.1, 0.2)
        hues = _hues(rng, 3)
        open_at = rng.uniform(0.55, 0.85)
        fray = np.clip((t - open_at) / (1 - open_at), 0, 1)[None]
        fibres = int(rng.uniform(300, 500))
        lay = rng.integers(0, 3, (fibres, 1))
        turn = 2 * np.pi * (t[None] * 2.6 / (thick * 4.5) + lay / 3)
        around = rng.uniform(0, 2 * np.pi, (fibres, 1))
        reach = np.sqrt(rng.random((fibres, 1)))
        own = thick * 0.5 * reach
        inner = around - 1.3 * turn
        first = 0.55 * thick * np.cos(turn) + own * np.cos(inner)
        second = 0.55 * thick * np.sin(turn) + own * np.sin(inner)
        wide = thick * rng.uniform(1.0, 3.0) * reach * fray**1.3
        first = first * (1 - 0.5 * fray) + wide * np.cos(around)
        second = second * (1 - 0.5 * fray) + wide * np.sin(around)
        along = strands.unit(np.gradient(path, axis=0))
        side = strands.unit(np.cross(along, [0.1, 1.0, 0.2]))
        other = np.cross(along, side)
        points = path + first[..., None] * side + second[..., None] * other
        noise = rng.normal(size=points.shape).cumsum(1) / 240**0.5
        points = points + 0.35 * thick * fray[..., None] * noise
        cut = rng.uniform(0.8, 1.0, (fibres, 1, 1))
        below = np.maximum(heights[None, :, None] - heights[-1], 0)
        points[..., 2:] += (1 - cut) * fray[..., None] * (2.6 * (1 - open_at) - below)
        paint = strands.melange(rng, hues[lay[:, 0]], fibres, 0.12)
        stage.curves(points, 0.055 * thick, made, colour=paint)
        tone = np.tile(hues[0], (1, 240, 1))
        closed = path[None, : int(open_at * 240)]
        _spin(
            stage,
            closed,
            thick * 0.8,
            tone[:, : closed.shape[1]] * 0.8,
            pitch=4.5 / 0.8,
            fuzz=1800,
            hairy=0.5,
            made=made,
        )
    stage.view.fill = (0.9, 1.2)


KINDS = {"yarn": yarn}
