"""Devices and processes do not change a training."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_training import STEPS, run

from tmfnet_jax.errors import InputError
from tmfnet_jax.sharding import (
    SHARD_AXIS,
    check_batch_size,
    data_mesh,
    local_rows,
    place,
    put_batch,
    state_shardings,
)
from tmfnet_jax.train_step import StepConfig

SCRIPT = Path(__file__).with_name("tiny_training.py")


@pytest.fixture(scope="module")
def one():
    """Losses and final state on one device."""
    return run(data_mesh(jax.devices()[:1]))


@pytest.fixture(scope="module")
def four():
    """The same on four that share parameters in pairs, with rematerialisation."""
    assert len(jax.devices()) == 4
    return run(data_mesh(parameter_shards=2), StepConfig(remat="convolutions"))


def start(devices: int, *arguments: str) -> subprocess.Popen:
    flags = [
        flag for flag in os.environ["XLA_FLAGS"].split() if "device_count" not in flag
    ]
    flags.append(f"--xla_force_host_platform_device_count={devices}")
    root = SCRIPT.parents[1]
    environment = {**os.environ, "XLA_FLAGS": " ".join(flags), "PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        env=environment,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed_losses(process: subprocess.Popen) -> list[float]:
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err[-2000:]
    return json.loads(out.splitlines()[-1])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_four_devices_give_the_losses_of_one(one, four):
    np.testing.assert_allclose(one[0], four[0], rtol=1e-5)


def test_eight_devices_give_the_losses_of_one(one):
    np.testing.assert_allclose(one[0], printed_losses(start(8)), rtol=1e-5)


def test_two_processes_give_the_losses_of_one(one):
    address = f"127.0.0.1:{free_port()}"
    both = [start(1, address, "2", str(number)) for number in range(2)]
    for process in both:
        np.testing.assert_allclose(one[0], printed_losses(process), rtol=1e-5)


def test_statistics_are_those_of_the_global_batch(one, four):
    for name, value in one[1].statistics.items():
        np.testing.assert_allclose(
            value, four[1].statistics[name], rtol=1e-4, atol=1e-5
        )


def test_state_keeps_its_layout(four):
    state = four[1]
    assert int(state.step) == STEPS
    assert state.params["head.1.bias"].sharding.is_fully_replicated
    kernel = max(state.params.values(), key=lambda x: x.size)
    assert SHARD_AXIS in kernel.sharding.spec
    assert kernel.addressable_data(0).size == kernel.size // 2


def test_longest_axis_that_divides_is_split():
    mesh = data_mesh(parameter_shards=4)
    tree = {
        "split": np.zeros((3, 3, 32, 64)),
        "odd": np.zeros((129, 129)),
        "small": np.zeros((8, 8)),
    }
    shardings = state_shardings(mesh, tree)
    assert tuple(shardings["split"].spec) == (None, None, None, SHARD_AXIS)
    assert shardings["odd"].is_fully_replicated
    assert shardings["small"].is_fully_replicated
    placed = place(mesh, tree)
    assert placed["split"].sharding == shardings["split"]


def test_local_rows_are_what_was_put():
    batch = {"image": np.arange(24, dtype=np.uint8).reshape(8, 3)}
    rows = local_rows(put_batch(data_mesh(parameter_shards=2), batch)["image"])
    np.testing.assert_array_equal(rows, batch["image"])


def test_batch_must_split_evenly():
    with pytest.raises(InputError, match="batch_size is 6; expected a multiple.*4"):
        check_batch_size(6, data_mesh())
    with pytest.raises(InputError, match="4, times accumulation, 4"):
        check_batch_size(8, data_mesh(), accumulation=4)
    with pytest.raises(InputError, match="accumulation is 0"):
        check_batch_size(8, data_mesh(), accumulation=0)
    with pytest.raises(InputError, match="norm_groups is 3; .* batch_size, 8"):
        check_batch_size(8, data_mesh(), norm_groups=3)


def test_shards_must_divide_the_devices():
    with pytest.raises(InputError, match="parameter_shards is 3; .* devices, 4"):
        data_mesh(parameter_shards=3)
