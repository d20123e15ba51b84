"""Sizes of buffers and tiles: what one set of compiled programs can serve."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tmfnet_jax.model import STRIDE
from tmfnet_jax.serving.decoder import StageSpans, stage_spans
from tmfnet_jax.serving.encoder import layer1_input, stem_input
from tmfnet_jax.serving.tiling import Span

BUCKETS_PER_OCTAVE = 8


def bucket(size: int) -> int:
    """Round a side up so that few different sizes remain: at most 1/8 is added."""
    octave = 1 << max(size - 1, 1).bit_length() - 1
    step = max(STRIDE, octave // BUCKETS_PER_OCTAVE)
    return -(-size // step) * step


def _split(size: int, wanted: int) -> tuple[int, int]:
    """Cut a length into equal tiles of at most the wanted size: (count, tile)."""
    count = -(-size // wanted)
    tile = -(-size // count)
    return count, -(-tile // STRIDE) * STRIDE


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Features of a strip with margins, computed in tiles that cover it.

    Attributes:
      margin: rows and columns before the strip's first pixel.
      tiles: numbers of tile rows and columns.
      tile: height and width of a tile.
      width: of the buffer.
    """

    margin: int
    tiles: tuple[int, int]
    tile: tuple[int, int]
    width: int

    @property
    def height(self) -> int:
        """Rows of the buffer; the tiles cover them all."""
        return self.tiles[0] * self.tile[0]


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Shapes for one strip height and image width.

    Attributes:
      rows: of a strip of alpha.
      strips: how many of them.
      width: of the image, rounded up.
      tile: height and width of a tile of alpha.
      fusion: kinds of the decoder's stages, which decide the margins.
    """

    rows: int
    strips: int
    width: int
    tile: tuple[int, int]
    fusion: tuple[str, ...]

    @classmethod
    def make(
        cls,
        height: int,
        width: int,
        strips: int,
        fusion: Sequence[str],
        tile: tuple[int, int],
    ) -> Geometry:
        """Choose shapes for an image, in the given number of strips."""
        count, tall = _split(-(-bucket(height) // strips), tile[0])
        across, wide = _split(bucket(width), tile[1])
        rows = count * tall
        strips = -(-bucket(height) // rows)
        return cls(rows, strips, across * wide, (tall, wide), tuple(fusion))

    @property
    def height(self) -> int:
        """Rows of all strips."""
        return self.rows * self.strips

    @property
    def tiles(self) -> tuple[int, int]:
        """Tile rows and columns of a strip."""
        return self.rows // self.tile[0], self.width // self.tile[1]

    @property
    def spans(self) -> tuple[list[StageSpans], list[StageSpans]]:
        """What a tile of alpha reads, in rows and in columns."""
        return stage_spans(self.fusion, self.tile[0]), stage_spans(
            self.fusion, self.tile[1]
        )

    def _margin(self, stage: int) -> int:
        """Pixels of X_l that a stage reads beyond the strip."""
        scale = (4, 2, 1)[stage]
        return max(
            max(-s[stage].mixed.start, s[stage].mixed.stop - size // scale)
            for s, size in zip(self.spans, self.tile, strict=True)
        )

    @property
    def c2(self) -> Buffer:
        """C2 of a strip."""
        margin = self._margin(0)
        return self._buffer(4, margin, self.rows // 4 + 2 * margin)

    @property
    def c1(self) -> Buffer:
        """C1 of a strip: what C2 and F2 read."""
        c2 = self.c2
        need = layer1_input(Span(-c2.margin, c2.height))
        margin = max(self._margin(1), -need.start)
        margin += margin % 2
        return self._buffer(2, margin, need.stop + margin)

    @property
    def x(self) -> Buffer:
        """The input of a strip: what C1 reads. One tile."""
        c1 = self.c1
        need = stem_input(Span(-c1.margin, c1.height))
        margin = -need.start
        size = (need.stop + margin, self.width + 2 * margin)
        return Buffer(margin, (1, 1), size, size[1])

    def _buffer(self, scale: int, margin: int, rows: int) -> Buffer:
        down, across = self.tiles
        tile = (-(-rows // down), self.tile[1] // scale)
        return Buffer(margin, (down, across), tile, self.width // scale + 2 * margin)


def tile_origins(buffer: Buffer) -> list[tuple[int, int]]:
    """Row and column of every tile, row by row, relative to the buffer's rows."""
    return [
        (i * buffer.tile[0], j * buffer.tile[1])
        for i in range(buffer.tiles[0])
        for j in range(buffer.tiles[1])
    ]
