"""The files of a data set, in a folder or in a zip that is never unpacked."""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Protocol

from tmfnet_jax.errors import InputError

# Of one file: four times what the largest test images have before compression.
MAX_FILE_BYTES = 2**28
SEARCH_DEPTH = 3  # folders below the one given

# What damaged zip files bring about; NotImplementedError: features Python lacks.
_ZIP_FAILURES = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class DatasetFiles(Protocol):
    """Files by paths with "/" between their parts; "" is the top folder.

    Hidden files, such as file managers leave, are not seen. All methods can be
    called from several threads at once.
    """

    def describe(self, path: str) -> str:
        """Return what messages call a file or folder."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files in a folder; none if it is absent."""
        ...

    def folders_with(self, name: str) -> list[str]:
        """Return the sorted folders that hold a file of this name."""
        ...

    def read(self, path: str) -> bytes:
        """Read a file.

        Raises:
          InputError: absent, larger than MAX_FILE_BYTES, damaged or protected.
        """
        ...


def open_files(place: Path) -> DatasetFiles:
    """Open a folder or a zip file.

    Raises:
      InputError: neither of them, or the zip file is damaged.
    """
    if place.is_dir():
        return FolderFiles(place)
    if place.is_file():
        return ZipFiles(place)
    raise InputError(f"{place}: no such folder or zip file; check the path")


def join(folder: str, name: str) -> str:
    """Join the parts of a path of DatasetFiles."""
    return "/".join(part for part in (folder, name) if part)


class FolderFiles:
    """DatasetFiles of a folder; SEARCH_DEPTH folders deep are searched."""

    def __init__(self, folder: Path):
        self._folder = folder

    def describe(self, path: str) -> str:
        """Return what messages call a file or folder."""
        return str(self._folder / path)

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files in a folder; none if it is absent."""
        place = self._folder / folder
        if not place.is_dir():
            return []
        try:
            with os.scandir(place) as entries:
                return sorted(
                    e.name for e in entries if _visible(e.name) and e.is_file()
                )
        except OSError as error:
            raise InputError(
                f"{place}: cannot be listed ({error.strerror}); check its rights"
            ) from None

    def folders_with(self, name: str) -> list[str]:
        """Return the sorted folders that hold a file of this name."""
        found = []
        # Folders that may not be read are passed over, linked ones are entered.
        for top, folders, files in os.walk(self._folder, followlinks=True):
            path = Path(top).relative_to(self._folder)
            deep = len(path.parts) == SEARCH_DEPTH
            folders[:] = [] if deep else [f for f in folders if _visible(f)]
            if name in files:
                found.append("/".join(path.parts))
        return sorted(found)

    def read(self, path: str) -> bytes:
        """Read a file; InputError where that fails or it is too large."""
        file = self._folder / path
        try:
            if file.exists() and not file.is_file():  # a pipe could wait forever
                raise InputError(f"{file}: is no regular file; put the original there")
            _check_size(str(file), file.stat().st_size)
            return file.read_bytes()
        except OSError as error:
            raise InputError(
                f"{file}: cannot be read ({error.strerror}); check the path and its "
                "rights"
            ) from None


class ZipFiles:
    """DatasetFiles of a zip file, read in place."""

    def __init__(self, file: Path):
        """Read the directory of the zip file; InputError where it is damaged."""
        self._file = file
        try:
            self._zip = zipfile.ZipFile(file)
        except _ZIP_FAILURES as error:
            raise InputError(
                f"{file}: is cut short, damaged or no zip file ({_words(error)}); copy "
                "or download it again, or give an unpacked folder"
            ) from None
        self._lock = threading.Lock()  # zipfile does not promise to have its own
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._listing: dict[str, list[str]] = defaultdict(list)
        for member in self._zip.infolist():
            path = PurePosixPath(member.filename.replace("\\", "/"))
            if member.is_dir() or not all(map(_visible, path.parts)):
                continue
            if str(path) not in self._members:
                self._listing["/".join(path.parent.parts)].append(path.name)
            self._members[str(path)] = member

    def describe(self, path: str) -> str:
        """Return what messages call a file or folder."""
        return f"{self._file}: {path}" if path else str(self._file)

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files in a folder; none if it is absent."""
        return sorted(self._listing.get(folder, ()))

    def folders_with(self, name: str) -> list[str]:
        """Return the sorted folders that hold a file of this name."""
        return sorted(f for f, names in self._listing.items() if name in names)

    def read(self, path: str) -> bytes:
        """Read a file; InputError where that fails or it is too large."""
        called = self.describe(path)
        member = self._members.get(path)
        if member is None:
            raise InputError(f"{called}: is not in the zip file; get the whole one")
        _check_size(called, member.file_size)
        if member.flag_bits & 1:
            raise InputError(
                f"{called}: is encrypted; unpack the zip file with its password and "
                "give the folder"
            )
        if member.compress_type not in _COMPRESSIONS:
            raise InputError(
                f"{called}: has compression {member.compress_type}, which is not "
                "supported; unpack the zip file and give the folder"
            )
        try:
            # Asking for a number of bytes bounds what a false header can claim.
            with self._lock, self._zip.open(member) as file:
                data = file.read(member.file_size)
        except _ZIP_FAILURES as error:
            raise InputError(_damaged(called, _words(error))) from None
        if len(data) != member.file_size:
            raise InputError(_damaged(called, f"{len(data)} of {member.file_size} B"))
        return data


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _check_size(called: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise InputError(
            f"{called}: has {size} bytes; expected at most {MAX_FILE_BYTES}: put the "
            "original file there"
        )


def _damaged(called: str, why: str) -> str:
    return f"{called}: is damaged ({why}); copy or download the zip file again"


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
