"""Starting weights: every spelling of a ResNet-50-s, and what is none."""

from __future__ import annotations

import dataclasses
import re

import goldens
import numpy as np
import pytest
import safetensors.numpy

from tmfnet_jax.checkpointing import RunCheckpoints
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import array_shapes, initial_network, named_arrays
from tmfnet_jax.pretrained import encoder_from_torch, load_encoder, load_start
from tmfnet_jax.torch_file import write_torch_file
from tmfnet_jax.torch_weights import ENCODER, from_torch, to_torch
from tmfnet_jax.weights import write_weights

FULL = TMFNetConfig()
TINY = TMFNetConfig(width=0.05)
FIRST = "encoder.stem.0.conv.kernel"

# How the files of each code name the stem; the rest is named as in torchvision.
PYTORCH_ENCODING = {}
MMSEGMENTATION = {
    "conv1.0.": "stem.0.",
    "conv1.1.": "stem.1.",
    "conv1.3.": "stem.3.",
    "conv1.4.": "stem.4.",
    "conv1.6.": "stem.6.",
    "bn1.": "stem.7.",
}
MMPRETRAIN = {
    "conv1.0.": "stem.0.conv.",
    "conv1.1.": "stem.0.bn.",
    "conv1.3.": "stem.1.conv.",
    "conv1.4.": "stem.1.bn.",
    "conv1.6.": "stem.2.conv.",
    "bn1.": "stem.2.bn.",
}


def resnet(spelling=PYTORCH_ENCODING, *, prefix: str = "", classifier: str = "fc"):
    """A ResNet-50-s of constants that take no memory: each array has its own value."""
    state = {}
    for number, (key, shape, kind) in enumerate(goldens.load_json("state_dict_keys")):
        if not key.startswith(ENCODER):
            continue
        key = key.removeprefix(f"{ENCODER}.")
        for old, new in spelling.items():
            key = re.sub(f"^{re.escape(old)}", new, key)
        shape = [64, 3, 3, 3] if shape[1:] == [6, 3, 3] else shape
        state[prefix + key] = constant(number, shape, kind)
    state[f"{prefix}{classifier}.weight"] = constant(1, (1000, 2048))
    state[f"{prefix}{classifier}.bias"] = constant(1, (1000,))
    return state


def constant(value: float, shape, kind: str = "float32") -> np.ndarray:
    return np.broadcast_to(np.array(value, kind), shape)


@pytest.fixture(scope="module")
def expected():
    """The encoder of `resnet`, by way of the published network's table."""
    ours = from_torch(
        {
            key: constant(number, shape, kind)
            for number, (key, shape, kind) in enumerate(
                goldens.load_json("state_dict_keys")
            )
        },
        FULL,
        origin="goldens",
    )
    return {name: array.flat[0] for name, array in ours.items()}


def assert_is_resnet(encoder, expected):
    shapes = array_shapes(FULL)
    assert set(encoder) == {name for name in shapes if name.startswith("encoder.")}
    for name, array in encoder.items():
        assert array.shape == shapes[name], name
        assert array.dtype == np.float32
        assert array.flags.owndata and array.flags.c_contiguous
        image = array[:, :, :3] if name == FIRST else array
        assert (image == expected[name]).all(), name
    assert not encoder[FIRST][:, :, 3:].any()


@pytest.mark.parametrize(
    ("spelling", "prefix", "classifier"),
    [
        (PYTORCH_ENCODING, "", "fc"),
        (PYTORCH_ENCODING, "module.", "fc"),
        (PYTORCH_ENCODING, "pretrained.", "head"),
        (PYTORCH_ENCODING, "module.encoder.", "classifier"),
        (MMSEGMENTATION, "", "fc"),
        (MMSEGMENTATION, "backbone.", "fc"),
        (MMPRETRAIN, "backbone.", "fc"),
    ],
)
def test_spellings(expected, spelling, prefix, classifier):
    state = resnet(spelling, prefix=prefix, classifier=classifier)
    state["decode_head.conv1.weight"] = constant(1, (2, 2))
    assert_is_resnet(encoder_from_torch(state, FULL, origin="x"), expected)


def test_file_of_full_size(tmp_path, expected):
    rng = np.random.default_rng(5)
    state = {
        key: array.astype(np.float16) if array.ndim else array
        for key, array in resnet().items()
        if not key.startswith("fc.")
    }
    kernel = rng.standard_normal((64, 3, 3, 3)).astype(np.float16)
    state["conv1.0.weight"] = kernel
    path = tmp_path / "resnet50s.bin"
    write_torch_file(path, state, wrap="model")
    encoder = load_encoder(path, FULL)
    path.unlink()
    np.testing.assert_array_equal(
        encoder[FIRST][:, :, :3], kernel.transpose(2, 3, 1, 0).astype(np.float32)
    )
    assert not encoder[FIRST][:, :, 3:].any()
    name = "encoder.layer4.2.conv3.norm.var"
    assert (encoder[name] == expected[name]).all()


def refusal(state) -> str:
    with pytest.raises(InputError) as caught:
        encoder_from_torch(state, FULL, origin="some.pth")
    message = str(caught.value)
    assert message.startswith("some.pth: ")
    assert "\n" not in message
    return message


def test_stem_of_another_width_is_named():
    state = resnet(MMSEGMENTATION, prefix="backbone.")
    state["backbone.stem.0.weight"] = constant(0, (32, 3, 3, 3))
    state["backbone.stem.3.weight"] = constant(0, (32, 32, 3, 3))
    state["backbone.stem.6.weight"] = constant(0, (64, 32, 3, 3))
    state["backbone.layer1.0.conv1.weight"] = constant(0, (64, 64, 1, 1))
    message = refusal(state)
    assert "4 of another shape: backbone.stem.0.weight (32, 3, 3, 3)" in message
    assert "backbone.layer1.0.conv1.weight (64, 64, 1, 1)" in message
    assert message.endswith("or of timm; this has (32, 32, 64)")
    assert "3x3 convolutions to (64, 64, 128) channels" in message


