"""Evaluation sets: generated, a user's triples, alphamatting.com in miniature."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from miniatures import (
    alpha,
    alphamatting,
    colours,
    composition,
    save,
    three_channels,
    trimap,
    triples,
)

from input_pipeline.evaluation_data.alphamatting import TEST_IMAGES, TRAINING_IMAGES
from input_pipeline.evaluation_data.composition_benchmarks import COMPOSITION_1K
from input_pipeline.evaluation_data.evaluation import (
    GENERATED_SEED,
    GENERATED_SIZE_PX,
    Example,
    Inventory,
    generated_set,
)
from input_pipeline.evaluation_data.evaluation_sets import SETS, open_set
from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from tmfnet_jax.errors import InputError

PART = TRAINING_IMAGES[::2]
TRAINING_LAYOUTS = {
    "ours": {
        "image": "train/image",
        "trimaps": ("train/trimap1", "train/trimap2"),
        "truth": "train/alpha",
    },
    "ours, itself": {
        "image": "image",
        "trimaps": ("trimap1", "trimap2"),
        "truth": "alpha",
    },
    "the site's": {
        "image": "input_training_lowres",
        "trimaps": (
            "trimap_training_lowres/Trimap1",
            "trimap_training_lowres/Trimap2",
        ),
        "truth": "gt_training_lowres",
    },
}
TEST_LAYOUTS = {
    "ours": {"image": "test/image", "trimaps": [f"test/trimap{n}" for n in (1, 2, 3)]},
    "ours, itself": {"image": "image", "trimaps": [f"trimap{n}" for n in (1, 2, 3)]},
    "the site's": {
        "image": "input_lowres",
        "trimaps": [f"trimap_lowres/Trimap{n}" for n in (1, 2, 3)],
    },
}


def assert_same(example, image, labels, truth):
    np.testing.assert_array_equal(example.image, image)
    np.testing.assert_array_equal(example.trimap, labels)
    np.testing.assert_array_equal(example.alpha, truth)
    assert (
        example.image.dtype == example.trimap.dtype == example.alpha.dtype == np.uint8
    )


def test_generated_images_are_the_samples_with_all_labels():
    size = (GENERATED_SIZE_PX, GENERATED_SIZE_PX)
    source = SyntheticSource(seed=GENERATED_SEED, size=size)
    recipe = Recipe(
        crop_px=GENERATED_SIZE_PX,
        second_foreground_probability=0,
        jitter=False,
        affine=False,
    )
    samples = (
        make_sample(source, recipe, seed=GENERATED_SEED, index=index)
        for index in itertools.count()
    )
    complete = (s for s in samples if {0, 128, 255} == set(np.unique(s["trimap"])))
    dataset = open_set("generated", None, count=5)
    assert dataset.names == tuple(f"generated-{n:03}" for n in range(5))
    for example, sample in zip(dataset.examples(), complete, strict=False):
        squeezed = sample["trimap"][..., 0], sample["alpha"][..., 0]
        assert_same(example, sample["image"], *squeezed)
    json.dumps(dataset.settings)
    assert dataset.inventory.complete and dataset.has_alpha


def test_generated_images_come_in_any_order_and_from_threads():
    expected = {e.name: e for e in generated_set(4).examples()}
    dataset = generated_set(4)
    order = ["generated-003", "generated-000", "generated-002", "generated-001"] * 2
    with ThreadPoolExecutor(4) as pool:
        for example in pool.map(dataset.load, order):
            truth = expected[example.name]
            assert_same(example, truth.image, truth.trimap, truth.alpha)


def test_triples_give_back_what_was_written(tmp_path):
    triples(tmp_path, names=("b", "a"), trimaps="narrow")
    dataset = open_set("triples", tmp_path, trimaps="narrow")
    assert dataset.names == ("a", "b")
    assert dataset.settings == {"trimaps": "narrow"}
    assert dataset.inventory.complete and not dataset.inventory.surplus
    for example, number in zip(dataset.examples(), (1, 0), strict=True):
        expected = colours(number, 0), trimap(number, 1), alpha(number, 2)
        assert_same(example, *expected)


def test_triples_are_read_as_photos_and_trimaps_of_users_are(tmp_path):
    triples(tmp_path, names=("a",))
    save(tmp_path / "image" / "b.tif", colours(0, 0).astype(np.uint16) * 257)
    save(tmp_path / "trimap" / "b.png", three_channels(trimap(0, 1)) // 128 * 127)
    save(tmp_path / "alpha" / "b.png", alpha(0, 2).astype(np.uint16) * 257)
    a, b = open_set("triples", tmp_path).examples()
    known = trimap(0, 1) != 128
    np.testing.assert_array_equal(b.trimap[~known], 128)
    assert (b.trimap[:, -1] == 0).all()
    np.testing.assert_array_equal(b.image, a.image)
    np.testing.assert_array_equal(b.alpha, a.alpha)


def test_triples_list_all_that_is_wrong_at_once(tmp_path):
    triples(tmp_path, names=("a", "b", "c"))
    (tmp_path / "alpha" / "a.png").unlink()
    (tmp_path / "trimap" / "b.png").rename(tmp_path / "trimap" / "d.png")
    save(tmp_path / "alpha" / "b.tif", alpha(5))
    (tmp_path / "image" / "notes.txt").write_text("not an image")
    (tmp_path / "image" / ".hidden.png").write_text("left by a file manager")
    dataset = open_set("triples", tmp_path)
    assert dataset.names == ("c",)
    assert dataset.inventory.missing == (
        "trimap/b",
        "alpha/a",
        "alpha/b (there are b.png, b.tif; keep one)",
    )
    assert dataset.inventory.surplus == ("image/notes.txt", "trimap/d.png")
    counts = (("image", 3, 3), ("trimap", 2, 3), ("alpha", 2, 3))
    assert dataset.inventory.counts == counts


def test_triples_that_cannot_be_listed(tmp_path):
    triples(tmp_path, names=())
    with pytest.raises(InputError, match="no such folder below it: image, trimap, al"):
        open_set("triples", tmp_path)
    triples(tmp_path, names=("a",))
    with pytest.raises(InputError, match="no such folder below it: trimap9; expected"):
        open_set("triples", tmp_path, trimaps="trimap9")
    for name in ("../trimap", "..", "", "a/b"):
        with pytest.raises(InputError, match="give the name of a folder in"):
            open_set("triples", tmp_path, trimaps=name)
    with pytest.raises(InputError, match="none: no such folder; give the folder of"):
        open_set("triples", tmp_path / "none")
    with pytest.raises(InputError, match="a.png: is a file; give the folder of"):
        open_set("triples", tmp_path / "image" / "a.png")
    (tmp_path / "image" / "a.png").unlink()
    with pytest.raises(InputError, match="image: holds no images"):
        open_set("triples", tmp_path)


def test_sizes_must_agree(tmp_path):
    triples(tmp_path, names=("a",))
    save(tmp_path / "alpha" / "a.png", np.zeros((9, 9), np.uint8))
    message = "a: files differ in size: image 12x9, trimap 12x9, alpha 9x9; get"
    with pytest.raises(InputError, match=message):
        list(open_set("triples", tmp_path).examples())
    with pytest.raises(InputError, match="image 12x9, trimap 9x12; get"):
        Example("x", colours(0), trimap(0).T, None)


def test_errors_of_triples_name_the_file(tmp_path):
    triples(tmp_path, names=("a",))
    save(tmp_path / "trimap" / "a.png", alpha(0))
    with pytest.raises(InputError, match="trimap/a.png: trimap has grey values other"):
        open_set("triples", tmp_path).load("a")
    save(tmp_path / "trimap" / "a.png", np.zeros((9, 12), np.uint8))
    assert not open_set("triples", tmp_path).load("a").trimap.any()


@pytest.mark.parametrize("layout", TRAINING_LAYOUTS)
def test_alphamatting_training_layouts(tmp_path, layout):
    alphamatting(tmp_path, names=PART, **TRAINING_LAYOUTS[layout])
    for kind, trimaps in enumerate((None, "trimap2")):
        dataset = open_set("alphamatting", tmp_path, trimaps=trimaps)
        assert dataset.names == PART
        assert dataset.settings == {"trimaps": f"trimap{kind + 1}"}
        assert dataset.inventory.complete
        assert dataset.inventory.notes[0].startswith("14 of 27 images")
        assert [count[1:] for count in dataset.inventory.counts] == [(14, 27)] * 3
        truth = colours(3, 0), trimap(3, 1, kind), alpha(3, 2)
        assert_same(dataset.load("GT07"), *truth)


def test_alphamatting_lists_what_is_missing_and_surplus(tmp_path):
    folders = TRAINING_LAYOUTS["ours"]
    alphamatting(tmp_path, names=TRAINING_IMAGES, **folders)
    assert open_set("alphamatting", tmp_path).inventory.notes == ()
    train = tmp_path / "train"
    (train / "alpha" / "GT05.png").unlink()
    (train / "image" / "GT06.png").unlink()
    save(train / "image" / "GT28.png", colours(0))
    dataset = open_set("alphamatting", tmp_path)
    assert dataset.inventory.missing == ("train/alpha/GT05",)
    assert dataset.inventory.surplus == (
        "train/image/GT28.png",
        "train/trimap1/GT06.png",
        "train/alpha/GT06.png",
    )
    assert len(dataset.names) == 25


@pytest.mark.parametrize("layout", TEST_LAYOUTS)
def test_alphamatting_test_layouts(tmp_path, layout):
    alphamatting(tmp_path, names=TEST_IMAGES, truth="", **TEST_LAYOUTS[layout])
    dataset = open_set("alphamatting-test", tmp_path)
    assert (dataset.names[0], dataset.names[-1]) == ("Trimap1/donkey", "Trimap3/troll")
    assert len(dataset.names) == 24
    assert dataset.inventory.complete and not dataset.has_alpha
    example = dataset.load("Trimap2/elephant")
    np.testing.assert_array_equal(example.image, colours(2, 0))
    np.testing.assert_array_equal(example.trimap, trimap(2, 1, 1))
    assert example.alpha is None
    one = open_set("alphamatting-test", tmp_path, trimaps="Trimap3")
    assert one.names == dataset.names[16:]
    assert one.settings == {"trimaps": ["trimap3"]}


def test_alphamatting_test_needs_all_images(tmp_path):
    alphamatting(tmp_path, names=TEST_IMAGES, truth="", **TEST_LAYOUTS["ours"])
    (tmp_path / "test" / "image" / "doll.png").unlink()
    (tmp_path / "test" / "trimap2" / "net.png").unlink()
    dataset = open_set("alphamatting-test", tmp_path)
    assert dataset.inventory.missing == ("test/image/doll", "test/trimap2/net")
    assert dataset.inventory.surplus == ()
    assert len(dataset.names) == 20 and "Trimap1/net" in dataset.names


def test_alphamatting_takes_only_original_files(tmp_path):
    alphamatting(tmp_path, names=("GT01",), **TRAINING_LAYOUTS["ours"])
    train = tmp_path / "train"
    labels = three_channels(trimap(0, 1, 0))
    cases = (
        ("trimap1", np.where(labels == 128, 127, labels), "values other .* them 127"),
        ("trimap1", labels * [1, 1, 0], "is coloured"),
        ("trimap1", labels.astype(np.uint16) * 257, "GT01.png: holds uint16 values"),
        ("alpha", colours(0), "GT01.png: is in colour; an alpha must be grey"),
        ("alpha", alpha(0, 2).astype(np.uint16), "GT01.png: holds uint16 values"),
        ("image", colours(0).astype(np.uint16), "GT01.png: holds uint16 values"),
    )
    for folder, pixels, message in cases:
        path = train / folder / "GT01.png"
        before = path.read_bytes()
        save(path, pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint8))
        with pytest.raises(InputError, match=message):
            open_set("alphamatting", tmp_path).load("GT01")
        path.write_bytes(before)
    assert open_set("alphamatting", tmp_path).load("GT01").name == "GT01"


def test_alphamatting_that_cannot_be_listed(tmp_path):
    message = "expected the folders train/image, .* or input_training_lowres, "
    with pytest.raises(InputError, match=message):
        open_set("alphamatting", tmp_path)
    alphamatting(tmp_path, names=("tree",), **TRAINING_LAYOUTS["ours"])
    with pytest.raises(
        InputError, match="image: holds none of the images GT01 to GT27"
    ):
        open_set("alphamatting", tmp_path)
    with pytest.raises(
        InputError, match="trimaps are 'user'; choose one of trimap1, t"
    ):
        open_set("alphamatting", tmp_path, trimaps="user")


def test_alphamatting_files():
    folder = os.environ.get("TMFNET_ALPHAMATTING")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TMFNET_ALPHAMATTING names no folder")
    training = open_set("alphamatting", Path(folder))
    test = open_set("alphamatting-test", Path(folder))
    assert training.inventory.complete and test.inventory.complete
    assert len(test.names) == 24
    for dataset in (training, test):
        for example in dataset.examples():
            assert (example.trimap == 128).any()
            assert (example.alpha is not None) == dataset.has_alpha


def test_composed_sets_are_opened_with_their_counts(tmp_path):
    spec = dataclasses.replace(COMPOSITION_1K, foregrounds=2, backgrounds_each=2)
    composition(tmp_path / "data" / "Test_set", tmp_path / "photos", spec)
    for name in ("composition-1k", "ciom"):
        with pytest.raises(InputError, match="fg_names.txt: has 2 names; expected 50"):
            open_set(name, tmp_path / "data", backgrounds=tmp_path / "photos")


def test_composed_sets_need_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "PIL.Image", raising=False)
    with pytest.raises(InputError, match=r"composition-1k needs Pillow.*\[eval\]"):
        open_set("composition-1k", tmp_path, backgrounds=tmp_path)


def test_options_that_a_set_does_not_take(tmp_path):
    for name, options, message in (
        (
            "comp1k",
            {},
            "choose one of generated, triples, alphamatting, alphamatting-t",
        ),
        ("generated", {"folder": tmp_path}, "is made, not read; leave the folder out"),
        ("generated", {"count": 0}, "cannot have 0 images"),
        ("triples", {"folder": tmp_path, "count": 2}, "leave --count out"),
        ("triples", {}, "needs the place of its files"),
        ("ciom", {"folder": tmp_path}, "needs --backgrounds: .* photos of ADE20K"),
        (
            "ciom",
            {"folder": tmp_path, "trimaps": "trimap1"},
            "has no choice of trimaps",
        ),
        ("generated", {"trimaps": "trimap1"}, "has no choice of trimaps"),
        ("triples", {"folder": tmp_path, "backgrounds": tmp_path}, "needs no backgr"),
    ):
        folder = options.pop("folder", None)
        with pytest.raises(InputError, match=message):
            open_set(name, folder, **options)
    assert len(set(SETS)) == 7


def test_reports_cannot_steer_the_terminal():
    names = ("a\x1b[2Jb", "c\nd")
    inventory = Inventory(
        "here", "free", counts=(("image", 1, None),), missing=names, notes=("n",)
    )
    lines = inventory.report().splitlines()
    assert lines[:3] == ["missing (2):", r"  'a\x1b[2Jb'", r"  'c\nd'"]
    assert lines[3:5] == ["source: here", "licence: free"]
    assert lines[7].split() == ["image", "1", "any"]
    assert lines[8:] == ["note: n"]
    short = inventory.report(listed=1).splitlines()
    assert short[1:3] == [r"  'a\x1b[2Jb'", "  and 1 more: see --check"]
