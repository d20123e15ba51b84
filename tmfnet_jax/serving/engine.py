"""The network on an image of any size: passes over strips and tiles.

Two passes go over the image. The first computes the stem and layer1 strip by strip
and hands them to the deep encoder, whose maps are small enough to be held whole,
and to the context module, which has to see them whole. The second computes the
strips once more, or takes them from memory where there is only one, and decodes
those tiles that hold unknown pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.serving import passes
from tmfnet_jax.serving.encoder import DEEP_BLOCKS, ENTRY
from tmfnet_jax.serving.folding import Weights, feature_dtype, fold, is_fast, part
from tmfnet_jax.serving.geometry import Geometry, tile_origins
from tmfnet_jax.serving.memory import release_freed
from tmfnet_jax.serving.source import Source
from tmfnet_jax.serving.tiling import Extent, Tiles

Progress = Callable[[int, int], None]  # steps done, of how many

# Pixels decoded in one call: enough that taking its memory costs little, few enough
# that progress is seen.
PART_PIXELS = 2**20
SMALL_PIXELS = 2**20


class Strip(NamedTuple):
    """C1 and C2 of a strip."""

    c1: jax.Array
    c2: jax.Array


class StreamedNetwork:
    """A network with folded weights that runs in passes of bounded memory.

    Args:
      config: which network.
      arrays: its parameters and statistics by name.
    """

    def __init__(self, config: TMFNetConfig, arrays: Mapping[str, np.ndarray]):
        self.config = config
        self.dtype = feature_dtype(config)
        weights = fold(arrays, dtype=config.dtype, fast_convolution=is_fast())
        self.weight_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(weights))
        encoder = part(weights, "encoder")
        self._shallow = _named(encoder, "stem", "layer1")
        self._deep = {name: part(encoder, name) for name in DEEP_BLOCKS}
        self._context = part(weights, "context")
        self._decoder = _named(weights, "fusion", "head")

    def alpha(
        self,
        sources: Sequence[Source],
        geometry: Geometry,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Predict the alpha of one or more images of the same size.

        Args:
          sources: their pixels.
          geometry: for their size; its strips bound the memory.
          progress: called with the steps done and their number.
        Returns:
          [B, height, width] float32, not clipped; 0 in tiles that no source needs.
        """
        run = _Run(self, sources, geometry, progress)
        return run.alpha()


