"""PyTorch checkpoint files (.pth) as NumPy arrays, without PyTorch.

A .pth file is a pickle that describes tensors, and the bytes of their storages.
The pickle is read as data (`torch_pickle`), never run; the storages are views of
the mapped file, checked against its size.
"""

from __future__ import annotations

import io
import itertools
import math
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from tmfnet_jax.errors import InputError
from tmfnet_jax.files import atomic_write
from tmfnet_jax.torch_pickle import (
    DTYPE_MARKERS,
    MAX_PICKLE_BYTES,
    NEW_COPY,
    STORAGE_DTYPES,
    Global,
    Storage,
    Tensor,
    damaged,
    interpret,
    quote,
    refused,
)

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # first object of a file before torch 1.6
_ALIGNMENT = 64  # bytes, of a storage in a written file; what PyTorch uses

# Bounds on what a hostile file may make us build; real files stay far below.
_MAX_VALUES = 1_000_000
_MAX_DEPTH = 64
_MAX_COMPRESSION = 20

_OTHER_KINDS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer (fetch the file with git lfs pull)",
    b"<": "a web page",
}


def read_torch_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a PyTorch checkpoint without PyTorch and without running its pickle.

    Reads the zip format (torch >= 1.6) and the stream format before it. A file
    that asks for anything but tensors, numbers, text and containers of them,
    however harmless, is refused with the name it asked for.

    Args:
      path: the .pth file.

    Returns:
      The checkpoint as nested dict, list, tuple, str, bytes, int, float, bool
      and None, with NumPy arrays for tensors and parameters (bfloat16 as
      `ml_dtypes.bfloat16`) and plain dicts for OrderedDicts. The arrays are
      read-only views of the mapped file: an array nobody touches costs no
      memory, and one that must outlive a change to the file needs a copy.

    Raises:
      InputError: if the file cannot be read, is not a checkpoint, is damaged,
        claims more than it holds, or asks for anything but data.

    Source: `torch/serialization.py` and Python's `pickletools` for the formats.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError("is not a regular file; name the .pth file itself")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise InputError(f"is empty; {NEW_COPY}")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read(mapped)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check the path and its rights"
        ) from None
    except (
        ValueError,
        LookupError,
        EOFError,
        OverflowError,
        NotImplementedError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(f"{path}: {damaged(quote(str(error)))}") from None


def _read(mapped: mmap.mmap) -> dict[str, Any]:
    """Read a mapped checkpoint of either format."""
    content = np.frombuffer(mapped, np.uint8)
    head = mapped[:32]
    file = cast(BinaryIO, mapped)  # it reads, seeks and tells like one
    if head.startswith(b"PK\x03\x04"):
        root, storages = _read_zip(file, content)
    elif head.startswith(b"\x80"):
        root, storages = _read_legacy(file, content)
    else:
        kind = "a safetensors file" if head[8:9] == b"{" else None
        for start, name in _OTHER_KINDS.items():
            kind = name if head.lstrip().startswith(start) else kind
        kind = kind or f"a file starting with {head[:8]!r}"
        raise InputError(f"is {kind}, not a PyTorch checkpoint; name a .pth file")
    checkpoint = _plain(root, storages, max_bytes=content.size)
    if not isinstance(checkpoint, dict):
        raise InputError(
            f"holds a {type(checkpoint).__name__}, not a dict of weights; "
            "save the model's state_dict()"
        )
    return checkpoint


def _read_zip(file: BinaryIO, content: np.ndarray) -> tuple[Any, dict]:
    """Return the object and the bytes of each storage of a zip-format file."""
    members = _zip_members(file, content)
    roots = [n.removesuffix("data.pkl") for n in members if n.endswith("/data.pkl")]
    if len(roots) != 1:
        some = ", ".join(quote(name) for name in list(members)[:3])
        raise InputError(
            f"is a zip archive with {len(roots)} data.pkl (it holds {some}), not a "
            "PyTorch checkpoint; name a .pth file"
        )
    root = roots[0]
    if f"{root}constants.pkl" in members:
        raise InputError(
            "is a TorchScript program, which is refused; save the state_dict instead"
        )
    order = b"little"  # what the files without this member are
    if f"{root}byteorder" in members:
        order = _member(content, *members[f"{root}byteorder"], limit=16).tobytes()
    if order not in (b"little", b"big"):
        raise InputError(f"has unknown byte order {order!r}; save it again with torch")
    pickled = _member(content, *members[f"{root}data.pkl"], limit=MAX_PICKLE_BYTES)
    value, wanted = interpret(io.BytesIO(pickled.data))
    storages = {}
    for key, storage in wanted.items():
        name = f"{root}data/{key}"
        if name not in members:
            raise damaged(f"no {quote(name)}, a tensor's data")
        data = _checked(_member(content, *members[name]), storage)
        if order == b"big":
            if storage.dtype is None:
                raise refused("is big-endian with untyped storages")
            data = data.view(f"u{storage.itemsize}").byteswap().view(np.uint8)
        storages[key] = data
    return value, storages


def _zip_members(file: BinaryIO, content: np.ndarray) -> dict:
    """Return name -> (entry, start of its data), each within the file, none twice."""
    archive = zipfile.ZipFile(file)
    members, spans = {}, [(archive.start_dir, archive.start_dir)]
    for entry in archive.infolist():
        name, at = entry.filename, entry.header_offset
        header = content[at : at + 30].tobytes() if at >= 0 else b""
        if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
            raise damaged(f"no data for member {quote(name)}")
        if name in members:
            raise damaged(f"member {quote(name)} is there twice")
        start = at + 30 + sum(struct.unpack("<HH", header[26:]))
        members[name] = entry, start
        spans.append((at, start + entry.compress_size))
    spans.sort()
    if any(end > begin for (_, end), (begin, _) in itertools.pairwise(spans)):
        raise damaged("members overlap or are cut")
    return members


def _member(
    content: np.ndarray, entry: zipfile.ZipInfo, start: int, *, limit: int | None = None
) -> np.ndarray:
    """Return a member's bytes, [n] uint8: a view of the file if it is stored."""
    name, size = quote(entry.filename), entry.file_size
    if limit is not None and size > limit:
        raise InputError(f"has {size} bytes in {name}, expected {limit} at most")
    data = content[start : start + entry.compress_size]
    if entry.flag_bits & 1 or entry.compress_type not in (0, zipfile.ZIP_DEFLATED):
        raise InputError(f"has {name} encrypted or oddly packed; save it again")
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        if size > _MAX_COMPRESSION * data.size:
            raise InputError(
                f"refused: {name} would unpack {data.size} bytes to {size}; PyTorch "
                "stores members unpacked, so use the original file"
            )
        unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data.data, size + 1)
        data = np.frombuffer(unpacked, np.uint8)
    # 0 is also what torch writes when told not to compute checksums.
    if data.size != size or entry.CRC not in (0, zlib.crc32(data.data)):
        raise damaged(f"{name} fails its checksum")
    return data


