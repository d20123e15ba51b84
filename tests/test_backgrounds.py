"""Backgrounds out of photos and panoramas: what they show, and what decides it."""

from __future__ import annotations

import base64
import csv
import sys

import cv2
import numpy as np
import pytest

from experiments import backgrounds, panoramas, photo_crops
from experiments.backgrounds import write_backgrounds
from experiments.developing import develop, is_bare, linear_light, out_of_focus
from experiments.image_sources import ImageSource
from experiments.open_data import PACKAGES
from experiments.panoramas import read_panorama, view
from experiments.photo_crops import crop, crop_count, read_photo
from tmfnet_jax.errors import InputError
from tmfnet_jax.exr import encode_exr

RNG = np.random.default_rng(0)
PHOTO = cv2.resize(RNG.integers(0, 256, (12, 16, 3), np.uint8), (1600, 1200))


def _panorama(height=128):
    """Return one whose red says the longitude, and whose green the latitude."""
    down, right = np.mgrid[:height, : 2 * height].astype(np.float32) + 0.5
    image = np.stack([right / (2 * height), down / height, right * 0 + 0.5], -1)
    return image.astype(np.float32)


def _source(name):
    return ImageSource(name, "scenes", "1.2", f"x/{name}", "Ann", "CC0-1.0", "12ab")


def test_developing_can_be_taken_back():
    values = np.arange(253, dtype=np.uint8)  # whiter ones are taken for one light
    np.testing.assert_array_equal(develop(linear_light(values)), values)
    assert develop(np.float32([0, 1e6])).tolist() == [0, 255]


def test_a_point_out_of_focus_is_a_disc_of_the_same_light():
    light = np.zeros((31, 31, 3), np.float32)
    light[15, 15] = 100
    disc = out_of_focus(light, 6.0)
    np.testing.assert_allclose(disc.sum((0, 1)), 100, rtol=1e-4)
    np.testing.assert_allclose(disc[15, 11:20, 0], disc[15, 15, 0], rtol=1e-3)
    assert disc[15, 5].max() < 1e-3


def test_bare_photos():
    assert is_bare(np.full((9, 9, 3), 120, np.uint8))
    assert is_bare(
        np.where(np.arange(9)[:, None, None] < 4, 255, 0) + np.zeros((9, 9, 3))
    )
    assert not is_bare(PHOTO)


