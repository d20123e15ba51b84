"""Break a training in the ways that machines do, and see what it costs.

    python -m experiments.fault_trials [--only=killed,full_disk]

A tiny network trains on a CPU in processes that are killed, starved and lied to. Each
trial says what was expected and what came; the status is 1 if they differ. Takes about
a quarter of an hour; full_disk and read_only need the right to mount.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from absl import flags

from experiments import launch
from experiments.workdir import WEIGHTS_FILE
from tmfnet_jax.checkpointing import DAMAGED_FOLDER, FOLDER
from tmfnet_jax.reporting import METRICS_FILE, format_table, read_metrics

STEPS = 400  # enough for a fast machine not to end before the last kill
KILLS = 20
KILL_WITHIN_SECONDS = 4.0  # of a step that was seen; saves and validations take as long
PATIENCE_SECONDS = 300.0
GRACE_SECONDS = 30.0  # that cluster managers leave between SIGTERM and SIGKILL
SEED = 0
# Metrics that depend on the clock, not on the training.
OF_THE_CLOCK = ("images_per_second", "hours", "share_of_peak")


class Run:
    """A training in a process of its own."""

    def __init__(self, workdir: Path, *options: str, steps: int = STEPS):
        self.workdir = workdir
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115, lives as it does
        command = [
            *(sys.executable, "-m", "experiments.train"),
            "--config=experiments/configs/synthetic.py:smoke",
            f"--workdir={workdir}",
            f"--config.optimizer.steps={steps}",
            "--config.checkpoint_every=10",
            "--config.validation.every=15",
            "--config.data.loader=threads",
            "--config.data.pool=16",
            "--config.tensorboard=False",
            *options,
        ]
        self.process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[1],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )

    def steps(self) -> int:
        """Steps that its metrics tell of."""
        records = read_metrics(self.workdir / METRICS_FILE)
        return int(records[-1]["step"]) if records else 0

    def await_step(self, after: int) -> None:
        """Wait for a step beyond the given one, or the end."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.steps() <= after and self.process.poll() is None:
            if time.monotonic() > end:
                raise TimeoutError(self.said())
            time.sleep(0.05)

    def end(self, number: int | None = None) -> int:
        """Send a signal, if one is given, and wait; return the status."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def said(self) -> str:
        """Return the last line of its messages, without the progress bar."""
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if "step/s" not in line]
        return lines[-1] if lines else ""

    def said_plainly(self) -> bool:
        """Tell whether it ended with a message of its own, and no traceback."""
        self._log.seek(0)
        text = self._log.read()
        return "error: " in self.said() and "Traceback" not in text


def result_of(workdir: Path) -> tuple[bytes, list[dict]]:
    """Return what two equal trainings share to the last bit."""
    records = read_metrics(workdir / METRICS_FILE)
    kept = [{k: v for k, v in r.items() if k not in OF_THE_CLOCK} for r in records]
    return _arrays(workdir / WEIGHTS_FILE), kept


def _arrays(path: Path) -> bytes:
    content = path.read_bytes()
    header = int.from_bytes(content[:8], "little")  # it holds the commit, and so on
    return content[8 + header :]


def killed(root: Path, reference) -> str:
    """kill -9 at random moments: bit-identical at the end."""
    chance = random.Random(SEED)
    workdir, moments = root / "killed", []
    for _ in range(KILLS):
        run = Run(workdir)
        run.await_step(run.steps())
        time.sleep(chance.uniform(0, KILL_WITHIN_SECONDS))
        moments.append(run.steps())
        if run.end(signal.SIGKILL) != -signal.SIGKILL:
            return f"ended before kill {len(moments)}; raise STEPS"
    last = Run(workdir)
    status = last.end()
    same = status == 0 and result_of(workdir) == reference
    return f"{KILLS} kills, {'identical' if same else last.said()}"


def terminated(root: Path, reference) -> str:
    """SIGTERM: saved and status 0 within the grace time, then identical."""
    run = Run(root / "terminated")
    run.await_step(20)
    start = time.monotonic()
    status = run.end(signal.SIGTERM)
    took = time.monotonic() - start
    Run(root / "terminated").end()
    same = result_of(root / "terminated") == reference
    good = status == 0 and took < GRACE_SECONDS and same
    return "saved, identical" if good else f"status {status}, {took:.0f} s, {same}"


def damaged(root: Path, reference) -> str:
    """A bit of the newest checkpoint flips: the one before is used, and said so."""
    workdir = root / "damaged"
    run = Run(workdir)
    run.await_step(45)
    run.end(signal.SIGTERM)
    newest = max((workdir / FOLDER).iterdir(), key=lambda p: int(p.name))
    files = (path for path in newest.rglob("*") if path.is_file())
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    again = Run(workdir)
    again.end()
    kept = (workdir / DAMAGED_FOLDER / newest.name).is_dir()
    same = result_of(workdir) == reference
    return "set aside, identical" if kept and same else again.said()


def full_disk(root: Path, reference) -> str:
    """The disk fills up: one line, and the run goes on once there is room."""
    with mounted(root / "small", "size=3m") as small:
        if small is None:
            return "not tried: no right to mount"
        run = Run(small / "run")
        status, plain = run.end(), run.said_plainly()
        subprocess.run(["mount", "-o", "remount,size=100m", small], check=True)
        Run(small / "run").end()
        same = result_of(small / "run") == reference
    good = status == 2 and plain and same
    return "one line, identical" if good else f"status {status}, {run.said()}, {same}"


def read_only(root: Path, reference) -> str:
    """A workdir that cannot be written to: one line, before any step."""
    with mounted(root / "fixed", "size=1m,ro") as fixed:
        if fixed is None:
            return "not tried: no right to mount"
        run = Run(fixed / "run")
        status = run.end()
        good = status == 2 and run.said_plainly()
        return "one line" if good else f"status {status}, {run.said()}"


def dead_worker(root: Path, reference) -> str:
    """A data worker dies: one line with its signal, no waiting for ever."""
    run = Run(root / "worker", "--config.data.loader=processes")
    run.await_step(5)
    children = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children")
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    status = run.end()
    good = status == 2 and run.said_plainly() and "SIGKILL" in run.said()
    return "one line" if good else f"status {status}, {run.said()}"


def lost_host(root: Path, reference) -> str:
    """One of two processes is killed: the other ends with a line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [
        Run(
            root / "hosts",
            f"--coordinator={address}",
            "--processes=2",
            f"--process={number}",
        )
        for number in range(2)
    ]
    both[0].await_step(5)
    both[1].end(signal.SIGKILL)
    start = time.monotonic()
    status = both[0].end()
    took = time.monotonic() - start
    said = both[0].said()
    good = status != 0 and "another process of the run was lost" in said
    return "one line" if good else f"status {status} after {took:.0f} s, {said}"