def _read_legacy(file: BinaryIO, content: np.ndarray) -> tuple[Any, dict]:
    """Return the object and the bytes of each storage of a stream-format file."""
    if interpret(file)[0] != _LEGACY_MAGIC:
        raise InputError("is a pickle but not a PyTorch checkpoint; name a .pth file")
    # Protocol and system follow. Neither matters: this format's storages are
    # little-endian whatever machine wrote them.
    for _ in range(2):
        interpret(file)
    value, wanted = interpret(file)
    keys, _ = interpret(file)
    text = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not text or sorted(keys) != sorted(wanted):
        raise damaged("it lists other storages than its tensors use")
    storages, at = {}, file.tell()
    for key in keys:
        storage = wanted[key]
        count = int.from_bytes(content[at : at + 8].tobytes(), "little")
        if count != storage.count:
            raise damaged(f"storage {quote(key)} has {count} elements, not as named")
        start, at = at + 8, at + 8 + count * storage.itemsize
        storages[key] = _checked(content[start:at], storage)
    return value, storages


def _checked(data: np.ndarray, storage: Storage) -> np.ndarray:
    """Return a storage's bytes if they are all there, aligned for any dtype."""
    expected = storage.count * storage.itemsize
    if data.size != expected:
        raise damaged(
            f"storage {quote(storage.key)} has {data.size} bytes of {expected}"
        )
    return data if data.ctypes.data % 8 == 0 else data.copy()


def _plain(root: Any, storages: Mapping[str, np.ndarray], *, max_bytes: int) -> Any:
    """Copy the object with arrays for tensors: a tree of bounded depth and size.

    A container that the pickle uses twice becomes two; one that contains itself
    runs into the depth bound, a few that multiply each other into the other.
    """
    values = 0

    def visit(value: Any, depth: int) -> Any:
        nonlocal values
        values += 1
        if depth > _MAX_DEPTH or values > _MAX_VALUES:
            raise refused(
                f"nests deeper than {_MAX_DEPTH} or has over {_MAX_VALUES} values"
            )
        match value:
            case None | bool() | int() | float() | str() | bytes():
                return value
            case dict():
                return {key: visit(item, depth + 1) for key, item in value.items()}
            case list():
                return [visit(item, depth + 1) for item in value]
            case tuple():
                return tuple([visit(item, depth + 1) for item in value])
            case Tensor():
                return _view(value, storages[value.storage.key], max_bytes)
            case Global(name) if name in DTYPE_MARKERS:
                return name
        raise refused(f"has a bare {type(value).__name__} for a value")

    return visit(root, 0)


