"""Several processes train one network; addresses that cannot be are refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from tmfnet_jax import distributed
from tmfnet_jax.errors import InputError
from tmfnet_jax.reporting import read_metrics
from tmfnet_jax.weights import fingerprint

ROOT = Path(__file__).parents[1]


def start(workdir: Path, *options: str) -> subprocess.Popen:
    command = [
        *(sys.executable, "-m", "experiments.train", f"--workdir={workdir}"),
        "--config=experiments/configs/synthetic.py:smoke",
        "--config.data.loader=threads",
        *options,
    ]
    flags = os.environ["XLA_FLAGS"].replace("device_count=4", "device_count=1")
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_train_one_network(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    pair = tmp_path / "pair"
    both = [
        start(pair, f"--coordinator={address}", "--processes=2", f"--process={number}")
        for number in range(2)
    ]
    (first, said), (second, _) = [process.communicate(timeout=500) for process in both]
    assert [process.returncode for process in both] == [0, 0], said[-2000:]
    assert "weights after 4 steps" in first
    assert "weights after" not in second  # only one reports
    records = read_metrics(pair / "metrics.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3, 4]

    assert all(record["loss"] > 0 for record in records)
    assert [r["step"] for r in records if "validation_sad" in r] == [2, 4]
    # A checkpoint that two wrote is whole for one, and is what was exported.
    assert fingerprint(pair)[1] == fingerprint(pair / "weights.safetensors")[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "a coordinator needs --processes"),
        ({"processes": 2}, "a coordinator needs --processes"),
        ({"processes": 2, "process": 2}, "process is 2; expected 0 to 1"),
    ],
)
def test_half_an_address_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        distributed.start("127.0.0.1:1", **options)


def test_steps_are_computed_beside_the_main_thread(monkeypatch):
    """Else a process that waits for a lost one aborts, in place of a message."""
    calls: list[tuple] = []
    monkeypatch.setattr(jax.config, "update", lambda *a: calls.append(a))
    monkeypatch.setattr(jax.distributed, "initialize", lambda **_: calls.append(()))
    distributed.start("127.0.0.1:1", processes=2, process=0)
    assert calls == [("jax_cpu_enable_async_dispatch", True), ()]
