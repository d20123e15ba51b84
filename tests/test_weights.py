"""Weights files: round trips in every format, and files that do not fit."""

from __future__ import annotations

import json

import goldens
import numpy as np
import pytest
import safetensors.numpy

from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import (
    array_shapes,
    initial_network,
    named_arrays,
    network_from_arrays,
)
from tmfnet_jax.torch_weights import find_state_dict, from_torch, key_table, to_torch
from tmfnet_jax.weights import (
    NETWORK_ENTRY,
    load_network,
    read_notes,
    read_weights,
    write_weights,
)

TINY = TMFNetConfig(width=0.05)


@pytest.fixture(scope="module")
def tiny_arrays():
    return named_arrays(initial_network(TINY, seed=3))


@pytest.fixture
def tiny_file(tmp_path, tiny_arrays):
    path = tmp_path / "tiny.safetensors"
    write_weights(path, TINY, tiny_arrays)
    return path


def test_key_table_is_the_published_list():
    listed = [
        (key, tuple(shape))
        for key, shape, kind in goldens.load_json("state_dict_keys")
        if kind == "float32"
    ]
    shapes = array_shapes(TMFNetConfig())
    ours = []
    for key, name in key_table(TMFNetConfig()).items():
        shape = shapes[name]
        ours.append((key, shape[3:] + shape[2:3] + shape[:2] if shape[3:] else shape))
    assert ours == listed
    assert sorted(key_table(TMFNetConfig()).values()) == sorted(shapes)


def test_torch_round_trip_is_exact():
    config = TMFNetConfig()
    theirs = goldens.state_dict()
    ours = from_torch(theirs, config, origin="goldens")
    back = to_torch(ours, config)
    assert list(back) != []
    assert set(back) == set(theirs)
    assert len(back) == 421
    for key, value in theirs.items():
        assert back[key].dtype == value.dtype, key
        np.testing.assert_array_equal(back[key], value)


def test_torch_mismatches_are_reported_at_once(tiny_arrays):
    state = to_torch(tiny_arrays, TINY)
    del state["backbone.decoder.conv_up1.0.weight"]
    state["backbone.extra"] = np.zeros(3, np.float32)
    state["backbone.decoder.conv_up4_2.2.bias"] = np.zeros(2, np.float32)
    with pytest.raises(InputError) as caught:
        from_torch(state, TINY, origin="some.pth")
    message = str(caught.value)
    assert message.startswith("some.pth: does not fit this network")
    assert "1 missing: backbone.decoder.conv_up1.0.weight" in message
    assert "1 unexpected: backbone.extra" in message
    assert "conv_up4_2.2.bias (2,) instead of (1,)" in message


def test_variants_unknown_to_the_torch_code_are_refused():
    with pytest.raises(InputError, match="'carafe': the published PyTorch code"):
        key_table(TMFNetConfig(fusion=("carafe",) * 3))


@pytest.mark.parametrize("wrap", [None, "state_dict", "model"])
def test_checkpoint_wrappers(wrap):
    state = {"a": np.zeros(1)}
    checkpoint = state if wrap is None else {wrap: state, "epoch": 3}
    assert find_state_dict(checkpoint, origin="f") is state


@pytest.mark.parametrize("checkpoint", [{}, [1], {"state_dict": 3}, {"meta": {1: 2}}])
def test_checkpoint_without_state_dict(checkpoint):
    if checkpoint == {"meta": {1: 2}}:
        with pytest.raises(InputError, match="is not a tensor"):
            from_torch(find_state_dict(checkpoint, origin="f"), TINY, origin="f")
    else:
        with pytest.raises(InputError, match="f: holds no state_dict"):
            find_state_dict(checkpoint, origin="f")


def test_safetensors_round_trip(tiny_file, tiny_arrays):
    config, arrays = read_weights(tiny_file)
    assert config == TINY
    assert set(arrays) == set(tiny_arrays)
    loaded = named_arrays(load_network(tiny_file))
    for name, value in tiny_arrays.items():
        np.testing.assert_array_equal(loaded[name], value)


