"""Every row of the paper's tables: size, work and a forward pass."""

from __future__ import annotations

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tmfnet_jax.counting import PAPER_SIZE, count_operations
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import initial_network, parameter_count
from tmfnet_jax.variants import VARIANTS, named_config

# Names in counts.json, an independent construction of each variant.
COUNTED = {
    "tmfnet": "tmfnet",
    "basic": "baseline",
    "tmp": "tmp_static",
    "tmp_lf": "tmp_lf_F1F2F3",
    "tmp_glf_b": "glf_B_xh",
    "tmp_glf_c": "glf_C",
    "aspp": "aspp_static",
    "tmp_carafe": "carafe_kup3_g_c16",
    "tmp_lf_f1": "tmp_lf_F1",
    "tmp_lf_f1f2": "tmp_lf_F1F2",
    "tmp_g_f1": "tmp_lf_globalF1",
    "tmp_g_f1f2": "tmp_lf_globalF1F2",
}
# F1 of GLF(B) takes the mean of X_h, which is at 1/8; the reference takes it at 1/16,
# before X_h is enlarged.
POOLED_BEFORE = {"tmp_glf_b": 256 * (256**2 - 128**2)}


@pytest.mark.parametrize("name", COUNTED)
def test_counts_equal_the_reference_to_the_last_digit(name):
    expected = goldens.load_json("counts")["variants"][COUNTED[name]]
    config = VARIANTS[name].config
    assert parameter_count(config) == expected["params_total"]
    operations = count_operations(config, PAPER_SIZE, PAPER_SIZE)
    assert operations.convolutions == expected["conv_macs_total"]
    assert operations.filters == expected["dynamic_kernel_macs"]
    layers = operations.total("layers") - POOLED_BEFORE.get(name, 0)
    assert layers == expected["layer_ops_total"]


@pytest.mark.parametrize("name", [n for n, v in VARIANTS.items() if v.paper_params])
def test_counts_are_the_papers(name):
    variant = VARIANTS[name]
    assert abs(parameter_count(variant.config) - variant.paper_params) <= 50_000


@pytest.mark.parametrize("name", [n for n in VARIANTS if n not in ("tmfnet", "lite")])
def test_every_variant_predicts_and_depends_on_the_trimap(name):
    config = TMFNetConfig(
        context=VARIANTS[name].config.context,
        fusion=VARIANTS[name].config.fusion,
        width=0.05,
    )
    model = nnx.view(initial_network(config, seed=0), use_running_average=True)
    rng = np.random.default_rng(0)
    x = rng.random((1, 32, 48, 6), np.float32)
    other = x.copy()
    other[..., 3:] = x[..., [4, 5, 3]]
    predict = jax.jit(lambda x: model(x))
    alpha = predict(x)
    assert alpha.shape == (1, 32, 48, 1)
    assert alpha.dtype == jnp.float32
    assert np.isfinite(alpha).all()
    assert float(jnp.abs(alpha - predict(other)).max()) > 1e-6


def test_bfloat16_is_near_float32():
    config = TMFNetConfig(width=0.25)
    model = nnx.view(initial_network(config, seed=0), use_running_average=True)
    half_config = TMFNetConfig(width=0.25, dtype="bfloat16")
    half = nnx.view(initial_network(half_config, seed=0), use_running_average=True)
    x = np.random.default_rng(0).random((1, 32, 32, 6), np.float32)
    exact = jax.jit(lambda x: model(x))(x)
    rounded = jax.jit(lambda x: half(x))(x)
    assert rounded.dtype == jnp.float32
    difference = float(jnp.abs(exact - rounded).max() / jnp.abs(exact).max())
    assert 0 < difference < 0.1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"contxt": "tmp"}, "unknown network setting 'contxt' .did you mean 'context'"),
        ({"context": "tmpp"}, "unknown context 'tmpp' .did you mean 'tmp'"),
        ({"fusion": ("glf", "glf")}, "fusion has 2 entries"),
        ({"fusion": ("glf", "gfl", "lf")}, "unknown fusion 'gfl'"),
        ({"width": 0}, "width is 0; expected 0.05 to 4"),
        ({"width": "wide"}, "width is 'wide'"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
    ],
)
def test_bad_settings_are_named(values, message):
    with pytest.raises(InputError, match=message):
        TMFNetConfig.from_dict(values)


def test_unknown_variant_lists_the_names():
    with pytest.raises(InputError, match="unknown variant 'tmf'.*tmfnet, lite"):
        named_config("tmf")


def test_input_must_be_padded():
    model = initial_network(TMFNetConfig(width=0.05), seed=0)
    with pytest.raises(ValueError, match="40x32; pad it to multiples of 16"):
        model(jnp.zeros((1, 40, 32, 6)))


def test_initial_network_is_a_function_of_the_seed():
    config = TMFNetConfig(width=0.05)
    first, again, other = (
        initial_network(config, seed=seed).head[0].kernel[...] for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
