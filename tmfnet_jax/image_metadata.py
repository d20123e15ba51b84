"""What image files say beside their pixels: whether whole, how turned, which colours.

The containers are walked here, not by OpenCV: its versions differ in what they turn
upright, and the older ones know no colour profiles. Everything in a file is taken as
a claim: damaged metadata is left out, and none makes a read longer than the file.

Sources: PNG specification (third edition), ITU-T T.81 with EXIF 2.32 and ICC.1:2022
annex B for JPEG, TIFF 6.0 with its technical note on ICC profiles, RFC 9649 for WebP.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
TIFF = (b"II*\0", b"MM\0*")  # byte order: little, big
_PART = 65519  # bytes of a profile in one JPEG segment
_MAX_PROFILE = 255 * _PART  # of at most 255; the largest in use have about 4 MB
_COLOUR_SPACES = {1: b"GRAY", 3: b"RGB ", 4: b"RGB "}
_ORIENTATION, _EXTRA_SAMPLES, _PROFILE = 0x112, 338, 34675  # TIFF tags
_ASSOCIATED, _UNASSOCIATED = 1, 2  # alpha: premultiplied, straight

_Data = bytes | memoryview


class Metadata(NamedTuple):
    """What a reader has to know beside the pixels."""

    orientation: int | None  # EXIF, 1 to 8; None where OpenCV sees to it
    profile: bytes | None  # ICC profile for RGB
    alpha: int | None  # how a TIFF says that its fourth channel is meant


def read_metadata(data: bytes) -> Metadata:
    """Read the metadata of a whole image file.

    Args:
      data: a file of any format; PNG, JPEG, TIFF and WebP are looked into.

    Returns:
      Its orientation and profile, as far as the file has sound ones.
    """
    alpha = None
    exif: bytes | None = b""
    if data.startswith(PNG):
        parts = [(kind, data[i:j]) for kind, i, j in _png_chunks(data) if kind in _KEPT]
        exif = _first(parts, b"eXIf")
        profile = _inflate(_first(parts, b"iCCP"))
    elif data.startswith(JPEG):
        segments = [data[i:j] for kind, i, j in _jpeg_segments(data) if kind in _APPS]
        exif = next((s[6:] for s in segments if s.startswith(b"Exif\0\0")), b"")
        profile = _join(s[12:] for s in segments if s.startswith(b"ICC_PROFILE\0"))
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        parts = [
            (kind, data[i:j]) for kind, i, j in _webp_chunks(data) if kind in _KEPT
        ]
        exif = _first(parts, b"EXIF").removeprefix(b"Exif\0\0")
        profile = _first(parts, b"ICCP")
    elif data.startswith(TIFF):
        exif = None  # OpenCV turns a TIFF upright, asked or not
        profile = _tiff_value(data, _PROFILE)[1]
        alpha = _tiff_integer(data, _EXTRA_SAMPLES)
    else:
        return Metadata(None, None, None)
    orientation = None
    if exif is not None:
        orientation = _tiff_integer(exif, _ORIENTATION) or 1
        orientation = orientation if 1 <= orientation <= 8 else 1
    return Metadata(orientation, fitting_profile(profile, channels=3), alpha)


def fitting_profile(profile: bytes | None, *, channels: int) -> bytes | None:
    """Return an ICC profile if it is sound and made for such pixels.

    Args:
      profile: its bytes, or None.
      channels: of the pixels: 1 for grey, 3 for RGB, 4 for RGBA.
    """
    if not profile or not 132 <= len(profile) <= _MAX_PROFILE:
        return None
    whole = profile[36:40] == b"acsp" and int.from_bytes(profile[:4]) <= len(profile)
    return profile if whole and profile[16:20] == _COLOUR_SPACES[channels] else None


def is_whole(data: bytes) -> bool:
    """Return whether a PNG or JPEG has its end; other formats tell by their decoder.

    OpenCV before 5 takes a JPEG that is cut short and leaves the rest grey. The
    segments before the pixels, which can hold a whole thumbnail, are skipped.
    """
    if data.startswith(PNG):
        return any(
            kind == b"IEND" and end + 4 <= len(data)
            for kind, _, end in _png_chunks(data)
        )
    if data.startswith(JPEG):
        for kind, start, _ in _jpeg_segments(data):
            if kind == b"\xda":
                return data.find(b"\xff\xd9", start) > 0
    return True  # oddly built: for the decoder to judge


def without_marks(data: bytes) -> bytes:
    """Take from a whole file the marks that would mislead OpenCV's decoders.

    Where a TIFF says that its alpha is straight, they multiply its colours by it. Of
    a PNG's profile, which they make no use of, libpng complains on the terminal.
    """
    if _tiff_integer(data, _EXTRA_SAMPLES) == _UNASSOCIATED:
        at, value = _tiff_value(data, _EXTRA_SAMPLES)
        return data[:at] + bytes(len(value)) + data[at + len(value) :]
    if data.startswith(PNG):
        for kind, start, end in _png_chunks(data):
            if kind == b"iCCP":
                return data[: start - 8] + data[end + 4 :]
    return data


def is_premultiplied(metadata: Metadata) -> bool:
    """Return whether a TIFF says that its colours are multiplied by its alpha."""
    return metadata.alpha == _ASSOCIATED


def add_metadata(
    encoded: _Data, *, profile: bytes | None, premultiplied: bool | None
) -> list[_Data]:
    """Put metadata into a file that OpenCV has encoded.

    Args:
      encoded: PNG, JPEG or TIFF.
      profile: ICC profile that fits the pixels, or None.
      premultiplied: meaning of an alpha, or None without one. Only a TIFF can say
        it; in a PNG alpha is straight by definition.

    Returns:
      The new file in parts, to be written one after another.
    """
    if encoded[:4] in TIFF:
        fields = {}
        if premultiplied is not None:
            kind = _ASSOCIATED if premultiplied else _UNASSOCIATED
            fields[_EXTRA_SAMPLES] = (3, 1, kind.to_bytes(2, _byte_order(encoded)))
        if profile:
            fields[_PROFILE] = (7, len(profile), profile)
        return _add_tiff_fields(encoded, fields) if fields else [encoded]
    if not profile:
        return [encoded]
    if encoded[:8] == PNG:
        at = 33  # behind the header, before palette and pixels
        body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
        added = struct.pack(">I", len(body) - 4) + body
        added += struct.pack(">I", zlib.crc32(body))
    else:
        # JFIF wants its segment first, behind the start marker.
        at = 4 + int.from_bytes(encoded[4:6]) if encoded[3] == 0xE0 else 2
        count = -(-len(profile) // _PART)
        added = b""
        for number in range(count):
            part = profile[number * _PART : (number + 1) * _PART]
            added += b"\xff\xe2" + struct.pack(">H", len(part) + 16)
            added += b"ICC_PROFILE\0" + bytes([number + 1, count]) + part
    return [encoded[:at], added, encoded[at:]]


# The parts of each container: kind, start and end of its data. An end may lie beyond
# the file's where the file is cut short.

_Parts = Iterator[tuple[bytes, int, int]]
_KEPT = (b"eXIf", b"iCCP", b"EXIF", b"ICCP")
_APPS = (b"\xe1", b"\xe2")  # JPEG segments of EXIF data and of colour profiles
_FILL = re.compile(rb"\xff+")


def _png_chunks(data: bytes) -> _Parts:
    at = 8
    while at + 12 <= len(data):
        kind, start = data[at + 4 : at + 8], at + 8
        at = start + int.from_bytes(data[at : at + 4]) + 4  # the checksum
        yield kind, start, at - 4
        if kind == b"IEND":
            return


def _jpeg_segments(data: bytes) -> _Parts:
    """Yield the segments up to the pixels, which follow the last one."""
    at = 2
    while fill := _FILL.match(data, at):
        at = fill.end()
        kind, length = data[at : at + 1], int.from_bytes(data[at + 1 : at + 3])
        yield kind, at + 3, at + 1 + length
        if kind == b"\xda":
            return
        at += 1 + length


def _webp_chunks(data: bytes) -> _Parts:
    at = 12
    while at + 8 <= len(data):
        kind, start = data[at : at + 4], at + 8
        end = start + int.from_bytes(data[at + 4 : start], "little")
        yield kind, start, end
        at = end + end % 2


def _first(parts: list[tuple[bytes, bytes]], kind: bytes) -> bytes:
    return next((data for name, data in parts if name == kind), b"")


def _inflate(chunk: bytes) -> bytes:
    """Unpack a PNG's profile: name, zero, method zero, deflated bytes."""
    packed = chunk.partition(b"\0")[2]
    try:
        return zlib.decompressobj().decompress(packed[1:], _MAX_PROFILE + 1)
    except zlib.error:
        return b""