def test_plain_resnet50_has_no_such_stem():
    state = {k: v for k, v in resnet().items() if not k.startswith(("conv1.", "bn1."))}
    state["conv1.weight"] = constant(0, (64, 3, 7, 7))
    message = refusal(state)
    assert "15 missing: conv1.0.weight, conv1.1.weight" in message
    assert "and 7 more" in message
    assert "1 unexpected: conv1.weight" in message
    assert "Expected a ResNet-50-s with a stem" in message


def test_deeper_and_downsampling_otherwise():
    state = resnet()
    state["layer3.6.conv1.weight"] = constant(0, (256, 1024, 1, 1))
    del state["layer2.0.downsample.0.weight"]
    message = refusal(state)
    assert "1 missing: layer2.0.downsample.0.weight" in message
    assert "1 unexpected: layer3.6.conv1.weight" in message


def test_no_resnet_at_all():
    assert "275 missing: conv1.0.weight" in refusal({"cls_token": constant(0, (1, 9))})
    state = {**resnet(prefix="encoder_q."), **resnet(prefix="encoder_k.")}
    message = refusal(state)
    assert "holds 2 encoders, below 'encoder_q.', 'encoder_k.'" in message
    assert "entry 'bn1.weight' is not a tensor" in refusal(
        {**resnet(), "bn1.weight": 1}
    )


def test_values_that_are_not_finite():
    state = resnet()
    state["layer1.0.bn1.weight"] = constant(np.nan, (64,))
    assert "1 not finite: layer1.0.bn1.weight" in refusal(state)


def test_encoder_of_a_matting_network_is_told_from_one():
    state = resnet(prefix=f"{ENCODER}.")
    state[f"{ENCODER}.conv1.0.weight"] = constant(0, (64, 6, 3, 3))
    assert refusal(state).endswith("to start from its weights set config.init")


def test_own_weights_are_no_encoder(tiny_file):
    with pytest.raises(InputError, match="holds a whole network; .* set config.init"):
        load_encoder(tiny_file, FULL)


def test_encoder_needs_the_full_width(tmp_path):
    with pytest.raises(InputError, match=r"fits networks of width 1, .* has 0\.05"):
        load_encoder(tmp_path / "any.pth", TINY)


def test_encoder_files(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match="no such weights file"):
        load_encoder(path, FULL)
    path.write_bytes(safetensors.numpy.save({"cls_token": np.zeros(3)}))
    with pytest.raises(InputError, match="275 missing"):
        load_encoder(path, FULL)
    with pytest.raises(
        InputError, match="unknown kind of weights; .*safetensors, .pth"
    ):
        load_encoder(tmp_path / "model.h5", FULL)
    path = tmp_path / "model.pth"
    write_torch_file(path, {"cls_token": np.zeros(3)})
    with pytest.raises(InputError, match="275 missing"):
        load_encoder(path, FULL)


@pytest.fixture(scope="module")
def tiny():
    return initial_network(TINY, seed=3)


@pytest.fixture
def tiny_file(tmp_path, tiny):
    path = tmp_path / "tiny.safetensors"
    write_weights(path, TINY, named_arrays(tiny))
    return path


def assert_same(got, tiny):
    wanted = named_arrays(tiny)
    assert set(got) == set(wanted)
    for name, value in wanted.items():
        assert got[name].dtype == np.float32
        np.testing.assert_array_equal(got[name], value)


def test_network_from_every_kind_of_weights(tmp_path, tiny, tiny_file):
    assert_same(load_start(tiny_file, TINY), tiny)
    narrow = dataclasses.replace(TINY, dtype="bfloat16")
    assert_same(load_start(tiny_file, narrow), tiny)
    path = tmp_path / "tiny.pth"
    write_torch_file(path, to_torch(named_arrays(tiny), TINY))
    assert_same(load_start(path, TINY), tiny)
    workdir = tmp_path / "run"
    with RunCheckpoints(workdir, narrow, keep=1) as checkpoints:
        checkpoints.save(
            1, {"params": named_arrays(tiny), "statistics": {}, "average": {}}
        )
    assert_same(load_start(workdir, TINY), tiny)


def test_network_of_half_precision_becomes_float32(tmp_path, tiny):
    path = tmp_path / "half.safetensors"
    write_weights(path, TINY, named_arrays(tiny), dtype=np.float16)
    got = load_start(path, TINY)
    assert {array.dtype.name for array in got.values()} == {"float32"}
    wanted = named_arrays(tiny)[FIRST].astype(np.float16)
    np.testing.assert_array_equal(got[FIRST], wanted)


def test_other_networks_are_refused(tmp_path, tiny, tiny_file):
    other = TMFNetConfig(context="ppm", fusion=("glf", "glf", "lf"), width=0.25)
    with pytest.raises(InputError) as caught:
        load_start(tiny_file, other)
    assert str(caught.value) == (
        f"{tiny_file}: weights of another network: context is 'tmp' there and 'ppm' "
        "here, fusion is ('glf', 'glf', 'glf') there and ('glf', 'glf', 'lf') here, "
        "width is 0.05 there and 0.25 here; give weights of this network, or this "
        "network their settings"
    )
    path = tmp_path / "tiny.pth"
    write_torch_file(path, to_torch(named_arrays(tiny), TINY))
    with pytest.raises(InputError, match="of another shape"):
        load_start(path, TMFNetConfig(width=0.15))
    with pytest.raises(InputError, match="no such weights file"):
        load_start(tmp_path / "none.safetensors", TINY)
