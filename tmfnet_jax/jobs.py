"""What there is to do: photos, the trimap of each, where its matte goes; a tally."""

from __future__ import annotations

import contextlib
import functools
import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tmfnet_jax.errors import EXPECTED_ERRORS, InputError, reason

IMAGE_SUFFIXES = (
    *(".avif", ".bmp", ".exr", ".hdr", ".jp2", ".jpeg", ".jpg"),
    *(".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
# What may follow the photo's name in that of its trimap.
TRIMAP_ENDINGS = ("", "_trimap", "-trimap", "_mask", "-mask")


@dataclass(frozen=True)
class Job:
    """One photo to matte."""

    image: Path
    trimap: Path
    output: Path

    def __str__(self) -> str:
        """Name it by its photo."""
        return str(self.image)


@dataclass(frozen=True)
class Failure:
    """A photo, or an argument that should name some, and why it gave nothing."""

    name: str
    reason: str

    def __str__(self) -> str:
        """One line that names what failed."""
        reason = " ".join(self.reason.split())
        return reason if reason.startswith(self.name) else f"{self.name}: {reason}"


@dataclass
class Tally:
    """What became of the photos; filled while they are worked on."""

    done: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    def __str__(self) -> str:
        """One line: counts, and the time a finished photo took on average."""
        pace = f", {self.seconds / self.done:.2f} s per image" if self.done else ""
        failed = len(self.failures)
        there = " (exist already; --overwrite makes them anew)" * bool(self.skipped)
        return f"{self.done} done, {self.skipped} skipped{there}, {failed} failed{pace}"

    @contextlib.contextmanager
    def attempt(self, job: object) -> Iterator[None]:
        """Turn what one job can bring about into a failure, named str(job)."""
        try:
            yield
        except EXPECTED_ERRORS as error:
            self.failures.append(Failure(str(job), reason(error)))


def find_jobs(
    inputs: Iterable[str],
    *,
    trimaps: Path,
    output: Path,
    suffix: str,
    recursive: bool = False,
    overwrite: bool = False,
) -> tuple[list[Job], Tally]:
    """Find the photos to matte, the trimap of each and where its matte goes.

    A trimap has its photo's name, perhaps followed by "_trimap" or "_mask", and
    any image suffix. Photos from subfolders have trimaps and outputs in subfolders
    of the same names. A file that is the trimap of a photo is no photo itself, so
    both kinds can share a folder.

    Args:
      inputs: image files, folders of them, and glob patterns.
      trimaps: folder of the trimaps.
      output: folder of the results, which need not exist.
      suffix: of the results, with its dot.
      recursive: search the subfolders of folders too.
      overwrite: also return jobs whose output exists, which count as skipped
        otherwise.
    Returns:
      Jobs in the order of the inputs, and a tally of the skipped and of the
      failed: no trimap, several trimaps, an input that names no image.
    Raises:
      InputError: no image at all, two photos with one output, or an output
        folder that holds inputs; nothing should be started then.
    """
    for folder, what in ((trimaps, "trimaps"), (output, "outputs")):
        if not folder.is_dir() and (folder.exists() or folder is trimaps):
            kind = "is a file" if folder.exists() else "no such folder"
            raise InputError(f"{folder}: {kind}; give the folder of the {what}")
    tally = Tally()
    photos: dict[Path, Path] = {}
    for text in inputs:
        try:
            photos |= _photos(text, recursive=recursive, apart=(trimaps, output))
        except InputError as error:
            tally.failures.append(Failure(text, str(error)))
    if not photos:
        raise InputError("; ".join(map(str, tally.failures)))

    listing = functools.cache(images_by_stem)
    matches: dict[Path, Path] = {}
    reasons: dict[Path, str] = {}
    for image, below in photos.items():
        try:
            matches[image] = _trimap_of(image, trimaps / below, listing)
        except InputError as error:
            reasons[image] = str(error)
    pairs = {os.path.realpath(i): os.path.realpath(t) for i, t in matches.items()}
    # Of two that match each other nobody can tell which is the trimap: a clash.
    used = {trimap for image, trimap in pairs.items() if pairs.get(trimap) != image}
    targets = {
        image: output / below / f"{image.stem}{suffix}"
        for image, below in photos.items()
        if os.path.realpath(image) not in used
    }
    _refuse_clashes(targets, pairs.values())

    jobs = []
    for image, target in targets.items():
        if not overwrite and target.is_file():
            tally.skipped += 1
        elif image in reasons:
            tally.failures.append(Failure(str(image), reasons[image]))
        else:
            jobs.append(Job(image, matches[image], target))
    return jobs, tally


def _photos(text: str, *, recursive: bool, apart: Iterable[Path]) -> dict[Path, Path]:
    """Return the images that an argument names, each with its subfolder."""
    path = Path(text)
    if path.is_dir():
        found = dict(_walk(path, {os.path.realpath(p) for p in apart}, recursive))
        if not found:
            deeper = "" if recursive else "; --recursive searches its folders too"
            raise InputError(f"{text}: a folder without images{deeper}")
        return found
    if path.exists():
        return {path: Path()}
    matches = map(Path, glob.glob(os.path.expanduser(text), recursive=True))
    images = sorted(match for match in matches if not match.is_dir())
    if not images:
        raise InputError(f"{text}: no such file or folder; searched from {Path.cwd()}")
    return dict.fromkeys(images, Path())


def _walk(top: Path, apart: set[str], recursive: bool) -> Iterator[tuple[Path, Path]]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be searched ({error.strerror})")

    for folder, inner, names in os.walk(top, onerror=refuse):
        here = Path(folder)
        for name in sorted(names):
            if _is_image(name):
                yield here / name, here.relative_to(top)
        inner[:] = sorted(
            name
            for name in inner
            if recursive
            and not name.startswith(".")
            and os.path.realpath(here / name) not in apart
        )


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def images_by_stem(folder: Path) -> dict[str, list[Path]]:
    """List the images of a folder, none if it is absent, by names without suffix."""
    images: dict[str, list[Path]] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if _is_image(path.name) and path.is_file():
                images.setdefault(path.stem, []).append(path)
    return images


def _trimap_of(
    image: Path, folder: Path, listing: Callable[[Path], dict[str, list[Path]]]
) -> Path:
    found = [
        path
        for ending in TRIMAP_ENDINGS
        for path in listing(folder).get(image.stem + ending, ())
        if path.name != image.name or os.path.realpath(path) != os.path.realpath(image)
    ]
    if not found:
        raise InputError(
            f"{image}: no trimap in {folder}; expected {image.stem}.png, "
            f"{image.stem}_trimap.png or another image suffix"
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{image}: several trimaps in {folder}: {names}; keep one")
    return found[0]


def _refuse_clashes(targets: Mapping[Path, Path], trimaps: Iterable[str]) -> None:
    """Raise unless every image has an output of its own, apart from all inputs."""
    makers: dict[Path, Path] = {}
    for image, target in targets.items():
        if makers.setdefault(target, image) != image:
            raise InputError(
                f"{makers[target]} and {image} would both be written to {target}; "
                "run them apart, with two output folders"
            )
    sources = {os.path.realpath(image) for image in targets}.union(trimaps)
    places = {os.path.dirname(source) for source in sources}
    places |= {os.path.realpath(image.parent) for image in targets}
    for target in targets.values():
        if os.path.realpath(target.parent) in places:
            raise InputError(
                f"{target.parent}: is a folder of inputs; choose another output"
            )
        if os.path.realpath(target) in sources:  # a link that was there before
            raise InputError(f"{target}: is an input; choose another output")
