"""Checkpoints: what was saved comes back, damage is told in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from tmfnet_jax.checkpointing import RunCheckpoints, read_weights
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.optim import OptimizerConfig, make_optimizer
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.sharding import data_mesh, place
from tmfnet_jax.train_step import create_state

TINY = TMFNetConfig(width=0.05, fusion=("lf", "glf", "static"))


def start(seed=0, devices=None, *, parameter_shards=1):
    optimizer = make_optimizer(OptimizerConfig())
    state = create_state(initial_network(TINY, seed=seed), optimizer)
    return place(data_mesh(devices, parameter_shards=parameter_shards), state)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir with steps 1 to 4, of which the last two and the best are kept."""
    workdir = tmp_path_factory.mktemp("run")
    state = start(parameter_shards=2)
    with RunCheckpoints(workdir, TINY, keep=2, keep_best=1) as checkpoints:
        assert checkpoints.latest_step is None
        assert checkpoints.restore_latest(state.tree()) is None
        for step, sad in ((1, 3.0), (2, None), (3, 5.0), (4, None)):
            tree = state.tree()
            tree["step"] = tree["step"] + step
            checkpoints.save(step, tree, None if sad is None else {"sad": sad})
    return workdir, state


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the workdir, to be damaged."""
    return shutil.copytree(run[0], tmp_path / "copy")


@pytest.mark.parametrize(("devices", "shards"), [(4, 2), (4, 1), (1, 1)])
def test_newest_comes_back_whole_on_any_devices(run, devices, shards):
    workdir, state = run
    other = start(1, jax.devices()[:devices], parameter_shards=shards)
    with RunCheckpoints(workdir, TINY, keep=2, keep_best=1) as checkpoints:
        assert checkpoints.latest_step == 4
        restored = other.with_tree(checkpoints.restore_latest(other.tree()))
    assert int(restored.step) == 4
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for part in ("params", "statistics", "optimizer"):
        olds, news, places = (
            jax.tree.leaves(getattr(s, part)) for s in (state, restored, other)
        )
        for old, new, like in zip(olds, news, places, strict=True):
            np.testing.assert_array_equal(old, new)
            assert new.sharding == like.sharding


def test_the_last_and_the_best_are_kept(run):
    names = {p.name for p in (run[0] / "checkpoints").iterdir() if p.name.isdigit()}
    assert names == {"1", "3", "4"}
    with RunCheckpoints(run[0], TINY, keep=2, keep_best=1) as checkpoints:
        assert checkpoints.measured() == {1: {"sad": 3.0}, 3: {"sad": 5.0}}


def largest(folder: Path) -> Path:
    files = (path for path in folder.rglob("*") if path.is_file())
    return max(files, key=lambda path: path.stat().st_size)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(run, copy, harm, caplog):
    checkpoint = copy / "checkpoints" / "4"
    harm(largest(checkpoint))
    with pytest.raises(InputError, match="unreadable checkpoint"):
        read_weights(copy)
    tree = run[1].tree()
    with RunCheckpoints(copy, TINY, keep=2, keep_best=1) as checkpoints:
        assert int(checkpoints.restore_latest(tree)["step"]) == 3
        checkpoints.save(4, {**tree, "step": tree["step"] + 4})
    assert (copy / "damaged-checkpoints" / "4").is_dir()  # nothing is thrown away
    assert "damaged checkpoints moved to" in caplog.text
    read_weights(copy)


def test_damage_to_any_file_is_found(run, copy):
    folder = copy / "checkpoints" / "4"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        flip(path)
        with pytest.raises(InputError, match="unreadable checkpoint"):
            read_weights(folder)
        path.write_bytes(content)
    read_weights(folder)


def test_all_damaged_is_told_and_left(copy):
    for checkpoint in (copy / "checkpoints").iterdir():
        flip(largest(checkpoint))
    with pytest.raises(InputError, match="all checkpoints are damaged: .*put a copy"):
        RunCheckpoints(copy, TINY, keep=2)
    assert not (copy / "damaged-checkpoints").exists()


def test_another_structure_is_told(copy):
    tree = start().tree()
    tree["average"] = dict(tree["params"])
    with (
        RunCheckpoints(copy, TINY, keep=2) as checkpoints,
        pytest.raises(InputError, match="checkpoints/4: cannot be restored"),
    ):
        checkpoints.restore_latest(tree)


def test_a_failed_save_is_told(tmp_path, monkeypatch):
    def full(self, *args, **options):
        raise OSError(28, "No space left on device")

    tree = start().tree()
    with RunCheckpoints(tmp_path, TINY, keep=2) as checkpoints:
        checkpoints.save(1, tree)
        monkeypatch.setattr(type(checkpoints._checkpointer), "save_async", full)
        with pytest.raises(InputError, match="step 2 could not be written .*No space"):
            checkpoints.save(2, tree)
    read_weights(tmp_path)


@pytest.mark.parametrize("place", [".", "checkpoints", "checkpoints/3"])
def test_weights_are_found_from_any_level(run, place):
    config, arrays = read_weights(run[0] / place)
    assert config == TINY
    expected = run[1].arrays()
    assert set(arrays) == set(expected)
    np.testing.assert_array_equal(arrays["head.1.bias"], expected["head.1.bias"])


def test_damage_is_told(run, tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint"):
        read_weights(tmp_path)
    (tmp_path / "checkpoints" / "7").mkdir(parents=True)
    with pytest.raises(InputError, match="unreadable checkpoint"):
        read_weights(tmp_path)


def test_a_save_that_fails_later_is_told_once(tmp_path, monkeypatch):
    class Saving:
        def result(self):
            raise ValueError("No space left on device\nand much more")

    def close_again(self):
        raise ValueError("the same again")

    checkpoints = RunCheckpoints(tmp_path, TINY, keep=2)
    checkpoints._saving = 7, Saving()
    monkeypatch.setattr(type(checkpoints._checkpointer), "close", close_again)
    with pytest.raises(InputError, match="step 7 could not be written .*device\\);"):
        checkpoints.close()
