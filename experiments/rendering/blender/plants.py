"""Parts of plants as arrays: leaves, twigs that branch, blades along paths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.rendering.blender import shapes, strands

GREENS = np.array(
    [
        *([0.03, 0.08, 0.015], [0.07, 0.17, 0.03], [0.17, 0.25, 0.04]),
        *([0.05, 0.12, 0.08], [0.11, 0.13, 0.035], [0.14, 0.30, 0.10]),
    ]
)
AUTUMN = np.array(
    [
        *([0.62, 0.42, 0.04], [0.55, 0.22, 0.03], [0.42, 0.05, 0.03]),
        *([0.20, 0.10, 0.045], [0.15, 0.02, 0.04], [0.70, 0.60, 0.30]),
    ]
)


@dataclass(frozen=True)
class Leaf:
    """A flat leaf or petal: it runs along y from 0 to 1, across in x.

    Attributes:
      points: [K, 2], x and y.
      faces: [M, 4].
      vein: [K], 1 on veins, 0 off them.
      edge: [K], 0 in the middle to 1 at the margin.
    """

    points: np.ndarray
    faces: np.ndarray
    vein: np.ndarray
    edge: np.ndarray


LEAVES = ("ellipse", "lance", "heart", "oak", "birch", "maple", "ivy", "spoon")


def leaf(shape: str, *, fine: bool = False, width: float = 1.0) -> Leaf:
    """Return a leaf of one of LEAVES; fine: with side veins, for large ones."""
    if shape in ("maple", "ivy"):
        return _palmate(shape, fine, width)
    rows = {"oak": 25, "birch": 21}.get(shape, 9)
    rows, columns = (33, 15) if fine else (rows, 5)
    t, s = np.linspace(0, 1, rows)[:, None], np.linspace(-1, 1, columns)[None]
    half = {
        "ellipse": 0.28 * np.sin(np.pi * t**0.9) ** 0.8,
        "lance": 0.12 * np.sin(np.pi * t**0.7),
        "heart": 0.42 * np.sin(np.pi * t**0.5) ** 0.8,
        "oak": 0.26 * np.sin(np.pi * t) ** 0.6 * (1 - 0.4 * np.cos(9 * np.pi * t)),
        "birch": 0.34 * np.sin(np.pi * t**0.65) * (1 - 0.2 * ((t * 10) % 1)),
        "spoon": 0.24 * np.sin(np.pi * t**1.8) ** 0.7 + 0.03 * (1 - t),
    }[shape]
    x = width * half * s
    y = t + 0 * s
    if shape == "heart":  # the two lobes reach behind the stalk
        y = t - 0.35 * np.abs(s) ** 1.5 * (1 - t) ** 3
    vein = np.exp(-((s / 0.12) ** 2)) + 0 * t
    if fine:
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * 8 * (t - 0.2 * np.abs(s)))
        vein = np.maximum(vein, 0.6 * wave**5 * (1 - np.abs(s) ** 3))
    points = np.stack([x, y], -1).reshape(-1, 2)
    edge = np.broadcast_to(np.abs(s), (rows, columns))
    faces = shapes.grid_faces(rows, columns, closed=False)
    return Leaf(points, faces, vein.ravel(), edge.ravel())


def _palmate(shape: str, fine: bool, width: float) -> Leaf:
    """Return a leaf whose lobes spread from the end of its stalk."""
    a = np.linspace(-0.97 * np.pi, 0.97 * np.pi, 61 if fine else 31)[None]
    lobes = ((0, 1.0), (0.9, 0.8), (-0.9, 0.8), (1.9, 0.5), (-1.9, 0.5))
    sharp, least = (0.27, 0.33) if shape == "maple" else (0.42, 0.38)
    peaks = [long * np.exp(-((np.abs(a - c) / sharp) ** 1.4)) for c, long in lobes]
    reach = 0.78 * np.maximum(np.max(peaks, 0), least * (1 - 0.25 * np.abs(a) / np.pi))
    rho = np.linspace(0, 1, 9 if fine else 4)[:, None]
    x, y = width * rho * reach * np.sin(a), 0.22 + rho * reach * np.cos(a)
    vein = np.max([np.exp(-(((a - c) / 0.1) ** 2)) for c, _ in lobes], 0) + 0 * rho
    points = np.stack([x, y], -1).reshape(-1, 2)
    faces = shapes.grid_faces(rho.size, a.size, closed=False)
    edge = np.broadcast_to(rho, vein.shape)
    return Leaf(points, faces, vein.ravel(), edge.ravel())


def place(
    one: Leaf,
    roots: np.ndarray,
    along: np.ndarray,
    up: np.ndarray,
    size: np.ndarray,
    *,
    fold: np.ndarray | float = 0.2,
    curl: np.ndarray | float = 0.5,
    ripple: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Put copies of a leaf at many places, each bent in its own way.

    Args:
      one: the leaf.
      roots: [N, 3], where they start.
      along: [N, 3], where they point.
      up: [N, 3], about where their upper side looks.
      size: [N], their lengths.
      fold: [N] or one, how far the two halves are lifted.
      curl: [N] or one, radians that the tip is bent down by.
      ripple: how much margins wave.
    Returns:
      Vertices [N * K, 3], those of a leaf together, and faces.
    """
    count, each = len(roots), len(one.points)
    x, y = (one.points[None, :, i] for i in range(2))
    curl = np.broadcast_to(np.asarray(curl, float), count)[:, None]
    curl = np.where(np.abs(curl) < 1e-3, 1e-3, curl)
    fold = np.broadcast_to(np.asarray(fold, float), count)[:, None]
    z = fold * np.abs(x)
    if ripple:
        phase = (np.arange(count) * 2.399)[:, None]
        z = z + ripple * one.edge**2 * np.sin(14 * y + 5 * x + phase)
    bent = np.sin(curl * y) / curl + z * np.sin(curl * y)
    z = z * np.cos(curl * y) - (1 - np.cos(curl * y)) / curl
    along = strands.unit(along)
    side = strands.unit(np.cross(along, up))
    normal = np.cross(side, along)
    local = x[..., None] * side[:, None] + bent[..., None] * along[:, None]
    local = local + z[..., None] * normal[:, None]
    points = roots[:, None] + size[:, None, None] * local
    faces = one.faces[None] + (np.arange(count) * each)[:, None, None]
    return points.reshape(-1, 3), faces.reshape(-1, one.faces.shape[1])


