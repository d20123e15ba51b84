"""Contact sheets of cut-outs: what is drawn where, and what is left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from miniatures import save

from experiments.contact_sheet import checkerboard, contact_sheet
from experiments.panels import CAPTION_PX, GAP_PX
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_image

SIZE = 40
ROW, CELL = CAPTION_PX + SIZE + GAP_PX, 2 * SIZE + GAP_PX


@pytest.fixture
def folder(tmp_path):
    for name, grey in (("fur-1", 10), ("fur-2", 20), ("fur-3", 30), ("web-1", 40)):
        rgba = np.full((SIZE, SIZE, 4), grey, np.uint8)
        rgba[..., 3] = 255
        rgba[: SIZE // 2, :, 3] = 0
        save(tmp_path / "cutouts" / f"{name}.png", rgba)
    return tmp_path / "cutouts"


def sheet(folder, *, backgrounds=None, columns=2, size_px=SIZE):
    return contact_sheet(
        folder, backgrounds=backgrounds, columns=columns, size_px=size_px
    )


def cell(image, row, column):
    top, left = row * ROW + CAPTION_PX, column * CELL
    return np.hsplit(image[top : top + SIZE, left : left + 2 * SIZE], 2)


def test_kinds_begin_rows(folder):
    image = sheet(folder)
    assert image.shape == (3 * ROW, 2 * CELL, 3)
    places = [(0, 0), (0, 1), (1, 0), (2, 0)]
    for place, grey in zip(places, (10, 20, 30, 40), strict=True):
        shown, alpha = cell(image, *place)
        assert (shown[SIZE // 2 :] == grey).all()
        board = np.rint(checkerboard(SIZE, SIZE)[: SIZE // 2] * 255)
        np.testing.assert_array_equal(shown[: SIZE // 2], board)
        assert (alpha[SIZE // 2 :] == 255).all() and not alpha[: SIZE // 2].any()
    assert (image[ROW + CAPTION_PX : 2 * ROW, CELL:] == 255).all()


def test_checkerboards_have_a_light_and_a_dark_half():
    board = checkerboard(32, 40)
    assert board.shape == (32, 40, 3) and board.dtype == np.float32
    assert board[:, :20].min() > 0.7 and board[:, 20:].max() < 0.3
    assert len(np.unique(board)) == 4


def test_photos_in_turn(folder, tmp_path):
    for number in (0, 1):
        photo = np.full((SIZE, SIZE, 3), 100 + number, np.uint8)
        save(tmp_path / "photos" / f"{number}.png", photo)
    image = sheet(folder, backgrounds=tmp_path / "photos", columns=4)
    for column, grey in enumerate((100, 101, 100)):
        assert (cell(image, 0, column)[0][: SIZE // 2] == grey).all()
    assert (cell(image, 1, 0)[0][: SIZE // 2] == 101).all()


def test_other_shapes_are_centred(folder):
    save(folder / "net-1.png", np.full((SIZE, 2 * SIZE, 4), 255, np.uint8))
    shown, alpha = cell(sheet(folder), 2, 0)
    for thumbnail in (shown, alpha):
        assert (thumbnail[: SIZE // 4] == 235).all()
        assert (thumbnail[SIZE // 4 : 3 * SIZE // 4] == 255).all()


def test_bad_files_are_named_and_left_out(folder, capsys):
    (folder / "fur-0.png").write_bytes(b"no picture")
    save(folder / "fur-4.png", np.zeros((9, 9, 3), np.uint8))
    assert sheet(folder).shape == (3 * ROW, 2 * CELL, 3)
    lines = [li for li in capsys.readouterr().err.splitlines() if "left out" in li]
    assert len(lines) == 2
    assert "fur-0.png: is damaged" in lines[0] and "fur-4.png: has no alpha" in lines[1]
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="cutouts: has no cut-out that can be drawn"):
        sheet(folder)


def test_refusals(folder, tmp_path):
    for options in ({"columns": 0}, {"size_px": 8}, {"size_px": 9000}):
        with pytest.raises(InputError, match="expected at least 1, of 32 to 2048"):
            sheet(folder, **options)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no images there"):
        sheet(tmp_path / "empty")


def test_command(folder, tmp_path):
    command = [sys.executable, "-m", "experiments.contact_sheet", f"--folder={folder}"]
    root = Path(__file__).parents[1]

    def run(output):
        return subprocess.run(
            [*command, "-o", str(output), "--columns=1", f"--size={SIZE}"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )

    done = run(tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    expected = sheet(folder, columns=1)
    np.testing.assert_array_equal(read_image(tmp_path / "sheet.png"), expected)
    done = run(tmp_path / "none" / "sheet.png")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
