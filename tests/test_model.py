"""The network against the reference evaluation of the published one."""

from __future__ import annotations

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tmfnet_jax.augmented_inference import members
from tmfnet_jax.fusion import upsample_double
from tmfnet_jax.layers import spatial_mean
from tmfnet_jax.model import network_input
from tmfnet_jax.parameters import named_arrays
from tmfnet_jax.serving.engine import StreamedNetwork
from tmfnet_jax.serving.geometry import Geometry
from tmfnet_jax.trimap_pooling import resize_mask

BOUND = 1e-4  # of the largest reference value; float32 rounding reaches about 2e-6
TRAIN_BOUND = 5e-4


def trimap_8bit(trimap):
    return np.round(trimap * 255.001).astype(np.uint8)


def deviation(got, expected):
    return float(np.abs(np.asarray(got) - expected).max() / np.abs(expected).max())


@jax.jit
def taps(graph_state, x):
    """All intermediate values that the reference stores."""
    model = nnx.merge(*graph_state)
    features = model.encoder(x)
    mask = x[..., 4:5] + x[..., 5:6]
    out = {
        "input6": x,
        "C1": features.c1,
        "C2": features.c2,
        "C5": features.c5,
        "mask": resize_mask(mask, features.c5.shape[1:3]),
    }
    for i, pooled in enumerate(model.context.pooled(features.c5, mask)):
        out[f"nbp{i}"] = pooled
    out["tmp"] = model.context(features.c5, mask)
    out["G"] = spatial_mean(out["tmp"])
    high = out["tmp_up"] = upsample_double(out["tmp"])
    lows = (features.c2, features.c1, x)
    for i, (stage, low) in enumerate(zip(model.fusion, lows, strict=True), start=1):
        out[f"K{i}"] = stage.kernels(stage.mixed(high, low), out["G"])
        high = out[f"F{i}"] = stage(high, low, out["G"])
    out["alpha"] = model(x)
    return out


@pytest.mark.parametrize("case", ["a", "b", "w"])
def test_every_stage_meets_the_reference(published, case):
    data = goldens.load("forward_eval")
    x = network_input(
        jnp.asarray(data[f"{case}_image"]), trimap_8bit(data[f"{case}_trimap"])
    )
    model = nnx.view(published, use_running_average=True)
    got = taps(nnx.split(model), x)
    deviations = {}
    for name, value in got.items():
        if f"{case}_{name}" not in data:
            continue
        value = np.asarray(value)
        if f"{case}_{name}_stride" in data:
            sy, sx, sc = data[f"{case}_{name}_stride"]
            mean = data[f"{case}_{name}_mean"]
            deviations[f"{name} mean"] = deviation(value.mean((1, 2)), mean)
            value = value[:, ::sy, ::sx, ::sc]
        deviations[name] = deviation(value, data[f"{case}_{name}"])
    print("largest deviation:", max(deviations.values()))  # shown by pytest -rP
    assert len(deviations) >= 17
    assert max(deviations.values()) <= BOUND, deviations


def test_augmented_members_and_means_meet_the_reference(published):
    data = goldens.load("tta8")
    network = StreamedNetwork(published.config, named_arrays(published))
    trimap = np.asarray(trimap_8bit(data["trimap"]))[0, ..., 0]
    got = []
    for member in members(data["image"][0], trimap, mode="10"):
        source = member.source
        geometry = Geometry.make(
            source.height, source.width, 1, published.config.fusion, (64, 64)
        )
        alpha = member.restore(network.alpha([source], geometry)[0])
        got.append(alpha[None, ..., None])
    assert len(got) == 10
    eight = np.concatenate(got[:8], -1)
    print(
        "largest deviation:", deviation(eight, data["members8"])
    )  # shown by pytest -rP
    assert deviation(eight, data["members8"]) <= 2e-4
    assert deviation(got[8], data["scale2"]) <= 2e-4
    assert deviation(got[9], data["scale05"]) <= 2e-4
    assert deviation(np.mean(got[:8], 0), data["tta8"]) <= 2e-4
    assert deviation(np.mean(got, 0), data["tta10"]) <= 2e-4
    # The published 12-member set flips up-down as well: the same symmetries again.
    twelve = (sum(got[:4]) + 2 * sum(got[4:8])) / 12
    assert deviation(twelve, data["tta12"]) <= 2e-4


def test_training_mode_meets_the_reference(published):
    data = goldens.load("forward_train")

    @jax.jit
    def forward(graph_state, x):
        model = nnx.merge(*graph_state, copy=True)
        return model(x), nnx.state(model, nnx.BatchStat)

    x = network_input(jnp.asarray(data["image"]), trimap_8bit(data["trimap"]))
    pred, statistics = forward(nnx.split(published), x)
    print(
        "largest deviation:", deviation(pred, data["alpha_pred"])
    )  # shown by pytest -rP
    assert deviation(pred, data["alpha_pred"]) <= TRAIN_BOUND
    places = {
        "backbone.encoder.pretrained.conv1.1": statistics["encoder"]["stem"][0]["norm"],
        "backbone.encoder.pretrained.layer3.2.bn2": statistics["encoder"]["layer3"][2][
            "conv2"
        ]["norm"],
        "backbone.decoder.conv_up2.out.1": statistics["fusion"][0]["project"]["norm"],
    }
    for key, norm in places.items():
        for ours, theirs in (("mean", "running_mean"), ("var", "running_var")):
            np.testing.assert_allclose(
                norm[ours][...], data[f"{key}.{theirs}"], rtol=0, atol=1e-5
            )
