"""Each loss and its gradient against the reference."""

from __future__ import annotations

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmfnet_jax.losses import (
    ALPHA_WEIGHT,
    COMPOSITION_WEIGHT,
    LAPLACIAN_WEIGHT,
    alpha_loss,
    composition_loss,
    laplacian_levels,
    laplacian_loss,
    laplacian_pyramid,
    total_loss,
)


@pytest.fixture(params=["", "e_"], ids=["two samples", "one without unknown"])
def case(request):
    data = goldens.load("losses")
    prefix = request.param
    names = [n for n in data if n.startswith("e_") == bool(prefix)]
    return {n.removeprefix(prefix): data[n] for n in names}


def batch_of(case):
    return {
        "alpha": jnp.asarray(case["alpha"]),
        "unknown": jnp.asarray(case["trimap"] == 0.5, jnp.float32),
        "image": jnp.asarray(case["ori_merged"]),
        "foreground": jnp.asarray(case["fg"]),
        "background": jnp.asarray(case["bg"]),
    }


def terms_of(case):
    batch = batch_of(case)
    colours = [batch[k] for k in ("image", "foreground", "background", "unknown")]
    return {
        "alpha": lambda p: (
            ALPHA_WEIGHT * alpha_loss(p, batch["alpha"], batch["unknown"])
        ),
        "comp": lambda p: COMPOSITION_WEIGHT * composition_loss(p, *colours),
        "lap": lambda p: (
            LAPLACIAN_WEIGHT * laplacian_loss(p, batch["alpha"], batch["unknown"])
        ),
        "total": lambda p: total_loss(p, batch)[0],
    }


@pytest.mark.parametrize("name", ["alpha", "comp", "lap", "total"])
def test_value_and_gradient(case, name):
    value, gradient = jax.jit(jax.value_and_grad(terms_of(case)[name]))(case["pred"])
    assert float(value) == pytest.approx(float(case[f"loss_{name}"]), rel=1e-5)
    expected = case[f"dpred_{name}"]
    bound = 2e-4 * np.abs(expected).max()
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=bound)


def test_laplacian_levels(case):
    batch = batch_of(case)
    levels = laplacian_levels(case["pred"], batch["alpha"], batch["unknown"])
    np.testing.assert_allclose(levels, case["lap_levels"], rtol=1e-5)


def test_laplacian_pyramid():
    data = goldens.load("losses")
    for i, band in enumerate(laplacian_pyramid(jnp.asarray(data["pred"]))):
        np.testing.assert_allclose(band, data[f"lap_pyr{i}"], rtol=0, atol=2e-6)


def test_base_loss_leaves_the_laplacian_term_out(case):
    total, terms = total_loss(case["pred"], batch_of(case), laplacian=False)
    assert set(terms) == {"loss_alpha", "loss_comp"}
    expected = float(case["loss_alpha"]) + float(case["loss_comp"])
    assert float(total) == pytest.approx(expected, rel=1e-5)


def test_pyramid_names_sizes_it_cannot_take():
    with pytest.raises(ValueError, match="got 48x64; expected multiples of 32"):
        laplacian_pyramid(jnp.zeros((1, 48, 64, 1)))
