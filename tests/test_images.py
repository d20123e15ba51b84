"""Image files: every value and orientation right, bad files refused in one line."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import zlib

import cv2
import numpy as np
import pytest

from tmfnet_jax import opencv_codecs
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import (
    check_output,
    decode_mask,
    decode_photo,
    encode_image,
    read_alpha,
    read_cutout,
    read_image,
    read_mask,
    write_image,
)
from tmfnet_jax.trimap import canonical_trimap

READERS = (read_image, read_cutout, read_mask, read_alpha)


def noise(*shape, dtype=np.uint8):
    rng = np.random.default_rng(0)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def chunk(kind, data):
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(width, height, rows, *more, depth=8, colour=0):
    """Build a PNG by hand; `rows` are its unpacked bytes with their filter types."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = (b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


def orientation(value):
    """One TIFF directory with one entry: orientation (0x112), one short."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, value, 0, 0)


def encode(suffix, image, *options):
    return cv2.imencode(suffix, image, options)[1].tobytes()


def refusal(reader, path):
    """The one line a file is refused with; it starts with the file's name."""
    with pytest.raises(InputError) as caught:
        reader(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


# Writing and reading back.


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("shape", "reader"),
    [((5, 7), read_mask), ((5, 7, 3), read_image), ((5, 7, 4), read_cutout)],
)
def test_lossless_formats_keep_every_value(tmp_path, suffix, dtype, shape, reader):
    path, image = tmp_path / f"image{suffix}", noise(*shape, dtype=dtype)
    write_image(path, image)
    got = reader(path)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, image)


def test_first_channel_in_the_file_is_red(tmp_path):
    path = tmp_path / "image.ppm"
    path.write_bytes(b"P6 1 1 255\n" + bytes([250, 100, 3]))
    for reader in (read_image, read_mask):
        assert reader(path).tolist() == [[[250, 100, 3]]]
    write_image(tmp_path / "image.png", read_image(path))
    assert b"IHDR" in (content := (tmp_path / "image.png").read_bytes())
    start = content.index(b"IDAT")
    pixels = zlib.decompress(content[start + 4 :])[1:]
    assert list(pixels) == [250, 100, 3]


def test_jpeg_takes_colours_of_eight_bits(tmp_path):
    path = tmp_path / "photo.jpg"
    image = np.zeros((16, 32, 3), np.uint8)
    image[:] = 200, 100, 50
    write_image(path, image)
    assert np.abs(read_image(path).astype(int) - image).max() <= 3
    for array in (image[..., 0], noise(4, 4, 4), image.astype(np.uint16)):
        with pytest.raises(InputError, match=r"jpg takes 3 channels of uint8$"):
            write_image(path, array)
    with pytest.raises(InputError, match="70000x1 pixels are too many for .jpg"):
        write_image(path, np.zeros((1, 70_000, 3), np.uint8))
    assert read_image(path).shape == image.shape


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), bool),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_that_are_no_image_are_not_written(tmp_path, array):
    with pytest.raises(InputError, match="cannot hold "):
        write_image(tmp_path / "image.png", array)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["image.gif", "image", "png"])
def test_unknown_formats_are_not_written(tmp_path, name):
    with pytest.raises(InputError, match=r"expected one of \.png \.tif \.tiff \.jpg"):
        write_image(tmp_path / name, noise(2, 2))


