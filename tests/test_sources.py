"""Folders of images: matching, orientation, bit depth, and what is refused."""

from __future__ import annotations

import pickle
import struct

import cv2
import numpy as np
import pytest

from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.training_data.image_files import list_photos
from input_pipeline.training_data.sources import FolderSource, MixedSource, PooledSource
from tmfnet_jax.errors import InputError


def write(path, image):
    """Save grey, RGB or RGBA pixels with OpenCV."""
    path.parent.mkdir(exist_ok=True)
    if image.ndim == 3:
        order = [2, 1, 0, 3][: image.shape[2]]
        image = image[..., order]
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def colours(height, width, seed=0, dtype=np.uint8):
    """Draw RGB pixels over the whole range of the type."""
    rng = np.random.default_rng(seed)
    shape = (height, width, 3)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.fixture
def folders(tmp_path):
    """Two foregrounds with alphas and one background, all valid."""
    for seed, name in enumerate(("b", "a")):
        write(tmp_path / "fg" / f"{name}.png", colours(4, 5, seed))
        write(tmp_path / "alpha" / f"{name}.bmp", colours(4, 5, seed)[..., 0])
    write(tmp_path / "bg" / "sky.png", colours(6, 7, 2))
    return tmp_path


def source_of(folder, **changes):
    """Open the three folders of the fixture."""
    names = {"foregrounds": "fg", "alphas": "alpha", "backgrounds": "bg"} | changes
    paths = {role: folder / name for role, name in names.items() if name}
    return FolderSource(paths.pop("foregrounds"), **paths)


def test_images_come_in_order_of_their_names_with_their_alphas(folders):
    (folders / "fg" / "notes.txt").write_text("not an image")
    (folders / "fg" / "._a.png").write_bytes(b"left by a file manager")
    write(folders / "alpha" / "unused.png", colours(4, 5)[..., 0])
    source = source_of(folders)
    assert (source.num_foregrounds, source.num_backgrounds) == (2, 1)
    for index, seed in ((0, 1), (1, 0)):
        image, alpha = source.foreground(index)
        np.testing.assert_array_equal(image, colours(4, 5, seed))
        np.testing.assert_array_equal(alpha, colours(4, 5, seed)[..., 0])
        assert image.dtype == alpha.dtype == np.uint8
    np.testing.assert_array_equal(source.background(0), colours(6, 7, 2))


def test_cutouts_carry_their_alpha(folders):
    pixels = np.dstack([colours(4, 5), colours(4, 5, 1)[..., 0]])
    write(folders / "cut" / "one.png", pixels)
    image, alpha = source_of(folders, foregrounds="cut", alphas=None).foreground(0)
    np.testing.assert_array_equal(image, pixels[..., :3])
    np.testing.assert_array_equal(alpha, pixels[..., 3])
    # With a folder of alphas the foreground's own channel is left aside.
    write(folders / "alpha" / "one.png", np.full((4, 5), 7, np.uint8))
    image, alpha = source_of(folders, foregrounds="cut").foreground(0)
    np.testing.assert_array_equal(image, pixels[..., :3])
    assert (alpha == 7).all()


def test_cutout_without_alpha_is_refused(folders):
    source = source_of(folders, alphas=None)
    with pytest.raises(InputError, match=r"a\.png: has no alpha channel; give an RGBA"):
        source.foreground(0)


def test_sixteen_bits_are_rounded_to_eight(folders):
    deep = colours(6, 7, 3, np.uint16)
    write(folders / "bg" / "sky.png", deep)
    expected = np.rint(deep / 257)
    np.testing.assert_array_equal(source_of(folders).background(0), expected)
    write(folders / "alpha" / "a.png", deep[:4, :5, 0])
    (folders / "alpha" / "a.bmp").unlink()
    _, alpha = source_of(folders).foreground(0)
    np.testing.assert_array_equal(alpha, expected[:4, :5, 0])


def test_grey_backgrounds_get_three_channels_and_grey_rgb_alphas_one(folders):
    grey = colours(4, 5, 4)[..., 0]
    write(folders / "bg" / "sky.png", grey)
    write(folders / "alpha" / "a.bmp", np.dstack([grey] * 3))
    source = source_of(folders)
    np.testing.assert_array_equal(source.background(0), np.dstack([grey] * 3))
    np.testing.assert_array_equal(source.foreground(0)[1], grey)


