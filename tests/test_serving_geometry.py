"""Sizes of buffers and tiles: few of them, and none read beyond its ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tmfnet_jax.serving import decoder, passes
from tmfnet_jax.serving.folding import Affine
from tmfnet_jax.serving.geometry import Geometry, bucket, tile_origins
from tmfnet_jax.serving.plan import CPU_TILE, DEVICE_TILE
from tmfnet_jax.serving.tiling import Extent, Span

KINDS = [("static",) * 3, ("glf",) * 3, ("carafe",) * 3]
KINDS += [("lf", "static", "static"), ("lf", "lf", "static"), ("static", "glf", "lf")]


def test_buckets():
    sizes = np.arange(1, 40_000)
    rounded = np.array([bucket(int(size)) for size in sizes])
    assert (rounded % 16 == 0).all()
    assert (np.diff(rounded) >= 0).all()
    stride_rounded = -(-sizes // 16) * 16
    assert (rounded >= stride_rounded).all()
    assert (rounded <= np.maximum(stride_rounded, sizes * 9 / 8)).all()
    assert (rounded[np.isin(sizes, rounded)] == sizes[np.isin(sizes, rounded)]).all()
    photographs = np.unique(rounded[(sizes > 512) & (sizes <= 8192)])
    assert len(photographs) == 4 * 8


def random_geometries(number):
    rng = np.random.default_rng(0)
    for index in range(number):
        height, width = (16 * rng.integers(1, 2 ** rng.integers(1, 8, 2))).tolist()
        tile = tuple((16 * rng.integers(1, 9, 2)).tolist())
        strips = int(rng.integers(1, 6))
        kinds = KINDS[index % len(KINDS)]
        yield height, width, Geometry.make(height, width, strips, kinds, tile)


def test_strips_and_tiles_cover_the_image():
    for height, width, geometry in random_geometries(300):
        assert geometry.height >= height
        assert geometry.width >= width
        assert geometry.rows * geometry.strips == geometry.height
        for side, tile, tiles in zip(
            (geometry.rows, geometry.width), geometry.tile, geometry.tiles, strict=True
        ):
            assert side == tile * tiles
            assert tile % 16 == 0


@pytest.mark.parametrize("tile", [CPU_TILE, DEVICE_TILE])
def test_little_is_computed_for_nothing(tile):
    """Beside the bucket's, tiles of equal size add less than 16 rows each."""
    for height, width in itertools.product([100, 1080, 2047, 6000], repeat=2):
        geometry = Geometry.make(height, width, 1, KINDS[0], tile)
        assert geometry.height < bucket(height) + 16 * geometry.tiles[0]
        assert geometry.width < bucket(width) + 16 * geometry.tiles[1]
        for side, most in zip(geometry.tile, tile, strict=True):
            assert side <= most


def test_sizes_of_a_folder_share_geometries():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1800, 2200, (200, 2)).tolist()
    found = {Geometry.make(*size, 1, KINDS[0], CPU_TILE) for size in sizes}
    assert len(found) <= 3 * 3


def spread(shape):
    """Return zeros of any shape that take no memory."""
    return np.broadcast_to(np.float32(0), shape)


def checked_window(x, row, column, height, width):
    row, column = int(row), int(column)
    assert 0 <= row <= row + height <= x.shape[1]
    assert 0 <= column <= column + width <= x.shape[2]
    return spread((x.shape[0], height, width, x.shape[3]))


def checked_paste(x, tile, row, column):
    checked_window(x, row, column, *tile.shape[1:3])
    return x


def every_tile(tiles, body, state):
    for i, j in tiles:
        state = body(i, j, state)
    return state


@pytest.fixture
def checked(monkeypatch):
    """Run the passes' arithmetic of places without computing features."""
    for module in (passes, decoder):
        monkeypatch.setattr(module, "window", checked_window)
        monkeypatch.setattr(module, "keep_inside", lambda x, place, extent: x)
    monkeypatch.setattr(passes, "paste", checked_paste)
    monkeypatch.setattr(passes, "for_tiles", every_tile)