def test_failed_write_leaves_the_old_image(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    write_image(path, noise(4, 5))

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot be written .no space left"):
        write_image(path, noise(8, 9))
    np.testing.assert_array_equal(read_mask(path), noise(4, 5))


def test_file_names_beyond_ascii(tmp_path):
    path = tmp_path / "größe 写真.png"
    write_image(path, noise(3, 4, 3))
    np.testing.assert_array_equal(read_image(str(path)), noise(3, 4, 3))


# What a file may hold.


@pytest.mark.parametrize(
    ("content", "mask"),
    [
        (png(3, 1, b"\0\x18", depth=2), [[0, 85, 170]]),
        (png(2, 1, b"\0\x40", depth=1), [[0, 255]]),
        (png(2, 1, b"\0\x0a\xff\x80\0", colour=4), [[[10] * 3, [128] * 3]]),
        (
            png(2, 1, b"\0\1\0", (b"PLTE", bytes([1, 2, 3, 128, 128, 128])), colour=3),
            [[[128] * 3, [1, 2, 3]]],
        ),
        (
            png(
                2, 1, b"\0\1\0", (b"PLTE", b"\1\2\3\4\5\6"), (b"tRNS", b"\0"), colour=3
            ),
            [[[4, 5, 6], [1, 2, 3]]],
        ),
        (png(1, 1, b"\0\x80\0", depth=16), [[32768]]),
    ],
    ids=["2-bit", "1-bit", "grey-alpha", "palette", "clear-palette", "16-bit"],
)
def test_kinds_of_png(tmp_path, content, mask):
    path = tmp_path / "mask.png"
    path.write_bytes(content)
    got = read_mask(path)
    assert got.tolist() == mask
    colours = read_image(path)
    assert colours.shape == (*got.shape[:2], 3)
    spread = got if got.ndim == 3 else np.dstack([got] * 3)
    np.testing.assert_array_equal(colours, spread)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_trimaps_of_any_kind_come_out_canonical(tmp_path, dtype):
    labels = np.array([[0, 128, 255], [255, 128, 0]], np.uint8)
    path = tmp_path / "trimap.png"
    stored = labels.astype(dtype) * dtype(257 if dtype == np.uint16 else 1)
    for trimap in (stored, np.dstack([stored] * 3), np.dstack([stored] * 4)):
        write_image(path, trimap)
        np.testing.assert_array_equal(canonical_trimap(read_mask(path))[0], labels)


def test_alpha_is_scaled_to_one(tmp_path):
    path = tmp_path / "alpha.png"
    write_image(path, np.array([[0, 51, 255]], np.uint8))
    assert read_alpha(path).dtype == np.float32
    np.testing.assert_allclose(read_alpha(path), [[0, 0.2, 1]], rtol=1e-6)
    write_image(path, np.array([[0, 13107, 65535]], np.uint16))
    np.testing.assert_allclose(read_alpha(path), [[0, 0.2, 1]], rtol=1e-6)
    write_image(path, np.dstack([np.array([[0, 51, 255]], np.uint8)] * 3))
    np.testing.assert_allclose(read_alpha(path), [[0, 0.2, 1]], rtol=1e-6)
    write_image(path, np.array([[[7, 7, 8]]], np.uint8))
    assert "in colour" in refusal(read_alpha, path)


def test_floating_point_is_for_alphas_only(tmp_path):
    path = tmp_path / "alpha.tiff"
    alpha = np.array([[0, 0.3, 1]], np.float32)
    path.write_bytes(encode(".tiff", alpha))
    np.testing.assert_array_equal(read_alpha(path), alpha)
    np.testing.assert_array_equal(read_mask(path), alpha)
    assert "holds float32 values; save it with 8 or 16" in refusal(read_image, path)
    for bad in (np.nan, -0.1, 1.1):
        path.write_bytes(encode(".tiff", np.array([[0, bad]], np.float32)))
        assert "NaN or outside [0, 1]" in refusal(read_alpha, path)
    path.write_bytes(encode(".tiff", np.array([[0, 9]], np.int16)))
    for reader in READERS:
        assert "holds int16 values" in refusal(reader, path)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_keeps_floating_point(tmp_path, channels):
    path = tmp_path / "image.tif"
    image = np.random.default_rng(0).standard_normal((40, 60, channels))
    image = np.squeeze(image.astype(np.float32))
    check_output(path, channels=channels, dtype=image.dtype)
    write_image(path, image)
    expected = image[..., :3] if channels == 4 else image
    np.testing.assert_array_equal(read_mask(path), expected)
    stored = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), -1)
    order = [2, 1, 0, 3][:channels]
    np.testing.assert_array_equal(stored, image[..., order] if channels > 1 else image)
    for reader in (read_image, read_cutout):
        assert "holds float32 values" in refusal(reader, path)


