"""OpenEXR files: float32 scan lines, written and read without the EXR library.

OpenCV's wheels hold that library in some versions only, an old one, and off unless
an environment variable says otherwise. Written are images of one part with ZIP
compression; read are those, ZIPS and uncompressed ones, of 16 or 32 bits.

Source: "OpenEXR File Layout" and "Technical Introduction", openexr.com.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import struct
import zlib
from typing import NamedTuple

import numpy as np

from tmfnet_jax.errors import InputError

MAGIC = b"v/1\x01"
_VERSION, _LONG_NAMES = 2, 0x400
_CHANNELS = {1: "Y", 3: "RGB", 4: "RGBA"}
_FLOAT = 2
_TYPES: dict[int, np.dtype] = {1: np.dtype("<f2"), _FLOAT: np.dtype("<f4")}
_SIZES = (4, 2, 4)  # bytes of unsigned, half, float
_COMPRESSIONS = ("none", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A")
_ZIP = 3
_LINES = {0: 1, 2: 1, _ZIP: 16}  # in a block of the compressions read here
_LEVEL = 1  # of zlib; higher ones hardly make alphas of float32 smaller
_MAX_PIXELS, _MAX_SIDE = 2**28, 2**16
_MAX_LINE_BYTES = 2**24  # of all channels: a thousand of them at 4096 pixels


def encode_exr(image: np.ndarray) -> bytes:
    """Encode an image; values stay as they are.

    Args:
      image: [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA; float32. By the format's
        convention colours are linear light, and premultiplied by their alpha.

    Returns:
      The file: channels Y, RGB or RGBA.
    """
    height, width = image.shape[:2]
    image = image.reshape(height, width, -1)
    names = _CHANNELS[image.shape[2]]
    order = sorted(range(len(names)), key=names.__getitem__)  # A B G R in the file
    channels = b"".join(
        names[i].encode() + b"\0" + struct.pack("<iiii", _FLOAT, 0, 1, 1) for i in order
    )
    window = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    header = struct.pack("<4si", MAGIC, _VERSION)
    for name, kind, value in (
        ("channels", "chlist", channels + b"\0"),
        ("compression", "compression", bytes([_ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    ):
        size = struct.pack("<i", len(value))
        header += f"{name}\0{kind}\0".encode() + size + value
    header += b"\0"

    def block(top: int) -> bytes:
        lines = image[top : top + _LINES[_ZIP], :, order].swapaxes(1, 2)
        raw = np.ascontiguousarray(lines, "<f4").tobytes()
        packed = _zip(raw)
        smaller = packed if len(packed) < len(raw) else raw
        return struct.pack("<ii", top, len(smaller)) + smaller

    with concurrent.futures.ThreadPoolExecutor() as pool:  # zlib runs beside others
        blocks = list(pool.map(block, range(0, height, _LINES[_ZIP])))
    first = len(header) + 8 * len(blocks)
    places = itertools.accumulate(map(len, blocks[:-1]), initial=first)
    return b"".join([header, struct.pack(f"<{len(blocks)}Q", *places), *blocks])


def decode_exr(data: bytes, *, name: str) -> np.ndarray:
    """Decode an image.

    Args:
      data: the whole file.
      name: of the file, for errors.

    Returns:
      [H, W, 3] float32 of the channels R, G, B, or [H, W] of Y, else A, else the
      only channel; of the display window's size, zero where there are no data.

    Raises:
      InputError: damaged, cut short, too large or of a kind not read here.
    """
    try:
        return _read_pixels(data, _read_header(data, name), name)
    except InputError:
        raise
    except (struct.error, zlib.error, ValueError, IndexError, KeyError):
        raise InputError(
            f"{name}: is damaged or cut short; copy or save the file again"
        ) from None


class _Header(NamedTuple):
    channels: list[tuple[str, int]]  # name and type, in the file's order
    compression: int
    data: tuple[int, int, int, int]  # left, top, right, bottom; ends included
    display: tuple[int, int, int, int]
    end: int  # where the table of the blocks' places begins


def _read_header(data: bytes, name: str) -> _Header:
    (flags,) = struct.unpack_from("<i", data, 4)
    if flags & ~_LONG_NAMES != _VERSION:
        raise InputError(
            f"{name}: is an EXR of tiles, many parts or deep pixels; save it as one "
            "part of scan lines with ZIP compression"
        )
    fields, at = {}, 8
    while data[at] != 0:
        key, at = _string(data, at)
        _, at = _string(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        fields[key] = data[at + 4 : at + 4 + size]
        if size < 0 or len(fields[key]) != size:
            raise ValueError(key)
        at += 4 + size
    compression = fields["compression"][0]
    if compression not in _LINES:
        kind = dict(enumerate(_COMPRESSIONS)).get(compression, compression)
        raise InputError(
            f"{name}: is an EXR with {kind} compression; save it with ZIP or none"
        )
    data_window, display = (
        struct.unpack("<iiii", fields[key]) for key in ("dataWindow", "displayWindow")
    )
    for left, top, right, bottom in (data_window, display):
        width, height = right - left + 1, bottom - top + 1
        if min(width, height) < 1:
            raise ValueError("empty window")
        if max(width, height) > _MAX_SIDE or width * height > _MAX_PIXELS:
            raise InputError(
                f"{name}: has {width}x{height} pixels, more than {_MAX_PIXELS} or "
                f"{_MAX_SIDE} a side; scale it down"
            )
    channels = _channels(fields["channels"])
    return _Header(channels, compression, data_window, display, at + 1)


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at, at + 256)
    return data[at:end].decode("latin-1"), end + 1


def _channels(data: bytes) -> list[tuple[str, int]]:
    channels, at = [], 0
    while data[at] != 0:
        name, at = _string(data, at)
        kind, _, *sampling = struct.unpack_from("<iiii", data, at)
        if kind not in range(len(_SIZES)) or sampling != [1, 1]:
            raise ValueError("channel")
        channels.append((name, kind))
        at += 16
    return channels


def _wanted(header: _Header, name: str) -> list[str]:
    """Choose the channels that make the image."""
    kinds = dict(header.channels)
    for names in (["R", "G", "B"], ["Y"], ["A"], list(kinds)):
        few = names != list(kinds) or len(kinds) == 1
        if few and all(kinds.get(channel) in _TYPES for channel in names):
            return names
    raise InputError(
        f"{name}: has the channels {' '.join(kinds)[:80]!r}; expected R G B, Y, A or "
        "one channel of floating point"
    )


def _read_pixels(data: bytes, header: _Header, name: str) -> np.ndarray:
    wanted = _wanted(header, name)
    left, top, right, bottom = header.data
    width, height = right - left + 1, bottom - top + 1
    line_bytes = width * sum(_SIZES[kind] for _, kind in header.channels)
    if line_bytes > _MAX_LINE_BYTES:
        raise InputError(f"{name}: has too many channels; save the one that counts")
    lines = _LINES[header.compression]
    count = -(-height // lines)
    places = struct.unpack_from(f"<{count}Q", data, header.end)

    x, y, x_end, y_end = header.display
    image = np.zeros((y_end - y + 1, x_end - x + 1, len(wanted)), np.float32)
    columns = slice(max(left, x), min(right, x_end) + 1)  # in both windows
    used = 0
    for row, place in zip(range(top, bottom + 1, lines), places, strict=True):
        start, size = struct.unpack("<ii", data[place : place + 8])
        used += size
        block = data[place + 8 : place + 8 + size]
        if start != row or size < 1 or len(block) != size or used > len(data):
            raise ValueError("block")  # the last: blocks named many times
        rows = min(lines, bottom + 1 - row)
        if size != rows * line_bytes:
            block = _unzip(block, rows * line_bytes)
        values = np.frombuffer(block, np.uint8).reshape(rows, line_bytes)
        keep = slice(max(row, y), min(row + rows, y_end + 1))
        if keep.start >= keep.stop or columns.start >= columns.stop:
            continue
        at = 0
        for channel, kind in header.channels:
            end = at + width * _SIZES[kind]
            if channel in wanted:
                part = values[keep.start - row : keep.stop - row, at:end].copy()
                pixels = part.view(_TYPES[kind])
                image[
                    keep.start - y : keep.stop - y,
                    columns.start - x : columns.stop - x,
                    wanted.index(channel),
                ] = pixels[:, columns.start - left : columns.stop - left]
            at = end
    return image if len(wanted) == 3 else image[..., 0]


def _zip(raw: bytes) -> bytes:
    """Deflate the steps between neighbours among the even, then the odd bytes."""
    values = np.frombuffer(raw, np.uint8)
    values = np.concatenate([values[::2], values[1::2]])
    values[1:] = np.diff(values) + np.uint8(128)
    return zlib.compress(values.tobytes(), _LEVEL)


def _unzip(packed: bytes, size: int) -> bytes:
    """Undo `_zip`; `size` bounds what a block may unpack to."""
    unpacked = zlib.decompressobj().decompress(packed, size + 1)
    if len(unpacked) != size:
        raise ValueError("size of a block")
    steps = np.frombuffer(unpacked, np.uint8).copy()
    steps[1:] -= np.uint8(128)
    values = np.cumsum(steps, dtype=np.uint8)
    raw = np.empty_like(values)
    raw[::2], raw[1::2] = values[: (size + 1) // 2], values[(size + 1) // 2 :]
    return raw.tobytes()
