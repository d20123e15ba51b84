"""What is looked at during a run: finiteness, speed, a trace."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.configs import synthetic
from experiments.watch import FiniteGuard, Profiler, Speedometer
from tmfnet_jax.errors import InputError
from tmfnet_jax.sharding import data_mesh, put_batch


def batch(value: int):
    return put_batch(data_mesh(), {"image": np.full((4, 2), value, np.uint8)})


def outcome(running: int):
    return {"skipped_running": jnp.array(running)}


def test_batches_that_were_not_finite_are_kept(tmp_path, caplog):
    guard = FiniteGuard(tmp_path, stop_after=10)
    guard.look(1, batch(1), outcome(0))
    guard.look(2, batch(2), outcome(1))
    assert not (tmp_path / "nonfinite").exists()  # not looked at yet
    for step in range(3, 8):
        guard.look(step, batch(step), outcome(step - 1))
    guard.finish()
    kept = sorted(path.name for path in (tmp_path / "nonfinite").iterdir())
    assert kept == ["step-2.npz", "step-3.npz", "step-4.npz"]
    with np.load(tmp_path / "nonfinite" / "step-3.npz") as saved:
        np.testing.assert_array_equal(saved["image"], np.full((4, 2), 3))
    assert "step 2 skipped: loss or gradient not finite; its batch is" in caplog.text
    assert (
        "step 7 skipped: loss or gradient not finite; its batch is not" in caplog.text
    )


def test_many_running_end_the_run(tmp_path):
    guard = FiniteGuard(tmp_path, stop_after=2)
    guard.look(1, batch(1), outcome(1))
    guard.look(2, batch(2), outcome(2))
    with pytest.raises(InputError, match="in 2 steps running, the last one 2; .*init"):
        guard.finish()


def test_speed_is_that_since_the_last_reading(monkeypatch):
    clock = iter([100.0, 104.0, 105.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    config = synthetic.get_config("smoke")
    speed = Speedometer(config, first_step=10, hours=2.0)
    read = speed.read(18)  # 8 steps of 4 images in 4 seconds
    assert read["images_per_second"] == pytest.approx(8.0)
    assert read["hours"] == pytest.approx(2 + 4 / 3600)
    assert "share_of_peak" not in read
    assert speed.read(19)["images_per_second"] == pytest.approx(4.0)


def test_share_of_peak_counts_three_passes(monkeypatch):
    monkeypatch.setattr("experiments.watch.matrix_rate", lambda dtype: 1e9)
    monkeypatch.setattr("experiments.watch.convolution_macs", lambda *_: 1e6)
    config = synthetic.get_config("smoke")
    config.share_of_peak = True
    read = Speedometer(config, first_step=0, hours=0.0).read(100)
    # 2 operations a multiply-add, 3 passes: 6e6 of 1e9 a second and image.
    assert read["share_of_peak"] == pytest.approx(0.006 * read["images_per_second"])


def test_some_steps_are_traced(tmp_path):
    profiler = Profiler(tmp_path, first_step=0, steps=2)
    for step in range(1, 7):
        profiler.after(step, jnp.arange(3) + step)
        assert (tmp_path / "profile").exists() == (step >= 5)
    profiler.close()
    assert [*(tmp_path / "profile").rglob("*.xplane.pb")]