def test_cutout_needs_an_alpha(tmp_path):
    path = tmp_path / "image.png"
    for image in (noise(4, 5), noise(4, 5, 3)):
        write_image(path, image)
        assert "has no alpha channel" in refusal(read_cutout, path)


# Bytes instead of files.


@pytest.mark.parametrize("suffix", [".png", ".TIF", ".jpeg", ".exr"])
def test_bytes_are_what_the_file_holds(tmp_path, suffix):
    path, image = tmp_path / f"image{suffix}", noise(9, 6, 3)
    if suffix == ".exr":
        image = image / np.float32(255)
    write_image(path, image)
    content = encode_image(image, suffix)
    assert content == path.read_bytes()
    np.testing.assert_array_equal(decode_mask(content, name="-"), read_mask(path))
    if suffix != ".exr":
        pixels = decode_photo(content, name="-").pixels
        np.testing.assert_array_equal(pixels, read_image(path))


def test_bytes_are_refused_by_their_name():
    for decode in (decode_photo, decode_mask):
        for content, reason in ((b"", "is empty"), (b"no image", "is damaged or no")):
            with pytest.raises(InputError, match=f"^standard input: {reason}"):
                decode(content, name="standard input")
    with pytest.raises(InputError, match=r"^image.gif: has an unknown format '.gif'"):
        encode_image(noise(2, 2), ".gif")
    with pytest.raises(InputError, match=r"^image.png: cannot hold an array of shape"):
        encode_image(noise(2), ".png")


# Orientation: what stands at the upper left of the file, and where it belongs.

UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("value", UPRIGHT)
def test_jpeg_is_turned_upright(tmp_path, value):
    path = tmp_path / "photo.jpg"
    blocks = np.array([[0, 50, 100], [150, 200, 250]], np.uint8)
    jpeg = encode(".jpg", blocks.repeat(16, 0).repeat(16, 1))
    exif = b"Exif\0\0" + orientation(value)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(jpeg[:2] + segment + jpeg[2:])
    expected = UPRIGHT[value](blocks).astype(int)
    for got in (read_mask(path), read_image(path)[..., 1]):
        assert np.abs(got[8::16, 8::16] - expected).max() <= 2


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_is_turned_upright(tmp_path, channels):
    path = tmp_path / "image.png"
    image = noise(2, 3, channels)
    content = encode(".png", image)
    path.write_bytes(content[:33] + chunk(b"eXIf", orientation(6)) + content[33:])
    colours = image[..., 2::-1] if channels > 1 else image.repeat(3, 2)
    np.testing.assert_array_equal(read_image(path), UPRIGHT[6](colours))
    if channels == 4:
        stored = image[..., [2, 1, 0, 3]]
        np.testing.assert_array_equal(read_cutout(path), UPRIGHT[6](stored))


@pytest.mark.parametrize("value", [1, 6, 7])
def test_tiff_is_turned_upright_once(tmp_path, value):
    path, grey = tmp_path / "image.tif", noise(2, 3)
    fields = [(256, 3), (257, 2), (258, 8), (259, 1), (262, 1), (273, 8 + 2 + 120 + 4)]
    fields += [(274, value), (277, 1), (278, 2), (279, 6)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, n) for tag, n in fields)
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4)
    path.write_bytes(head + grey.tobytes())
    np.testing.assert_array_equal(read_mask(path), UPRIGHT[value](grey))


# Bad files.


def test_what_is_not_a_readable_file(tmp_path):
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (
        ("missing.png", "cannot be read (No such file or directory)"),
        ("", "is a folder; name an image file"),
        ("empty.png", "is empty"),
        ("pipe.png", "is not a regular file"),
        ("empty.png/image.png", "cannot be read (Not a directory)"),
    ):
        for reader in READERS:
            assert refusal(reader, tmp_path / name).startswith(reason)