def _join(segments: Iterator[bytes]) -> bytes:
    """Join a JPEG's profile: number from 1, count, bytes; order may be any."""
    parts = {segment[:1]: segment for segment in segments if len(segment) > 2}
    count = next(iter(parts.values()))[1] if parts else 0
    numbers = [bytes([number + 1]) for number in range(count)]
    if any(number not in parts for number in numbers):
        return b""
    return b"".join(parts[number][2:] for number in numbers)


# TIFF: its first directory. EXIF data are a TIFF without pixels.

_SIZES = {1: 1, 3: 2, 4: 4, 7: 1}  # bytes of a byte, short, long, undefined


def _byte_order(data: _Data) -> Literal["big", "little"]:
    return "big" if data[:2] == b"MM" else "little"


def _directory(data: _Data) -> tuple[int, int]:
    """Find the first entry of the first directory and the number of entries."""
    if len(data) < 8 or data[:4] not in TIFF:
        return 0, 0
    order = _byte_order(data)
    at = int.from_bytes(data[4:8], order) + 2
    count = int.from_bytes(data[at - 2 : at], order)
    return at, max(0, min(count, (len(data) - at) // 12))


def _tiff_value(data: bytes, tag: int) -> tuple[int, bytes]:
    """Find a tag: where its value lies and its bytes, none if absent or damaged."""
    order = _byte_order(data)
    first, count = _directory(data)
    wanted = tag.to_bytes(2, order)
    for at in range(first, first + 12 * count, 12):
        if data[at : at + 2] == wanted:
            size = _SIZES.get(int.from_bytes(data[at + 2 : at + 4], order), 0)
            size *= int.from_bytes(data[at + 4 : at + 8], order)
            at += 8
            if size > 4:  # the value lies elsewhere
                at = int.from_bytes(data[at : at + 4], order)
            value = data[at : at + size]
            return at, value if len(value) == size <= _MAX_PROFILE else b""
    return 0, b""


def _tiff_integer(data: bytes, tag: int) -> int | None:
    """Return the value of a tag that holds one integer."""
    value = _tiff_value(data, tag)[1]
    return int.from_bytes(value, _byte_order(data)) if 1 <= len(value) <= 4 else None


def _add_tiff_fields(
    encoded: _Data, fields: dict[int, tuple[int, int, bytes]]
) -> list[_Data]:
    """Append the directory with more fields, and point the header to it.

    Args:
      encoded: TIFF of one directory.
      fields: type, count and bytes of each tag.
    """
    order = _byte_order(encoded)
    mark = "<" if order == "little" else ">"
    first, count = _directory(encoded)
    entries = {}
    for at in range(first, first + 12 * count, 12):
        tag = int.from_bytes(encoded[at : at + 2], order)
        entries[tag] = encoded[at : at + 12]
    values = bytes(len(encoded) % 2)  # values begin at even places
    for tag, (kind, number, value) in fields.items():
        if len(value) > 4:
            place = struct.pack(mark + "I", len(encoded) + len(values))
            values += value + bytes(len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        entries[tag] = struct.pack(mark + "HHI", tag, kind, number) + place
    header = bytes(encoded[:4]) + struct.pack(mark + "I", len(encoded) + len(values))
    directory = struct.pack(mark + "H", len(entries))
    directory += b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return [header, encoded[8:], values, directory]
