"""Making the open test set: layout, trimaps, the same bytes again, and refusals."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniatures import make_open_set, save

from experiments import open_test_set
from experiments.open_test_set import SEED, draw_trimap, make_set, png
from input_pipeline.evaluation_data.open_benchmark import sha256, sums_digest
from input_pipeline.protocol.trimap_synthesis import trimap_from_alpha
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_cutout, read_image, read_mask

SUBJECTS = ("fur-0003.png", "fur-0004.png", "glass-0001.png")
PNG_SHA256 = "11c596810bfff3b9dd3463e01196a56e21bf9748f216ac806595e5e144150282"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_open_set(tmp_path_factory.mktemp("made"), SUBJECTS)


@pytest.fixture
def place(made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def make(place, folder="set"):
    return make_set(place / "subjects", place / "photos", place / folder)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_layout(made):
    content = files(made / "set")
    assert (made / "set/test_fg_names.txt").read_text().split() == [*SUBJECTS]
    used = (made / "set/test_bg_names.txt").read_text().split()
    assert len(used) == 60
    assert all(len(set(used[i : i + 20])) == 20 for i in (0, 20, 40))
    others = {"LICENSE", "SHA256SUMS", "recipe.json", "sources.csv"}
    lists = {"test_fg_names.txt", "test_bg_names.txt"}
    assert set(content) == {
        *others,
        *lists,
        *(f"{folder}/{name}" for folder in ("fg", "alpha") for name in SUBJECTS),
        *(f"trimaps/{n[:-4]}_{j}.png" for n in SUBJECTS for j in range(20)),
        *(f"bg/{name}" for name in used),
    }
    for name in set(used):
        assert content[f"bg/{name}"] == (made / "photos" / name).read_bytes()
    assert b"CC0-1.0" in content["LICENSE"]
    assert content["sources.csv"].count(b"\n") == 1 + len(set(used))
    sums = dict(
        line.split("  ")[::-1] for line in content["SHA256SUMS"].decode().splitlines()
    )
    counted = set(content) - others
    assert sums == {name: sha256(content[name]) for name in counted}
    assert list(sums) == sorted(sums)
    assert sums_digest(sums) == sha256(content["SHA256SUMS"])


def test_pictures_hold_the_subjects_and_every_label(made):
    for name in SUBJECTS:
        rgba = read_cutout(made / "subjects" / name)
        np.testing.assert_array_equal(read_image(made / "set/fg" / name), rgba[..., :3])
        alpha = read_mask(made / "set/alpha" / name)
        np.testing.assert_array_equal(alpha, rgba[..., 3])
        trimaps = [
            read_mask(made / f"set/trimaps/{name[:-4]}_{j}.png") for j in range(20)
        ]
        for trimap in trimaps:
            assert set(np.unique(trimap)) == {0, 128, 255}
            assert (alpha[trimap == 255] == 255).all()
            assert (alpha[trimap == 0] == 0).all()
        assert len({trimap.tobytes() for trimap in trimaps}) > 10


def test_again_and_from_an_interruption_the_same_bytes(place, monkeypatch):
    expected = files(place / "set")
    make(place, "again")
    assert files(place / "again") == expected
    (place / "killed").mkdir()
    (place / "killed" / ".0123.tmp").write_bytes(b"half")
    make(place, "killed")
    for name in ("SHA256SUMS", "trimaps/fur-0003_7.png", "test_bg_names.txt"):
        (place / "again" / name).unlink()
    calls = []
    monkeypatch.setattr(
        open_test_set, "png", lambda image: calls.append(1) or png(image)
    )
    make(place, "again")
    assert files(place / "again") == expected
    assert len(calls) == 1


def test_damaged_files_are_mended(place):
    expected = files(place / "set")
    (place / "set/fg/fur-0003.png").write_bytes(b"damaged")
    make(place)
    assert files(place / "set") == expected


def test_subjects_do_not_depend_on_each_other(place):
    (place / "subjects" / SUBJECTS[0]).unlink()
    make(place, "other")
    before, after = files(place / "set"), files(place / "other")
    for name in before:
        if name.startswith(("trimaps/glass", "fg/glass", "alpha/glass")):
            assert after[name] == before[name]


def test_other_inputs_and_other_folders_are_refused(place):
    (place / "subjects" / SUBJECTS[0]).unlink()
    with pytest.raises(InputError, match="set: holds a set of other subjects"):
        make(place)
    with pytest.raises(InputError, match="photos: is not empty and holds no test set"):
        make(place, "photos")


def test_trimaps_of_thin_subjects_keep_all_labels():
    alpha = np.zeros((80, 90), np.uint8)
    alpha[:, 40:43] = 255
    alpha[:, 43] = 90
    for number in range(20):
        trimap = draw_trimap(alpha, name="hair-0001.png", number=number)
        assert set(np.unique(trimap)) == {0, 128, 255}
    np.testing.assert_array_equal(
        trimap, draw_trimap(alpha, name="hair-0001.png", number=19)
    )
    with pytest.raises(InputError, match=r"x-1.png: .* no trimap with all three"):
        draw_trimap(alpha.clip(max=254), name="x-1.png", number=0)


def test_trimaps_are_of_kernels_within_the_range():
    alpha = np.zeros((200, 200), np.uint8)
    cv2.circle(alpha, (100, 100), 60, (255,), -1)
    for number in range(5):
        trimap = draw_trimap(alpha, name="ball-0.png", number=number)
        rng = np.random.default_rng([SEED, number, *b"ball-0.png"])
        erosion, dilation = rng.integers(5, 29, 2, endpoint=True)
        expected = trimap_from_alpha(
            alpha, erosion_px=int(erosion), dilation_px=int(dilation)
        )
        np.testing.assert_array_equal(trimap, expected)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1), (1, 4, 3)])
def test_png(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (tmp_path / "a.png").write_bytes(png(image))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), image)


def test_png_bytes_are_fixed():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert sha256(png(image)) == PNG_SHA256


def test_bad_inputs(place):
    bare = np.zeros((64, 72, 4), np.uint8)
    bare[..., 3] = 200
    for name, pixels, message in (
        ("fur.png", bare, "has fur.png; expected names like fur-0003.png"),
        ("fur-a.png", bare, "has fur-a.png; expected names"),
        ("fur-0009.png", bare, "fur-0009.png: has no opaque pixel"),
        ("fur-0009.png", bare + np.uint8(55), "fur-0009.png: has no clear pixel"),
        ("fur-0009.png", bare[..., :3], "fur-0009.png: has no alpha channel"),
    ):
        save(place / "subjects" / name, pixels)
        with pytest.raises(InputError, match=message):
            make(place, "other")
        (place / "subjects" / name).unlink()
        shutil.rmtree(place / "other", ignore_errors=True)
    copy = place / "photos" / "q.jpg"
    shutil.copy(place / "photos" / "p00.jpg", copy)
    with pytest.raises(InputError, match="p00.jpg and q.jpg are the same file"):
        make(place, "other")
    copy.write_bytes(b"no photo")
    with pytest.raises(InputError, match="q.jpg: is no PNG or JPEG file"):
        make(place, "other")
    with pytest.raises(InputError, match="nowhere: no such folder"):
        make_set(place / "nowhere", place / "photos", place / "third")
    for number in range(3, 23):
        (place / "photos" / f"p{number:02}.jpg").unlink()
    with pytest.raises(InputError, match="photos: has 4 photos .*at least 20"):
        make(place, "other")


def test_sources_must_name_every_background(place):
    path = place / "photos" / "sources.csv"
    path.write_text("image,licence\n" + "".join(f"p{n:02}.jpg,x\n" for n in range(22)))
    with pytest.raises(InputError, match="sources.csv: has no row for p22.jpg; add"):
        make(place, "other")
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(InputError, match="sources.csv: is no CSV file in UTF-8"):
        make(place, "other")
    path.write_bytes(b"")
    with pytest.raises(InputError, match="sources.csv: is empty"):
        make(place, "other")
    path.unlink()
    make(place, "other")
    assert not (place / "other" / "sources.csv").exists()


def test_the_recipe_has_no_paths(made):
    text = (made / "set" / "recipe.json").read_text()
    assert str(made) not in text and json.loads(text)["subjects"] == 3


def test_command(place):
    command = [sys.executable, "-m", "experiments.open_test_set"]
    command += [f"--subjects={place / 'subjects'}", f"--folder={place / 'set'}"]
    root = Path(__file__).parents[1]

    def run(*options):
        return subprocess.run(
            [*command, *options], cwd=root, capture_output=True, text=True, check=False
        )

    done = run(f"--backgrounds={place / 'photos'}")
    assert done.returncode == 0, done.stderr
    assert "set: 3 subjects over 23 backgrounds, 60 images" in done.stdout
    digest = sha256((place / "set" / "SHA256SUMS").read_bytes())
    assert digest in done.stdout
    assert "note: smaller than 768 pixels" in done.stderr
    done = run(f"--backgrounds={place / 'none'}")
    assert done.returncode == 2
    assert done.stderr == f"error: {place / 'none'}: no such folder; check the path\n"
