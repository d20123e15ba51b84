"""Operations by three rules; tests/test_variants.py compares them with a reference."""

from __future__ import annotations

import json

import pytest

from tmfnet_jax import cli
from tmfnet_jax.counting import (
    PAPER_SIZE,
    RULES,
    convolution_macs,
    count_operations,
)
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.trimap_pooling import POOL_WINDOWS
from tmfnet_jax.variants import VARIANTS

GIGA = 10**9
TAPS = sum(window**2 for window in POOL_WINDOWS)


def at_paper_size(name):
    return count_operations(VARIANTS[name].config, PAPER_SIZE, PAPER_SIZE)


def test_published_rule_meets_the_paper():
    for name in ("tmfnet", "basic"):
        counted = at_paper_size(name).total("published") / VARIANTS[name].paper_macs
        assert abs(counted - 1) < 1e-3


def test_rules_state_what_they_count():
    operations = at_paper_size("tmfnet")
    assert operations.window_taps == TAPS * (PAPER_SIZE // 16) ** 2
    taps, pooled_taps = (operations.window_taps * c / GIGA for c in (2048, 256))
    total = operations.total("published") / GIGA
    words = RULES["published"]
    assert f"{taps:.1f} G of taps and {total:.1f} G in all" in words
    assert f"they are {pooled_taps:.1f} G" in words
    assert f"would make {total - taps + pooled_taps:.1f}" in words
    assert f"published {VARIANTS['tmfnet'].paper_macs // GIGA}" in words


def test_small_and_oblong_images_by_hand():
    operations = count_operations(TMFNetConfig(), 16, 32)
    cells = 2  # of the 1/16 map
    assert operations.window_taps == TAPS * cells
    assert operations.c5_channels == 2048
    # F1, F2 and F3 at 1/4, 1/2 and 1.
    features = cells * (256 * 4**2 + 256 * 8**2 + 32 * 16**2)
    assert operations.filters == 9 * features
    # The stem's maximum, features and mask of four windows, one global mean.
    pooled = cells * (128 * 8**2 + 4 * (256 + 1) + 256)
    assert operations.pooling == pooled


def test_pyramid_and_unmasked_windows_by_hand():
    stem = 128 * 8**2
    pyramid = count_operations(VARIANTS["basic"].config, 16, 16)
    assert pyramid.pooling == stem + 4 * 2048
    assert (pyramid.window_taps, pyramid.filters) == (0, 0)
    masked = count_operations(VARIANTS["tp"].config, 16, 16)
    assert masked.pooling == stem + 4 * (2048 + 1)
    unmasked = count_operations(VARIANTS["mp"].config, 16, 16)
    assert unmasked.pooling == stem + 4 * 256
    assert unmasked.window_taps == TAPS


def test_type_changes_no_count():
    config = TMFNetConfig(width=0.05, dtype="bfloat16")
    operations = count_operations(config, 32, 32)
    exact = count_operations(TMFNetConfig(width=0.05), 32, 32)
    assert operations == exact
    assert convolution_macs(config, 32, 32) == exact.total("convolutions")


def test_info_prints_its_rule(capsys, monkeypatch):
    only = {"basic": VARIANTS["basic"]}
    monkeypatch.setattr("tmfnet_jax.variants.VARIANTS", only)
    for rule, words in RULES.items():
        assert cli.main(["info", "--count", rule]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert f"{rule} at 2048x2048: {words}" in printed
    assert cli.main(["info", "--count", "layers", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["macs"] == 1_409_564_067_840


def test_info_offers_every_rule(capsys):
    with pytest.raises(SystemExit):
        cli.main(["info", "--help"])
    assert "{" + ",".join(RULES) + "}" in capsys.readouterr().out
