"""Masks of the subject: from strokes, from a photo, with clean ends."""

from __future__ import annotations

import sys
import types

import cv2
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.subject_mask import mask_from_photo, mask_from_scribbles, snap_ends
from tmfnet_jax.trimap_making import Band, as_trimap


def disc(height=60, width=72, radius=18):
    y, x = np.ogrid[:height, :width]
    inside = (y - height // 2) ** 2 + (x - width // 2) ** 2 <= radius**2
    return np.where(inside, np.uint8(255), np.uint8(0))


def soft_disc():
    return cv2.GaussianBlur(disc(), (9, 9), 2)


def photo(height=60, width=72):
    """A warm disc on a cold ground, both textured."""
    texture = np.random.default_rng(1).integers(-20, 20, (height, width, 3))
    subject = disc(height, width, radius=height * 3 // 10)[..., None] > 0
    colours = np.where(subject, (200, 120, 40), (40, 90, 160))
    return (colours + texture).astype(np.uint8)


def strokes(image, kind):
    """One stroke through the disc, one along the left and the upper border."""
    (height, width), wide = image.shape[:2], max(2, image.shape[0] // 30)
    subject, background = np.zeros((2, height, width), bool)
    subject[height // 2 :, width // 2 :][:wide, : height // 5] = True
    background[:wide] = background[:, :wide] = True
    if kind == "grey":
        return np.select([subject, background], [255, 0], 128).astype(np.uint8)
    layer = image.copy() if kind == "copy" else np.full_like(image, 127)
    layer[subject], layer[background] = (0, 220, 0), (230, 20, 30)
    if kind == "transparent":
        layer[~(subject | background)] = 0
        shown = np.where(subject | background, 255, 0).astype(np.uint8)
        return np.dstack([layer, shown])
    return layer


@pytest.mark.parametrize("kind", ["grey", "colours", "copy", "transparent"])
def test_strokes_of_every_kind_find_the_subject(kind):
    image = photo()
    mask = mask_from_scribbles(image, strokes(image, kind))
    assert set(np.unique(mask)) == {0, 255}
    assert (mask != disc()).mean() < 0.005


def test_strokes_at_sixteen_bits():
    image = photo()
    deep = mask_from_scribbles(
        image.astype(np.uint16) * 257, strokes(image, "grey").astype(np.uint16) * 257
    )
    np.testing.assert_array_equal(
        deep, mask_from_scribbles(image, strokes(image, "grey"))
    )


def test_white_of_the_photo_is_no_stroke_on_a_copy():
    image = photo()
    image[50:56, 60:70] = 255
    mask = mask_from_scribbles(image, strokes(image, "copy"))
    assert (mask[50:56, 60:70] == 0).all()


def test_what_no_stroke_touches_is_background():
    image = photo(80, 160)
    image[30:50, 20:40] = (200, 120, 40)
    mask = mask_from_scribbles(image, strokes(image, "grey"))
    assert mask[40, 80] == 255
    assert (mask[:, :45] == 0).all()


def test_large_photo_is_cut_small_and_stays_unsure_at_the_edge():
    image = photo(900, 1200)
    scribbles = strokes(image, "copy")
    mask = mask_from_scribbles(image, scribbles)
    assert mask.shape == (900, 1200)
    between = (mask > 0) & (mask < 255)
    assert 0.001 < between.mean() < 0.02  # the scale is 2: a thin line
    assert ((mask > 127) != (disc(900, 1200, radius=270) > 0)).mean() < 0.005
    np.testing.assert_array_equal(mask, mask_from_scribbles(image, scribbles))
    trimap, _ = as_trimap(mask, band=Band(40))
    assert (trimap[between] == 128).all()
    assert trimap[450, 600] == 255 and trimap[5, 5] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:-1], "72x59 pixels, the photo is 72x60"),
        (lambda s: np.where(s == 255, 128, s), "mark no subject; draw some white"),
        (lambda s: np.where(s == 0, 128, s), "mark no background; draw some black"),
        (lambda s: np.where(s == 128, 0, s), "leave no pixel open"),
        (lambda s: s[..., None].repeat(2, -1), r"shape \(60, 72, 2\)"),
        (lambda s: s.astype(np.float32), "type float32"),
    ],
)
def test_unusable_strokes(change, message):
    image = photo()
    scribbles = change(strokes(image, "grey"))
    if scribbles.dtype == np.int64:
        scribbles = scribbles.astype(np.uint8)
    with pytest.raises(InputError, match=message):
        mask_from_scribbles(image, scribbles)


@pytest.fixture
def rembg(monkeypatch):
    """A stand-in for the optional package; `mask` is what it answers."""
    module = types.ModuleType("rembg")
    module.mask, module.seen = soft_disc(), {}

    def remove(image, **options):
        module.seen.update(options, dtype=image.dtype)
        if isinstance(module.mask, Exception):
            raise module.mask
        return module.mask

    module.remove, module.new_session = remove, lambda name: f"session {name}"
    monkeypatch.setitem(sys.modules, "rembg", module)
    return module


def test_mask_from_photo(rembg):
    rembg.mask[0, 0] = 9
    mask = mask_from_photo(photo().astype(np.uint16) * 257, model="u2netp")
    assert rembg.seen == {
        "session": "session u2netp",
        "only_mask": True,
        "dtype": np.uint8,
    }
    np.testing.assert_array_equal(mask, snap_ends(soft_disc(), 0.04))
    assert mask[0, 0] == 0
    mask_from_photo(photo())
    assert rembg.seen["session"] is None


def test_rembg_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "rembg", None)
    with pytest.raises(InputError, match=r'pip install "rembg\[cpu\]"'):
        mask_from_photo(photo())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ConnectionError("no\nroute"), r"rembg failed \(ConnectionError no route\)"),
        (disc(120, 72), r"shape \(120, 72\), uint8; expected \(60, 72\)"),
    ],
)
def test_rembg_fails(rembg, answer, message):
    rembg.mask = answer
    with pytest.raises(InputError, match=message):
        mask_from_photo(photo())


@pytest.mark.parametrize("share", [-0.1, 0.5, np.nan])
def test_snap_out_of_range(share):
    with pytest.raises(InputError, match="expected 0 to below 0.5"):
        snap_ends(disc(), share)
