"""Examples to measure a matting method on: generated ones, or a folder's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from input_pipeline.sample import Recipe, make_sample
from input_pipeline.synthetic import SyntheticSource
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_alpha, read_image, read_mask
from tmfnet_jax.trimap import TRIMAP_VALUES, canonical_trimap

GENERATED_SEED = 1_000_003  # far from the seeds that trainings use
GENERATED_SIZE_PX = 256


@dataclass(frozen=True)
class Example:
    """One image of an evaluation set; all arrays uint8.

    Attributes:
      name: of the image, without its suffix.
      image: [H, W, 3] RGB.
      trimap: [H, W] with values 0, 128, 255.
      alpha: [H, W], the truth.
    """

    name: str
    image: np.ndarray
    trimap: np.ndarray
    alpha: np.ndarray


def generated_set(count: int) -> Iterator[Example]:
    """Yield the fixed generated set: the first `count` of an endless series.

    Composites of procedural subjects that no training seed draws, without the
    recipe's jitter, affine and second foreground, and with all three labels in
    the trimap, because classical methods need known pixels of both kinds.
    """
    size = (GENERATED_SIZE_PX, GENERATED_SIZE_PX)
    source = SyntheticSource(seed=GENERATED_SEED, size=size)
    recipe = Recipe(
        crop_px=GENERATED_SIZE_PX,
        second_foreground_probability=0,
        jitter=False,
        affine=False,
    )
    samples = (
        make_sample(source, recipe, seed=GENERATED_SEED, index=index)
        for index in itertools.count()
    )
    complete = (s for s in samples if np.isin(TRIMAP_VALUES, s["trimap"]).all())
    for number, sample in enumerate(itertools.islice(complete, count)):
        yield Example(
            f"generated-{number:03}",
            sample["image"],
            sample["trimap"][..., 0],
            sample["alpha"][..., 0],
        )


def folder_set(folder: Path, *, trimaps: str = "trimap") -> Iterator[Example]:
    """Yield the triples of FOLDER/image, FOLDER/<trimaps> and FOLDER/alpha.

    Args:
      folder: holds the three folders; files belong together by their stem.
      trimaps: name of the folder of trimaps, where there are several.
    Raises:
      InputError: a folder or a file is missing (all names at once, before the
        first example), or unreadable, or of another size.
    """
    stems = {name: _by_stem(folder / name) for name in ("image", trimaps, "alpha")}
    missing = [
        f"{name}/{stem}"
        for name, files in stems.items()
        for stem in stems["image"]
        if stem not in files
    ]
    if missing or not stems["image"]:
        what = f"lacks {', '.join(missing)}" if missing else "holds no images"
        raise InputError(f"{folder}: {what}; expected one file each per image")
    return (
        _read_example(stem, *(files[stem] for files in stems.values()))
        for stem in sorted(stems["image"])
    )


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; "
            "expected folders image, alpha and one of trimaps"
        )
    return {path.stem: path for path in sorted(folder.iterdir()) if path.is_file()}


def _read_example(name: str, image: Path, trimap: Path, alpha: Path) -> Example:
    pixels = read_image(image)
    if pixels.dtype == np.uint16:
        pixels = np.round(pixels / 257).astype(np.uint8)
    truth = np.round(read_alpha(alpha) * 255).astype(np.uint8)
    try:
        labels, _ = canonical_trimap(read_mask(trimap))
    except InputError as error:
        raise InputError(f"{trimap}: {error}") from None
    sizes = {a.shape[:2] for a in (pixels, labels, truth)}
    if len(sizes) > 1:
        raise InputError(
            f"{name}: image, trimap and alpha differ in size: "
            f"{', '.join(f'{w}x{h}' for h, w in sorted(sizes))}"
        )
    return Example(name, pixels, labels, truth)
