"""The `tmfnet` command: what it writes, and one line for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest

from tmfnet_jax import cli
from tmfnet_jax.images import read_image, write_image
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network, named_arrays
from tmfnet_jax.torch_file import write_torch_file
from tmfnet_jax.torch_weights import to_torch
from tmfnet_jax.weights import read_notes, read_weights, write_weights

TINY = TMFNetConfig(width=0.05)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A photo, its trimap and weights, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    trimap = np.zeros((40, 52), np.uint8)
    trimap[8:32, 8:40] = 128
    trimap[14:26, 16:32] = 255
    write_image(tmp_path / "photo.png", rng.integers(0, 256, (40, 52, 3), np.uint8))
    write_image(tmp_path / "trimap.png", trimap)
    arrays = named_arrays(initial_network(TINY, seed=0))
    write_weights(tmp_path / "w.safetensors", TINY, arrays)
    return tmp_path


def run(*arguments):
    return cli.main([str(a) for a in arguments])


def matte(image="photo.png", trimap="trimap.png", output="alpha.png", *more):
    return run(
        "matte", image, trimap, "-o", output, "--weights", "w.safetensors", *more
    )


def snapshot(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def refused(capsys, folder, status, before):
    """Assert a one-line refusal that changed nothing; return the line."""
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.startswith("tmfnet: error: ")
    assert err.count("\n") == 1
    assert snapshot(folder) == before
    return err


@pytest.mark.parametrize("bits", [8, 16])
def test_matte(files, capsys, bits):
    assert matte("photo.png", "trimap.png", "alpha.png", "--bits", bits) == 0
    alpha = cv2.imread("alpha.png", cv2.IMREAD_UNCHANGED)
    trimap = cv2.imread("trimap.png", cv2.IMREAD_UNCHANGED)
    assert alpha.shape == (40, 52)
    assert alpha.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert (alpha[trimap == 0] == 0).all()
    assert (alpha[trimap == 255] == 2**bits - 1).all()
    assert f"alpha of 52x40 pixels, {bits} bit" in capsys.readouterr().out


@pytest.mark.parametrize(
    "convert",
    [
        lambda rgb: rgb[..., 0],
        lambda rgb: rgb.astype(np.uint16) * 257,
        lambda rgb: np.dstack([rgb, rgb[..., 0]]),
    ],
    ids=["grey", "16 bit", "RGBA"],
)
def test_any_mode_of_image(files, convert):
    write_image("other.tif", convert(read_image("photo.png")))
    assert matte("other.tif") == 0
    assert cv2.imread("alpha.png", cv2.IMREAD_UNCHANGED).shape == (40, 52)


def test_sizes_differ(files, capsys):
    write_image("small.png", np.zeros((20, 26, 3), np.uint8))
    before = snapshot(files)
    line = refused(capsys, files, matte("small.png"), before)
    assert "image is 26x20 and trimap is 52x40 pixels" in line


def test_bad_trimaps(files, capsys):
    write_image("grey.png", np.full((40, 52), 90, np.uint8))
    write_image("unknown.png", np.full((40, 52), 128, np.uint8))
    before = snapshot(files)
    line = refused(capsys, files, matte(trimap="grey.png"), before)
    assert "grey.png: trimap has grey values other than" in line
    assert "90 (2080 pixels)" in line
    line = refused(capsys, files, matte(trimap="unknown.png"), before)
    assert "unknown.png: trimap has no known pixel" in line


def test_warnings(files, capsys):
    trimap = cv2.imread("trimap.png", cv2.IMREAD_UNCHANGED)
    write_image("smooth.png", cv2.blur(trimap, (3, 3)))
    assert matte(trimap="smooth.png") == 0
    err = capsys.readouterr().err
    assert "tmfnet: warning: smooth.png: " in err
    assert "anti-aliased" in err
    known = np.where(trimap > 0, np.uint8(255), np.uint8(0))
    write_image("known.png", known)
    assert matte(trimap="known.png") == 0
    assert "known.png: no unknown pixel (128)" in capsys.readouterr().err
    alpha = cv2.imread("alpha.png", -1)
    assert (alpha[12:28, 12:36] == 255).all()  # away from the edge of the mask
    assert (alpha[known == 0][:200] == 0).all()


def test_bad_images(files, capsys):
    data = (files / "photo.png").read_bytes()
    (files / "cut.png").write_bytes(data[: len(data) // 2])
    (files / "text.png").write_text("not an image")
    huge = bytearray(data)
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    (files / "huge.png").write_bytes(bytes(huge))
    before = snapshot(files)
    for name in ("cut.png", "text.png", "huge.png", "none.png", "."):
        line = refused(capsys, files, matte(name), before)
        assert name in line


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("photo.png", "is an input"),
        ("alpha.xyz", "unknown format"),
        ("alpha.jpg", ".jpg takes"),
        ("none/alpha.png", "no folder"),
    ],
)
def test_bad_outputs(files, capsys, output, message):
    before = snapshot(files)
    assert message in refused(capsys, files, matte(output=output), before)


def test_bad_weights(files, capsys):
    data = (files / "w.safetensors").read_bytes()
    (files / "w.safetensors").write_bytes(data[:-8])
    before = snapshot(files)
    assert "not a whole safetensors" in refused(capsys, files, matte(), before)
    (files / "w.safetensors").unlink()
    before = snapshot(files)
    assert "no such weights file" in refused(capsys, files, matte(), before)


def test_convert_there_and_back(files, capsys, monkeypatch):
    # A tiny network stands in for the published one.
    monkeypatch.setattr("tmfnet_jax.variants.named_config", lambda name: TINY)
    arrays = named_arrays(initial_network(TINY, seed=1))
    write_torch_file(files / "comp1k.pth", to_torch(arrays, TINY))
    assert run("convert", "comp1k.pth", "new.safetensors") == 0
    config, got = read_weights(files / "new.safetensors")
    assert config == TINY
    for name, value in arrays.items():
        np.testing.assert_array_equal(got[name], value)
    assert run("convert", "new.safetensors", "back.pth") == 0
    assert run("convert", "back.pth", "half.safetensors", "--half") == 0
    write_weights("noted.safetensors", TINY, arrays, notes={"license": "CC0-1.0"})
    assert run("convert", "noted.safetensors", "kept.safetensors", "--half") == 0
    assert read_notes(files / "kept.safetensors") == {"license": "CC0-1.0"}
    assert (files / "half.safetensors").stat().st_size < 0.6 * (
        files / "new.safetensors"
    ).stat().st_size
    assert "arrays" in capsys.readouterr().out


def test_convert_refuses(files, capsys):
    arrays = named_arrays(initial_network(TINY, seed=1))
    write_torch_file(files / "tiny.pth", to_torch(arrays, TINY))
    with zipfile.ZipFile(files / "evil.pth", "w") as archive:
        archive.writestr(
            "archive/data.pkl", b"\x80\x02cposix\nsystem\nX\x02\0\0\0idq\0\x85R."
        )
        archive.writestr("archive/byteorder", "little")
    before = snapshot(files)
    line = refused(capsys, files, run("convert", "tiny.pth", "x.safetensors"), before)
    assert "of another shape" in line
    line = refused(capsys, files, run("convert", "evil.pth", "x.safetensors"), before)
    assert "posix.system" in line
    line = refused(capsys, files, run("convert", "w.safetensors", "x.onnx"), before)
    assert "unknown kind of weights" in line
    line = refused(
        capsys,
        files,
        run("convert", "tiny.pth", "x.safetensors", "--variant", "tmfnett"),
        before,
    )
    assert "unknown variant 'tmfnett'" in line


def test_info(capsys, monkeypatch):
    monkeypatch.setattr(
        "tmfnet_jax.variants.VARIANTS",
        {k: v for k, v in _variants().items() if k in ("tmfnet", "lite")},
    )
    assert run("info", "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert records[0] == {
        "variant": "tmfnet",
        "params": 33_859_571,
        "macs": 1_064_615_053_312,
        "paper_params": 33_900_000,
        "paper_macs": 1_121_000_000_000,
    }
    assert records[1]["paper_params"] is None
    assert run("info") == 0
    table = capsys.readouterr().out
    assert "33,859,571" in table
    assert "1121 G" in table


def _variants():
    from tmfnet_jax.variants import VARIANTS

    return VARIANTS


def test_out_of_memory_and_interrupt_are_told(files, capsys, monkeypatch):
    def raising(error):
        def load(*_, **__):
            raise error

        monkeypatch.setattr("tmfnet_jax.inference.Matting.load", load)

    before = snapshot(files)
    raising(MemoryError())
    assert "out of memory" in refused(capsys, files, matte(), before)
    raising(KeyboardInterrupt())
    assert matte() == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("status", [None, 0, 1, 130])
def test_a_command_returns_its_status(monkeypatch, status):
    monkeypatch.setattr("tmfnet_jax.commands.info._info", lambda options: status)
    assert run("info") == (status or 0)


@pytest.mark.parametrize(
    "arguments", [(), ("mate",), ("matte",), ("info", "--jsn"), ("info", "more")]
)
def test_wrong_usage(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: ") and "tmfnet" in err


def test_import_is_light():
    code = (
        "import sys, tmfnet_jax.cli, tmfnet_jax.images, tmfnet_jax.inference;"
        "import jax._src.xla_bridge as bridge;"
        "assert 'tensorflow' not in sys.modules;"
        "assert not bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_teaches(capsys):
    for command in ("matte", "convert", "info"):
        with pytest.raises(SystemExit) as ended:
            run(command, "--help")
        assert ended.value.code == 0
        assert len(capsys.readouterr().out) > 300
