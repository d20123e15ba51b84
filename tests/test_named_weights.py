"""Weights by name, and the command that lists them."""

from __future__ import annotations

import numpy as np
import pytest

from tmfnet_jax import named_weights
from tmfnet_jax.cli import main
from tmfnet_jax.errors import InputError
from tmfnet_jax.inference import Matting
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.model_card import ModelCard, weights_notes, write_model_card
from tmfnet_jax.parameters import initial_network, named_arrays
from tmfnet_jax.weights import (
    fingerprint,
    read_weights,
    wants_refinement,
    write_weights,
)

SHIPPED_BYTES = 8e6  # at most


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    network = TMFNetConfig(width=0.05)
    card = ModelCard(network=network, license="CC0-1.0")
    path = folder / "tiny.safetensors"
    arrays = named_arrays(initial_network(network, seed=0))
    write_weights(path, network, arrays, dtype=np.float16, notes=weights_notes(card))
    write_model_card(path.with_suffix(".md"), card, weights=path)
    monkeypatch.setattr(named_weights, "FOLDER", folder)
    return path


def test_a_name_is_as_good_as_its_file(tiny, tmp_path, monkeypatch):
    assert fingerprint("tiny") == fingerprint(tiny)
    # Also where a file or folder has that name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    assert read_weights("tiny")[0].width == 0.05
    with pytest.raises(InputError):
        read_weights(tmp_path / "tiny")


@pytest.mark.parametrize("other", ["unknown", "../models/tiny", "tiny.safetensors"])
def test_what_is_no_name_is_a_path(tiny, other):
    assert str(named_weights.resolve(other)) == other


def test_the_list_and_the_card(tiny, capsys):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    (row,) = [line for line in listed.splitlines() if line.startswith("tiny ")]
    assert "CC0-1.0" in row
    assert str(tiny) in row
    assert main(["models", "tiny"]) == 0
    assert capsys.readouterr().out == tiny.with_suffix(".md").read_text()


def test_an_unknown_name_is_told_the_known_ones(tiny, capsys):
    assert main(["models", "huge"]) == 2
    error = capsys.readouterr().err
    assert "huge: no weights of that name; expected one of tiny" in error


def test_what_is_shipped_is_small_free_and_loads():
    weights = named_weights.named(named_weights.DEFAULT)
    assert weights.path.stat().st_size <= SHIPPED_BYTES
    assert "Apache-2.0" in weights.card
    assert fingerprint(weights.name)[0].width == 0.25
    assert wants_refinement(weights.name)
    sources = weights.path.with_suffix(".csv").read_text().splitlines()
    assert len(sources) > 200
    # A white square on black: whatever the training, alpha follows it.
    trimap = np.zeros((64, 64), np.uint8)
    trimap[10:54, 10:54], trimap[24:40, 24:40] = 128, 255
    inside = np.zeros((64, 64), bool)
    inside[18:46, 18:46] = True
    image = np.where(inside, np.uint8(240), np.uint8(10))[..., None].repeat(3, 2)
    alpha = Matting.load(weights.name).alpha(image, trimap)
    assert np.abs(alpha - inside).mean() < 0.1
