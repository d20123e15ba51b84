"""The PyTorch twin against the reference evaluation and against TMFNet itself."""

from __future__ import annotations

import math
import os
import signal
import time

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tmfnet_jax.cli import main
from tmfnet_jax.inference import Matting
from tmfnet_jax.model import TMFNetConfig, network_input
from tmfnet_jax.parameters import initial_network, named_arrays, network_from_arrays
from tmfnet_jax.weights import write_weights

torch = pytest.importorskip("torch", reason="the twin needs PyTorch")

from experiments import benchmark_torch, torch_twin  # noqa: E402

BOUND = 1e-4  # of the largest reference value


def deviation(got, expected):
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def run(network, x: np.ndarray) -> np.ndarray:
    """Evaluate an NHWC input to an NHWC output."""
    with torch.inference_mode():
        y = network(torch.from_numpy(np.array(x.transpose(0, 3, 1, 2))))
    return y.numpy().transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def published_twin():
    network = torch_twin.TorchTMFNet()
    state = {k: torch.from_numpy(v) for k, v in goldens.state_dict().items()}
    network.load_state_dict(state, strict=True)
    return network.eval()


def tiny_weights(folder, fusion):
    """Write random weights and statistics; return the network and the .pth file."""
    config = TMFNetConfig(width=0.05, fusion=fusion)
    rng = np.random.default_rng(5)
    arrays = {}
    for name, value in named_arrays(initial_network(config, seed=1)).items():
        if name.endswith((".scale", ".var")):
            value = rng.uniform(0.5, 1.5, value.shape)
        elif name.endswith(".kernel"):
            value = value / 2  # keeps the three products of features in range
        else:
            value = 0.1 * rng.standard_normal(value.shape)
        arrays[name] = np.asarray(value, np.float32)
    ours, theirs = folder / "tiny.safetensors", folder / "tiny.pth"
    write_weights(ours, config, arrays)
    assert main(["convert", str(ours), str(theirs)]) == 0
    return network_from_arrays(config, arrays, origin="random"), theirs


def image_and_trimap(h, w):
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (h, w, 3), np.uint8)
    trimap = np.full((h, w), 128, np.uint8)
    trimap[:, : w // 2] = 0  # leaves pooling windows without a single pixel
    trimap[: h // 3, -w // 3 :] = 255
    return image, trimap


@pytest.mark.parametrize("case", ["a", "w"])
def test_published_network_meets_the_reference(published_twin, case):
    data = goldens.load("forward_eval")
    trimap = data[f"{case}_trimap"]
    planes = [trimap == value for value in (0, 0.5, 1)]
    colours = (data[f"{case}_image"] - torch_twin.IMAGE_MEAN) / torch_twin.IMAGE_STD
    x = np.concatenate([colours, *planes], -1).astype(np.float32)
    got = run(published_twin, x)
    print("largest deviation:", deviation(got, data[f"{case}_alpha"]))
    assert deviation(got, data[f"{case}_alpha"]) <= BOUND


@pytest.mark.parametrize("fusion", [("glf",) * 3, ("glf_c", "glf_b", "lf")])
def test_converted_weights_give_the_same_output(tmp_path, fusion):
    model, path = tiny_weights(tmp_path, fusion)
    image, trimap = image_and_trimap(64, 96)
    x = network_input(jnp.asarray(image[None]), jnp.asarray(trimap[None, ..., None]))
    graph, state = nnx.split(nnx.view(model, use_running_average=True))
    expected = np.asarray(jax.jit(lambda s, x: nnx.merge(graph, s)(x))(state, x))
    assert expected.std() > 0.01
    got = run(torch_twin.load(path, width=0.05, fusion=fusion), np.asarray(x))
    print("largest deviation:", deviation(got, expected))
    assert deviation(got, expected) <= BOUND


def test_mattes_of_an_odd_size_are_the_same(tmp_path):
    model, path = tiny_weights(tmp_path, ("glf",) * 3)
    image, trimap = image_and_trimap(61, 83)
    expected = Matting(model).alpha(image, trimap)
    assert ((expected > 0) & (expected < 1)).mean() > 0.1
    got = torch_twin.predict_alpha(torch_twin.load(path, width=0.05), image, trimap)
    assert got.dtype == np.float32
    assert np.abs(got - expected).max() <= BOUND
    known = trimap != 128
    np.testing.assert_array_equal(got[known], trimap[known] / 255)


def test_local_filter_is_the_sum_over_unfolded_patches():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 32, 5, 7, generator=generator)
    kernels = torch.randn(2, 18, 5, 7, generator=generator)
    patches = torch.nn.functional.unfold(x, 3, padding=1).view(2, 2, 16, 9, 5, 7)
    expected = (patches * kernels.view(2, 2, 1, 9, 5, 7)).sum(3).view_as(x)
    torch.testing.assert_close(torch_twin.local_filter(x, kernels), expected)


@pytest.mark.parametrize(
    ("call", "timeout_s", "message"),
    [
        ((math.sqrt, -1), 60, "ValueError: "),
        ((signal.raise_signal, signal.SIGKILL), 60, "killed, most likely out of mem"),
        ((time.sleep, 60), 1, "stopped after 1 s"),
    ],
)
def test_a_failing_case_is_told_in_a_line(call, timeout_s, message):
    with pytest.raises(RuntimeError, match=message) as caught:
        benchmark_torch.in_fresh_process(*call, timeout_s=timeout_s)
    assert "\n" not in str(caught.value)


def test_a_case_runs_in_a_process_of_its_own():
    assert benchmark_torch.in_fresh_process(os.getpid) != os.getpid()


def test_the_benchmark_reports_both_and_what_failed(tmp_path):
    benchmark_torch.write_weights(tmp_path, "lite")
    options = benchmark_torch._parser().parse_args(
        ["--sizes", "32", "--modes", "eager", "--repeats", "1"]
    )
    ours, theirs = benchmark_torch.run_cases(options, tmp_path)
    assert (ours["who"], theirs["who"]) == ("ours", "torch")
    assert theirs["time_ratio"] == theirs["best_s"] / ours["best_s"]
    assert theirs["largest_difference"] <= BOUND
    assert 50 < theirs["peak_mb"] < 4000
    failed = {**ours, "failed": "no memory"}
    table = benchmark_torch.as_table([ours, theirs, failed]).splitlines()
    assert len(table) == 5
    assert table[-1].endswith("failed: no memory")
