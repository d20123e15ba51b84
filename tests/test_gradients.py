"""Losses and parameter gradients of a training step against the reference."""

from __future__ import annotations

import zlib

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tmfnet_jax.losses import total_loss
from tmfnet_jax.model import TMFNetConfig, network_input
from tmfnet_jax.torch_weights import key_table


def golden_batch(data):
    batch = {k: jnp.asarray(data[k]) for k in ("image", "alpha")}
    batch["foreground"] = jnp.asarray(data["fg"])
    batch["background"] = jnp.asarray(data["bg"])
    batch["unknown"] = jnp.asarray(data["trimap"] == 0.5, jnp.float32)
    return batch


@pytest.fixture(scope="module")
def gradients(published):
    data = goldens.load("grads")
    trimap = np.round(data["trimap"] * 255.001).astype(np.uint8)
    batch = golden_batch(data)
    x = network_input(batch["image"], trimap)
    graph, params, rest = nnx.split(published, nnx.Param, ...)

    @jax.jit
    def loss_and_gradients(params, rest):
        def loss(params):
            model = nnx.merge(graph, params, rest, copy=True)
            return total_loss(model(x), batch)

        return jax.value_and_grad(loss, has_aux=True)(params)

    (total, terms), grads = loss_and_gradients(params, rest)
    flat = {
        ".".join(map(str, path)): np.asarray(leaf[...])
        for path, leaf in nnx.to_flat_state(grads)
    }
    return float(total), {k: float(v) for k, v in terms.items()}, flat


def test_losses(gradients):
    data = goldens.load("grads")
    total, terms, _ = gradients
    assert total == pytest.approx(float(data["loss_total"]), rel=1e-4)
    for name, value in terms.items():
        assert value == pytest.approx(float(data[name]), rel=1e-4)


def test_fingerprints(gradients):
    data = goldens.load("grads")
    table = key_table(TMFNetConfig())
    for name, (l2, mean, probe) in zip(
        data["names"], data["l2_mean_probe"], strict=True
    ):
        g = gradients[2][table[str(name)]].astype(np.float64)
        if g.ndim == 4:
            g = g.transpose(3, 2, 0, 1)
        draw = np.random.default_rng(zlib.crc32(f"probe:{name}".encode()))
        r = draw.standard_normal(g.shape)
        slack = 0.03 * l2 / np.sqrt(g.size)
        assert np.linalg.norm(g) == pytest.approx(l2, rel=0.02), name
        assert g.mean() == pytest.approx(mean, abs=slack), name
        assert (g * r).sum() / np.sqrt(g.size) == pytest.approx(probe, abs=slack), name


def test_stored_gradients(gradients):
    data = goldens.load("grads")
    table = key_table(TMFNetConfig())
    stored = [name for name in data if name.startswith("grad:")]
    assert len(stored) == 6
    for name in stored:
        key = name.removeprefix("grad:")
        g = gradients[2][table[key]]
        g = g.transpose(3, 2, 0, 1) if g.ndim == 4 else g
        error = np.linalg.norm(g - data[name]) / np.linalg.norm(data[name])
        # Rounding alone: single ReLUs change side. In float64 all six agree to 2e-6.
        assert error <= 3e-2, (key, error)


def test_every_parameter_learns(gradients):
    _, _, flat = gradients
    biases_before_norm = 0
    for name, g in flat.items():
        assert np.isfinite(g).all(), name
        if name.endswith(".conv.bias"):
            biases_before_norm += 1
            assert np.abs(g).max() < 1e-5, name
        else:
            assert np.abs(g).max() > 0, name
    assert biases_before_norm == 9
