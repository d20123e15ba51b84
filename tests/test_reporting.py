"""Metric files and tables."""

from __future__ import annotations

import math

from tmfnet_jax.reporting import METRICS_FILE, MetricWriter, format_table, read_metrics


def test_lines_are_kept_up_to_the_resumed_step(tmp_path):
    path = tmp_path / METRICS_FILE
    with MetricWriter(tmp_path, tensorboard=False) as writer:
        for step in (1, 2, 3):
            writer.write(step, {"loss": step / 2})
    path.write_text(path.read_text() + '{"step": 4, "lo')  # a killed process
    with MetricWriter(tmp_path, resume_step=2, tensorboard=False) as writer:
        writer.write(3, {"loss": math.nan})
    assert read_metrics(path) == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 1.0},
        {"step": 3, "loss": None},
    ]


def test_tensorboard_events_are_written(tmp_path):
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 0.5})
    events = list((tmp_path / "tensorboard").glob("events.*"))
    assert len(events) == 1
    assert b"loss" in events[0].read_bytes()


def test_table_aligns_text_left_and_numbers_right():
    table = format_table(("name", "n"), [("a", 5), ("long name", 12)])
    assert table.splitlines() == [
        "name        n",
        "---------  --",
        "a           5",
        "long name  12",
    ]
