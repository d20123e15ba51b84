"""OpenEXR files: written and read as the EXR library does, bad ones refused."""

from __future__ import annotations

import base64
import struct
import tracemalloc

import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.exr import decode_exr, encode_exr
from tmfnet_jax.images import (
    encode_image,
    read_alpha,
    read_image,
    read_mask,
    write_image,
)

# Written by OpenEXR 2.3 (through OpenCV 4.10) with ZIP compression. The first holds
# Y as half floats: 0, 1/4, ... 5/4 in rows of 3. The second holds B, G, R as floats,
# 17 rows of 12: (R, G, B) = (1, 0.5, 0.25), the last pixel (3, 2, 0.125).
HALF = base64.b64decode(
    "di8xAQIAAABjaGFubmVscwBjaGxpc3QAEwAAAFkAAQAAAAAAAAABAAAAAQAAAABjb21wcmVzc2lvbgBj"
    "b21wcmVzc2lvbgABAAAAA2RhdGFXaW5kb3cAYm94MmkAEAAAAAAAAAAAAAAAAgAAAAEAAABkaXNwbGF5"
    "V2luZG93AGJveDJpABAAAAAAAAAAAAAAAAIAAAABAAAAbGluZU9yZGVyAGxpbmVPcmRlcgABAAAAAHBp"
    "eGVsQXNwZWN0UmF0aW8AZmxvYXQABAAAAAAAgD9zY3JlZW5XaW5kb3dDZW50ZXIAdjJmAAgAAAAAAAAA"
    "AAAAAHNjcmVlbldpbmRvd1dpZHRoAGZsb2F0AAQAAAAAAIA/AB0BAAAAAAAAAAAAAAwAAAAAAAA0ADgA"
    "OgA8AD0="
)
FLOATS = base64.b64decode(
    "di8xAQIAAABjaGFubmVscwBjaGxpc3QANwAAAEIAAgAAAAAAAAABAAAAAQAAAEcAAgAAAAAAAAABAAAA"
    "AQAAAFIAAgAAAAAAAAABAAAAAQAAAABjb21wcmVzc2lvbgBjb21wcmVzc2lvbgABAAAAA2RhdGFXaW5k"
    "b3cAYm94MmkAEAAAAAAAAAAAAAAACwAAABAAAABkaXNwbGF5V2luZG93AGJveDJpABAAAAAAAAAAAAAA"
    "AAsAAAAQAAAAbGluZU9yZGVyAGxpbmVPcmRlcgABAAAAAHBpeGVsQXNwZWN0UmF0aW8AZmxvYXQABAAA"
    "AAAAgD9zY3JlZW5XaW5kb3dDZW50ZXIAdjJmAAgAAAAAAAAAAAAAAHNjcmVlbldpbmRvd1dpZHRoAGZs"
    "b2F0AAQAAAAAAIA/AEkBAAAAAAAAgAEAAAAAAAAAAAAALwAAAHicY2DAARpwAFzqR80ZNWfUnFFzSDVn"
    "nxN2uN+RNDhqzqg5o+aMmkOiOQCt0f/eEAAAAB8AAAB4nGNgwAoacALs6g847HPCDvc7YoMHHHCIAwDT"
    "ODHB"
)


def colours():
    image = np.empty((17, 12, 3), np.float32)
    image[:] = 1, 0.5, 0.25
    image[-1, -1] = 3, 2, 0.125
    return image


def refusal(data):
    with pytest.raises(InputError) as caught:
        decode_exr(data, name="a.exr")
    message = str(caught.value)
    assert message.startswith("a.exr: ") and "\n" not in message
    return message.removeprefix("a.exr: ")


def test_files_of_the_exr_library_are_read():
    expected = np.arange(6).reshape(2, 3) / 4
    got = decode_exr(HALF, name="half")
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(decode_exr(FLOATS, name="floats"), colours())


def test_files_are_written_as_the_exr_library_does():
    assert encode_exr(colours())[: len(FLOATS) - 126] == FLOATS[:-126]
    # Behind it come the packed blocks and, before them, their places.
    alpha = np.zeros((1, 2), np.float32)
    alpha[0, 1] = -1.5
    content = encode_exr(alpha)
    assert content[:8] == bytes([0x76, 0x2F, 0x31, 1, 2, 0, 0, 0])
    place, y, size = struct.unpack("<Qii", content[-24:-8])  # too small to pack
    assert (place, y, size) == (len(content) - 16, 0, 8)
    assert content[-8:] == struct.pack("<ff", 0, -1.5)


@pytest.mark.parametrize(
    "shape", [(1, 1), (37, 53), (16, 9, 3), (33, 2, 4), (9, 70, 4)]
)
def test_every_value_comes_back(tmp_path, shape):
    path = tmp_path / "image.exr"
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    image[image > 0.8] = 0.0
    write_image(path, image)
    got = read_mask(path)
    np.testing.assert_array_equal(got, image[..., :3] if image.ndim == 3 else image)


