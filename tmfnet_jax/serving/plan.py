"""How an image will be computed: whole or in strips, and the memory that takes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import jax

from tmfnet_jax.errors import InputError
from tmfnet_jax.model import INPUT_CHANNELS, TMFNetConfig
from tmfnet_jax.resnet import EXPANSION
from tmfnet_jax.serving.folding import feature_dtype
from tmfnet_jax.serving.geometry import Buffer, Geometry
from tmfnet_jax.serving.memory import GIGABYTE, available_bytes

# More is seldom faster: strips cost a sixth more arithmetic at most.
DEFAULT_BYTES = 3 * GIGABYTE
CPU_TILE = (64, 512)  # rows and columns whose features fit a processor's cache
DEVICE_TILE = (1024, 1024)
DEFAULT_SLACK = 1.15
MIN_STRIP_ROWS = 64
# Measured on CPUs: the interpreter and its libraries, and what one pass needs
# beside the features counted here.
PROCESS_BYTES = 350_000_000
WORK_BYTES = 200_000_000
DEVICE_SHARE = 0.9  # of an accelerator's memory


@dataclasses.dataclass(frozen=True)
class Plan:
    """A way to compute an image.

    Attributes:
      height: of the image.
      width: of the image.
      geometry: strips, tiles and buffers.
      batch: images computed together.
      bytes: estimate of the process's peak memory, on an accelerator of its.
    """

    height: int
    width: int
    geometry: Geometry
    batch: int
    bytes: int

    @property
    def how(self) -> str:
        """Whole, or in which strips."""
        strips, rows = self.geometry.strips, self.geometry.rows
        return "whole" if strips == 1 else f"{strips} strips of {rows} rows"

    def __str__(self) -> str:
        """One line for people."""
        many = f", {self.batch} at a time" if self.batch > 1 else ""
        return (
            f"{self.width}x{self.height} pixels: {self.how}{many}, about "
            f"{self.bytes / GIGABYTE:.1f} GB of memory"
        )


def make_plan(
    config: TMFNetConfig,
    height: int,
    width: int,
    *,
    max_memory: int | None,
    weight_bytes: int,
    batch: int = 1,
) -> Plan:
    """Choose the fewest strips that fit into memory.

    Args:
      config: which network.
      height: of the image in pixels.
      width: likewise.
      max_memory: bytes for the whole process (on an accelerator: of its memory);
        None takes what is free, on CPUs at most 3 GB as long as that suffices.
      weight_bytes: of the network's weights as loaded.
      batch: images computed together.
    Raises:
      InputError: even the thinnest strips need more.
    """
    free = _free_bytes()
    options = list(plans(config, height, width, weight_bytes=weight_bytes, batch=batch))
    least, limit = options[-1], max_memory or free
    if least.bytes > limit:
        advice = "allow more" if max_memory else "close other programs"
        smallest = plans(config, 1, 1, weight_bytes=weight_bytes)
        floor = min(plan.bytes for plan in smallest)
        if limit > floor:
            advice += ", or scale the image down"
        raise InputError(
            f"{width}x{height} pixels need {least.bytes / GIGABYTE:.1f} GB of memory, "
            f"{'allowed' if max_memory else 'free'} are {limit / GIGABYTE:.1f} GB; "
            f"this network takes {floor / GIGABYTE:.1f} GB for any image: {advice}"
        )
    # Where the deep maps alone exceed the default, thin strips would save little.
    default = max(DEFAULT_BYTES, DEFAULT_SLACK * least.bytes)
    budget = max_memory or min(free, default)
    return next(plan for plan in options if plan.bytes <= budget)


def plans(
    config: TMFNetConfig,
    height: int,
    width: int,
    *,
    weight_bytes: int,
    batch: int = 1,
) -> Iterator[Plan]:
    """Yield plans of ever thinner strips and less memory, the whole image first."""
    tile = CPU_TILE if jax.default_backend() == "cpu" else DEVICE_TILE
    least = None
    for strips in _strip_counts():
        geometry = Geometry.make(height, width, strips, config.fusion, tile)
        needed = _estimate(config, geometry, height, width, weight_bytes, batch)
        if least is None or needed < least:
            yield Plan(height, width, geometry, batch, needed)
            least = needed
        if geometry.rows <= MIN_STRIP_ROWS:
            return


def _strip_counts() -> Iterator[int]:
    yield 1
    for power in itertools.count(1):
        yield from (2**power, 3 * 2 ** (power - 1))


def _estimate(config, geometry, height, width, weight_bytes, batch) -> int:
    """Add up the features that are held at the worst moment."""
    size = feature_dtype(config).itemsize

    def buffer(which: Buffer, channels: int, itemsize: int = size) -> int:
        return batch * itemsize * channels * which.height * which.width

    def features(channels: int, scale: int) -> int:
        rows, columns = geometry.height // scale + 2, geometry.width // scale + 2
        return batch * size * channels * rows * columns

    c1, c2, l2, l3, l4 = (
        config.channels(128),
        *(EXPANSION * config.channels(planes) for planes in (64, 128, 256, 512)),
    )
    pixels = buffer(geometry.x, INPUT_CHANNELS, 4)
    strip = buffer(geometry.c1, c1) + buffer(geometry.c2, c2)
    second = features(l2, 8)
    # A block holds its input, its result (in place unless it projects) and, padded
    # and not, what its 3x3 convolution reads.
    block = max(
        second + features(l2 // EXPANSION, 8) * 2,
        second + features(l3, 16) + features(l3 // EXPANSION, 8) * 2,
        features(l3 + l4 + l4 // EXPANSION * 2, 16),
    )
    context = features(l4 + 8 * config.channels(256), 16)
    deep = max(block, 2 * features(l4, 16), context)
    kept = strip if geometry.strips == 1 else 0
    network = max(kept + deep, strip + pixels + second)
    outside = batch * height * width * 12  # image, trimap, alpha and a copy of each
    if jax.default_backend() == "cpu":
        tile = geometry.tile[0] * geometry.tile[1] / (CPU_TILE[0] * CPU_TILE[1])
        return int(
            PROCESS_BYTES
            + 1.5 * weight_bytes
            + WORK_BYTES * max(1, batch * tile)
            + network
            + outside
        )
    tile_bytes = 1000 * batch * geometry.tile[0] * geometry.tile[1]
    return int(weight_bytes + network + tile_bytes)


def _free_bytes() -> int:
    """Memory that the device has left for this process."""
    if jax.default_backend() == "cpu":
        return available_bytes()
    stats = jax.devices()[0].memory_stats() or {}
    limit = stats.get("bytes_limit", 8 * GIGABYTE)
    return int(DEVICE_SHARE * limit) - stats.get("bytes_in_use", 0)