def test_notes_stay_beside_the_network(tmp_path, tiny_file, tiny_arrays):
    notes = {"license": "CC BY 4.0 \u00a9", "data": 'a "b"'}
    notes |= {f"entry {number}": str(number) for number in range(9)}
    path = tmp_path / "noted.safetensors"
    forged = {**notes, NETWORK_ENTRY: "not this"}
    write_weights(path, TINY, tiny_arrays, notes=forged)
    config, arrays = read_weights(path)
    assert config == TINY
    np.testing.assert_array_equal(arrays["head.0.kernel"], tiny_arrays["head.0.kernel"])
    assert read_notes(path) == notes
    assert read_notes(tiny_file) == {}
    # Byte for byte: what is written does not depend on a hash table's order.
    data = path.read_bytes()
    assert int.from_bytes(data[:8], "little") % 8 == 0
    entries = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(entries)[0] == "__metadata__"
    assert list(entries["__metadata__"]) == [*notes, NETWORK_ENTRY]


def test_half_precision_halves_the_file(tmp_path, tiny_file, tiny_arrays):
    path = tmp_path / "half.safetensors"
    write_weights(path, TINY, tiny_arrays, dtype=np.float16)
    assert path.stat().st_size < 0.7 * tiny_file.stat().st_size
    loaded = named_arrays(load_network(path))
    kernel = "encoder.stem.0.conv.kernel"
    assert loaded[kernel].dtype == np.float32
    np.testing.assert_allclose(loaded[kernel], tiny_arrays[kernel], rtol=1e-3)


def test_values_too_large_for_half_precision_are_refused(tmp_path, tiny_arrays):
    kernel, variance = "encoder.stem.0.conv.kernel", "encoder.stem.0.norm.var"
    path = tmp_path / "half.safetensors"
    arrays = tiny_arrays | {kernel: np.full_like(tiny_arrays[kernel], 1e6)}
    with pytest.raises(InputError, match=f"not finite: {kernel}"):
        write_weights(path, TINY, arrays, dtype=np.float16)
    assert not path.exists()
    # Those of batch statistics are common, and kept as they are.
    arrays = tiny_arrays | {variance: np.full_like(tiny_arrays[variance], 1e6)}
    write_weights(path, TINY, arrays, dtype=np.float16)
    np.testing.assert_array_equal(read_weights(path)[1][variance], 1e6)


def test_truncated_file(tiny_file):
    data = tiny_file.read_bytes()
    for length in (0, 7, 100, len(data) // 2, len(data) - 1):
        tiny_file.write_bytes(data[:length])
        with pytest.raises(InputError, match="not a whole safetensors file"):
            read_weights(tiny_file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"<html></html>" * 9, "not a whole safetensors file"),
        ("a.pth", b"PK", "a PyTorch file; convert it first"),
    ],
)
def test_other_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / name)


def test_missing_file_and_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no such weights file"):
        read_weights(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="holds no checkpoint"):
        read_weights(tmp_path)


def save_with(path, arrays, metadata):
    path.write_bytes(safetensors.numpy.save(dict(arrays), metadata))


def test_foreign_and_lying_safetensors(tmp_path, tiny_arrays):
    path = tmp_path / "a.safetensors"
    save_with(path, tiny_arrays, None)
    with pytest.raises(InputError, match="not of this package"):
        read_weights(path)
    save_with(path, tiny_arrays, {NETWORK_ENTRY: json.dumps({"width": 0.25})})
    with pytest.raises(InputError, match="of another shape"):
        load_network(path)
    for bad in ("{", "[1]", '{"fusion": 3}', '{"width": "1"}', '{"contex": "tmp"}'):
        save_with(path, tiny_arrays, {NETWORK_ENTRY: bad})
        with pytest.raises(InputError, match="unusable network description"):
            read_weights(path)


def test_non_finite_weights_are_refused(tiny_arrays):
    arrays = dict(tiny_arrays)
    arrays["head.1.bias"] = np.array([np.nan], np.float32)
    with pytest.raises(InputError, match="1 not finite: head.1.bias"):
        network_from_arrays(TINY, arrays, origin="x")