def test_strip_reads_within_its_buffers(checked, monkeypatch):
    def stem(x, weights, place, extent):
        assert x.shape[1] % 2 == x.shape[2] % 2 == 1
        # The input begins at row 2 (place - 2) - 1 of the image.
        return spread((1, (x.shape[1] - 9) // 2, (x.shape[2] - 9) // 2, 1))

    def layer1(x, weights, place, extent):
        return spread((1, (x.shape[1] - 13) // 2, (x.shape[2] - 13) // 2, 1))

    monkeypatch.setattr(passes, "stem", stem)
    monkeypatch.setattr(passes, "layer1", layer1)
    one = Affine(spread((1, 1, 1, 1)), None)
    weights = {"stem.2": one, "layer1.0.conv3": one}
    monkeypatch.setattr(passes.jnp, "zeros", lambda shape, dtype: spread(shape))
    for height, width, geometry in random_geometries(150):
        x, c1, c2 = geometry.x, geometry.c1, geometry.c2
        got = passes.shallow.__wrapped__(
            weights,
            spread((1, x.height, x.width, 6)),
            tile_origins(c1),
            tile_origins(c2),
            0,
            Extent(height, width),
            geometry=geometry,
        )
        for features, buffer, scale in zip(got, (c1, c2), (2, 4), strict=True):
            assert features.shape[1:3] == (buffer.height, buffer.width)
            # The tiles leave out the columns left of the image only.
            down, across = buffer.tiles
            assert down * buffer.tile[0] == buffer.height
            assert across * buffer.tile[1] == geometry.width // scale


def test_buffers_begin_where_the_tiles_assume():
    """A tile of C1 reads from row 2 i of x's buffer, one of C2 by its own offset."""
    for _, _, geometry in random_geometries(150):
        assert geometry.x.margin == 2 * geometry.c1.margin + 5
        assert geometry.c1.margin >= 2 * geometry.c2.margin + 7
        assert geometry.c2.margin >= 2  # the two rows that the deep encoder reads


def test_decoder_reads_within_buffers_and_has_what_it_needs(checked, monkeypatch):
    enlarged = []

    def enlarge(x, first, rows: Span, columns: Span, place, extent):
        for span, start, size, low, have in zip(
            (rows, columns), place, extent, first, x.shape[1:3], strict=True
        ):
            wanted = start + span.start + np.arange(span.size)
            wanted = wanted[(wanted >= 0) & (wanted < 2 * size)]
            position = wanted * (size - 1) / (2 * size - 1)
            assert (np.floor(position) >= int(low)).all()
            assert (np.ceil(position) < int(low) + have).all()
        enlarged.append(rows.size)
        return spread((1, rows.size, columns.size, 16))

    def fuse(kind, high, low, vector, weights, rows, columns, place, extent):
        for side, axis in ((rows, 1), (columns, 2)):
            assert high.shape[axis] == side.high.size
            assert low.shape[axis] == side.mixed.size
        if kind == "static":
            row, column = place
            first = row // 2 + rows.high.start, column // 2 + columns.high.start
            small = extent.reduced(2)
            enlarge(high, first, rows.mixed, columns.mixed, place, small)
        return spread((1, rows.output.size, columns.output.size, 16))

    monkeypatch.setattr(decoder, "enlarge", enlarge)
    monkeypatch.setattr(decoder, "fuse", fuse)
    monkeypatch.setattr(decoder, "head", lambda x, weights, corner, extent: x)
    for height, width, geometry in random_geometries(24):
        maps = [
            spread((1, buffer.height, buffer.width, 16))
            for buffer in (geometry.c2, geometry.c1, geometry.x)
        ]
        mined = spread((1, geometry.height // 16, geometry.width // 16, 16))
        last = geometry.strips - 1
        for strip, i, j in itertools.product(
            {0, last}, {0, geometry.tiles[0] - 1}, {0, geometry.tiles[1] - 1}
        ):
            place = i * geometry.tile[0], j * geometry.tile[1]
            tile = passes._tile(
                {},
                mined,
                maps,
                (None,) * 3,
                *place,
                strip * geometry.rows,
                Extent(height, width),
                geometry,
                decoder.STAGES,
            )
            assert tile.shape[1:3] == tuple(side + 2 for side in geometry.tile)
    assert enlarged


def test_stage_reads_what_the_next_one_needs():
    for kinds in KINDS:
        spans = decoder.stage_spans(kinds, 64)
        assert (spans[-1].output.start, spans[-1].output.stop) == (-1, 65)
        for before, after in itertools.pairwise(spans):
            assert before.output == after.high
        for kind, span in zip(kinds, spans, strict=True):
            assert span.mixed.start < span.output.start
            assert span.mixed.stop > span.output.stop
            assert span.mixed.start % 2 == span.mixed.size % 2 == 0
            more = kind not in decoder.LOCAL
            assert span.high.start == span.mixed.start // 2 - more
            assert span.high.stop == span.mixed.stop // 2 + more
