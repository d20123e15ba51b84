"""Metadata of image files: profiles kept, orientations followed, damage left out."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.image_metadata import Metadata, fitting_profile, read_metadata
from tmfnet_jax.images import (
    decode_photo,
    encode_image,
    read_cutout,
    read_image,
    read_photo,
    write_image,
)

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (4, 6, 3), np.uint8)
UPRIGHT = {  # what stands at the upper left of the file, and where it belongs
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


def profile(space=b"RGB ", size=300):
    """As much of an ICC profile as any reader here looks at, and noise."""
    body = np.random.default_rng(size).bytes(size - 40)
    head = struct.pack(">I12s4s16s4s", size, b"", space, b"", b"acsp")
    return head + body


def exif(value):
    """One TIFF directory with one entry: orientation (0x112), one short."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, value, 0, 0)


def png_chunk(kind, data):
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(image, *parts):
    """A PNG with more chunks behind its header."""
    content = cv2.imencode(".png", image)[1].tobytes()
    return content[:33] + b"".join(png_chunk(*part) for part in parts) + content[33:]


def jpeg(image, *segments):
    """A JPEG with more segments (marker, bytes) at its start."""
    content = cv2.imencode(".jpg", image)[1].tobytes()
    for marker, data in reversed(segments):
        segment = bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data
        content = content[:2] + segment + content[2:]
    return content


def icc_segment(number, count, data):
    return 0xE2, b"ICC_PROFILE\0" + bytes([number, count]) + data


def webp(image, *parts):
    """A WebP without loss in the extended layout, with chunks behind its pixels."""
    flags = 8 | 32 | 16 * (image.shape[2] == 4)
    options = (cv2.IMWRITE_WEBP_QUALITY, 101)
    body = cv2.imencode(".webp", image, options)[1].tobytes()[12:]
    if body.startswith(b"VP8X"):
        body = body[18:]
    height, width = image.shape[:2]
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<II", 10, flags) + size
    before = [part for part in parts if part[0] == b"ICCP"]
    after = [part for part in parts if part[0] != b"ICCP"]
    for kind, data in before:
        chunks += kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    chunks += body
    for kind, data in after:
        chunks += kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def tiff(image, order="<", **more):
    """An uncompressed TIFF built by hand; `more` are single tags like t274=6."""
    height, width, channels = image.shape
    bits = struct.pack(f"{order}{channels}H", *[8 * image.itemsize] * channels)
    kinds = struct.pack(f"{order}{channels}H", *[1] * channels)
    fields = {256: width, 257: height, 259: 1, 262: 2, 277: channels, 278: height}
    fields |= {int(tag[1:]): value for tag, value in more.items()}
    fields |= {279: image.nbytes, 258: bits, 339: kinds, 273: 0}
    at = 8 + 2 + 12 * len(fields) + 4
    entries, values = b"", b""
    fields[273] = at + sum(len(v) for v in fields.values() if isinstance(v, bytes))
    for tag, value in sorted(fields.items()):
        if isinstance(value, bytes):
            kind = 7 if tag == 34675 else 3
            count = len(value) // (1 if kind == 7 else 2)
            entries += struct.pack(order + "HHII", tag, kind, count, at + len(values))
            values += value
        else:
            entries += struct.pack(order + "HHII", tag, 4, 1, value)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "IH", 8, len(fields)) + entries + bytes(4)
    return head + values + image.astype(image.dtype.newbyteorder(order)).tobytes()


# Profiles.


@pytest.mark.parametrize("space", [b"GRAY", b"CMYK", b"Lab ", b"RGB "])
@pytest.mark.parametrize(
    ("channels", "fits"), [(1, b"GRAY"), (3, b"RGB "), (4, b"RGB ")]
)
def test_profile_fits_pixels_of_its_colours(space, channels, fits):
    made = profile(space)
    expected = made if space == fits else None
    assert fitting_profile(made, channels=channels) == expected
    for bad in (None, b"", made[:131], made[:-1], made.replace(b"acsp", b"xxxx")):
        assert fitting_profile(bad, channels=channels) is None


def test_profiles_are_read():
    whole = profile(size=1001)
    packed = b"name\0\0" + zlib.compress(whole)
    pieces = icc_segment(2, 2, whole[600:]), icc_segment(1, 2, whole[:600])
    files = {
        "png": png(RGB, (b"iCCP", packed)),
        "jpeg": jpeg(RGB, (0xE1, b"other\0"), *pieces),
        "webp": webp(RGB, (b"ICCP", whole)),
        "tiff": tiff(RGB, t34675=whole),
        "big-endian tiff": tiff(RGB, ">", t34675=whole),
    }
    for name, content in files.items():
        photo = decode_photo(content, name=name)
        assert photo.profile == whole, name
        assert photo.pixels.shape == RGB.shape