TRIALS: dict[str, tuple[Callable[[Path, object], str], str]] = {
    "killed": (killed, f"{KILLS} kills, identical"),
    "terminated": (terminated, "saved, identical"),
    "damaged": (damaged, "set aside, identical"),
    "full_disk": (full_disk, "one line, identical"),
    "read_only": (read_only, "one line"),
    "dead_worker": (dead_worker, "one line"),
    "lost_host": (lost_host, "one line"),
}


@contextmanager
def mounted(folder: Path, options: str):
    """Mount a small file system in memory; give None where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def main() -> None:
    """Run the trials, print a table."""
    chosen = flags.FLAGS.only or list(TRIALS)
    rows, failed = [], False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        whole = Run(root / "whole")
        if whole.end():
            launch.fail(f"the undisturbed run failed: {whole.said()}")
        reference = result_of(root / "whole")
        for name in chosen:
            trial, expected = TRIALS[name]
            start = time.monotonic()
            came = trial(root, reference)
            rows.append((trial.__doc__, came, f"{time.monotonic() - start:.0f}"))
            print(json.dumps([name, came]), file=sys.stderr, flush=True)
            failed |= came != expected and not came.startswith("not tried")
    print(format_table(("fault: what is wanted", "what came", "seconds"), rows))
    sys.exit(int(failed))


if __name__ == "__main__":
    flags.DEFINE_list("only", None, f"Some of {', '.join(TRIALS)}.")
    launch.run(main)
