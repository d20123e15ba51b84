"""Composed test sets in miniature: layouts, inventories, and images bit by bit."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from miniatures import alpha, colours, composition, save, trimap, zipped
from PIL import Image
from test_reference_composition import plain_compose

from input_pipeline.evaluation_data import pillow_images
from input_pipeline.evaluation_data.composition_benchmarks import (
    CIOM,
    COMPOSITION_1K,
    composition_set,
)
from tmfnet_jax.errors import InputError

SPEC = dataclasses.replace(COMPOSITION_1K, foregrounds=4, backgrounds_each=5)
TOP = "Combined_Dataset/Test_set"
IMAGES = f"{TOP}/Adobe-licensed images"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    place = tmp_path_factory.mktemp("original")
    composition(place / "data" / TOP, place / "photos", SPEC)
    return place


@pytest.fixture
def place(original, tmp_path):
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path


def opened(place, data="data", photos="photos", spec=SPEC):
    return composition_set(place / data, backgrounds=place / photos, spec=spec)


def checksum(examples):
    digest = hashlib.sha256()
    for example in examples:
        digest.update(example.name.encode())
        for array in (example.image, example.trimap, example.alpha):
            digest.update(array.tobytes())
    return digest.hexdigest()


def test_images_equal_the_loop_over_pixels(original):
    dataset = opened(original)
    assert dataset.names[:6] == (*(f"lace_{j}" for j in range(5)), "girl.b_0")
    assert len(dataset.names) == 20
    assert dataset.inventory.complete and dataset.has_alpha
    for number, example in enumerate(dataset.examples()):
        i, j = divmod(number, 5)
        photo = Image.open(original / "photos" / f"2007_{i:03}{j:03}.jpg")
        ratio = max(12 / photo.width, 9 / photo.height)
        if ratio > 1:
            size = [-int(-side * ratio // 1) for side in photo.size]  # rounded up
            photo = photo.resize(size, Image.Resampling.BICUBIC)
        background = np.asarray(photo.crop((0, 0, 12, 9)))
        expected = plain_compose(colours(i, 0), background, alpha(i, 1))
        np.testing.assert_array_equal(example.image, expected)
        np.testing.assert_array_equal(example.alpha, alpha(i, 1))
        np.testing.assert_array_equal(example.trimap, trimap(i, j, 2))


def test_twice_and_from_a_zip_file_it_is_the_same(original, tmp_path):
    expected = checksum(opened(original).examples())
    assert checksum(opened(original).examples()) == expected
    for below in ("", "Adobe_Deep_Matting_Dataset/any where/"):
        file = zipped(original / "data", tmp_path / "data.zip", below=below)
        dataset = composition_set(file, backgrounds=original / "photos", spec=SPEC)
        assert dataset.inventory == opened(original).inventory
        assert checksum(dataset.examples()) == expected


def test_threads_and_other_orders_give_the_same(original):
    dataset = opened(original)
    names = [*dataset.names[::-1], *dataset.names]
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(dataset.load, names))
    assert [example.name for example in loaded] == names
    assert checksum(loaded[20:]) == checksum(opened(original).examples())
    loaded[0].alpha[:] = 7  # an example is its caller's
    np.testing.assert_array_equal(dataset.load(names[0]).alpha, loaded[39].alpha)


def test_the_place_may_be_any_folder_around_it(place):
    for data in ("data", "data/Combined_Dataset", f"data/{TOP}"):
        assert opened(place, data).inventory.complete
    for below in ("JPEGImages", "VOC2012/JPEGImages", "VOCdevkit/VOC2012/JPEGImages"):
        folder = place / "voc" / below
        folder.parent.mkdir(parents=True)
        shutil.copytree(place / "photos", folder)
        assert opened(place, photos="voc").inventory.complete
        shutil.rmtree(place / "voc")


def test_the_published_counts():
    for spec in (COMPOSITION_1K, CIOM):
        assert (spec.foregrounds, spec.backgrounds_each) == (50, 20)


def test_ciom_has_the_layout_without_a_folder_of_images(tmp_path):
    spec = dataclasses.replace(CIOM, foregrounds=2, backgrounds_each=20)
    photos = tmp_path / "ade" / "ADEChallengeData2016" / "images"
    composition(tmp_path / "ciom", photos / "training", spec)
    (photos / "validation").mkdir()
    name = "2007_001003.jpg"  # of the second foreground: number 3
    (photos / "training" / name).rename(photos / "validation" / name)
    dataset = opened(tmp_path, "ciom", "ade", spec)
    assert dataset.inventory.complete and len(dataset.names) == 40
    assert dataset.names[23] == "girl.b_3"
    assert (
        sum(example.image.shape == (9, 12, 3) for example in dataset.examples()) == 40
    )
    report = dataset.inventory.report()
    assert "CIOM's files is not public" in report and "ADE20K" in report
    assert dataset.settings["backgrounds_each"] == 20


def test_all_missing_and_surplus_files_are_listed_at_once(place):
    images = place / "data" / IMAGES
    (images / "fg" / "lace.png").unlink()
    (images / "alpha" / "veil.png").rename(images / "alpha" / "vail.png")
    (images / "trimaps" / "web_1_3.png").unlink()
    (images / "trimaps" / "web_1_5.png").write_bytes(b"")
    (images / "fg" / "Thumbs.db").write_bytes(b"")
    (images / "fg" / ".DS_Store").write_bytes(b"")
    (place / "photos" / "2007_001002.jpg").unlink()
    (place / "photos" / "2012_000001.jpg").write_bytes(b"one of thousands")
    dataset = opened(place)
    inventory = dataset.inventory
    assert inventory.missing == (
        "fg/lace.png",
        "alpha/veil.png",
        "trimaps/web_1_3.png",
        "backgrounds/2007_001002.jpg",
    )
    assert inventory.surplus == (
        "fg/Thumbs.db",
        "alpha/vail.png",
        "trimaps/web_1_5.png",
    )
    assert inventory.counts == (
        ("fg", 3, 4),
        ("alpha", 3, 4),
        ("trimaps", 19, 20),
        ("backgrounds", 19, 20),
    )
    assert not inventory.complete
    assert dataset.names == (
        *(f"girl.b_{j}" for j in (0, 1, 3, 4)),
        *(f"web_1_{j}" for j in (0, 1, 2, 4)),
    )
    assert checksum(dataset.examples())
    lines = inventory.report().splitlines()
    (source,) = (line for line in lines if line.startswith("source: "))
    assert "Deep Image Matting, CVPR 2017" in source
    assert any("Flickr" in line for line in lines if line.startswith("licence: "))
    assert "missing (4):" in lines and "  trimaps/web_1_3.png" in lines
    assert "surplus (3):" in lines and "  fg/Thumbs.db" in lines


def test_places_that_hold_no_such_set(place):
    with pytest.raises(InputError, match="photos: expected test_fg_names.txt in one"):
        opened(place, "photos")
    with pytest.raises(InputError, match="nowhere: no such folder or zip file"):
        opened(place, photos="nowhere")
    shutil.copytree(place / "data" / TOP, place / "data" / "copy")
    with pytest.raises(InputError, match=f"found several: {TOP}, copy"):
        opened(place)
    shutil.rmtree(place / "data" / "copy")
    (place / "data" / TOP / "test_bg_names.txt").unlink()
    with pytest.raises(InputError, match="test_bg_names.txt: cannot be read"):
        opened(place)


def test_roles_without_any_file_are_one_mistake_each(place):
    (place / "empty").mkdir()
    shutil.rmtree(place / "data" / IMAGES / "trimaps")
    message = (
        "found none of the files of composition-1k in: .*images/trimaps; .*empty "
        r"\(PASCAL VOC 2012; or JPEGImages, VOC2012/"
    )
    with pytest.raises(InputError, match=message):
        opened(place, photos="empty")


@pytest.mark.parametrize(
    "line",
    ["../../secret.png", "/etc/passwd", "..", "a\\b.png", ".hidden.png", "a\0.png"],
)
def test_names_must_not_lead_elsewhere(place, line):
    for file in ("test_fg_names.txt", "test_bg_names.txt"):
        path = place / "data" / TOP / file
        text = path.read_text()
        path.write_text(text.replace(text.splitlines()[1], line))
        with pytest.raises(
            InputError, match=f"{file}: has the line .*plain file names"
        ):
            opened(place)
        path.write_text(text)


def test_lists_must_be_whole_and_text(place):
    path = place / "data" / TOP / "test_fg_names.txt"
    names = path.read_text().split()
    path.write_text("\ufeff  " + " \r\n\r\n ".join(names), "utf-8")  # still these
    assert opened(place).inventory.complete
    for text, message in (
        ("\n".join(names[:3]).encode(), "has 3 names; expected 4"),
        ("\n".join([*names[:3], "lace.jpg"]).encode(), "more than once: lace;"),
        (b"\xff\xfe\0", "is no text in UTF-8"),
    ):
        path.write_bytes(text)
        with pytest.raises(InputError, match=message):
            opened(place)
    path.write_text("\n".join(names))
    path = path.with_name("test_bg_names.txt")
    path.write_text("2007_000000.jpg\n" * 19)
    with pytest.raises(InputError, match="bg_names.txt: has 19 names; expected 20"):
        opened(place)
    path.write_text("2007_000000.jpg\n" * 20)  # one photo may serve many
    dataset = opened(place)
    assert dataset.inventory.counts[3] == ("backgrounds", 1, 1)
    assert dataset.inventory.complete


def test_foregrounds_may_be_grey_or_have_alpha(place, original):
    images = place / "data" / IMAGES
    grey = colours(7)[..., 0]
    save(images / "fg" / "lace.png", grey)
    save(images / "fg" / "veil.png", np.dstack([colours(3, 0), alpha(9)]))
    save(images / "alpha" / "veil.png", np.dstack([alpha(3, 1)] * 3))
    dataset = opened(place)
    opaque = alpha(0, 1) == 255
    image = dataset.load("lace_0").image
    np.testing.assert_array_equal(image[opaque], np.dstack([grey] * 3)[opaque])
    before = opened(original).load("veil_2")
    np.testing.assert_array_equal(dataset.load("veil_2").image, before.image)
    np.testing.assert_array_equal(dataset.load("veil_2").alpha, alpha(3, 1))


def test_files_that_are_not_the_original_ones(place, monkeypatch):
    images = place / "data" / IMAGES
    save(images / "alpha" / "lace.png", np.zeros((9, 11), np.uint8))
    save(images / "fg" / "girl.b.png", colours(1, 0).astype(np.uint16))
    soft = trimap(2, 0, 2)
    soft[4, 5] = 129
    save(images / "trimaps" / "web_1_0.png", soft)
    save(images / "trimaps" / "web_1_1.png", trimap(2, 1, 2).astype(np.uint16) * 257)
    save(images / "trimaps" / "web_1_2.png", np.zeros((8, 12), np.uint8))
    (place / "photos" / "2007_002003.jpg").write_bytes(b"")
    dataset = opened(place)
    assert dataset.inventory.complete
    for name, message in {
        "lace_0": "fg/lace.png: is 12x9 and its alpha 11x9",
        "girl.b_0": "girl.b.png: has more than 8 bits a channel",
        "web_1_0": r"web_1_0.png: .*values other .* at 1 of 108 pixels, most .* 129",
        "web_1_1": "web_1_1.png: holds uint16 values; expected the original",
        "web_1_2": "web_1_2: files differ in size: image 12x9, trimap 12x8, alpha 12x9",
        "web_1_3": "photos/2007_002003.jpg: is no PNG or JPEG file",
    }.items():
        with pytest.raises(InputError, match=message):
            dataset.load(name)
    monkeypatch.setattr(pillow_images, "MAX_PIXELS", 600)
    with pytest.raises(
        InputError, match="003.jpg: an image of 40x4 .* resized to 90x9"
    ):
        dataset.load("veil_3")


def test_a_trimap_without_unknown_pixels_loads(place):
    known = np.zeros((9, 12), np.uint8)
    save(place / "data" / IMAGES / "trimaps" / "lace_0.png", known)
    np.testing.assert_array_equal(opened(place).load("lace_0").trimap, known)
    save(place / "data" / IMAGES / "trimaps" / "lace_0.png", known + np.uint8(128))
    assert (opened(place).load("lace_0").trimap == 128).all()