def test_profiles_that_are_incomplete_or_of_other_colours_are_left_out(capfd):
    whole, cmyk = profile(size=1001), profile(b"CMYK")
    files = (
        png(RGB),
        png(RGB, (b"iCCP", b"name\0\0" + zlib.compress(whole)[:-99])),
        png(RGB, (b"iCCP", b"name\0\0" + whole)),
        png(RGB, (b"iCCP", b"name")),
        png(RGB, (b"iCCP", b"name\0\0" + zlib.compress(cmyk))),
        jpeg(RGB, icc_segment(1, 2, whole)),
        jpeg(RGB, icc_segment(1, 1, cmyk)),
        jpeg(RGB, (0xE2, b"ICC_PROFILE\0\1")),
        tiff(RGB, t34675=cmyk),
        tiff(RGB, t34675=0xFFFFFF),
        webp(RGB, (b"ICCP", whole[:100])),
    )
    for content in files:
        photo = decode_photo(content, name="photo")
        assert photo.profile is None
        assert photo.pixels.shape == RGB.shape
    assert capfd.readouterr().err == ""


def test_packed_profile_unpacks_to_a_bounded_size():
    bomb = b"name\0\0" + zlib.compress(bytes(2**28))
    content = png(RGB, (b"iCCP", bomb))
    tracemalloc.start()
    try:
        assert read_metadata(content) == Metadata(1, None, None)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [300, 150_001])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_profiles_are_written(tmp_path, size, suffix, dtype, channels):
    path, whole = tmp_path / f"image{suffix}", profile(size=size)
    image = RNG.integers(0, np.iinfo(dtype).max, (5, 7, channels), dtype)
    if suffix == ".jpg" and image[0].nbytes != 21:
        with pytest.raises(InputError, match="cannot hold"):
            write_image(path, image, profile=whole)
        return
    write_image(path, image, profile=whole)
    photo = read_photo(path)
    assert photo.profile == whole
    if suffix != ".jpg":
        np.testing.assert_array_equal(photo.pixels, image[..., :3])
    plain = decode_photo(encode_image(image, suffix), name="plain")
    np.testing.assert_array_equal(photo.pixels, plain.pixels)
    assert plain.profile is None


def test_written_profiles_stand_where_the_formats_want_them():
    whole = profile(size=150_001)
    content = encode_image(RGB, ".png", profile=whole)
    assert content[37:41] == b"iCCP"  # right behind the header of 33 bytes
    size = int.from_bytes(content[33:37])
    body, check = content[37 : 41 + size], content[41 + size : 45 + size]
    assert zlib.crc32(body) == int.from_bytes(check)
    name, packed = body[4:].split(b"\0\0", 1)
    assert name and zlib.decompress(packed) == whole

    content = encode_image(RGB, ".jpg", profile=whole)
    assert content[2:4] == b"\xff\xe0"  # JFIF
    at, found = 4 + int.from_bytes(content[4:6]), b""
    for number in (1, 2, 3):
        size = int.from_bytes(content[at + 2 : at + 4])
        assert content[at : at + 2] == b"\xff\xe2"
        assert content[at + 4 : at + 18] == b"ICC_PROFILE\0" + bytes([number, 3])
        found += content[at + 18 : at + 2 + size]
        at += 2 + size
    assert found == whole

    content = encode_image(RGB, ".tif", profile=whole)
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    entries = list(struct.iter_unpack("<HHII", content[at + 2 : at + 2 + 12 * count]))
    assert at % 2 == 0 and sorted(entries) == entries
    tag, kind, size, place = entries[-1]
    assert (tag, kind, size) == (34675, 7, len(whole))
    assert content[place : place + size] == whole
    assert content[at + 2 + 12 * count :] == bytes(4)  # no further directory


@pytest.mark.skipif(
    not hasattr(cv2, "imdecodeWithMetadata"), reason="OpenCV older than 4.12"
)
def test_opencv_finds_the_written_profile():
    whole = profile(size=70_001)
    content = np.frombuffer(encode_image(RGB, ".jpg", profile=whole), np.uint8)
    _, _, blocks = cv2.imdecodeWithMetadata(content, cv2.IMREAD_COLOR)
    assert whole in [block.tobytes() for block in blocks]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_profiles_of_other_colours_are_not_written(suffix):
    grey = RGB[..., 0]
    for image, made in ((grey, profile()), (RGB, profile(b"GRAY")), (RGB, b"damaged")):
        content = encode_image(image, suffix, profile=made)
        assert content == encode_image(image, suffix)
    assert profile(b"GRAY") in encode_image(grey, ".tif", profile=profile(b"GRAY"))


# Orientation.


