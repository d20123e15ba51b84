"""Tiny data sets in the layouts of the real ones, with random pixels."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from experiments.open_test_set import make_set
from input_pipeline.evaluation_data.composition_benchmarks import CompositionSpec
from input_pipeline.procedural.synthetic import SyntheticSource
from tmfnet_jax.images import write_image

HEIGHT, WIDTH = 9, 12
STEMS = ("lace", "girl.b", "web_1", "veil")  # with a dot and with a number at its end
# Backgrounds smaller than foregrounds in neither, both, and one direction.
BACKGROUND_SIZES = ((20, 25), (5, 6), (30, 7), (4, 40), (9, 12))


def rng(*seeds: int) -> np.random.Generator:
    return np.random.default_rng(seeds)


def colours(*seeds: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    return rng(*seeds).integers(0, 256, (*size, 3), np.uint8)


def alpha(*seeds: int) -> np.ndarray:
    """Opaque to the left, clear to the right, anything between."""
    values = rng(*seeds).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    values[:, :3], values[:, -3:] = 255, 0
    return values


def trimap(*seeds: int) -> np.ndarray:
    labels = np.full((HEIGHT, WIDTH), 128, np.uint8)
    labels[:, : rng(*seeds).integers(1, 4)], labels[:, -1:] = 255, 0
    return labels


def three_channels(grey: np.ndarray) -> np.ndarray:
    return np.dstack([grey] * 3)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, pixels)


def triples(root: Path, *, names: Iterable[str], trimaps: str = "trimap") -> Path:
    """Write image, trimap and alpha of each name."""
    for number, name in enumerate(names):
        save(root / "image" / f"{name}.png", colours(number, 0))
        save(root / trimaps / f"{name}.png", trimap(number, 1))
        save(root / "alpha" / f"{name}.png", alpha(number, 2))
    return root


def alphamatting(
    root: Path, *, names: Iterable[str], image: str, trimaps: Iterable[str], truth: str
) -> Path:
    """Write images, several trimaps and, unless `truth` is "", alphas.

    All files have three channels, as the site's have.
    """
    for number, name in enumerate(names):
        save(root / image / f"{name}.png", colours(number, 0))
        for kind, folder in enumerate(trimaps):
            labels = three_channels(trimap(number, 1, kind))
            save(root / folder / f"{name}.png", labels)
        if truth:
            save(root / truth / f"{name}.png", three_channels(alpha(number, 2)))
    return root


def composition(top: Path, backgrounds: Path, spec: CompositionSpec) -> None:
    """Write a composed set and its photos; `top` gets the lists of names."""
    images = top / spec.images_folder
    foreground_names, background_names = [], []
    for i, stem in enumerate(STEMS[: spec.foregrounds]):
        foreground_names.append(f"{stem}.png")
        save(images / "fg" / f"{stem}.png", colours(i, 0))
        save(images / "alpha" / f"{stem}.png", alpha(i, 1))
        for j in range(spec.backgrounds_each):
            save(images / "trimaps" / f"{stem}_{j}.png", trimap(i, j, 2))
            size = BACKGROUND_SIZES[j % len(BACKGROUND_SIZES)]
            name = f"2007_{i:03}{j:03}.jpg"
            background_names.append(name)
            save(backgrounds / name, colours(i, j, 3, size=size))
    # Windows line ends and blank lines, as text files gather them.
    top.joinpath("test_fg_names.txt").write_bytes(
        "\r\n".join([*foreground_names, "", ""]).encode()
    )
    top.joinpath("test_bg_names.txt").write_text("\n".join(background_names) + "\n")


def zipped(folder: Path, file: Path, *, below: str = "", **options) -> Path:
    """Pack a folder; its files lie in the folder `below` of the zip file."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            archive.write(path, f"{below}{name}", **options)
        archive.writestr("__MACOSX/._test_fg_names.txt", b"left by a file manager")
    return file


def open_inputs(root: Path, *, subjects: Iterable[str], photos: int) -> None:
    """Write rendered cut-outs of these names, and photos with their csv of sources."""
    source = SyntheticSource(seed=8, size=(64, 72))
    for number, name in enumerate(subjects):
        save(root / "subjects" / name, np.dstack(source.foreground(number)))
    for number in range(photos):
        size = BACKGROUND_SIZES[number % len(BACKGROUND_SIZES)]
        save(root / "photos" / f"p{number:02}.jpg", colours(number, 4, size=size))
    rows = "".join(f"photos/p{number:02}.jpg,CC0-1.0\n" for number in range(photos))
    (root / "photos" / "sources.csv").write_text(f"image,licence\n{rows}")


def make_open_set(root: Path, subjects: Iterable[str]) -> Path:
    """Make a small open test set, ROOT/set, of `open_inputs`; return ROOT."""
    open_inputs(root, subjects=subjects, photos=23)
    make_set(root / "subjects", root / "photos", root / "set")
    return root
