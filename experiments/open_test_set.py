"""Make the open test set: rendered subjects over photos, as Composition-1k is made.

    python -m experiments.open_test_set --subjects=data/subjects/test \\
        --backgrounds=data/open/backgrounds/test --folder=data/open-test

Subjects are cut-outs with straight colours, KIND-SEED.png. Each is laid over 20
backgrounds: `tmfnet eval open FOLDER` composes them by the rules of Composition-1k.
Written are fg, alpha, trimaps, bg and the two lists of names, LICENSE, the rows of the
backgrounds' sources.csv, recipe.json and SHA256SUMS. All of it follows from the inputs
and a fixed seed, to the byte. The same command goes on where it was ended, and mends
files that no longer are what SHA256SUMS says.

A trimap is the alpha eroded and dilated by ellipses, as in training; their sizes are
drawn for each image from TRIMAP_KERNEL_PX. Where one would leave less than
MIN_LABEL_SHARE of the picture for a label, it is halved until it does not: all three
labels are in every trimap.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from experiments import launch
from experiments.background_choice import choose_backgrounds, mean_colour
from experiments.image_sources import SOURCES_FILE, sources_of
from input_pipeline.evaluation_data.composition_benchmarks import (
    BACKGROUND_NAMES,
    FOREGROUND_NAMES,
    read_plan,
)
from input_pipeline.evaluation_data.dataset_files import open_files
from input_pipeline.evaluation_data.open_benchmark import (
    OPEN_TEST,
    SUMS_FILE,
    counted_files,
    official_note,
    parse_sums,
    sha256,
    sums_digest,
    sums_text,
)
from input_pipeline.evaluation_data.pillow_images import decode_colours, require_pillow
from input_pipeline.protocol.trimap_synthesis import quick_trimap
from input_pipeline.training_data.image_files import (
    ForegroundFiles,
    read_foreground,
    some,
)
from tmfnet_jax.batch import say
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation_records import read_manifest
from tmfnet_jax.files import atomic_write
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND, TRIMAP_VALUES

SEED = 20_170  # of all draws
EACH = OPEN_TEST.backgrounds_each
ALIKE = 4  # of a subject's backgrounds, those of its own colour
TRIMAP_KERNEL_PX = (5, 29)  # both included; training draws from 1 to 29
MIN_LABEL_SHARE = 0.001
EXPECTED_PX = 768  # sides of a subject, at least, for the real set
RECIPE_FILE = "recipe.json"
LICENCE_FILE = "LICENSE"
LICENCE = f"""\
SPDX-License-Identifier: CC0-1.0

The subjects, their alphas and trimaps (fg, alpha, trimaps) and the lists of names
are rendered or computed by a program of this project. To the extent possible under
law, their makers have waived all copyright and related or neighbouring rights to
them: CC0 1.0 Universal, https://creativecommons.org/publicdomain/zero/1.0/legalcode

The backgrounds (bg) are photos of others, each under its own licence: see
{SOURCES_FILE} in this folder, where there is one.
"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*-[0-9]+\.png")
_BACKGROUND_SUFFIXES = (".png", ".jpg", ".jpeg")  # as the rules of composition read


def make_set(subjects: Path, backgrounds: Path, folder: Path) -> dict[str, str]:
    """Make the set, or what of it is not there yet.

    Args:
      subjects: folder of cut-outs.
      backgrounds: folder of photos, at least 20, as JPEG or PNG.
      folder: where to; created if missing.
    Returns:
      Of each file that counts its path in the set and its SHA-256.
    Raises:
      InputError: inputs that are missing, misnamed, damaged or there twice, a
        subject without opaque or clear pixels, or a folder that holds something
        else.
    """
    require_pillow("composing")
    cutouts = _subjects(subjects)
    photos = _photos(backgrounds)
    target = _Folder(folder, _recipe(cutouts, photos))
    names = [path.name for path in cutouts]
    colours, small = [], []
    for path in tqdm(cutouts, "subjects", disable=None):
        image, alpha = _read(path)
        colours.append(mean_colour(image, alpha))
        if min(alpha.shape) < EXPECTED_PX:
            small.append(path.name)
    if small:
        say(f"note: smaller than {EXPECTED_PX} pixels, as for a try: {some(small)}")
    scenery = [
        mean_colour(decode_colours(path.read_bytes(), name=str(path)))
        for path in tqdm(photos, "backgrounds", disable=None)
    ]
    rows = choose_backgrounds(
        np.array(colours),
        np.array(scenery),
        each=EACH,
        alike=ALIKE,
        rng=np.random.default_rng(SEED),
    )
    used = [photos[number] for row in rows for number in row]
    target.put(FOREGROUND_NAMES, lambda: _lines(names))
    target.put(BACKGROUND_NAMES, lambda: _lines([path.name for path in used]))
    for photo in sorted(set(used)):
        target.put(f"bg/{photo.name}", photo.read_bytes)
    for cutout in tqdm(cutouts, "trimaps", unit="subject", disable=None):
        _put_subject(target, cutout)
    target.write(LICENCE_FILE, LICENCE.encode())
    if sources := sources_of(backgrounds, {path.name for path in used}):
        target.write(SOURCES_FILE, sources)
    return target.finish(subjects=len(cutouts))