def test_photographs_are_turned_as_exif_says(folders):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = 250
    jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
    # One TIFF directory with one entry: orientation (0x112), a short, 6: the
    # camera was turned, show the image rotated by 90 degrees clockwise.
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (folders / "bg" / "sky.png").unlink()
    (folders / "bg" / "sky.JPG").write_bytes(jpeg[:2] + segment + jpeg[2:])
    turned = source_of(folders).background(0)
    assert turned.shape == (32, 16, 3)
    assert turned[:16].min() > 200 and turned[16:].max() < 50


def test_all_problems_of_the_folders_are_told_at_once(tmp_path):
    for number in range(8):
        write(tmp_path / "fg" / f"{number}.png", colours(2, 2))
    write(tmp_path / "alpha" / "0.png", colours(2, 2)[..., 0])
    write(tmp_path / "alpha" / "0.bmp", colours(2, 2)[..., 0])
    (tmp_path / "bg").mkdir()
    with pytest.raises(InputError) as caught:
        source_of(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert f"backgrounds: {tmp_path / 'bg'}: no photos there" in message
    assert "missing, or there more than once: " in message
    assert f"{tmp_path / 'alpha' / '0'} (there are 0.bmp, 0.png; keep one), " in message
    assert f"{tmp_path / 'alpha' / '4'} and 3 more" in message


def test_missing_folder_is_named(folders):
    with pytest.raises(
        InputError, match="alphas: .*nowhere: cannot be listed .No such"
    ):
        source_of(folders, alphas="nowhere")


def test_alpha_of_another_size_is_refused_with_both_sizes(folders):
    write(folders / "alpha" / "a.bmp", colours(5, 4)[..., 0])
    with pytest.raises(InputError, match=r"a\.bmp is 4x5 but .*a\.png is 5x4"):
        source_of(folders).foreground(0)


def test_alpha_in_colour_is_refused(folders):
    write(folders / "alpha" / "a.bmp", colours(4, 5))
    with pytest.raises(InputError, match=r"a\.bmp: is in colour"):
        source_of(folders).foreground(0)


def test_damaged_file_is_refused_by_name(folders):
    (folders / "bg" / "sky.png").write_bytes(b"GIF89a?")
    with pytest.raises(InputError, match=r"sky\.png: is damaged"):
        source_of(folders).background(0)


def test_vanished_file_is_refused_by_name(folders):
    source = source_of(folders)
    (folders / "bg" / "sky.png").unlink()
    with pytest.raises(InputError, match=r"sky\.png: cannot be read \(No such file"):
        source.background(0)


def test_empty_alpha_is_refused_by_name(folders):
    write(folders / "alpha" / "a.bmp", np.zeros((4, 5), np.uint8))
    with pytest.raises(InputError, match=r"a\.bmp: is 0 everywhere"):
        source_of(folders).foreground(0)
    write(folders / "cut" / "one.png", np.zeros((4, 5, 4), np.uint8))
    cutouts = source_of(folders, foregrounds="cut", alphas=None)
    with pytest.raises(InputError, match=r"one\.png: is 0 everywhere"):
        cutouts.foreground(0)


def test_several_folders_are_one_source(folders):
    write(
        folders / "cut" / "b.png", np.dstack([colours(4, 5, 8), colours(4, 5)[..., 0]])
    )
    write(folders / "more" / "tree.png", colours(3, 3, 9))
    source = FolderSource(
        [folders / "fg", folders / "cut"],
        alphas=[folders / "alpha", None],
        backgrounds=[folders / "more", folders / "bg"],
    )
    assert [f.name for f in source.foregrounds] == ["a", "b", "b"]
    np.testing.assert_array_equal(source.foreground(2)[0], colours(4, 5, 8))
    assert [p.name for p in source.backgrounds] == ["tree.png", "sky.png"]
    with pytest.raises(ValueError, match="shorter"):
        FolderSource([folders / "fg"] * 2, alphas=["alpha"], backgrounds=folders / "bg")


@pytest.mark.parametrize(
    ("photo", "mask", "above"),
    [
        ("train2017/1.jpg", "annotations/1.png", "."),
        ("VOCdevkit/VOC2012/JPEGImages/1.jpg", "SegmentationClass/1.png", "."),
        ("VOC2012/JPEGImages/1.jpg", "VOC2012/SegmentationClass/1.png", "VOC2012"),
        ("ADEChallengeData2016/images/training/1.jpg", "annotations/1.png", "."),
        ("holiday/sea/day1/1.jpg", ".thumbnails/1.png", "."),
    ],
)
def test_photos_are_found_without_the_masks_beside_them(tmp_path, photo, mask, above):
    for name in (photo, mask):
        (tmp_path / name).parent.mkdir(parents=True)
        write(tmp_path / name, colours(4, 5))
    top = tmp_path / above
    assert list_photos(top) == [tmp_path / photo]


def test_photos_come_once_in_order_of_their_paths(tmp_path):
    names = ("b/2.png", "a/9.PNG", "c.png", "a/notes.txt", "a/b/c/d/deep.png")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "z").symlink_to(tmp_path / "b")
    found = [p.relative_to(tmp_path).as_posix() for p in list_photos(tmp_path)]
    assert found == ["a/9.PNG", "b/2.png", "c.png"]