def paint(
    rng: np.random.Generator,
    one: Leaf,
    base: np.ndarray,
    *,
    vein: float = 0.4,
    rim: np.ndarray | None = None,
    rim_share: float = 1.0,
) -> np.ndarray:
    """Colour the vertices of copies of a leaf, [N * K, 3].

    Args:
      rng: random numbers.
      one: the leaf.
      base: [N, 3] of each.
      vein: how much lighter veins are.
      rim: colour of margins and tips, if another.
      rim_share: how much of it the most coloured leaves show.
    """
    colour = np.repeat(base[:, None], len(one.points), 1)
    pale = 0.6 * colour + 0.4 * np.array([0.5, 0.55, 0.25])
    colour = colour + vein * one.vein[None, :, None] * (pale - colour)
    if rim is not None:
        amount = rim_share * rng.random((len(base), 1)) ** 0.7
        reach = np.maximum(one.edge, one.points[:, 1]) ** rng.uniform(1.5, 5)
        colour = colour + (amount * reach)[..., None] * (rim - colour)
    return np.clip(colour, 0, 1).reshape(-1, 3)


def sprout(
    rng: np.random.Generator,
    parents: np.ndarray,
    count: int,
    length: float,
    *,
    spread: float = 0.8,
    where: tuple[float, float] = (0.2, 1.0),
    rise: float = 0.1,
    wobble: float = 0.08,
    steps: int = 8,
) -> np.ndarray:
    """Let branches grow from branches.

    Args:
      rng: random numbers.
      parents: [N, K, 3], from root to tip.
      count: of new ones.
      length: of the longest; near the tips of parents they are shorter.
      spread: radians between them and the parent.
      where: range of places on the parent, 0 its root.
      rise: how far they bend up, or down below 0, in lengths.
      wobble: random deviation, in lengths.
      steps: points of each.
    Returns:
      Points [count, steps, 3].
    """
    roots, tangents, t = on_paths(rng, parents, count, where)
    side = strands.unit(np.cross(tangents, rng.normal(size=(count, 3))))
    angle = spread * rng.uniform(0.7, 1.3, (count, 1))
    ways = np.cos(angle) * tangents + np.sin(angle) * side
    long = length * (1 - 0.65 * t) * rng.uniform(0.6, 1.0, count)
    return paths(rng, roots, ways, long, rise=rise, wobble=wobble, steps=steps)


