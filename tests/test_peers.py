"""Classical methods: what is refused; the demo and the benchmark run them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from experiments.peers import PEERS, peer, peer_settings
from tmfnet_jax.errors import InputError


def test_unknown_methods_are_refused():
    with pytest.raises(InputError, match="'knn'; choose one of closed form, KNN"):
        peer("knn")


def test_without_pymatting_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymatting", None)
    with pytest.raises(InputError, match="pip install 'tmfnet-jax"):
        peer(PEERS[0])


def test_what_pymatting_gives_up_on_is_bad_input(monkeypatch):
    pymatting = pytest.importorskip("pymatting")

    def give_up(image, trimap):
        raise ValueError("Trimap did not contain foreground values")

    monkeypatch.setattr(pymatting, "estimate_alpha_knn", give_up)
    with pytest.raises(InputError, match="PyMatting failed: Trimap did not contain"):
        peer("KNN")(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))
    settings = peer_settings("KNN")
    assert settings["method"] == "KNN" and settings["library"].startswith("PyMatting ")


def test_what_pymatting_prints_is_not_shown(monkeypatch, capsys):
    pymatting = pytest.importorskip("pymatting")

    def chatty(image, trimap):
        print("PERFORMANCE WARNING: 1 of 100")
        return 2 * trimap

    monkeypatch.setattr(pymatting, "estimate_alpha_cf", chatty)
    trimap = np.array([[0, 128, 255]], np.uint8)
    alpha = peer("closed form")(np.zeros((1, 3, 3), np.uint8), trimap)
    assert alpha.tolist() == [[0, 1, 1]]
    assert capsys.readouterr() == ("", "")
