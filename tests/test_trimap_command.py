"""`tmfnet trimap`: what it writes and prints, and one line for bad input."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from tmfnet_jax import cli
from tmfnet_jax.images import read_image, read_mask, write_image
from tmfnet_jax.trimap_making import Band, trimap_from_mask


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A photo, a mask and strokes, in the current folder."""
    monkeypatch.chdir(tmp_path)
    y, x = np.ogrid[:60, :80]
    mask = np.where(np.hypot(y - 30, x - 40) < 20, 255, 0).astype(np.uint8)
    photo = np.where(mask[..., None] > 0, (200, 120, 40), (40, 90, 160))
    photo = photo + np.random.default_rng(0).integers(-20, 20, photo.shape)
    strokes = np.full_like(mask, 128)
    strokes[28:32, 30:50], strokes[2:4] = 255, 0
    write_image("photo.png", photo.astype(np.uint8))
    write_image("mask.png", mask)
    write_image("strokes.png", strokes)
    return tmp_path


def run(*arguments):
    return cli.main(["trimap", *map(str, arguments)])


def mask():
    return read_mask("mask.png")


def refused(capsys, *arguments):
    """Assert a one-line refusal that wrote nothing; return the line."""
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tmfnet: error: ") and err.count("\n") == 1
    return err


def test_from_mask(files, capsys):
    assert run("from-mask", "mask.png", "-o", "trimap.png", "--band", "8px") == 0
    trimap = read_mask("trimap.png")
    np.testing.assert_array_equal(trimap, trimap_from_mask(mask(), Band(8)))
    out, err = capsys.readouterr()
    share = (trimap == 128).mean()
    assert out == f"trimap.png: trimap of 80x60 pixels, {share:.1%} unknown\n"
    assert err == ""


def test_from_mask_says_what_percent_means(files, capsys):
    assert run("from-mask", "mask.png", "-o", "trimap.tif") == 0
    assert "tmfnet: note: mask.png: the unknown band is 2 px wide, 6% of" in (
        capsys.readouterr().err
    )


def test_from_the_alpha_of_a_cutout(files):
    write_image("cutout.png", np.dstack([read_image("photo.png"), mask()]))
    assert run("from-mask", "cutout.png", "-o", "trimap.png", "--band", "8") == 0
    np.testing.assert_array_equal(
        read_mask("trimap.png"), trimap_from_mask(mask(), Band(8))
    )


def test_snap(files):
    write_image("noisy.png", np.where(mask() > 0, 250, 6).astype(np.uint8))
    options = ("-o", "trimap.png", "--band", "8", "--snap", "4%")
    assert run("from-mask", "noisy.png", *options) == 0
    np.testing.assert_array_equal(
        read_mask("trimap.png"), trimap_from_mask(mask(), Band(8))
    )


def test_from_scribbles(files):
    options = ("-o", "trimap.png", "--band", "8")
    assert run("from-scribbles", "photo.png", "strokes.png", *options) == 0
    expected = trimap_from_mask(mask(), Band(8))
    assert (read_mask("trimap.png") != expected).mean() < 0.01


def test_from_photo(files, monkeypatch):
    rembg = types.ModuleType("rembg")
    rembg.remove = lambda image, session, only_mask: mask()
    monkeypatch.setitem(sys.modules, "rembg", rembg)
    options = ("-o", "trimap.png", "--band", "8")
    assert run("from-photo", "photo.png", *options) == 0
    np.testing.assert_array_equal(
        read_mask("trimap.png"), trimap_from_mask(mask(), Band(8))
    )


def test_check(files, capsys):
    run("from-mask", "mask.png", "-o", "trimap.png", "--band", "8")
    capsys.readouterr()
    options = ("--image", "photo.png", "-o", "overlay.png")
    assert run("check", "trimap.png", *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "size: 80x60 pixels, as the photo"
    assert lines[-1] == "picture: overlay.png"
    assert read_image("overlay.png").shape == (60, 80, 3)


def test_check_of_a_mask_is_a_finding(files, capsys):
    assert run("check", "mask.png") == 0
    assert "this is a mask, not a trimap" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("from-mask", "none.png", "-o", "t.png"), "none.png: cannot be read"),
        (("from-mask", "photo.png", "-o", "t.png"), "photo.png: mask is coloured"),
        (("from-mask", "mask.png", "-o", "t.jpg"), "t.jpg: cannot hold 1 channel"),
        (("from-mask", "mask.png", "-o", "mask.png"), "mask.png: is an input"),
        (("from-mask", "mask.png", "-o", "t.png", "--band", "x"), "like 24, 24px"),
        (("from-mask", "mask.png", "-o", "t.png", "--snap", "x"), "a percentage"),
        (("from-mask", "mask.png", "-o", "t.png", "--snap", "60"), "0 to below 0.5"),
        (("from-mask", "dark.png", "-o", "t.png"), "dark.png: mask is empty"),
        (
            ("from-scribbles", "photo.png", "dark.png", "-o", "t.png"),
            "dark.png: scribbles mark no subject",
        ),
        (("from-photo", "photo.png", "-o", "t.png"), "pip install"),
        (("check", "photo.png"), "photo.png: trimap is coloured"),
        (("check", "mask.png", "-o", "mask.png"), "mask.png: is an input"),
        (("check", "mask.png", "-o", "o.gif"), "o.gif: has an unknown format"),
    ],
)
def test_refusals(files, capsys, monkeypatch, arguments, message):
    monkeypatch.setitem(sys.modules, "rembg", None)
    write_image("dark.png", np.zeros((60, 80), np.uint8))
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    assert message in refused(capsys, *arguments)
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_overlay_of_another_size_is_refused_after_the_findings(files, capsys):
    write_image("small.png", np.zeros((30, 40, 3), np.uint8))
    assert run("check", "mask.png", "--image", "small.png", "-o", "overlay.png") == 2
    out, err = capsys.readouterr()
    assert "scale it without smoothing" in out
    assert err.startswith("tmfnet: error: mask.png: size: 80x60 pixels, but the photo")
    assert not (files / "overlay.png").exists()