class _Run:
    """One call of the network: what its passes share."""

    def __init__(self, network, sources, geometry, progress):
        self.network, self.sources, self.geometry = network, sources, geometry
        self.height, self.width = sources[0].height, sources[0].width
        self.extent = Extent(jnp.int32(self.height), jnp.int32(self.width))
        self.kept: Strip | None = None
        self.tiles = [self._needed_tiles(index) for index in range(geometry.strips)]
        self.progress = progress
        self.done = 0
        parts = sum(len(self._parts(tiles)) for tiles in self.tiles)
        self.steps = geometry.strips + len(DEEP_BLOCKS) + parts

    def alpha(self) -> np.ndarray:
        c5, mask = self._encode()
        mined, g, c5_mean = passes.mine(
            self.network._context,
            c5,
            mask,
            self.extent.reduced(passes.OUTPUT_STRIDE),
            kind=self.network.config.context,
        )
        self._advance(mined)
        del c5
        vectors: list[jax.Array | None] = []
        for stage, kind in enumerate(self.geometry.fusion):
            vectors.append({"glf": g, "glf_c": c5_mean}.get(kind))
            if kind == "glf_b":
                vectors[stage] = self._high_mean(mined, vectors, stage)
        return self._decode(mined, tuple(vectors))

    def _encode(self) -> tuple[jax.Array, jax.Array]:
        """Return C5 and the non-background mask at 1/16, with a margin each."""
        network, geometry = self.network, self.geometry
        entry = network._deep[ENTRY]
        shape = (len(self.sources), geometry.height // 8, geometry.width // 8)
        x = jnp.zeros((*shape, entry["conv3"].kernel.shape[-1]), network.dtype)
        masks = []
        for index in range(geometry.strips):
            pixels = self._input(index)
            masks.append(passes.reduced_mask(pixels, geometry=geometry))
            strip = self._strip(index, pixels)
            # Made again for the decoder: cheaper than to hold.
            del pixels
            x = passes.enter(
                entry, x, strip.c2, self._row(index), self.extent, geometry=geometry
            )
            if geometry.strips == 1:
                self.kept = strip
            del strip
            self._advance(x)
        scale = 8
        for name, (stride, dilation) in DEEP_BLOCKS.items():
            if name == ENTRY:
                continue
            weights = network._deep[name]
            run = passes.project if "shortcut" in weights else passes.refine
            x = run(weights, x, self.extent.reduced(scale), stride, dilation)
            scale *= stride
            self._advance(x)
        mask = jnp.concatenate(masks, 1)
        return passes.surround(x, self.extent.reduced(scale)), mask

    def _decode(self, mined: jax.Array, vectors) -> np.ndarray:
        geometry = self.geometry
        result = np.zeros((len(self.sources), self.height, self.width), np.float32)
        shape = (len(self.sources), geometry.rows, geometry.width, 1)
        for index, tiles in enumerate(self.tiles):
            if not tiles:
                continue
            maps = self._maps(index)
            alpha = jnp.zeros(shape, jnp.float32)
            for part_tiles in self._parts(tiles):
                alpha = passes.decode(
                    self.network._decoder,
                    alpha,
                    mined,
                    maps,
                    vectors,
                    Tiles.of(part_tiles, self._part_size),
                    self._row(index),
                    self.extent,
                    geometry=geometry,
                )
                self._advance(alpha)
            del maps  # before the next strip's take their place
            top = index * geometry.rows
            stop = min(top + geometry.rows, self.height)
            result[:, top:stop] = np.asarray(alpha)[:, : stop - top, : self.width, 0]
        return result

    @property
    def _part_size(self) -> int:
        """Tiles decoded in one call."""
        tall, wide = self.geometry.tile
        return max(1, PART_PIXELS // (tall * wide))

    def _parts(self, tiles: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        size = self._part_size
        return [tiles[i : i + size] for i in range(0, len(tiles), size)]

    def _high_mean(self, mined: jax.Array, vectors, stage: int) -> jax.Array:
        """Average X_h of a stage over the image: GLF(B) reads all of it."""
        geometry, total = self.geometry, None
        known = (*vectors[:stage], *[None] * (len(geometry.fusion) - stage))
        every = [
            (i, j)
            for i in range(0, geometry.rows, geometry.tile[0])
            for j in range(0, geometry.width, geometry.tile[1])
        ]
        for index in range(geometry.strips):
            part_sum = passes.high_sum(
                self.network._decoder,
                mined,
                self._maps(index),
                known,
                Tiles.of(every, len(every)),
                self._row(index),
                self.extent,
                geometry=geometry,
                stage=stage,
            )
            total = part_sum if total is None else total + part_sum
        scale = 2 * passes.decoder.SCALES[stage]
        area = (self.height // scale) * (self.width // scale)
        return (total / area).astype(self.network.dtype)

    def _row(self, index: int) -> jax.Array:
        return jnp.int32(index * self.geometry.rows)

    def _input(self, index: int) -> jax.Array:
        """Network input of a strip, [B, H, W, 6], with its margins."""
        top = index * self.geometry.rows
        strips = [s.strip(top, self.geometry) for s in self.sources]
        x = strips[0] if len(strips) == 1 else jnp.concatenate(strips)
        return x.astype(self.network.dtype)

    def _strip(self, index: int, pixels: jax.Array) -> Strip:
        c1, c2 = passes.shallow(
            self.network._shallow,
            pixels,
            *self._inner_tiles(index * self.geometry.rows),
            self._row(index),
            self.extent,
            geometry=self.geometry,
        )
        self._wait(c2)
        return Strip(c1, c2)

    def _maps(self, index: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What the decoder reads of a strip: C2, C1 and the input."""
        pixels = self._input(index)
        strip = self.kept or self._strip(index, pixels)
        return strip.c2, strip.c1, pixels

    def _inner_tiles(self, top: int):
        """Tiles of C1 and of C2 that lie at least partly inside the image."""
        lists = []
        for buffer, scale in ((self.geometry.c1, 2), (self.geometry.c2, 4)):
            first = top // scale - buffer.margin
            origins = tile_origins(buffer)
            inner = [
                (i, j)
                for i, j in origins
                if -buffer.tile[0] < first + i < self.height // scale
                and j < self.width // scale
            ]
            lists.append(Tiles.of(inner, len(origins)))
        return lists

    def _needed_tiles(self, index: int) -> list[tuple[int, int]]:
        geometry = self.geometry
        top = index * geometry.rows
        return [
            (i, j)
            for i in range(0, geometry.rows, geometry.tile[0])
            for j in range(0, geometry.width, geometry.tile[1])
            if any(s.needs(top + i, j, *geometry.tile) for s in self.sources)
        ]

    def _wait(self, result: jax.Array) -> None:
        """Keep the next pass from taking memory before this one is over.

        Not for small images, for which preparing the next pass meanwhile counts.
        """
        if len(self.sources) * self.height * self.width > SMALL_PIXELS:
            jax.block_until_ready(result)
            release_freed()

    def _advance(self, result: jax.Array) -> None:
        self._wait(result)
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.steps)


def _named(weights: Weights, *beginnings: str) -> Weights:
    return {k: v for k, v in weights.items() if k.startswith(beginnings)}
