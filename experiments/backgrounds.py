"""Backgrounds for matting: hundreds of pictures out of few photos and panoramas.

Crops of photos, views into panoramas, and generated scenes; a part of each is out of
focus, as backgrounds are. No photo and no place is both in `train` and in `test`.
"""

from __future__ import annotations

import csv
import io
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.developing import is_bare
from experiments.panoramas import exr_library, read_panorama, view
from experiments.photo_crops import crop, crop_count, encode_jpeg, read_photo
from input_pipeline.procedural.backdrops import backdrop
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

FOLDER = "backgrounds"
SOURCES_FILE = "sources.csv"


@dataclass(frozen=True)
class Origin:
    """A photo or panorama that backgrounds are made of.

    Attributes:
      path: of the image.
      package: where it comes from.
      version: of the package.
      file: in the package.
      licence: of the image.
      sha256: of that file.
    """

    path: Path
    package: str
    version: str
    file: str
    licence: str
    sha256: str


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
GENERATED_ORIGIN = Origin(
    Path("generated"),
    "tmfnet_jax",
    "",
    "input_pipeline/procedural/backdrops.py",
    "Apache-2.0",
    "",
)


@dataclass(frozen=True)
class Background:
    """A row of sources.csv: a background and what it was made of."""

    image: str
    package: str
    version: str
    file: str
    licence: str
    sha256: str


def write_backgrounds(
    folder: Path, photos: Sequence[Origin], panoramas: Sequence[Origin]
) -> list[Background]:
    """Write all backgrounds that are not there yet, and the list of them.

    An image that cannot be read costs a line and its backgrounds; the rest goes on.

    Args:
      folder: where `train`, `test` and `sources.csv` go.
      photos: to cut from.
      panoramas: to look into.
    Returns:
      The rows of `sources.csv`, in the order of the images' names.
    Raises:
      InputError: what reads panoramas is not installed.
    """
    if panoramas:
        exr_library()
    jobs = [
        *((photo, _crops, TEST_PHOTOS) for photo in photos),
        *((panorama, _views, TEST_PANORAMAS) for panorama in panoramas),
    ]
    rows: list[Background] = []
    with tqdm(total=len(jobs) + len(GENERATED), unit="origin", desc=FOLDER) as bar:
        for origin, backgrounds, tests in jobs:
            part = "test" if origin.path.stem in tests else "train"
            try:
                rows += _of_origin(folder / part, origin, backgrounds(origin, part))
            except InputError as error:
                tqdm.write(f"{origin.path}: {error}; left out", file=sys.stderr)
            bar.update()
        for part, count in GENERATED.items():
            rows += _generated(folder / part, count)
            bar.update()
    rows.sort(key=lambda row: row.image)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Background)])
    writer.writerows(map(astuple, rows))
    with atomic_write(folder / SOURCES_FILE) as output:
        output.write(text.getvalue().encode())
    return rows


def _crops(origin: Origin, part: str) -> list[Callable[[], np.ndarray]]:
    photo = read_photo(origin.path.read_bytes())
    count = crop_count(photo, CROPS[part])
    return [partial(crop, photo, origin.path.stem, number) for number in range(count)]


def _views(origin: Origin, part: str) -> list[Callable[[], np.ndarray]]:
    panorama = read_panorama(origin.path.read_bytes())
    return [
        partial(view, panorama, origin.path.stem, number)
        for number in range(VIEWS[part])
    ]


def _of_origin(
    folder: Path, origin: Origin, makers: Sequence[Callable[[], np.ndarray]]
) -> list[Background]:
    """Write what is missing of an origin's backgrounds."""
    rows = []
    for number, make in enumerate(makers):
        path = folder / f"{origin.path.stem}_{number:02d}.jpg"
        if not path.exists():
            _write(path, make())
        rows.append(_row(path, origin))
    return rows


def _generated(folder: Path, count: int) -> list[Background]:
    rows = []
    for number in range(count):
        path = folder / f"generated_{number:03d}.jpg"
        if not path.exists():
            _write(path, _scene(folder.name, number))
        rows.append(_row(path, GENERATED_ORIGIN))
    return rows


def _scene(part: str, number: int) -> np.ndarray:
    rng = np.random.default_rng([zlib.crc32(part.encode()), number])
    for _ in range(_TRIES):
        scene = backdrop(rng, (GENERATED_PX, GENERATED_PX))
        photo = np.rint(scene * 255).astype(np.uint8)
        if photo.mean() >= _LEAST_MEAN and not is_bare(photo):
            break
    return photo


def _row(path: Path, origin: Origin) -> Background:
    return Background(f"{path.parent.name}/{path.name}", *astuple(origin)[1:])


def _write(path: Path, photo: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as output:
        output.write(encode_jpeg(photo))