def test_sources_can_be_pickled(folders):
    pooled = PooledSource(SyntheticSource(seed=3, size=(32, 40)), size=2)
    pooled.foreground(1)
    for source in (source_of(folders), pooled):
        copy = pickle.loads(pickle.dumps(source))
        assert copy.num_foregrounds == source.num_foregrounds
        assert copy.num_backgrounds == source.num_backgrounds
        for ours, theirs in zip(source.foreground(1), copy.foreground(1), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(source.background(0), copy.background(0))


def test_float_pixels_are_refused(folders):
    (folders / "bg" / "sky.png").unlink()
    write(folders / "bg" / "sky.tiff", np.zeros((4, 5), np.float32))
    with pytest.raises(InputError, match="holds float32 values; save it with 8 or 16"):
        source_of(folders).background(0)


def test_pool_makes_each_image_once():
    class Counting:
        num_foregrounds = None
        num_backgrounds = 2
        made = 0

        def foreground(self, index):
            self.made += 1
            return np.full((2, 2, 3), index, np.uint8), np.zeros((2, 2), np.uint8)

        def background(self, index):
            return np.full((2, 2, 3), index, np.uint8)

    source = Counting()
    pool = PooledSource(source, size=3)
    assert (pool.num_foregrounds, pool.num_backgrounds) == (3, 2)
    for index in (0, 2, 0, 2):
        assert pool.foreground(index)[0][0, 0, 0] == index
    assert pool.background(1)[0, 0, 0] == 1
    assert source.made == 2
    with pytest.raises(InputError, match="pool size is 0"):
        PooledSource(source, size=0)


class Flat:
    """Images of one grey level and their numbers."""

    def __init__(self, level, count):
        self.level, self.num_foregrounds, self.num_backgrounds = level, count, count

    def foreground(self, index):
        colours = np.full((2, 2, 3), index % 256, np.uint8)
        return colours, np.full((2, 2), self.level, np.uint8)

    def background(self, index):
        return np.full((2, 2, 3), (self.level, index % 256, 0), np.uint8)


def test_a_mixture_takes_its_shares_from_all_images():
    mixed = MixedSource([Flat(1, 5), Flat(2, 3), Flat(3, None)], (6, 3, 1))
    assert mixed.num_foregrounds is mixed.num_backgrounds is None
    drawn = [mixed.foreground(index) for index in range(3000)]
    levels = np.array([alpha[0, 0] for _, alpha in drawn])
    numbers = np.array([image[0, 0, 0] for image, _ in drawn])
    shares = [(levels == level).mean() for level in (1, 2, 3)]
    np.testing.assert_allclose(shares, (0.6, 0.3, 0.1), atol=0.03)
    for level, count in ((1, 5), (2, 3)):
        found = np.bincount(numbers[levels == level])
        assert len(found) == count
        assert found.min() > 0.8 * found.mean()
    backgrounds = [mixed.background(index)[0, 0, 0] for index in range(3000)]
    assert 0.55 < np.mean(np.array(backgrounds) == 1) < 0.65
    assert (levels != backgrounds).any()  # drawn on their own
    copy = pickle.loads(pickle.dumps(mixed))
    for index in (0, 7, 2**31 - 1):
        np.testing.assert_array_equal(copy.background(index), mixed.background(index))


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((1,), "2 sources and 1 shares; give one share for each"),
        ((1, 0), r"shares are \[1, 0\]; give numbers above 0"),
        ((1, float("nan")), "give numbers above 0"),
    ],
)
def test_bad_shares(shares, message):
    with pytest.raises(InputError, match=message):
        MixedSource([Flat(1, 1), Flat(2, 1)], shares)
