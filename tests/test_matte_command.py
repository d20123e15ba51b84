"""`tmfnet matte`: folders, streams, kinds of output; a stand-in for the network."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tmfnet_jax import cli
from tmfnet_jax.commands.common import parse_memory
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_mask, read_photo, write_image

SHAPE = (24, 36)


class StandIn:
    """A network that takes the unknown for half transparent."""

    loads: list[tuple] = []
    calls: list[tuple] = []
    error: dict[int, BaseException] = {}  # by the number of the call

    @classmethod
    def load(cls, weights, *, max_memory=None, dtype="float32", refine=None):
        cls.loads.append((str(weights), max_memory, dtype, refine))
        return cls()

    def plan(self, height, width, *, tta="none"):
        return f"{width}x{height} pixels, whole, about 1 MB"

    def alpha(self, image, trimap, *, tta="none", progress=None):
        assert image.shape == (*trimap.shape, 3)
        self.calls.append((tta, trimap.copy()))
        if error := self.error.get(len(self.calls)):
            raise error
        progress(1, 2)
        progress(2, 2)
        return np.select([trimap == 255, trimap == 128], [1, 0.5], 0).astype(np.float32)

    def cutout(self, image, trimap, *, tta="none", progress=None):
        alpha = self.alpha(image, trimap, tta=tta, progress=progress)
        colours = image / np.float32(np.iinfo(image.dtype).max)
        return np.dstack([colours, alpha])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Photos a, b, c, their trimaps, and one pair in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tmfnet_jax.inference.Matting", StandIn)
    monkeypatch.setattr("tmfnet_jax.inference.use_compile_cache", lambda: None)
    for name, value in (("loads", []), ("calls", []), ("error", {})):
        monkeypatch.setattr(StandIn, name, value)
    rng = np.random.default_rng(0)
    trimap = np.zeros(SHAPE, np.uint8)
    trimap[6:18, 6:30] = 128
    trimap[9:15, 12:24] = 255
    for folder in ("shots", "trimaps"):
        Path(folder).mkdir()
    for stem in ("shots/a", "shots/b", "shots/c", "photo"):
        write_image(f"{stem}.tif", rng.integers(0, 256, (*SHAPE, 3), np.uint8))
    for name in ("trimaps/a", "trimaps/b_trimap", "trimaps/c", "trimap"):
        write_image(f"{name}.png", trimap)
    Path("w").touch()
    return trimap


def run(*arguments):
    return cli.main(["matte", *map(str, arguments), "--weights", "w"])


def folder(*more, inputs=("shots",)):
    return run(*inputs, "--trimaps", "trimaps", "-o", "out", *more)


def refused(capsys, status):
    out, err = capsys.readouterr()
    assert (status, out, StandIn.loads) == (2, "", [])
    assert err.startswith("tmfnet: error: ")
    assert err.count("\n") == 1
    return err


def names(path):
    return sorted(p.name for p in Path(path).iterdir())


@pytest.mark.parametrize("inputs", [("shots",), ("shots/*.tif",), ("shots/?.tif",)])
def test_folder(files, capsys, inputs):
    assert folder(inputs=inputs) == 0
    assert names("out") == ["a.png", "b.png", "c.png"]
    for name in names("out"):
        np.testing.assert_array_equal(read_mask(f"out/{name}"), files)
    out, err = capsys.readouterr()
    assert out.startswith("out: 3 done, 0 skipped, 0 failed, ")
    assert err == "shots/a.tif: 36x24 pixels, whole, about 1 MB\n"
    assert StandIn.loads == [("w", None, "float32", None)]


def test_folder_goes_on_and_overwrites(files, capsys):
    Path("out").mkdir()
    Path("out/b.png").write_bytes(b"finished")
    assert folder() == 0
    assert "2 done, 1 skipped" in capsys.readouterr().out
    assert Path("out/b.png").read_bytes() == b"finished"
    StandIn.loads.clear()
    assert folder() == 0
    assert capsys.readouterr().out == (
        "out: 0 done, 3 skipped (exist already; --overwrite makes them anew), "
        "0 failed\n"
    )
    assert StandIn.loads == []  # nothing to do: no slow start
    assert folder("--overwrite") == 0
    assert "3 done, 0 skipped" in capsys.readouterr().out
    np.testing.assert_array_equal(read_mask("out/b.png"), files)


def test_bad_files_do_not_stop_the_others(files, capsys):
    data = Path("shots/a.tif").read_bytes()
    Path("shots/cut.tif").write_bytes(data[: len(data) // 2])
    Path("shots/text.jpg").write_text("not an image")
    Path("shots/empty.png").touch()
    Path("shots/lone.png").write_bytes(data)
    Path("shots/link.png").symlink_to("nowhere")
    Path("shots/folder.png").mkdir()
    write_image("shots/small.png", np.zeros((5, 6, 3), np.uint8))
    for name in ("cut", "text", "empty", "small", "link"):
        write_image(f"trimaps/{name}.png", files)
    write_image("shots/grey.png", np.zeros((*SHAPE, 3), np.uint8))
    write_image("trimaps/grey.png", np.full(SHAPE, 90, np.uint8))
    assert folder(inputs=("shots", "shots/folder.png")) == 1
    out, err = capsys.readouterr()
    assert out.startswith("out: 3 done, 0 skipped, 8 failed, ")
    assert names("out") == ["a.png", "b.png", "c.png"]
    assert "tmfnet: warning: 2 failed already; listed at the end\n" in err
    rows = [line for line in err.splitlines() if line.startswith("tmfnet: failed: ")]
    for name, reason in {
        "folder.png": "a folder without images",
        "lone.png": "no trimap in trimaps",
        "cut.tif": "shots/cut.tif: is",
        "text.jpg": "no image that OpenCV reads",
        "empty.png": "is empty",
        "link.png": "cannot be read (No such file",
        "small.png": "image is 6x5 and trimap is 36x24 pixels",
        "grey.png": "trimaps/grey.png: trimap has grey values other than",
    }.items():
        assert [reason in row for row in rows if f"shots/{name}: " in row] == [True]


def test_network_failures_are_isolated(files, capsys):
    StandIn.error = {1: MemoryError(), 3: InputError("network's output is not finite")}
    assert folder() == 1
    out, err = capsys.readouterr()
    assert "1 done, 0 skipped, 2 failed" in out
    assert "shots/a.tif: out of memory" in err
    assert "shots/c.tif: network's output is not finite" in err
    assert names("out") == ["b.png"]


def test_full_disk_leaves_nothing_half_written(files, capsys, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    assert folder() == 1
    out, err = capsys.readouterr()
    assert "0 done, 0 skipped, 3 failed" in out
    assert "out/a.png: cannot be written (No space left on device)" in err
    assert names("out") == []


def test_interrupt_and_resume(files, capsys):
    StandIn.error = {2: KeyboardInterrupt()}
    assert folder() == 130
    out, err = capsys.readouterr()
    assert "out: 1 done" in out
    assert err.endswith("tmfnet: interrupted; the same command, run again, goes on\n")
    assert names("out") == ["a.png"]
    assert folder() == 0
    assert "2 done, 1 skipped" in capsys.readouterr().out


def test_recursive(files):
    for top in ("shots", "trimaps"):
        Path(top, "day").mkdir()
        Path(top, "a.tif" if top == "shots" else "a.png").rename(
            Path(top, "day", "b.tif" if top == "shots" else "b.png")
        )
    assert folder("--recursive", "--bits", "16") == 0
    assert names("out") == ["b.png", "c.png", "day"]
    assert read_mask("out/day/b.png").dtype == np.uint16


def test_masks_in_folders(files, capsys):
    for path in Path("trimaps").iterdir():
        write_image(path, np.where(files > 0, np.uint8(255), np.uint8(0)))
    assert folder() == 0
    err = capsys.readouterr().err
    assert err.count("taken for a mask") == 2  # told once, then counted
    assert "3 trimaps in all: " in err
    assert all((trimap == 128).any() for _, trimap in StandIn.calls)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photo.tif", "-o", "a.png"], "got 1 inputs without --trimaps"),
        (["photo.tif", "x", "y", "-o", "a.png"], "got 3 inputs without --trimaps"),
        (["shots", "trimaps", "-o", "out"], "is a folder; give its trimaps with"),
        (["-", "-", "-o", "a.png"], "photo and trimap are both -"),
        (["photo.tif", "trimap.png", "-o", "photo.tif"], "is an input"),
        (["photo.tif", "trimap.png", "-o", "w"], "is an input"),
        (["photo.tif", "trimap.png", "-o", "shots"], "add a file name"),
        (["photo.tif", "trimap.png", "-o", "a.jpg"], "cannot hold 1 channels"),
        (["photo.tif", "trimap.png", "-o", "a.png", "--format", "tif"], "--format"),
        (["photo.tif", "trimap.png", "-o", "a.png", "--band", "x"], "band is 'x'"),
        (["none.png", "trimap.png", "-o", "a.png"], "none.png: cannot be read"),
        (["no/*.jpg", "--trimaps", "trimaps", "-o", "out"], "no/*.jpg: no such file"),
        (["shots", "--trimaps", "none", "-o", "out"], "none: no such folder"),
        (["shots", "--trimaps", "trimaps", "-o", "w"], "is a file"),
        (["shots", "--trimaps", "trimaps", "-o", "x.png"], "is named like a picture"),
        (["shots", "--trimaps", "trimaps", "-o", "shots"], "a folder of inputs"),
        (["shots", "--trimaps", "trimaps", "-o", "photo.tif/out"], "Not a directory"),
        (["shots", "--trimaps", "trimaps", "-o", "-"], "- is for one photo"),
    ],
)
def test_refused_before_the_slow_start(files, capsys, arguments, message):
    before = sorted(Path().rglob("*"))
    assert message in refused(capsys, run(*arguments))
    assert sorted(Path().rglob("*")) == before


def test_usage_errors(files, capsys):
    for more in (
        ["--cutout", "--premultiplied"],
        ["--bits", "12"],
        ["--format", "gif"],
        ["--dtype", "float16"],
        ["--max-memory", "2"],
    ):
        with pytest.raises(SystemExit) as ended:
            folder(*more)
        assert ended.value.code == 2
        assert "usage:" in capsys.readouterr().err


def test_streams(files, capfdbinary, monkeypatch):
    photo, trimap = Path("photo.tif").read_bytes(), Path("trimap.png").read_bytes()
    assert run("photo.tif", "trimap.png", "-o", "alpha.png") == 0
    capfdbinary.readouterr()
    for arguments, data in (
        (("-", "trimap.png"), photo),
        (("photo.tif", "-"), trimap),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert run(*arguments, "-o", "-") == 0
        out, err = capfdbinary.readouterr()
        assert out == Path("alpha.png").read_bytes()
        assert b"standard output: alpha of 36x24 pixels, 8 bit" in err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(photo[:999])))
    assert run("-", "trimap.png", "-o", "-") == 2
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert err.startswith(b"tmfnet: error: standard input: ")


def test_stream_formats(files, capfdbinary):
    assert run("photo.tif", "trimap.png", "-o", "-", "--format", "tif") == 0
    out, _ = capfdbinary.readouterr()
    np.testing.assert_array_equal(
        cv2.imdecode(np.frombuffer(out, np.uint8), cv2.IMREAD_UNCHANGED), files
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_stream(files, capfd, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert run("photo.tif", "trimap.png", "-o", "-") == 2
    assert "standard output: cannot be written (No space" in capfd.readouterr().err


def test_terminals_are_refused(files, capsys, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin", terminal)
        assert "is a terminal" in refused(capsys, run("-", "trimap.png", "-o", "a.png"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "is a terminal" in refused(capsys, run("photo.tif", "trimap.png", "-o", "-"))


def test_options_reach_the_network(files, capsys):
    more = ("--tta", "8", "--max-memory", "1.5GB", "--dtype", "bfloat16", "--refine")
    assert run("photo.tif", "trimap.png", "-o", "alpha.png", *more) == 0
    assert StandIn.loads == [("w", 1_500_000_000, "bfloat16", True)]
    assert StandIn.calls[0][0] == "8"
    assert "36x24 pixels, whole" in capsys.readouterr().err


def test_mask_options(files):
    mask = cv2.GaussianBlur(np.where(files > 0, np.uint8(255), np.uint8(0)), (0, 0), 1)
    write_image("soft.png", mask)
    assert run("photo.tif", "soft.png", "-o", "alpha.png") == 2
    unknown = []
    for more in (["--band", "2"], ["--band", "8px"], ["--mask"]):
        assert run("photo.tif", "soft.png", "-o", "alpha.png", *more) == 0
        unknown.append((StandIn.calls[-1][1] == 128).sum())
    assert unknown[0] < unknown[1]
    assert unknown[2] > 0


def test_alpha_needs_no_foreground(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "tmfnet_jax.foreground", None)
    assert run("photo.tif", "trimap.png", "-o", "alpha.png") == 0


def test_cutouts(files):
    pair = ("photo.tif", "trimap.png", "-o")
    photo = read_photo("photo.tif").pixels / 255
    alpha = np.select([files == 255, files == 128], [1, 0.5], 0)[..., None]
    assert run(*pair, "cut.png", "--cutout") == 0
    straight = cv2.imread("cut.png", cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
    np.testing.assert_allclose(straight[..., :3] / 255, photo, atol=1e-6)
    np.testing.assert_allclose(straight[..., 3:] / 255, alpha, atol=0.51 / 255)
    assert run(*pair, "pre.tif", "--premultiplied", "--bits", "16") == 0
    pre = cv2.imread("pre.tif", cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
    assert pre.dtype == np.uint16
    np.testing.assert_allclose(pre[..., :3] / 65535, photo * alpha, atol=0.51 / 65535)
    assert run(*pair, "comp.png", "--background", "#ff0000") == 0
    red = np.array([1, 0, 0])
    np.testing.assert_allclose(
        read_photo("comp.png").pixels / 255,
        alpha * photo + (1 - alpha) * red,
        atol=0.51 / 255,
    )


def test_linear_light(files):
    pair = ("photo.tif", "trimap.png", "-o")
    photo = read_photo("photo.tif").pixels / 255
    linear = np.where(photo <= 0.04045, photo / 12.92, ((photo + 0.055) / 1.055) ** 2.4)
    alpha = np.select([files == 255, files == 128], [1, 0.5], 0)
    assert run(*pair, "alpha.exr") == 0
    np.testing.assert_array_equal(read_mask("alpha.exr"), alpha)
    assert run(*pair, "pre.exr", "--premultiplied") == 0
    np.testing.assert_allclose(
        read_mask("pre.exr"), linear * alpha[..., None], atol=1e-5
    )


@pytest.mark.parametrize("background", ["nocolour", "none/picture.jpg", "w"])
def test_bad_backgrounds(files, capsys, background):
    line = refused(
        capsys,
        run("photo.tif", "trimap.png", "-o", "a.png", "--background", background),
    )
    assert background in line


def test_background_is_an_input(files, capsys):
    write_image("b.png", np.zeros((*SHAPE, 3), np.uint8))
    status = run("photo.tif", "trimap.png", "-o", "b.png", "--background", "b.png")
    assert "b.png: is an input" in refused(capsys, status)
    more = ("--overwrite", "--background", "b.png")
    status = run("shots", "--trimaps", "trimaps", "-o", ".", *more)
    assert "b.png: is an input" in refused(capsys, status)


def test_profile_goes_with_the_colours(files, monkeypatch):
    written = []
    monkeypatch.setattr(
        "tmfnet_jax.images.read_photo",
        lambda path: read_photo(path)._replace(profile=b"profile"),
    )
    monkeypatch.setattr(
        "tmfnet_jax.images.write_image",
        lambda path, image, **more: written.append(more),
    )
    assert run("photo.tif", "trimap.png", "-o", "cut.tif", "--premultiplied") == 0
    assert written == [{"profile": b"profile", "premultiplied": True}]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("2GB", 2 * 10**9),
        ("900MB", 900 * 10**6),
        ("2GiB", 2**31),
        (" 1.5 gb ", 1_500_000_000),
        ("512k", 512_000),
    ],
)
def test_parse_memory(text, amount):
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["", "2", "GB", "-2GB", "0GB", "2XB", "1e9MB", "2GB!"])
def test_parse_memory_refuses(text):
    with pytest.raises(InputError, match="expected a number with its unit"):
        parse_memory(text)
