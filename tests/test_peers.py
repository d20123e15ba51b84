"""Classical methods: what is refused; the demo and the benchmark run them."""

from __future__ import annotations

import sys

import pytest

from experiments.peers import PEERS, peer
from tmfnet_jax.errors import InputError


def test_unknown_methods_are_refused():
    with pytest.raises(InputError, match="'knn'; choose of closed form, KNN"):
        peer("knn")


def test_without_pymatting_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymatting", None)
    with pytest.raises(InputError, match="pip install 'tmfnet-jax"):
        peer(PEERS[0])
