"""The compositing rules against loops over pixels, and images as Pillow reads them."""

from __future__ import annotations

import io
import math
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from miniatures import alpha, colours
from PIL import Image

from input_pipeline.evaluation_data import pillow_images, reference_composition
from input_pipeline.evaluation_data.pillow_images import (
    decode_colours,
    decode_first_channel,
    require_pillow,
)
from input_pipeline.evaluation_data.reference_composition import compose, cover
from tmfnet_jax.errors import InputError


def plain_pixel(opacity: int, front: int, back: int) -> int:
    """Compose one value of one channel in Python's numbers."""
    weight = opacity / 255
    if weight >= 1:
        return front
    if weight > 0:
        return int(weight * front + (1 - weight) * back)
    return back


def plain_compose(front, back, opacity):
    result = np.empty_like(front)
    for y, x, c in np.ndindex(front.shape):
        result[y, x, c] = plain_pixel(
            int(opacity[y, x]), int(front[y, x, c]), int(back[y, x, c])
        )
    return result


def png(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_composites_equal_the_loop():
    front, back, opacity = colours(0), colours(1), alpha(2)
    expected = plain_compose(front, back, opacity)
    np.testing.assert_array_equal(compose(front, back, opacity), expected)
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    front, back = colours(3, size=(16, 16)), colours(4, size=(16, 16))
    expected = plain_compose(front, back, every)
    np.testing.assert_array_equal(compose(front, back, every), expected)


def test_float64_is_truncated_where_whole_numbers_would_give_one_more():
    grey = np.full((1, 256, 3), 100, np.uint8)
    opacity = np.arange(256, dtype=np.uint8)[None]
    result = compose(grey, grey, opacity)
    np.testing.assert_array_equal(result, plain_compose(grey, grey, opacity))
    assert set(np.unique(result)) == {99, 100}


def test_strips_do_not_show(monkeypatch):
    front, back, opacity = colours(0), colours(1), alpha(2)
    whole = compose(front, back, opacity)
    monkeypatch.setattr(reference_composition, "_STRIP_PIXELS", 25)
    np.testing.assert_array_equal(compose(front, back, opacity), whole)


@pytest.mark.parametrize("size", [(20, 25), (5, 6), (30, 7), (4, 40), (9, 12), (7, 11)])
def test_backgrounds_cover_the_foreground(size):
    height, width = 9, 12
    background = colours(5, size=size)
    photo = Image.fromarray(background)
    ratio = max(width / photo.width, height / photo.height)
    if ratio > 1:
        larger = (math.ceil(photo.width * ratio), math.ceil(photo.height * ratio))
        photo = photo.resize(larger, Image.Resampling.BICUBIC)
    expected = np.asarray(photo.crop((0, 0, width, height)))
    covered = cover(background, width=width, height=height)
    np.testing.assert_array_equal(covered, expected)


def test_a_background_that_would_fill_the_memory_is_refused():
    sliver = np.zeros((1000, 1, 3), np.uint8)
    with pytest.raises(InputError, match="1x1000 cannot be resized to 4000x4000000"):
        cover(sliver, width=4000, height=3000)


def test_colours_are_those_of_pillow():
    rgb = colours(0)
    rgba = Image.fromarray(np.dstack([rgb, alpha(1)]))
    np.testing.assert_array_equal(decode_colours(png(rgba), name="f"), rgb)
    grey = Image.fromarray(rgb[..., 0])
    expected = np.dstack([rgb[..., 0]] * 3)
    np.testing.assert_array_equal(decode_colours(png(grey), name="f"), expected)
    palette = Image.fromarray(rgb).quantize(7)
    # Opacities of a palette: Pillow warns when it converts such an image.
    data = png(palette, transparency=bytes([0, 90, 255]))
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(decode_colours(data, name="f"), expected)
    jpeg = io.BytesIO()
    Image.fromarray(rgb).convert("CMYK").save(jpeg, "JPEG")
    expected = np.asarray(Image.open(jpeg).convert("RGB"))
    read = decode_colours(jpeg.getvalue(), name="f")
    np.testing.assert_array_equal(read, expected)


def test_alphas_are_the_first_channel():
    values = alpha(0)
    for image in (
        Image.fromarray(values),
        Image.fromarray(np.dstack([values, alpha(1), alpha(2)])),
        Image.fromarray(np.dstack([values, alpha(1)])),  # LA
    ):
        read = decode_first_channel(png(image), name="a")
        np.testing.assert_array_equal(read, values)
    inverted = Image.fromarray(values)
    inverted.putpalette([255 - i // 3 for i in range(768)])
    read = decode_first_channel(png(inverted), name="a")
    np.testing.assert_array_equal(read, 255 - values)
    hard = Image.fromarray(np.where(values > 99, 255, 0).astype(np.uint8))
    read = decode_first_channel(png(hard.convert("1")), name="a")
    np.testing.assert_array_equal(read, np.asarray(hard))


def header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + crc + b"\0\0\0\x09IDAT"


def test_what_is_not_an_original_file_is_refused():
    deep = colours(0).astype(np.uint16) * 257
    whole = png(Image.fromarray(colours(0)))
    jpeg = cv2.imencode(".jpg", colours(0))[1].tobytes()
    cases = [
        ("has more than 8 bits", cv2.imencode(".png", deep)[1].tobytes()),
        ("has more than 8 bits", cv2.imencode(".png", deep[..., 0])[1].tobytes()),
        ("is no PNG or JPEG file", cv2.imencode(".bmp", colours(0))[1].tobytes()),
        ("is no PNG or JPEG file", b""),
        ("is damaged or cut short", whole[: len(whole) // 2]),
        ("is damaged or cut short", jpeg[: len(jpeg) // 2]),
        ("is damaged or cut short", whole[:20]),
        ("is damaged or cut short", header(0, 9)),
        ("is 32768x16384, over 268435456 pixels", header(32768, 16384)),
    ]
    for message, data in cases:
        for decode in (decode_colours, decode_first_channel):
            with pytest.raises(InputError, match=f"^f.png: {message}"):
                decode(data, name="f.png")


def test_damaged_bytes_never_end_in_another_error():
    random = np.random.default_rng(0)
    for data in (
        png(Image.fromarray(colours(0))),
        cv2.imencode(".jpg", colours(0))[1].tobytes(),
    ):
        outcomes = {True: 0, False: 0}
        for _ in range(150):
            broken = bytearray(data)
            broken[random.integers(8, len(data))] = random.integers(256)
            try:
                decoded = decode_colours(bytes(broken), name="f")
                outcomes[True] += 1
                assert decoded.shape[2] == 3
            except InputError:
                outcomes[False] += 1
        assert all(outcomes.values())


def test_large_images_bring_no_warning_of_pillow(monkeypatch):
    data = png(Image.fromarray(colours(0)))
    for limit in (100, 10):  # 108 pixels: a warning, an error
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        np.testing.assert_array_equal(decode_colours(data, name="f"), colours(0))
    monkeypatch.setattr(pillow_images, "MAX_PIXELS", 100)
    with pytest.raises(InputError, match="f: is 12x9, over 100 pixels"):
        decode_colours(data, name="f")


def test_without_pillow_its_extra_is_named(monkeypatch):
    require_pillow("set x")
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "PIL.Image")
    with pytest.raises(InputError, match=r"set x needs .*'tmfnet-jax\[eval\]'"):
        require_pillow("set x")
