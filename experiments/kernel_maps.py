"""Figure 5 of the paper: the kernels that each fusion stage predicts for a photo.

A fusion stage predicts 3x3 kernels for every pixel, one for each group of 16 channels:
144 numbers a pixel at F1 and F2, 18 at F3. Their three principal components over the
photo are drawn as red, green and blue, so that equal colours in a panel are equal
filters; the percentage is the components' share of the variance. Channels of two
trainings do not correspond, nor do their colours: compare what the maps follow. An
untrained network's follow the photo; what a trained one's follow, it has learned.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.panels import stack
from experiments.paper_results import WEIGHTS_FILE, workdir
from experiments.paper_rows import ROWS
from tmfnet_jax.errors import InputError
from tmfnet_jax.fusion import upsample_double
from tmfnet_jax.images import check_output, read_image, read_mask, write_image
from tmfnet_jax.inference import check_image, use_compile_cache
from tmfnet_jax.layers import spatial_mean
from tmfnet_jax.model import STRIDE, Fusion, TMFNet, TMFNetConfig, network_input
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.trimap import canonical_trimap, size_mismatch
from tmfnet_jax.trimap_check import overlay
from tmfnet_jax.weights import load_network

MAX_PIXELS = 2**20  # larger photos are scaled down; all features are held at once
STAGES = ("F1", "F2", "F3")
# The networks beside the untrained one: their fusion and the row whose run they are.
TRAINED: dict[str, tuple[Fusion, str]] = {
    "LF": ("lf", "table3-tmp-lf"),
    "GLF": ("glf", "table3-tmp-glf"),
}
OUTLIERS = 1  # percent at either end that may saturate
PLAIN = 230  # grey of a panel without a run


def draw_figure(
    image: Path,
    trimap: Path,
    *,
    weights: Mapping[str, Path | None],
    runs: Path,
    output: Path,
) -> None:
    """Write the figure: a column for each network, a row for each stage.

    Args:
      image: photo, scaled down where it has more than MAX_PIXELS.
      trimap: of the same size.
      weights: "LF" and "GLF" to a weights file or workdir; None takes those of the
        runs, or where there are none leaves the panels empty.
      runs: folder of the paper's runs, see `experiments.paper_results`.
      output: picture to write.
    Raises:
      InputError: unreadable files, sizes that differ, weights of other fusion.
    """
    check_output(output, channels=3, dtype="uint8")
    pixels, labels = _read(image, trimap)
    use_compile_cache()
    trained = {name: _trained(name, weights[name], runs) for name in TRAINED}
    given = [network.config for network in trained.values() if network is not None]
    config = dataclasses.replace(
        given[-1] if given else TMFNetConfig(), fusion=("glf",) * 3
    )
    columns = {"untrained": initial_network(config, seed=0), **trained}
    maps = {
        name: None if network is None else kernel_maps(network, pixels, labels)
        for name, network in columns.items()
    }
    rows = [[("photo and trimap", overlay(pixels, labels))]]
    for index, stage in enumerate(STAGES):
        rows.append(
            [
                _panel(f"{stage} {name}", found[index] if found else None, labels.shape)
                for name, found in maps.items()
            ]
        )
    write_image(output, stack(rows))
    for name, found in maps.items():
        if found is None:
            print(f"{name}: no run; give --{name.lower()} or train {TRAINED[name][1]}")
    print(f"{output}: kernels of {', '.join(STAGES)}; colours are each panel's own")


def kernel_maps(
    model: TMFNet, image: np.ndarray, trimap: np.ndarray
) -> list[np.ndarray]:
    """Predict the kernels of the three stages.

    Args:
      model: with "lf" or "glf" at all stages.
      image: [H, W, 3] RGB, uint8, uint16 or floating point in [0, 1].
      trimap: [H, W] uint8 with values 0, 128, 255.
    Returns:
      For F1, F2, F3 [H / s, W / s, 9 C3 / 16] float32, s = 4, 2, 1; padding to
      multiples of 16, by edge replication, is cropped off again.
    Source: paper, Eq. 5.
    """
    height, width = trimap.shape
    pads = ((0, -height % STRIDE), (0, -width % STRIDE))
    x = network_input(
        jnp.asarray(np.pad(check_image(image), (*pads, (0, 0)), mode="edge")[None]),
        jnp.asarray(np.pad(trimap, pads, mode="edge")[None, ..., None]),
    )
    view = nnx.view(model, use_running_average=True)
    maps = _predict(*nnx.split(view), x)
    return [
        np.asarray(kernels[0, : -(-height // step), : -(-width // step)], np.float32)
        for kernels, step in zip(maps, (4, 2, 1), strict=True)
    ]


@jax.jit(static_argnums=0)
def _predict(graph, state, x: jax.Array) -> list[jax.Array]:
    model = nnx.merge(graph, state)
    features = model.encoder(x)
    mined = model.context(features.c5, x[..., 4:5] + x[..., 5:6])
    high, vector = upsample_double(mined), spatial_mean(mined)
    maps = []
    lows = (features.c2, features.c1, x)
    for stage, low in zip(model.fusion, lows, strict=True):
        maps.append(stage.kernels(stage.mixed(high, low), vector))
        high = stage(high, low, vector)
    return maps


def principal_colours(kernels: np.ndarray) -> tuple[np.ndarray, float]:
    """Draw the three principal components of [H, W, C] kernels, C at least 3.

    Returns:
      [H, W, 3] uint8 RGB, from the 1st to the 99th percentile of each component,
      and the components' share of the variance.
    """
    values = kernels.reshape(-1, kernels.shape[-1]).astype(np.float64)
    values -= values.mean(0)
    variances, directions = np.linalg.eigh(values.T @ values)
    if not variances[-1] > 0:
        return np.full((*kernels.shape[:2], 3), PLAIN, np.uint8), 1.0
    largest = directions[:, :-4:-1]
    largest = largest * np.where(largest.sum(0) < 0, -1, 1)  # a sign of its own
    parts = values @ largest
    low, high = np.percentile(parts, (OUTLIERS, 100 - OUTLIERS), axis=0)
    scaled = (parts - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    colours = np.round(255 * scaled.clip(0, 1)).astype(np.uint8)
    share = variances[-3:].sum() / variances.sum()
    return colours.reshape(*kernels.shape[:2], 3), float(share)


def _read(image: Path, trimap: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels, values = read_image(image), read_mask(trimap)
    try:
        labels, _ = canonical_trimap(values)
    except InputError as error:
        raise InputError(f"{trimap}: {error}") from None
    if pixels.shape[:2] != labels.shape:
        raise InputError(size_mismatch(pixels, labels))
    height, width = labels.shape
    scale = min(1.0, (MAX_PIXELS / (height * width)) ** 0.5)
    if scale < 1:
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        note = f"scaled from {width}x{height} to {size[0]}x{size[1]} pixels"
        print(f"tmfnet: note: {image}: {note}", file=sys.stderr)
    return pixels, labels


def _trained(name: str, path: Path | None, runs: Path) -> TMFNet | None:
    kind, row = TRAINED[name]
    if path is None:
        path = workdir(ROWS[row], runs) / WEIGHTS_FILE
        if not path.is_file():
            return None
    network = load_network(path)
    if network.config.fusion != (kind,) * 3:
        found = ", ".join(network.config.fusion)
        raise InputError(f"{path}: has fusion {found}; expected {kind} at all stages")
    return network


def _panel(
    caption: str, kernels: np.ndarray | None, shape: tuple[int, int]
) -> tuple[str, np.ndarray]:
    """Return a panel of the photo's size with its caption."""
    if kernels is None:
        return f"{caption}: no run", np.full((*shape, 3), PLAIN, np.uint8)
    colours, share = principal_colours(kernels)
    size = (shape[1], shape[0])
    colours = cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST)
    return f"{caption}, {share:.0%} of variance", colours