def _view(tensor: Tensor, data: np.ndarray, max_bytes: int) -> np.ndarray:
    """Return the tensor as a read-only view of its storage's bytes."""
    size, stride, dtype = tensor.size, tensor.stride, tensor.dtype
    shaped = isinstance(size, tuple) and isinstance(stride, tuple)
    if (
        not (shaped and len(size) == len(stride) <= 32)
        or not all(type(n) is int for n in (tensor.offset, *size, *stride))
        or not all(0 <= n < 1 << 63 for n in (tensor.offset, *size, *stride))
    ):
        raise damaged("a tensor without a proper shape")
    count = math.prod(size)
    if not count:
        return np.empty(size, dtype)
    steps = [s if n > 1 else 0 for n, s in zip(size, stride, strict=True)]
    end = tensor.offset + 1 + sum((n - 1) * s for n, s in zip(size, steps, strict=True))
    # Zero strides can repeat an element without end: no more of it than a file's worth.
    most = max(data.size, max_bytes)
    if end * dtype.itemsize > data.size or count * dtype.itemsize > most:
        raise damaged(
            f"a tensor of {dtype.name} with shape {str(size)[:80]} reaches beyond its "
            f"storage of {data.size} bytes"
        )
    steps = [s * dtype.itemsize for s in steps]
    array = np.ndarray(size, dtype, data, tensor.offset * dtype.itemsize, steps)
    array.flags.writeable = False
    return array


def write_torch_file(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    *,
    wrap: str | None = "state_dict",
) -> None:
    """Write tensors as a checkpoint that `torch.load(weights_only=True)` reads.

    The file is complete or not there, an existing one whole until then.
    Equal tensors give equal bytes. Memory shared by tensors is written for each.

    Args:
      path: the .pth file to write; an existing one is replaced.
      tensors: name -> array of any shape; bool, integer, float16/32/64 or
        bfloat16.
      wrap: key under which the tensors go, beside an empty `meta`; None writes
        them as the whole file.

    Raises:
      InputError: if a name or dtype has no counterpart in PyTorch, or the file
        cannot be written.
    """
    arrays = {name: _little_endian(name, array) for name, array in tensors.items()}
    body = b"ccollections\nOrderedDict\n)R(" + b"".join(
        _text(name) + _describe(array, key)
        for key, (name, array) in enumerate(arrays.items())
    )
    body += b"u"
    if wrap is not None:
        body = b"}(" + _text(wrap) + body + _text("meta") + b"}u"
    members: list[tuple[str, bytes | memoryview]] = [
        ("data.pkl", b"\x80\x02" + body + b"."),
        ("byteorder", b"little"),
        *((f"data/{key}", _bytes(array)) for key, array in enumerate(arrays.values())),
        ("version", b"3\n"),
    ]
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, data in members:
            entry = zipfile.ZipInfo(f"archive/{name}")
            entry.extra = _padding(file.tell() + 30 + len(entry.filename))
            archive.writestr(entry, data)


def _little_endian(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array in a storage's byte order; dtypes PyTorch lacks are refused."""
    array = np.asarray(array)
    dtype = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")
    if not isinstance(name, str) or dtype not in STORAGE_DTYPES.values():
        raise InputError(
            f"tensor {ascii(name)} is {array.dtype}, expected a text name and one of "
            + ", ".join(dtype.name for dtype in STORAGE_DTYPES.values())
        )
    return np.ascontiguousarray(array.astype(dtype, copy=False)).reshape(array.shape)


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _padding(start: int) -> bytes:
    """Return a zip extra field behind which the member's data is aligned."""
    return b"FB" + struct.pack("<H", n := -(start + 4) % _ALIGNMENT) + b"\0" * n


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integers(numbers: Iterable[int]) -> bytes:
    return b"".join(b"\x8a\x08" + struct.pack("<q", number) for number in numbers)


def _describe(array: np.ndarray, key: int) -> bytes:
    """Return the pickle opcodes of one contiguous tensor."""
    kinds = {dtype: name for name, dtype in STORAGE_DTYPES.items()}
    kind = kinds[array.dtype].removeprefix("torch.").encode()
    strides = [math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
    return b"".join(
        (
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            _text("storage") + b"ctorch\n" + kind + b"\n",
            _text(str(key)) + _text("cpu") + _integers([array.size]) + b"tQ",
            _integers([0]),
            b"(" + _integers(array.shape) + b"t(" + _integers(strides) + b"t",
            b"\x89ccollections\nOrderedDict\n)RtR",
        )
    )
