"""The renderer without Blender: order, exposure, processes, failures."""

import json
import os
import sys
import time

import cv2
import numpy as np
import pytest

from experiments.rendering import collection, environment, pool
from experiments.rendering.finish import finish
from experiments.rendering.subjects import Subject, shares
from tmfnet_jax.errors import InputError

WORKER = """#!{python}
import json, sys, numpy as np
for line in sys.stdin:
    request = json.loads(line)
    answer = {{"path": request["path"], "seconds": 1.0}}
    if request["kind"] == "crash":
        sys.exit("no memory")
    if request["seed"] == 1:
        answer["error"] = "ValueError: no such shape"
    else:
        side = request["size"]
        alpha = np.zeros((side, side), np.float32)
        alpha[: side // 2] = request["kind"] != "empty"
        colours = 0.5 * np.dstack([alpha] * 3)
        np.savez(open(request["path"], "wb"), colours=colours, alpha=alpha)
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def python(tmp_path):
    """An interpreter that renders nothing but half planes."""
    script = tmp_path / "python"
    script.write_text(WORKER.format(python=sys.executable))
    script.chmod(0o755)
    return script


@pytest.fixture
def half_plane():
    alpha = np.zeros((32, 32), np.float32)
    alpha[:16] = 1
    alpha[16] = 0.25
    return np.dstack([0.2 * alpha, 0.4 * alpha, 0.1 * alpha]), alpha


def test_shares():
    assert shares(["a", "b", "c"], 10) == {"a": 3, "b": 3, "c": 4}
    assert shares(["a", "b"], 0) == {"a": 0, "b": 0}


def test_subjects_say_where_they_belong():
    assert Subject("fur", 7).file == "train/fur-0007.png"
    assert Subject("fur", 10_007).file == "test/fur-10007.png"


def test_finish_divides_by_alpha(half_plane):
    picture = finish(*half_plane, seed=3)
    assert picture.dtype == np.uint8 and picture.shape == (32, 32, 4)
    np.testing.assert_array_equal(picture[:, 0, 3], [255] * 16 + [64] + [0] * 15)
    # One colour everywhere, also where alpha is low or 0.
    spread = np.ptp(picture[..., :3].astype(int).reshape(-1, 3), axis=0)
    assert (spread <= 1).all()
    red, green, blue = picture[0, 0, :3]
    assert green > red > blue


def test_finish_keeps_black_things_dark(half_plane):
    colours, alpha = half_plane
    dark, light = (finish(colours * f, alpha, seed=3)[0, 0, 1] for f in (0.01, 1))
    assert dark < 60 < light


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [
        (0.0, "covers 0.0%"),
        (1.0, "covers 100.0%"),
        (0.5, "0.00% of it is opaque"),
        ([[1.0], [0.5]] * 8, "0.00% of it is clear"),
        (np.nan, "not finite"),
    ],
)
def test_finish_refuses_what_shows_nothing(alpha, reason):
    alphas = np.broadcast_to(np.float32(alpha), (16, 16))
    with pytest.raises(InputError, match=reason):
        finish(np.dstack([alphas] * 3), alphas, seed=0)


def test_blender_renders_and_survives_failures(python):
    blender = pool.Blender(python, threads=1)
    picture, seconds = blender.render(Subject("fur", 0), 32)
    assert picture.shape == (32, 32, 4) and seconds == 1
    with pytest.raises(InputError, match="no such shape"):
        blender.render(Subject("fur", 1), 32)
    with pytest.raises(InputError, match="crashed: no memory"):
        blender.render(Subject("crash", 2), 32)
    with pytest.raises(InputError, match="covers 0.0%"):
        blender.render(Subject("empty", 2), 32)
    picture, _ = blender.render(Subject("fur", 2), 32)
    assert picture[0, 0, 3] == 255
    blender.close()


def test_hanging_blender_is_ended(python, monkeypatch):
    python.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    monkeypatch.setattr(pool, "TIMEOUT_S", 0.1)
    blender = pool.Blender(python, threads=1)
    with pytest.raises(InputError, match="took over"):
        blender.render(Subject("fur", 0), 32)
    assert blender._process is None


def render(folder, python, *, kinds=("fur", "lace"), train=3, test=1):
    progress = collection.Progress(folder, kinds, {"train": train, "test": test})
    while progress.missing:
        pool.render_all(
            python,
            progress.subjects(),
            progress.report,
            size_px=32,
            workers=2,
            threads=1,
        )
    return progress


def test_failed_subjects_are_replaced(tmp_path, python):
    folder = tmp_path / "subjects"
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
    render(folder, python)
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png"))
    # Of three there is one of fur and two of lace, whose seed 1 fails.
    assert names == [
        *("test/lace-10000.png", "train/fur-0000.png"),
        *("train/lace-0000.png", "train/lace-0002.png"),
    ]
    rows = (folder / collection.FAILED_FILE).read_text().split("\n")
    assert json.loads(rows[1]) == {
        "kind": "lace",
        "seed": 1,
        "reason": "ValueError: no such shape",
    }
    pixels = cv2.imread(str(folder / names[0]), cv2.IMREAD_UNCHANGED)
    assert pixels.shape == (32, 32, 4)


def test_goes_on_with_what_is_there(tmp_path, python):
    folder = tmp_path / "subjects"
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
    render(folder, python, train=2, test=0)
    there = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    with open(folder / collection.FAILED_FILE, "a") as file:
        file.write('{"kind": "fu')  # cut short by a kill
    progress = render(folder, python, train=6, test=2)
    assert progress.bar.n == 8
    assert {path: path.stat().st_mtime_ns for path in there} == there
    # What failed is known, also what came after the line that was cut short.
    for kind in ("fur", "lace"):
        assert Subject(kind, 1) in collection._failures(folder / collection.FAILED_FILE)
    python.unlink()  # nothing is missing: nothing is started
    assert render(folder, python, train=6, test=2).bar.n == 8


def test_lost_blender_is_no_fault_of_the_subject(tmp_path, python):
    (tmp_path / "train").mkdir()
    progress = collection.Progress(tmp_path, ["fur"], {"train": 1, "test": 0})
    (subject,) = progress.subjects()
    progress.report(subject, pool.Lost("Blender crashed"), 0)
    assert [*progress.subjects()] == [Subject("fur", 1)]
    assert not (tmp_path / collection.FAILED_FILE).exists()


def test_blender_that_never_works_ends_the_command(tmp_path, python):
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="no memory, over 5 subjects running"):
        render(tmp_path, python, kinds=["crash"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": ["fog"]}, "no kind is called 'fog'; choose one of bag"),
        ({"size_px": 8}, "size is 8"),
        ({"workers": 0}, "at least 1 process"),
        ({"wanted": {"train": -1, "test": 0}}, "numbers of at least 0"),
        ({"wanted": {"train": 10**9, "test": 0}}, "make room or ask for fewer"),
    ],
)
def test_bad_requests(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        collection.render_subjects(
            tmp_path, **{"wanted": {"train": 1, "test": 0}, **change}
        )


def test_kinds_are_known_without_blender():
    names = collection.kind_names()
    assert {"fur", "toys", "mesh"} <= {*names}
    assert len(names) == len({*names})


def test_another_python_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PYTHON", (3, 8))
    with pytest.raises(InputError, match="needs Python 3.8"):
        environment.blender_python(tmp_path / "blender")


def test_what_runs_is_ended_with_the_command(tmp_path, python):
    started = tmp_path / "started"
    python.write_text(
        f"#!{sys.executable}\nimport os, sys, time\nsys.stdin.readline()\n"
        f"open({str(started)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(60)\n"
    )
    subjects = iter([Subject("fur", 0), Subject("fur", 1)])

    def interrupted():
        yield next(subjects)
        while not started.exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.render_all(
            python,
            interrupted(),
            lambda *_: pytest.fail("nothing was rendered"),
            size_px=32,
            workers=2,
            threads=1,
        )
    (process,) = map(int, started.read_text().split())  # and none was started again
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
