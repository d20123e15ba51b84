"""Published training sets, and the source that a config names."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import miniatures
import numpy as np
import pytest
import training_miniatures

from experiments.configs.common import base_config
from input_pipeline.protocol.recipe import Recipe
from input_pipeline.protocol.sample import make_sample
from input_pipeline.training_data import training_sets
from input_pipeline.training_data.originals import Original
from input_pipeline.training_data.preparation import Preparation
from input_pipeline.training_data.training_sets import set_folders
from input_pipeline.training_data.training_sources import open_source, split_folders
from tmfnet_jax.errors import InputError


@pytest.fixture
def small_sets(monkeypatch):
    """Let the published sets have five foregrounds."""
    sets = training_sets.TRAINING_SETS
    for name, spec in sets.items():
        monkeypatch.setitem(sets, name, dataclasses.replace(spec, foregrounds=5))


def data(**fields):
    config = base_config().data
    with config.unlocked():
        config.update(fields)
    return config


@pytest.mark.parametrize("top", ["", "Training_set", "Combined_Dataset/Training_set"])
def test_composition_1k_is_found_at_any_level(tmp_path, small_sets, top):
    training_miniatures.composition_1k(tmp_path / top, adobe=3, other=2)
    photos = training_miniatures.photos(tmp_path / "photos", count=2)
    source = open_source(
        data(kind="composition-1k", folder=str(tmp_path), backgrounds=str(photos)),
        seed=0,
    )
    assert (source.num_foregrounds, source.num_backgrounds) == (5, 2)
    # The first part's foregrounds, then the other's, though names come twice.
    for index, (seed, number) in enumerate([(0, 1), (0, 0), (0, 2), (1, 1), (1, 0)]):
        image, alpha = source.foreground(index)
        np.testing.assert_array_equal(image, miniatures.colours(seed, number, 0))
        np.testing.assert_array_equal(alpha, miniatures.alpha(seed, number, 1))
    assert pickle.loads(pickle.dumps(source)).foregrounds == source.foregrounds


def test_published_sizes():
    sizes = {n: s.foregrounds for n, s in training_sets.TRAINING_SETS.items()}
    assert sizes == {"composition-1k": 431, "ciom": 683}


@pytest.mark.parametrize("top", ["", "Training_set"])
def test_ciom(tmp_path, small_sets, top):
    folder = tmp_path / top
    training_miniatures.pairs(folder / "fg", folder / "alpha", count=5)
    photos = training_miniatures.photos(tmp_path / "photos", count=1)
    fields = {"kind": "ciom", "folder": str(tmp_path), "backgrounds": str(photos)}
    assert open_source(data(**fields), seed=0).num_foregrounds == 5


def test_part_of_a_published_set_is_refused(tmp_path, small_sets):
    training_miniatures.composition_1k(tmp_path, adobe=3, other=1)
    photos = training_miniatures.photos(tmp_path / "photos", count=1)
    fields = {"folder": str(tmp_path), "backgrounds": str(photos)}
    with pytest.raises(InputError, match="has 4 foregrounds.* composition-1k has 5"):
        open_source(data(kind="composition-1k", **fields), seed=0)
    with pytest.raises(InputError, match="no such folder below it.*fg, alpha"):
        set_folders("ciom", tmp_path)
    (tmp_path / "Other" / "alpha").rename(tmp_path / "Other" / "alphas")
    with pytest.raises(InputError, match="below it: Other/alpha; expected"):
        set_folders("composition-1k", tmp_path)


def test_folders_with_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "one, two").mkdir()
    assert [str(p) for p in split_folders("one, two")] == ["one, two"]
    assert [str(p) for p in split_folders("~/a, b")] == ["/home/me/a", "b"]


def test_several_folders_in_a_config(tmp_path):
    training_miniatures.composition_1k(tmp_path, adobe=2, other=1)
    photos = training_miniatures.photos(tmp_path / "photos", count=1)
    parts = [tmp_path / "Adobe-licensed images", tmp_path / "Other"]
    fields = {
        "foregrounds": ",".join(str(part / "fg") for part in parts),
        "backgrounds": f"{photos},{photos}",
    }
    alphas = ",".join(str(part / "alpha") for part in parts)
    source = open_source(data(kind="folders", alphas=alphas, **fields), seed=0)
    assert (source.num_foregrounds, source.num_backgrounds) == (3, 2)
    with pytest.raises(InputError, match="2 folders of foregrounds and 1 of alphas"):
        open_source(data(kind="folders", alphas=str(parts[0]), **fields), seed=0)
    mixed = open_source(data(alphas=f"{parts[0] / 'alpha'},", **fields), seed=0)
    with pytest.raises(InputError, match="has no alpha channel"):
        mixed.foreground(2)


def test_samples_are_made_of_any_kind(tmp_path, small_sets):
    training_miniatures.composition_1k(tmp_path, adobe=3, other=2)
    photos = training_miniatures.photos(tmp_path / "photos", count=3)
    fields = {"folder": str(tmp_path), "backgrounds": str(photos)}
    source = open_source(data(kind="composition-1k", **fields), seed=0)
    sample = make_sample(source, Recipe.for_crop(16), seed=1, index=2)
    assert sample["image"].shape == (16, 16, 3)


def test_synthetic_takes_photos(tmp_path):
    photos = training_miniatures.photos(tmp_path / "a" / "b", count=2, size=(60, 70))
    fields = {"kind": "synthetic", "size_px": 32}
    plain = open_source(data(**fields), seed=5)
    textured = open_source(data(backgrounds=str(photos.parent), **fields), seed=5)
    assert plain.num_foregrounds is None
    assert any((plain.background(i) != textured.background(i)).any() for i in range(4))
    assert open_source(data(pool=3, **fields), seed=5).num_foregrounds == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no photos there"):
        open_source(data(backgrounds=str(tmp_path / "empty"), **fields), seed=5)


def prepared(folder, level, count):
    """Prepare cut-outs of one grey level, half of each seen."""
    alpha = np.tile(np.array([0, 255], np.uint8), (8, 4))
    images = np.full((8, 8, 3), level, np.uint8), alpha
    Preparation(
        folder,
        settings={},
        foregrounds=[Original(str(i), (), lambda: images) for i in range(count)],
        backgrounds=[Original("0", (), lambda: images[:1])],
        background_side_px=0,
        raw_backgrounds=True,
    ).run(num_threads=1)
    return str(folder)


def test_several_prepared_folders_by_shares(tmp_path):
    folders = [prepared(tmp_path / name, *of) for name, of in PARTS.items()]
    fields = {"kind": "prepared", "folder": ",".join(folders)}
    source = open_source(data(shares="0.75,0.25", **fields), seed=0)
    levels = [source.foreground(index)[0][0, 0, 0] for index in range(400)]
    assert set(levels) == {10, 20}
    assert 0.7 < np.mean(np.array(levels) == 10) < 0.8
    with pytest.raises(InputError, match="data.shares is not set; give one for each"):
        open_source(data(**fields), seed=0)
    with pytest.raises(InputError, match="data.shares is 'half'; give numbers with"):
        open_source(data(shares="half", **fields), seed=0)
    with pytest.raises(InputError, match="2 sources and 3 shares"):
        open_source(data(shares="1,1,1", **fields), seed=0)
    alone = open_source(data(kind="prepared", folder=folders[0]), seed=0)
    assert alone.num_foregrounds == 2


PARTS = {"subjects": (10, 2), "generated": (20, 3)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "zip"}, "kind is 'zip'; expected 'synthetic', 'folders'.* or 'tfds'"),
        ({}, "config.data.foregrounds is not set; give a folder"),
        ({"foregrounds": "fg"}, "config.data.backgrounds is not set"),
        ({"kind": "ciom"}, "config.data.folder is not set"),
        ({"kind": "ciom", "folder": "nowhere"}, "nowhere: no such folder"),
        ({"kind": "prepared"}, "config.data.folder is not set"),
        ({"kind": "tfds", "folder": "x"}, "config.data.backgrounds is not set"),
    ],
)
def test_what_is_missing_is_named(tmp_path, monkeypatch, fields, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        open_source(data(**fields), seed=0)


def test_tfds_is_opened_by_its_own_module(monkeypatch):
    opened = []
    monkeypatch.setattr(
        "input_pipeline.tfds_builders.source.TfdsSource",
        lambda prepared, backgrounds: opened.append((prepared, backgrounds)),
    )
    monkeypatch.setenv("HOME", "/home/me")
    fields = {"kind": "tfds", "folder": "composition_1k", "backgrounds": "~/coco"}
    open_source(data(**fields), seed=0)
    assert opened == [(Path("composition_1k"), Path("/home/me/coco"))]
