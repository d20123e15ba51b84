"""Backgrounds for matting: hundreds of pictures out of few photos and panoramas.

Crops of photos, views into panoramas, and generated scenes; a part of each is out of
focus, as backgrounds are. No photo and no place is both in `train` and in `test`.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from experiments.developing import is_bare
from experiments.image_sources import SOURCES_FILE, ImageSource, write_sources
from experiments.panoramas import exr_library, read_panorama, view
from experiments.photo_crops import crop, crop_count, encode_jpeg, read_photo
from input_pipeline.procedural.backdrops import backdrop
from input_pipeline.training_data.image_files import some
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

FOLDER = "backgrounds"
TEST_PHOTOS = frozenset(
    {"aitzgorri_by_Aitzol_Berasategi", "seeding_by_Clements_Engelhardt", "china"}
    | {"Kleiber_by_Lukas_Baubkus", "gravel"}
)
TEST_PANORAMAS = frozenset(
    {"bpy_courtyard", "bpy_interior", "assets_city", "assets_dawn"}
    | {"assets_esplanade", "assets_lab", "assets_park"}
)
CROPS = {"train": 12, "test": 24}  # of a photo, at most
VIEWS = {"train": 17, "test": 32}  # of a panorama
GENERATED = {"train": 150, "test": 100}
GENERATED_PX = 768
_LEAST_MEAN = 40  # of a generated scene's values; darker ones show little
_TRIES = 8
GENERATED_SOURCE = ImageSource(
    image="generated",
    package="tmfnet_jax",
    version="",
    file="input_pipeline/procedural/backdrops.py",
    author="the authors of tmfnet_jax",
    licence="Apache-2.0",
    sha256="",
)


def write_backgrounds(
    folder: Path,
    *,
    photos: Sequence[ImageSource],
    panoramas: Sequence[ImageSource],
    originals: Path,
) -> list[ImageSource]:
    """Write all backgrounds that are not there yet, and the list of them.

    An image that cannot be read costs a line and its backgrounds; the rest goes on.

    Args:
      folder: where `train`, `test` and `sources.csv` go.
      photos: to cut from.
      panoramas: to look into.
      originals: the folder that the paths of both are below.
    Returns:
      The rows of `sources.csv`, in the order of the images' names.
    Raises:
      InputError: what reads panoramas is not installed, or the folders hold images
        that are not in the list.
    """
    if panoramas:
        exr_library()
    jobs = [
        *((photo, _crops, TEST_PHOTOS) for photo in photos),
        *((panorama, _views, TEST_PANORAMAS) for panorama in panoramas),
    ]
    rows: list[ImageSource] = []
    with tqdm(total=len(jobs) + len(GENERATED), unit="origin", desc=FOLDER) as bar:
        for original, backgrounds, tests in jobs:
            path = originals / original.image
            part = "test" if path.stem in tests else "train"
            try:
                makers = backgrounds(path, part)
                rows += _of_original(folder / part, original, makers)
            except InputError as error:
                tqdm.write(f"{path}: {error}; left out", file=sys.stderr)
            bar.update()
        for part, count in GENERATED.items():
            rows += _generated(folder / part, count)
            bar.update()
    rows.sort(key=lambda row: row.image)
    write_sources(folder / SOURCES_FILE, rows)
    listed = {folder / row.image for row in rows}
    others = {path for part in GENERATED for path in (folder / part).glob("*.jpg")}
    if others := others - listed:
        raise InputError(
            f"{some(sorted(map(str, others)))}: not of these packages; training and "
            "tests use all that the folders hold, move them away"
        )
    return rows


def _crops(path: Path, part: str) -> list[Callable[[], np.ndarray]]:
    photo = read_photo(path.read_bytes())
    count = crop_count(photo, CROPS[part])
    return [partial(crop, photo, path.stem, number) for number in range(count)]


def _views(path: Path, part: str) -> list[Callable[[], np.ndarray]]:
    panorama = read_panorama(path.read_bytes())
    return [partial(view, panorama, path.stem, number) for number in range(VIEWS[part])]


def _of_original(
    folder: Path, original: ImageSource, makers: Sequence[Callable[[], np.ndarray]]
) -> list[ImageSource]:
    """Write what is missing of the backgrounds out of one image."""
    stem = PurePosixPath(original.image).stem
    rows = []
    for number, make in enumerate(makers):
        path = folder / f"{stem}_{number:02d}.jpg"
        if not path.exists():
            _write(path, make())
        rows.append(replace(original, image=f"{folder.name}/{path.name}"))
    return rows


def _generated(folder: Path, count: int) -> list[ImageSource]:
    rows = []
    for number in range(count):
        path = folder / f"generated_{number:03d}.jpg"
        if not path.exists():
            _write(path, _scene(folder.name, number))
        rows.append(replace(GENERATED_SOURCE, image=f"{folder.name}/{path.name}"))
    return rows


def _scene(part: str, number: int) -> np.ndarray:
    rng = np.random.default_rng([zlib.crc32(part.encode()), number])
    for _ in range(_TRIES):
        scene = backdrop(rng, (GENERATED_PX, GENERATED_PX))
        photo = np.rint(scene * 255).astype(np.uint8)
        if photo.mean() >= _LEAST_MEAN and not is_bare(photo):
            break
    return photo


def _write(path: Path, photo: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as output:
        output.write(encode_jpeg(photo))