def draw_trimap(alpha: np.ndarray, *, name: str, number: int) -> np.ndarray:
    """Make the trimap of a subject over its background of this number.

    Args:
      alpha: uint8 [H, W].
      name: of the subject's file: what chance depends on, with the number.
      number: of the background.
    Returns:
      uint8 [H, W] of 0, 128 and 255, all of which appear.
    Raises:
      InputError: an alpha without pixels that are opaque, clear, or become unknown.
    """
    rng = np.random.default_rng([SEED, number, *name.encode()])
    low, high = TRIMAP_KERNEL_PX
    erosion, dilation = rng.integers(low, high, 2, endpoint=True).tolist()
    while True:
        trimap = quick_trimap(alpha, erosion_px=erosion, dilation_px=dilation)
        opaque, clear = (
            np.count_nonzero(trimap == label) >= MIN_LABEL_SHARE * trimap.size
            for label in (TRIMAP_FOREGROUND, TRIMAP_BACKGROUND)
        )
        if (opaque or erosion == 1) and (clear or dilation == 1):
            break
        erosion = erosion if opaque else max(1, erosion // 2)
        dilation = dilation if clear else max(1, dilation // 2)
    if not np.isin(TRIMAP_VALUES, trimap).all():
        raise InputError(
            f"{name}: its alpha gives no trimap with all three labels; expected "
            "opaque and clear pixels"
        )
    return trimap


def png(image: np.ndarray) -> bytes:
    """Encode a PNG file whose bytes follow from the pixels, whatever OpenCV is there.

    One filter, one level of zlib, no other chunks.

    Args:
      image: uint8 [H, W] grey or [H, W, 3] RGB.
    """
    height, width = image.shape[:2]
    rows = image.reshape(height, -1)
    filtered = np.full(
        (height, rows.shape[1] + 1), 2, np.uint8
    )  # 2: less the row above
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]
    kind = 2 if image.ndim == 3 else 0
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(filtered.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


class _Folder:
    """The set's folder: a file that is there and whole is not made again."""

    def __init__(self, root: Path, recipe: dict):
        """Begin a set, or go on with one of the same recipe."""
        self._root = root
        self._sums: dict[str, str] = {}
        path = root / RECIPE_FILE
        if path.exists():
            if read_manifest(path) != recipe:
                raise InputError(
                    f"{root}: holds a set of other subjects, backgrounds or rules; "
                    "use another folder"
                )
            sums = root / SUMS_FILE
            if sums.exists():
                self._sums = parse_sums(sums.read_bytes(), called=str(sums))
            return
        # Hidden files are what writing that was killed leaves.
        if root.exists() and any(p.name[0] != "." for p in root.iterdir()):
            raise InputError(
                f"{root}: is not empty and holds no test set; use another folder"
            )
        self.write(RECIPE_FILE, (json.dumps(recipe, indent=2) + "\n").encode())

    def put(self, name: str, make: Callable[[], bytes]) -> None:
        """Write what `make` returns unless it is there."""
        path = self._root / name
        if path.exists():
            stated = self._sums.get(name)
            if stated is None or sha256(path.read_bytes()) == stated:
                return
        self.write(name, make())

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(data)

    def finish(self, *, subjects: int) -> dict[str, str]:
        """Write SHA256SUMS; return its lines as path and SHA-256."""
        files = open_files(self._root)
        spec = dataclasses.replace(OPEN_TEST, foregrounds=subjects)
        sums = {
            name: sha256(files.read(name))
            for name in counted_files(read_plan(files, "", spec))
        }
        self.write(SUMS_FILE, sums_text(sums).encode())
        return sums


def _put_subject(target: _Folder, cutout: Path) -> None:
    """Write colours, alpha and trimaps of a subject; it is read if any is lacking."""
    read = functools.cache(functools.partial(_read, cutout))
    target.put(f"fg/{cutout.name}", lambda: png(read()[0]))
    target.put(f"alpha/{cutout.name}", lambda: png(read()[1]))
    for number in range(EACH):

        def trimap(number: int = number) -> bytes:
            return png(draw_trimap(read()[1], name=cutout.name, number=number))

        target.put(f"trimaps/{cutout.stem}_{number}.png", trimap)


def _subjects(folder: Path) -> list[Path]:
    found = _pictures(folder, (".png",))
    bad = [path.name for path in found if not _NAME.fullmatch(path.name)]
    if bad:
        raise InputError(
            f"{folder}: has {some(bad)}; expected names like fur-0003.png, KIND-SEED"
        )
    return found


def _photos(folder: Path) -> list[Path]:
    found = _pictures(folder, _BACKGROUND_SUFFIXES)
    bad = [
        p.name for p in found if p.name != p.name.strip() or not p.name.isprintable()
    ]
    if bad:
        raise InputError(f"{folder}: cannot list {bad[0]!a} in a text; rename it")
    if len(found) < EACH:
        raise InputError(
            f"{folder}: has {len(found)} photos ({', '.join(_BACKGROUND_SUFFIXES)}); "
            f"expected at least {EACH}, better {EACH} for each subject"
        )
    return found


def _pictures(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path")
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )
    if not found:
        raise InputError(f"{folder}: has no pictures ({', '.join(suffixes)})")
    return found


def _recipe(cutouts: Sequence[Path], photos: Sequence[Path]) -> dict:
    """State all that the set follows from."""
    return {
        "version": 1,
        "seed": SEED,
        "backgrounds_each": EACH,
        "of_alike_colour": ALIKE,
        "trimap_kernel_px": list(TRIMAP_KERNEL_PX),
        "min_label_share": MIN_LABEL_SHARE,
        "subjects": len(cutouts),
        "subjects_sha256": _inputs_digest(cutouts),
        "backgrounds": len(photos),
        "backgrounds_sha256": _inputs_digest(photos),
    }


def _inputs_digest(paths: Sequence[Path]) -> str:
    """Return the joint digest of files; InputError where two are the same."""
    names: dict[str, str] = {}
    for path in paths:
        digest = sha256(path.read_bytes())
        if digest in names:
            raise InputError(
                f"{path.parent}: {names[digest]} and {path.name} are the same file; "
                "take one away"
            )
        names[digest] = path.name
    return sums_digest({name: digest for digest, name in names.items()})


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a subject: uint8 [H, W, 3] straight colours and uint8 [H, W] alpha."""
    image, alpha = read_foreground(ForegroundFiles(path.stem, path, None))
    if alpha.max() < 255 or alpha.min() > 0:
        lacks = "opaque" if alpha.max() < 255 else "clear"
        raise InputError(
            f"{path}: has no {lacks} pixel; a trimap needs some, take the file away"
        )
    return image, alpha


def _lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def main() -> None:
    """Make the set and say what it is."""
    options = flags.FLAGS
    folder = Path(options.folder)
    sums = make_set(Path(options.subjects), Path(options.backgrounds), folder)
    counts = collections.Counter(name.partition("/")[0] for name in sums)
    print(
        f"{folder}: {counts['fg']} subjects over {counts['bg']} backgrounds, "
        f"{counts['trimaps']} images"
    )
    print(official_note(sums_digest(sums)))


if __name__ == "__main__":
    flags.DEFINE_string("subjects", None, "Folder of cut-outs.", required=True)
    flags.DEFINE_string("backgrounds", None, "Folder of photos.", required=True)
    flags.DEFINE_string("folder", "data/open-test", "Where the set goes.")
    launch.run(main)