def paths(
    rng: np.random.Generator,
    roots: np.ndarray,
    ways: np.ndarray,
    length: np.ndarray,
    *,
    rise: float | np.ndarray = 0.0,
    wobble: float = 0.05,
    steps: int = 8,
) -> np.ndarray:
    """Return paths from roots [N, 3] in ways [N, 3] that bend up by `rise` lengths."""
    s = np.linspace(0, 1, steps)[None, :, None]
    long = length[:, None, None]
    points = roots[:, None] + long * s * ways[:, None]
    points[..., 2] += (long * np.asarray(rise).reshape(-1, 1, 1) * s**2)[..., 0]
    noise = rng.normal(size=(len(roots), steps, 3)).cumsum(1) / np.sqrt(steps)
    return points + wobble * long * s * noise


def on_paths(
    rng: np.random.Generator,
    lines: np.ndarray,
    count: int,
    where: tuple[float, float] = (0.0, 1.0),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw places on lines [N, K, 3]: points, directions there, how far along."""
    reach = np.linalg.norm(np.diff(lines, axis=1), axis=2).sum(1)
    which = rng.choice(len(lines), count, p=reach / reach.sum())
    t = rng.uniform(*where, count)
    return *along_paths(lines, which, t), t


def along_paths(
    lines: np.ndarray, which: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return points [M, 3] and directions [M, 3] on lines `which` at `t` in [0, 1]."""
    place_ = np.clip(t, 0, 1) * (lines.shape[1] - 1)
    low = np.minimum(place_.astype(int), lines.shape[1] - 2)
    first, second = lines[which, low], lines[which, low + 1]
    return first + (place_ - low)[:, None] * (second - first), strands.unit(
        second - first
    )


def blades(
    lines: np.ndarray, width: np.ndarray, up: np.ndarray, *, fold: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Return ribbons along lines, three vertices across: grass, straps, swords.

    Args:
      lines: [N, K, 3].
      width: half of it, broadcast to [N, K].
      up: [N, 3], about where their upper side looks.
      fold: how far margins are lifted, in half widths.
    Returns:
      Vertices [N * K * 3, 3] and faces.
    """
    count, steps = lines.shape[:2]
    tangent = strands.unit(np.gradient(lines, axis=1))
    side = strands.unit(np.cross(tangent, up[:, None]))
    normal = np.cross(side, tangent)
    width = np.broadcast_to(width, (count, steps))[..., None]
    left = lines + width * (side + fold * normal)
    right = lines + width * (fold * normal - side)
    points = np.stack([left, lines, right], 2)
    faces = shapes.grid_faces(steps, 3, closed=False)[None]
    faces = faces + (np.arange(count) * steps * 3)[:, None, None]
    return points.reshape(-1, 3), faces.reshape(-1, 4)
