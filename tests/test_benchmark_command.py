"""`tmfnet bench` and `tmfnet plan`: what they print, and refused sizes."""

from __future__ import annotations

import json

import pytest

from tmfnet_jax import benchmark, cli
from tmfnet_jax.commands.network_options import parse_size
from tmfnet_jax.errors import InputError
from tmfnet_jax.fresh_process import in_fresh_process
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network, named_arrays
from tmfnet_jax.weights import write_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    config = TMFNetConfig(width=0.05)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    write_weights(path, config, named_arrays(initial_network(config, seed=0)))
    return path


def test_bench_lists_what_was_asked_for(weights, capsys):
    status = cli.main(
        ["bench", "--sizes", "48x32", "--repeats", "1", "--json"]
        + ["--weights", str(weights)]
    )
    records = json.loads(capsys.readouterr().out)
    assert status == 0
    assert [record["size"] for record in records] == ["48x32"]
    record = records[0]
    assert record["device"].endswith("cores")
    assert 0 < record["seconds"] <= record["first_seconds"]
    assert 50 < record["peak_rss_mb"] < 2000
    assert 0 < record["share_of_peak"] < 10
    assert record["plan"] == "whole"


def test_a_size_that_cannot_be_measured_is_named(weights, capsys, monkeypatch):
    def refuse(function, case):
        raise RuntimeError("killed, most likely out of memory")

    monkeypatch.setattr(benchmark, "in_fresh_process", refuse)
    status = cli.main(["bench", "--sizes", "64", "--weights", str(weights)])
    captured = capsys.readouterr()
    assert status == 1
    assert captured.out == ""
    assert "failed: 64x64: killed, most likely out of memory" in captured.err


def test_plan_shows_every_way_and_the_chosen_one(capsys):
    assert cli.main(["plan", "--size", "4000x3000", "--max-memory", "2.5GB"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["strips", "rows", "memory"]
    amounts = [float(line.split()[2]) for line in lines[2:-2]]
    assert len(amounts) > 3
    assert amounts == sorted(amounts, reverse=True)
    chosen = max(amount for amount in amounts if amount <= 2.5)
    assert lines[-1].startswith("4000x3000 pixels: ")
    assert f"about {chosen:.1f} GB" in lines[-1]


def test_plan_says_how_much_is_missing(capsys):
    assert cli.main(["plan", "--size", "9000", "--max-memory", "1GB"]) == 2
    error = capsys.readouterr().err
    assert "9000x9000 pixels need" in error
    assert "allowed are 1.0 GB" in error


def test_sizes():
    assert parse_size("2048") == (2048, 2048)
    assert parse_size("4000x3867") == (3867, 4000)


@pytest.mark.parametrize("text", ["", "0", "10x", "x10", "-5", "10x10x10", "9999999"])
def test_refused_sizes(text):
    with pytest.raises(InputError, match="expected the side of a square"):
        parse_size(text)


def _fail(kind):
    raise kind("reason")


def test_fresh_process_returns_and_raises():
    assert in_fresh_process(max, 2, 3) == 3
    with pytest.raises(InputError, match="^reason$"):
        in_fresh_process(_fail, InputError)
    with pytest.raises(RuntimeError, match="KeyError: 'reason'"):
        in_fresh_process(_fail, KeyError)
