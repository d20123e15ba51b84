"""The confidence head: what it learns, and that nothing else notices it."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_serving_engine import lively_network
from tiny_training import batches

from experiments.configs import synthetic
from experiments.train import starting_network
from experiments.validation import Validator
from experiments.workdir import CONFIG_FILE, open_workdir
from tmfnet_jax import cli
from tmfnet_jax.checkpointing import RunCheckpoints
from tmfnet_jax.confidence import CONFIDENCE
from tmfnet_jax.counting import count_operations
from tmfnet_jax.errors import InputError
from tmfnet_jax.inference import Matting
from tmfnet_jax.losses import confidence_loss, sample_means
from tmfnet_jax.model import TMFNetConfig, network_input
from tmfnet_jax.named_weights import resolve
from tmfnet_jax.optim import OptimizerConfig, make_optimizer
from tmfnet_jax.parameters import (
    array_shapes,
    initial_network,
    named_arrays,
    network_from_arrays,
    parameter_count,
)
from tmfnet_jax.pretrained import load_start
from tmfnet_jax.serving.folding import folded_bytes
from tmfnet_jax.sharding import data_mesh, place, put_batch
from tmfnet_jax.torch_file import write_torch_file
from tmfnet_jax.torch_weights import to_torch
from tmfnet_jax.train_step import (
    StepConfig,
    create_state,
    make_loss,
    make_train_step,
    make_validation_step,
    parameter_names,
)
from tmfnet_jax.weights import fingerprint, load_network, read_weights, write_weights

PLAIN = TMFNetConfig(width=0.05, fusion=("lf", "static", "static"), context="mp")
SURE = dataclasses.replace(PLAIN, confidence=True)
HEAD = f"{CONFIDENCE}."


def of_head(names) -> set[str]:
    return {name for name in names if name.startswith(HEAD)}


@pytest.fixture(scope="module")
def batch():
    return next(batches())


@pytest.fixture(scope="module")
def networks():
    return initial_network(PLAIN, seed=5), initial_network(SURE, seed=5)


def test_all_else_is_the_network_without_it(networks):
    plain, sure = map(named_arrays, networks)
    added = set(sure) - set(plain)
    assert added == of_head(sure)
    for name, value in plain.items():
        np.testing.assert_array_equal(sure[name], value, err_msg=name)
    assert parameter_count(SURE) - parameter_count(PLAIN) == sum(
        sure[name].size for name in added
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_alpha_stays_and_the_error_is_one(dtype):
    config = TMFNetConfig(width=0.05, dtype=dtype, confidence=True)
    model = lively_network(config)
    model = nnx.view(model, use_running_average=True)
    x = jax.random.normal(jax.random.key(0), (2, 32, 48, 6))
    graph, state = nnx.split(model)
    alone = jax.jit(lambda x: nnx.merge(graph, state)(x))(x)
    alpha, error = jax.jit(lambda x: nnx.merge(graph, state).with_error(x))(x)
    np.testing.assert_array_equal(alpha, alone)
    assert error.shape == (2, 32, 48, 1)
    assert error.dtype == jnp.float32
    assert (error >= 0).all() and (error <= 1).all()
    assert error.std() > 1e-3
    # Every pixel has its own estimate, not one of its square's.
    assert np.abs(np.diff(error, axis=2)[:, :, ::2]).mean() > 1e-3


def test_a_network_without_it_has_no_error(networks):
    with pytest.raises(ValueError, match="has no confidence head"):
        networks[0].with_error(jnp.zeros((1, 16, 16, 6)))
    with pytest.raises(InputError, match="confidence is 1; expected true or false"):
        TMFNetConfig(confidence=1)


def test_the_loss_is_least_at_the_mean_error():
    """Two kinds of pixels, each of one estimate, in samples of unequal size."""
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 2, (2, 16, 16, 1))
    alpha = rng.uniform(size=kind.shape).astype(np.float32)
    pred = alpha + rng.standard_normal(kind.shape).astype(np.float32) * (0.1 + kind)
    unknown = np.ones_like(alpha)
    error = np.abs(pred.clip(0, 1) - alpha)
    means = np.array([error[kind == k].mean() for k in (0, 1)])
    assert 0 < means[0] < means[1] - 0.1 < 0.9

    def loss(logits):
        return confidence_loss(logits[kind], pred, alpha, unknown)

    least = jnp.log(means / (1 - means))
    np.testing.assert_allclose(jax.grad(loss)(least), 0, atol=1e-6)
    entropy = -means * np.log(means) - (1 - means) * np.log1p(-means)
    shares = np.array([(kind == k).mean() for k in (0, 1)])
    assert float(loss(least)) == pytest.approx(float(entropy @ shares), rel=1e-4)
    for shift in (-0.1, 0.1):
        assert loss(least + shift) > loss(least)
    # It tells the prediction nothing, and knows unknown pixels only.
    to_pred = jax.grad(confidence_loss, 1)(least[kind], pred, alpha, unknown)
    assert not to_pred.any()
    unknown[0, :, 3:] = 0
    changed = np.where(unknown == 1, pred, 7 - pred)
    assert confidence_loss(least[kind], pred, alpha, unknown) == confidence_loss(
        least[kind], changed, alpha, unknown
    )
    assert confidence_loss(least[kind], pred, alpha, 0 * unknown) == 0


@pytest.mark.parametrize(
    "config",
    [StepConfig(), StepConfig(norm_groups=2, accumulation=2, remat="convolutions")],
    ids=["plain", "parts"],
)
def test_no_gradient_but_its_own_is_changed(networks, batch, config):
    """Bit for bit, as it comes out on CPUs; other compilers may round differently."""
    found = []
    for model in networks:
        state = create_state(model, make_optimizer(OptimizerConfig()))
        loss = jax.value_and_grad(make_loss(model, config), has_aux=True)
        found.append(jax.jit(loss)(state.params, {}, state.statistics, batch, None))
    (_, (terms, statistics)), gradient = found[0]
    (total, (its_terms, its_statistics)), its_gradient = found[1]
    assert set(its_terms) - set(terms) == {"loss_confidence"}
    assert float(total) == pytest.approx(sum(map(float, its_terms.values())))
    assert set(its_gradient) - set(gradient) == of_head(its_gradient)
    for before, after in (
        (terms, its_terms),
        (statistics, its_statistics),
        (gradient, its_gradient),
    ):
        for name, value in before.items():
            np.testing.assert_array_equal(after[name], value, err_msg=name)
    for name in of_head(its_gradient):
        assert its_gradient[name].any(), name


def train(model, batch, steps, *, freeze="", **changes):
    settings = OptimizerConfig(
        learning_rate=0.01, steps=1000, warmup_steps=0, freeze=freeze, **changes
    )
    optimizer = make_optimizer(settings)
    frozen = settings.frozen(parameter_names(model))
    decay = settings.average_decay
    state = create_state(model, optimizer, frozen=frozen, averaged=bool(decay))
    step = make_train_step(
        model, optimizer, config=StepConfig(average_decay=decay), frozen=frozen
    )
    metrics = []
    for _ in range(steps):
        state, result = step(state, batch)
        metrics.append({name: float(value) for name, value in result.items()})
    return state, metrics


def test_alpha_trains_as_without_it_also_where_gradients_are_clipped(networks, batch):
    plain, sure = (
        train(model, batch, 3, clip_norm=0.01, average_decay=0.9)[0]
        for model in networks
    )
    for before, after in (
        (plain.params, sure.params),
        (plain.statistics, sure.statistics),
        (plain.average, sure.average),
    ):
        assert set(after) - set(before) == of_head(after)
        for name, value in before.items():
            np.testing.assert_array_equal(after[name], value, err_msg=name)


@pytest.fixture(scope="module")
def head_alone(networks, batch):
    """The head trained beside weights that stay as they are."""
    return train(networks[1], batch, 60, freeze="encoder,context,fusion,head")


def test_the_head_alone_learns_the_error(networks, head_alone, batch):
    state, metrics = head_alone
    before = named_arrays(networks[1])
    for name, value in {**state.params, **state.statistics}.items():
        same = np.array_equal(value, before[name])
        assert same != name.startswith(HEAD), name
    assert {m["loss_alpha"] for m in metrics} == {metrics[0]["loss_alpha"]}
    unknown = (batch["trimap"] == 128).astype(np.float32)
    model = nnx.view(networks[1], use_running_average=True)
    x = network_input(jnp.asarray(batch["image"]), jnp.asarray(batch["trimap"]))
    actual = np.abs(np.clip(model(x), 0, 1) - batch["alpha"] / 255)
    mean = np.asarray(sample_means(actual, unknown))
    ignorant = (-mean * np.log(mean) - (1 - mean) * np.log1p(-mean)).mean()
    # Better than knowing each sample's mean error.
    assert metrics[-1]["loss_confidence"] < ignorant < metrics[0]["loss_confidence"]


def test_validation_compares_estimate_and_error(networks, head_alone, batch):
    state, mesh = head_alone[0], data_mesh()
    validate = make_validation_step(networks[1], mesh)
    result = validate(state.arrays(), put_batch(mesh, batch))
    model = network_from_arrays(SURE, state.arrays(), origin="test")
    model = nnx.view(model, use_running_average=True)
    x = network_input(jnp.asarray(batch["image"]), jnp.asarray(batch["trimap"]))
    alpha, estimate = model.with_error(x)
    error = np.abs(np.clip(alpha, 0, 1) - batch["alpha"] / 255)
    for name, values in (("predicted", estimate), ("actual", error)):
        pixels = zip(np.asarray(values), batch["trimap"] == 128, strict=True)
        expected = [sample[unknown].mean() for sample, unknown in pixels]
        np.testing.assert_allclose(result[f"confidence_{name}"], expected, rtol=1e-4)
    learned = result["confidence_predicted"].mean() / result["confidence_actual"].mean()
    assert 0.9 < learned < 1.1


def test_a_run_reports_both(networks):
    config = synthetic.get_config("smoke")
    mesh = data_mesh()
    plain, sure = (
        Validator(config, model, mesh)(
            place(mesh, create_state(model, make_optimizer(OptimizerConfig()))).arrays()
        )[0]
        for model in networks
    )
    assert set(plain) == {"sad", "mse"}
    assert set(sure) - set(plain) == {"confidence_predicted", "confidence_actual"}
    assert {name: sure[name] for name in plain} == plain


@pytest.fixture
def files(tmp_path, networks):
    paths = []
    for name, model in zip(("plain", "sure"), networks, strict=True):
        paths.append(tmp_path / f"{name}.safetensors")
        write_weights(paths[-1], model.config, named_arrays(model))
    return paths


def test_files(files, networks):
    plain, sure = files
    assert read_weights(plain)[0] == PLAIN
    config, arrays = read_weights(sure)
    assert config == SURE
    assert of_head(arrays)
    assert load_network(sure).confidence is not None
    assert fingerprint(plain)[1] != fingerprint(sure)[1]
    # A file of a network without it is what it was before there was such a field.
    assert b"confidence" not in plain.read_bytes()
    assert "confidence" not in PLAIN.to_dict()
    assert TMFNetConfig.from_dict(PLAIN.to_dict()) == PLAIN
    assert TMFNetConfig.from_dict(SURE.to_dict()) == SURE


def test_weights_that_come_along_have_none():
    config, arrays = read_weights(resolve("lite"))
    assert not config.confidence
    assert set(arrays) == set(array_shapes(config))


def test_a_training_starts_from_weights_without_it(tmp_path, files, networks):
    plain, sure = files
    expected = named_arrays(networks[0])
    glf = dataclasses.replace(SURE, context="tmp", fusion=("glf",) * 3)
    torch_file = tmp_path / "glf.pth"
    without = initial_network(dataclasses.replace(glf, confidence=False), seed=1)
    write_torch_file(torch_file, to_torch(named_arrays(without), without.config))
    assert set(load_start(torch_file, glf)) == set(named_arrays(without))

    config = synthetic.get_config("smoke")
    config.init = str(plain)
    started = named_arrays(starting_network(config, initial_network(SURE, seed=8)))
    fresh = named_arrays(initial_network(SURE, seed=8))
    for name, value in started.items():
        wanted = fresh if name.startswith(HEAD) else expected
        np.testing.assert_array_equal(value, wanted[name], err_msg=name)
    assert of_head(load_start(sure, SURE)) == of_head(fresh)
    with pytest.raises(InputError, match="confidence is True there and False here"):
        load_start(sure, PLAIN)
    with pytest.raises(InputError, match="network: context is 'mp' there"):
        load_start(plain, glf)


def test_runs_begun_before_the_field_came_go_on(tmp_path):
    config = synthetic.get_config("smoke")
    older = json.loads(config.to_json_best_effort())
    del older["network"]["confidence"]
    (tmp_path / CONFIG_FILE).write_text(json.dumps(older))
    open_workdir(tmp_path, config)
    (tmp_path / CONFIG_FILE).write_text(json.dumps(older))
    config.network.confidence = True
    with pytest.raises(InputError, match="network.confidence is absent there and True"):
        open_workdir(tmp_path, config)


def test_a_half_missing_head_is_refused(tmp_path, networks):
    path = tmp_path / "run"
    arrays = named_arrays(networks[1])
    del arrays[f"{HEAD}output.bias"]
    with RunCheckpoints(path, SURE, keep=1) as checkpoints:
        checkpoints.save(1, {"params": arrays, "statistics": {}, "average": {}})
    with pytest.raises(InputError, match="1 missing: confidence.output.bias"):
        load_start(path, SURE)


def test_serving_leaves_it_out(networks):
    plain, sure = map(Matting, networks)
    sizes = {m._network.weight_bytes for m in (plain, sure)}
    assert len(sizes) == 1
    counted = {folded_bytes(array_shapes(config), config) for config in (PLAIN, SURE)}
    assert len(counted) == 1
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (40, 30, 3), np.uint8)
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), (40, 30))
    np.testing.assert_array_equal(plain.alpha(image, trimap), sure.alpha(image, trimap))


def test_operations_are_those_of_alpha():
    assert count_operations(SURE, 32, 32) == count_operations(PLAIN, 32, 32)


def test_pytorch_files_are_without_it(tmp_path, capsys):
    config = TMFNetConfig(width=0.05, confidence=True)
    arrays = named_arrays(initial_network(config, seed=0))
    source, target = tmp_path / "a.safetensors", tmp_path / "a.pth"
    write_weights(source, config, arrays)
    assert cli.main(["convert", str(source), str(target)]) == 0
    printed = capsys.readouterr().out
    assert "left out, as the PyTorch code has no such module: the confidence" in printed
    assert f"{len(arrays) - len(of_head(arrays))} arrays" in printed
    plain = dataclasses.replace(config, confidence=False)
    got = load_start(target, plain)
    assert set(got) == set(array_shapes(plain))
    np.testing.assert_array_equal(got["head.1.kernel"], arrays["head.1.kernel"])