def test_alpha_from_exr(tmp_path):
    path = tmp_path / "alpha.EXR"
    alpha = np.linspace(0, 1, 77, dtype=np.float32).reshape(7, 11)
    write_image(path, alpha)
    np.testing.assert_array_equal(read_alpha(path), alpha)
    with pytest.raises(InputError, match=r"alpha.EXR: holds float32 values"):
        read_image(path)
    write_image(path, alpha * 2)
    with pytest.raises(InputError, match="NaN or outside"):
        read_alpha(path)
    for bad in (alpha.astype(np.float64), alpha.astype(np.uint8)):
        with pytest.raises(InputError, match="exr takes 1 or 3 or 4 channels of float"):
            encode_image(bad, ".exr")


def test_data_window_is_placed_in_the_display_window():
    """The windows' six corners are edited in the file of 3 columns and 2 rows."""
    values = decode_exr(HALF, name="half")
    at = HALF.index(b"displayWindow\0box2i\0") + 24
    inside = HALF[:at] + struct.pack("<iiii", -1, -2, 3, 2) + HALF[at + 16 :]
    expected = np.zeros((5, 5))
    expected[2:4, 1:4] = values
    np.testing.assert_array_equal(decode_exr(inside, name="inside"), expected)
    cropped = HALF[:at] + struct.pack("<iiii", 1, 1, 1, 5) + HALF[at + 16 :]
    expected = np.zeros((5, 1))
    expected[0] = values[1, 1]
    np.testing.assert_array_equal(decode_exr(cropped, name="cropped"), expected)
    apart = HALF[:at] + struct.pack("<iiii", 5, 5, 6, 6) + HALF[at + 16 :]
    assert not decode_exr(apart, name="apart").any()


def test_channels_that_make_the_image():
    as_alpha = HALF.replace(b"Y\0\1\0", b"A\0\1\0")
    named = HALF.replace(b"Y\0\1\0", b"q\0\1\0")
    for content in (as_alpha, named):
        np.testing.assert_array_equal(
            decode_exr(content, name="one"), decode_exr(HALF, name="half")
        )
    others = FLOATS.replace(b"\0R\0", b"\0S\0")
    assert refusal(others).startswith("has the channels 'B G S'; expected R G B, Y")


def test_kinds_that_are_not_read():
    at = HALF.index(b"compression\0compression\0") + 28
    for kind, name in ((1, "RLE"), (4, "PIZ"), (99, "99")):
        content = HALF[:at] + bytes([kind]) + HALF[at + 1 :]
        assert refusal(content).startswith(f"is an EXR with {name} compression; save")
    for flag in (0x200, 0x800, 0x1000):
        content = HALF[:4] + struct.pack("<i", 2 | flag) + HALF[8:]
        assert refusal(content).startswith("is an EXR of tiles, many parts or deep")
    for window in (b"dataWindow", b"displayWindow"):
        at = HALF.index(window + b"\0box2i\0") + len(window) + 11
        for corner in ((0, 0, 2**16, 0), (0, 0, 2**15, 2**15)):
            content = HALF[:at] + struct.pack("<iiii", *corner) + HALF[at + 16 :]
            assert "pixels, more than" in refusal(content)


def test_damage_is_refused_in_one_line_and_little_memory():
    rng = np.random.default_rng(3)
    refused = 0
    tracemalloc.start()
    try:
        for content in (HALF, FLOATS):
            for size in range(4, len(content)):
                assert refusal(content[:size])
            ends = content.index(b"lineOrder")  # windows: claims of a size are kept
            spared = range(content.index(b"dataWindow"), ends)
            for _ in range(400):
                damaged = bytearray(content)
                for at in rng.integers(4, len(content), rng.integers(1, 4)):
                    if at not in spared:
                        damaged[at] = rng.choice([0, 1, 127, 255, damaged[at] ^ 16])
                try:
                    decode_exr(bytes(damaged), name="damaged")
                except InputError as error:
                    assert "\n" not in str(error)
                    refused += 1
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert refused > 300


@pytest.mark.parametrize("place", [0, 12, 10**6, 2**63])
def test_blocks_are_not_looked_for_outside_the_file(place):
    at = len(HALF) - 28  # of the one block's place: before its head and 12 bytes
    assert struct.unpack_from("<Qii", HALF, at) == (at + 8, 0, 12)
    content = HALF[:at] + struct.pack("<Q", place) + HALF[at + 8 :]
    assert refusal(content).startswith("is damaged or cut short")


def test_claimed_sizes_are_not_unpacked():
    at = HALF.index(b"dataWindow\0box2i\0") + 21
    claim = struct.pack("<iiii", 0, 0, 2**14 - 1, 2**14 - 1)
    tracemalloc.start()
    try:
        assert refusal(HALF[:at] + claim + HALF[at + 16 :]).startswith("is damaged")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