@pytest.mark.parametrize(
    "content",
    [
        b"P",
        b"hello, this is text\n" * 9,
        b"<html><body>404</body></html>",
        b"GIF89a?",
        b"\xff\xd8\xff",
        bytes(1000),
        noise(1000).tobytes(),
        png(4, 4, b"\0" + bytes(4)),  # one row of four
        png(2, 1, b"\0\0\0", colour=5),  # no such type
    ],
)
def test_what_is_not_an_image(tmp_path, content):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    for reader in READERS:
        assert refusal(reader, path).startswith("is damaged or no image")


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", ()),
        (".jpg", ()),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".tif", ()),
        (".tif", (cv2.IMWRITE_TIFF_COMPRESSION, 1)),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 90)),
        (".bmp", ()),
        (".ppm", ()),
    ],
)
def test_cut_short_at_any_length(tmp_path, capfd, suffix, options):
    path = tmp_path / f"image{suffix}"
    whole = encode(suffix, cv2.GaussianBlur(noise(48, 64, 3), (0, 0), 3), *options)
    path.write_bytes(whole)
    assert read_image(path).shape == (48, 64, 3)
    size = len(whole)
    for length in {1, 8, 20, 100, size // 4, size // 2, size * 9 // 10, size - 1}:
        path.write_bytes(whole[:length])
        refusal(read_image, path)
    assert capfd.readouterr().err == ""


def test_thumbnail_does_not_hide_that_a_photo_is_cut_short(tmp_path):
    path, jpeg = tmp_path / "photo.jpg", encode(".jpg", noise(64, 64, 3))
    thumbnail = encode(".jpg", noise(8, 8, 3))
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = jpeg[:2] + segment + jpeg[2:]
    path.write_bytes(whole + b"left behind the end")
    assert read_image(path).shape == (64, 64, 3)
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(read_image, path).startswith("is cut short")


def test_gigantic_images_are_refused_by_their_header(tmp_path):
    # OpenCV reads its limits when first imported, hence a process of its own.
    bomb, small = tmp_path / "bomb.png", tmp_path / "small.png"
    bomb.write_bytes(png(60_000, 60_000, b"\0", depth=16, colour=6))
    small.write_bytes(png(2**14, 2**14 + 8, bytes(9), depth=1))
    wide = tmp_path / "wide.png"
    wide.write_bytes(png(2**16 + 1, 1, bytes(2**16 + 2)))
    program = (
        "import sys\n"
        "from tmfnet_jax.errors import InputError\n"
        "from tmfnet_jax.images import read_image\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        print(read_image(path).shape)\n"
        "    except InputError as error:\n"
        "        print(error)\n"
        "status = open('/proc/self/status').read()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    for name in ("PIXELS", "WIDTH", "HEIGHT"):
        environment.pop(f"OPENCV_IO_MAX_IMAGE_{name}", None)
    result = subprocess.run(
        [sys.executable, "-c", program, bomb, small, wide],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    *lines, kilobytes = result.stdout.splitlines()
    for line, path, limit in zip(
        lines,
        (bomb, small, wide),
        ("PIXELS=268435456", "PIXELS=268435456", "WIDTH=65536"),
        strict=True,
    ):
        expected = f"{path}: is larger than the limit OPENCV_IO_MAX_IMAGE_{limit}; "
        assert line.startswith(expected)
    assert int(kilobytes) < 500_000


def test_files_of_over_two_gigabytes_are_not_read(tmp_path):
    path = tmp_path / "image.tif"
    with path.open("wb") as file:
        file.truncate(2**31)  # a hole: takes no room
    assert refusal(read_image, path).startswith("has over 2147483647 bytes")


def test_opencv_speaks_again_afterwards(tmp_path):
    log = cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2
    before = log.getLogLevel()
    (tmp_path / "bad.bmp").write_bytes(b"BM?")
    write_image(tmp_path / "good.png", noise(64, 64, 3))

    def work():
        for _ in range(20):
            read_image(tmp_path / "good.png")
            refusal(read_image, tmp_path / "bad.bmp")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.getLogLevel() == before > 0
    assert opencv_codecs._quiet_users == 0