def test_crops_differ_by_their_number_alone():
    first, again, second = (crop(PHOTO, "hill", number) for number in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape != second.shape or (first != second).any()
    shapes = [crop(PHOTO, "hill", number).shape for number in range(5)]
    low, high = photo_crops.SIDES_PX
    assert all(low <= max(shape) <= high for shape in shapes)
    assert {shape[0] > shape[1] for shape in shapes} == {True, False}


def test_a_small_photo_gives_fewer_and_smaller_crops():
    small = cv2.resize(PHOTO, (400, 300))
    assert crop_count(PHOTO, 12) == 12
    assert crop_count(small, 12) == 4
    assert max(crop(small, "hill", 0).shape) <= photo_crops.MAGNIFICATION * 400


def test_a_view_shows_what_lies_in_its_direction():
    panorama = _panorama()
    light = panoramas._project(panorama, (41, 61), 50, yaw=0.5, pitch=0.3, roll=0)
    longitude, latitude = (light[20, 30, :2] - 0.5) * (2 * np.pi, np.pi)
    np.testing.assert_allclose((longitude, latitude), (0.5, -0.3), atol=0.01)
    right, left = light[20, 60, 0], light[20, 0, 0]
    # Rectilinear: 30 pixels at a focal length of 50, and nearer to the pole.
    across = np.arctan2(30 / 50, np.cos(0.3))
    np.testing.assert_allclose((right - left) * np.pi, across, atol=0.01)
    assert light[40, 30, 1] > light[0, 30, 1]


def test_views_are_exposed_and_of_the_sizes_that_are_said():
    dark = cv2.resize(RNG.random((16, 32, 3), np.float32) ** 4, (1024, 512)) * 1e-3
    photos = [view(dark, "hall", number) for number in range(2)]
    low, high = panoramas.MEANS
    for photo in photos:
        assert low - 0.02 < photo.mean() / 255 < high + 0.02
        assert panoramas.SIDES_PX[0] <= max(photo.shape) <= panoramas.SIDES_PX[1]
    np.testing.assert_array_equal(view(dark, "hall", 0), photos[0])
    night = view(dark, "hall_at_night", 0)
    assert night.mean() / 255 < panoramas.NIGHT_MEANS[1] + 0.02


def test_panoramas_are_read_from_files_and_modules():
    pytest.importorskip("OpenEXR")
    image = _panorama(8)
    image[2, 3] = -5, 0, 400
    data = encode_exr(image)
    module = b"export default 'data:application/exr;base64,%s'" % base64.b64encode(data)
    found = read_panorama(data)
    np.testing.assert_array_equal(found, read_panorama(module))
    np.testing.assert_array_equal(found[2, 3], [100, 100, 400])  # a lamp is no colour
    image[2, 3] = found[2, 3]
    np.testing.assert_array_equal(found, image)
    with pytest.raises(InputError, match="not an OpenEXR image"):
        read_panorama(b"text")
    with pytest.raises(InputError, match="twice as wide as high"):
        read_panorama(encode_exr(image[:4]))


def test_all_backgrounds_with_their_origins(tmp_path, monkeypatch, capsys):
    for name in ("CROPS", "VIEWS", "GENERATED"):
        monkeypatch.setattr(backgrounds, name, {"train": 2, "test": 1})
    monkeypatch.setattr(backgrounds, "GENERATED_PX", 64)
    monkeypatch.setattr(backgrounds, "TEST_PHOTOS", {"sea"})
    monkeypatch.setattr(backgrounds, "read_panorama", lambda data: _panorama(64))
    monkeypatch.setattr(backgrounds, "exr_library", lambda: None)
    for name in ("hill", "sea"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), PHOTO)
    (tmp_path / "torn.jpg").write_bytes(b"text")
    (tmp_path / "hall.exr").write_bytes(b"")
    originals = {
        "photos": [_source(f"{name}.jpg") for name in ("hill", "sea", "torn")],
        "panoramas": [_source("hall.exr")],
        "originals": tmp_path,
    }
    rows = write_backgrounds(tmp_path / "out", **originals)
    assert [row.image for row in rows] == [
        *("test/generated_000.jpg", "test/sea_00.jpg"),
        *("train/generated_000.jpg", "train/generated_001.jpg"),
        *("train/hall_00.jpg", "train/hall_01.jpg"),
        *("train/hill_00.jpg", "train/hill_01.jpg"),
    ]
    assert (
        "torn.jpg: not an image that can be decoded; left out"
        in capsys.readouterr().err
    )
    with (tmp_path / "out/sources.csv").open() as file:
        listed = [*csv.DictReader(file)]
    assert [row["image"] for row in listed] == [row.image for row in rows]
    assert (listed[1]["file"], listed[1]["sha256"]) == ("x/sea.jpg", "12ab")
    assert (listed[0]["licence"], listed[1]["author"]) == ("Apache-2.0", "Ann")
    images = {row.image: (tmp_path / "out" / row.image).read_bytes() for row in rows}
    (tmp_path / "out/train/hill_00.jpg").unlink()
    (tmp_path / "out/train/hill_01.jpg").write_bytes(b"mine")
    write_backgrounds(tmp_path / "out", **originals)
    images["train/hill_01.jpg"] = b"mine"
    for name, data in images.items():
        assert (tmp_path / "out" / name).read_bytes() == data
    (tmp_path / "out/train/sea_01.jpg").write_bytes(b"from an older split")
    with pytest.raises(InputError, match="sea_01.jpg: not of these packages"):
        write_backgrounds(tmp_path / "out", **originals)
    assert (tmp_path / "out/train/sea_01.jpg").exists()


def test_without_the_library_nothing_is_left_out_silently(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(InputError, match="need the Python package OpenEXR"):
        write_backgrounds(
            tmp_path, photos=[], panoramas=[_source("hall.exr")], originals=tmp_path
        )


def test_what_is_kept_for_testing_is_collected():
    patterns = [name for package in PACKAGES for name in package.patterns]
    for name in backgrounds.TEST_PHOTOS:
        start = name.split("_by_")[0]
        assert any(f"/{start}" in f"/{pattern}" for pattern in patterns), name
    for name in backgrounds.TEST_PANORAMAS:
        package, _, place = name.partition("_")
        assert package == "bpy" or f"hdri/{place}.exr.js" in patterns, name


@pytest.mark.parametrize("data", [b"", b"text"])
def test_what_is_no_photo_is_refused(data):
    with pytest.raises(InputError, match="not an image that can be decoded"):
        read_photo(data)
