"""Packages of Debian, PyPI and npm: fetched by name, read, and their licences.

Nothing is installed. A package is fetched once into a folder and then read from there,
or from a folder of package files that is given.
"""

from __future__ import annotations

import fnmatch
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from tmfnet_jax.errors import InputError

_PIP = (sys.executable, "-m", "pip", "download", "--no-deps", "--quiet")


@dataclass(frozen=True)
class Package:
    """What is taken from a package.

    Attributes:
      name: of the package.
      kind: "debian", "python" or "npm".
      role: the folder that its images go to.
      patterns: of file names in it, with the end of their path.
      licence: of the images; empty: what the Debian package's copyright file says.
      stated: where a licence is given, a file of the package, by the end of its path,
        and words that must be in it.
      author: of the images; empty: what the Debian package's copyright file says.
      requirement: what pip is asked for, if not just the name.
      options: for pip, of a package whose wheels fit only some interpreters.
    """

    name: str
    kind: str
    role: str
    patterns: tuple[str, ...]
    licence: str = ""
    stated: tuple[str, str] = ("", "")
    author: str = ""
    requirement: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """A file of a package.

    Attributes:
      package: its name.
      version: of the package.
      path: in the package.
      author: of this file.
      licence: of this file.
      data: its bytes.
    """

    package: str
    version: str
    path: str
    author: str
    licence: str
    data: bytes


def package_file(package: Package, given: Path | None, cache: Path) -> Path:
    """Return the package's file: one that is there, or a new one.

    Args:
      package: which.
      given: folder that has the package files; None: they are fetched.
      cache: where fetched ones are kept.
    Raises:
      InputError: it is not there, or cannot be fetched.
    """
    pattern, command = _where(package)
    folder = given or cache
    if not given and not any(cache.glob(pattern)):
        cache.mkdir(parents=True, exist_ok=True)
        # Apart until it is whole: a download may be cut short.
        with tempfile.TemporaryDirectory(dir=cache) as download:
            run(command, cwd=Path(download))
            for file in Path(download).glob(pattern):
                file.rename(cache / file.name)
    found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(f"{folder}: no {pattern} there; fetch the package first")
    return found[-1]


def _where(package: Package) -> tuple[str, list[str]]:
    """Return how the package's file is called, and the command that fetches it."""
    name = package.name
    if package.kind == "debian":
        return f"{name}_*.deb", ["apt-get", "download", name]
    if package.kind == "npm":
        file = name.removeprefix("@").replace("/", "-")
        return f"{file}-[0-9]*.tgz", ["npm", "pack", "--silent", name]
    return f"{name.replace('-', '_')}-*.whl", [
        *_PIP,
        *package.options,
        package.requirement or name,
    ]


def members(package: Package, file: Path) -> Iterator[Member]:
    """Read those files of a package that are wanted of it, in the order of their paths.

    Raises:
      InputError: the package cannot be read, or states no licence for a file.
    """
    notes = f"usr/share/doc/{package.name}/copyright"
    proof, words = package.stated
    patterns = [f"*/{p}" for p in (*package.patterns, proof) if p]
    found = {
        path: data
        for path, data in _READERS[package.kind](file, (*patterns, notes))
        if package.kind == "debian" or not path.endswith("/")
    }
    stated = _statements(found.pop(notes, b"").decode("utf-8", "replace"))
    if proof:
        texts = [d for p, d in found.items() if fnmatch.fnmatch(p, f"*/{proof}")]
        if not any(words in text.decode("utf-8", "replace") for text in texts):
            raise InputError(
                f"{file}: its {proof} does not say {words!r}; the licence of its "
                "images is not known"
            )
    for path, data in sorted(found.items()):
        if any(fnmatch.fnmatch(path, f"*/{p}") for p in package.patterns):
            author, licence = package.author, package.licence
            if not licence:
                author, licence = _stated_of(path, stated)
            version = _version(package, file)
            yield Member(package.name, version, path, author, licence, data)


def _version(package: Package, file: Path) -> str:
    # A Debian version's colon is %3a in the name of its file.
    if package.kind == "npm":
        return file.stem.rpartition("-")[2]
    return unquote(file.name.split("_" if package.kind == "debian" else "-")[1])


def _fits(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def _debian_files(file: Path, patterns) -> Iterator[tuple[str, bytes]]:
    """Read regular files of a Debian package, unpacked by its own tool."""
    unpacked = io.BytesIO(run(["dpkg-deb", "--fsys-tarfile", str(file)]))
    with tarfile.open(fileobj=unpacked) as archive:
        yield from _tar_files(archive, patterns)


def _npm_files(file: Path, patterns) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(file) as archive:
            yield from _tar_files(archive, patterns)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{file}: not a whole package ({error})") from None


def _tar_files(archive, patterns) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        path = member.name.removeprefix("./")
        if member.isreg() and _fits(path, patterns):
            yield path, archive.extractfile(member).read()


def _wheel_files(file: Path, patterns) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if _fits(name, patterns):
                    yield name, archive.read(name)
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{file}: not a whole wheel ({error}); fetch it again"
        ) from None


_READERS = {"debian": _debian_files, "python": _wheel_files, "npm": _npm_files}


def _statements(copyright_file: str) -> list[tuple[str, str, str]]:
    """Read (pattern of files, author, licence) from a Debian copyright file."""
    found: list[tuple[str, str, str]] = []
    for paragraph in copyright_file.split("\n\n"):
        entries: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if not line.startswith((" ", "\t")):
                name, _, line = line.partition(":")
                entries[name] = ""
            entries[name] = f"{entries.get(name, '')} {line.strip()}"
        licence = entries.get("License", "").split()
        author = " ".join(entries.get("Copyright", "").split())
        files = entries.get("Files", "").split()
        found += [(pattern, author, licence[0]) for pattern in files if licence]
    return found


def _stated_of(path: str, statements: list[tuple[str, str, str]]) -> tuple[str, str]:
    """Return author and licence of the last pattern that fits: so is the format."""
    name = PurePosixPath(path).name
    # Patterns are of the source's folders, which are not those of the package.
    fitting = [
        (author, licence)
        for pattern, author, licence in statements
        if pattern == "*"
        or fnmatch.fnmatch(path, f"*/{pattern}")
        or name == PurePosixPath(pattern).name
    ]
    if not fitting:
        raise InputError(f"{path}: its package states no licence for it; leave it out")
    return fitting[-1]


def run(command: list[str], *, cwd: Path | None = None) -> bytes:
    """Run a program and return its output.

    Raises:
      InputError: it is not installed, or failed: with its last line.
    """
    if shutil.which(command[0]) is None:
        raise InputError(
            f"{command[0]} is not installed; fetch the packages on a system that has "
            "it and give their folder with --packages"
        )
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"{' '.join(command)}: {words[-1] if words else 'failed'}")
    return done.stdout