@pytest.mark.parametrize("value", UPRIGHT)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_every_orientation(tmp_path, value, dtype, channels):
    path = tmp_path / "image"
    image = RNG.integers(1, np.iinfo(dtype).max, (2, 3, channels), dtype)
    stored = image[..., [2, 1, 0, 3][:channels]]  # OpenCV's order
    files = {
        "png": png(stored, (b"eXIf", exif(value))),
        "tiff": tiff(image, t274=value),
        "big-endian tiff": tiff(image, ">", t274=value),
    }
    if dtype == np.uint8:
        files["webp"] = webp(stored, (b"EXIF", exif(value)))
        files["webp, prefix"] = webp(stored, (b"EXIF", b"Exif\0\0" + exif(value)))
    for name, content in files.items():
        path.write_bytes(content)
        expected = UPRIGHT[value](image)
        np.testing.assert_array_equal(read_image(path), expected[..., :3], name)
        if channels == 4:
            np.testing.assert_array_equal(read_cutout(path), expected, name)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientations_are_upright(value):
    content = png(RGB, (b"eXIf", exif(value)))
    pixels = decode_photo(content, name="photo").pixels
    np.testing.assert_array_equal(pixels, RGB[..., ::-1])


# The meaning of an alpha.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiff_says_what_its_alpha_means(tmp_path, dtype):
    path = tmp_path / "cutout.tif"
    image = (RNG.random((4, 5, 4)) * 200).astype(dtype)
    for premultiplied, kind in ((False, 2), (True, 1)):
        write_image(path, image, premultiplied=premultiplied)
        content = path.read_bytes()
        (at,) = struct.unpack_from("<I", content, 4)
        (count,) = struct.unpack_from("<H", content, at)
        entries = struct.iter_unpack("<HHIHH", content[at + 2 : at + 2 + 12 * count])
        assert (338, 3, 1, kind, 0) in list(entries)
        if dtype == np.float32:
            continue
        np.testing.assert_array_equal(read_image(path), image[..., :3])
        if premultiplied:
            with pytest.raises(InputError, match="premultiplied by alpha; save it"):
                read_cutout(path)
        else:
            np.testing.assert_array_equal(read_cutout(path), image)


@pytest.mark.parametrize("order", "<>")
def test_straight_colours_of_a_tiff_stay_as_they_are(tmp_path, order):
    path, image = tmp_path / "image.tif", np.full((2, 3, 4), 200, np.uint8)
    image[..., 3] = 50
    path.write_bytes(tiff(image, order, t338=2))
    np.testing.assert_array_equal(read_image(path), image[..., :3])
    np.testing.assert_array_equal(read_cutout(path), image)


# Damage.


def test_damaged_metadata_raise_nothing_but_input_errors():
    whole, turned = profile(), b"Exif\0\0" + exif(6)
    packed = b"name\0\0" + zlib.compress(whole)
    files = (
        (png(RGB, (b"iCCP", packed), (b"eXIf", exif(6))), range(33, 420)),
        (jpeg(RGB, (0xE1, turned), icc_segment(1, 1, whole)), range(2, 400)),
        (tiff(RGB, t274=6, t34675=whole), range(180)),
        (webp(RGB, (b"ICCP", whole), (b"EXIF", exif(6))), range(360)),
    )
    rng = np.random.default_rng(7)
    results = set()
    for content, region in files:
        assert read_metadata(content).profile == whole
        for _ in range(150):
            damaged = bytearray(content)
            for at in rng.choice(region, rng.integers(1, 4), replace=False):
                damaged[at] = rng.choice([0, 1, 127, 255, damaged[at] ^ 16])
            if rng.random() < 0.2:
                del damaged[rng.integers(len(damaged)) :]
            metadata = read_metadata(bytes(damaged))
            assert metadata.orientation in (None, *UPRIGHT)
            results.add(metadata.profile is None)
            if content[1:2] in b"P\xd8":  # PNG, JPEG: damage spares the sizes
                with contextlib.suppress(InputError):
                    photo = decode_photo(bytes(damaged), name="damaged")
                    assert photo.pixels.shape in (RGB.shape, (6, 4, 3))
    assert results == {True, False}


def test_metadata_of_files_cut_anywhere():
    whole = profile(size=140)
    files = (
        png(RGB, (b"iCCP", b"n\0\0" + zlib.compress(whole)), (b"eXIf", exif(6))),
        jpeg(RGB, (0xE1, b"Exif\0\0" + exif(6)), icc_segment(1, 1, whole)),
        tiff(RGB, t34675=whole),
        webp(RGB, (b"ICCP", whole), (b"EXIF", exif(6))),
    )
    for content in files:
        for size in range(0, len(content), 3):
            assert read_metadata(content[:size]).profile in (None, whole)
