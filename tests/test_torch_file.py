"""PyTorch files: every tensor right, hostile and damaged files refused in one line.

The fixtures are PyTorch's own (`testdata/make_torch_files.py`); what they must
hold is repeated here in NumPy. Hostile files are written here byte by byte.
"""

from __future__ import annotations

import io
import pickle
import struct
import time
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tmfnet_jax.errors import InputError
from tmfnet_jax.torch_file import read_torch_file, write_torch_file

TESTDATA = Path(__file__).parent / "testdata"
FIXTURES = ("torch_zip.pth", "torch_protocol4.pth", "torch_legacy.pth")
INTEGERS = ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["float32", "float16", "bfloat16", "float64", *INTEGERS, "bool"]


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def expected_state() -> dict[str, np.ndarray]:
    state = {
        "conv.weight": ramp(2, 3, 2, 2) / 8,
        "bn.num_batches_tracked": np.array(7),
        "transposed": ramp(3, 4).T,
        "permuted": ramp(2, 3, 4).transpose(2, 0, 1)[1:, :, ::2],
        "head": ramp(10)[:5],
        "tail": ramp(10)[5:],
        "tied.a": ramp(2, 3),
        "tied.b": ramp(2, 3),
        "expanded": np.full(3, 2.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "parameter": np.array([1.5, -2], np.float32),
    }
    for name in DTYPES:
        values = np.arange(6) % 2 if name == "bool" else np.arange(6)
        dtype = ml_dtypes.bfloat16 if name == "bfloat16" else name
        state[f"dtype.{name}"] = values.astype(dtype)
    return state


def assert_same(got: dict, expected: dict) -> None:
    assert list(got) == list(expected)
    for name, array in expected.items():
        assert got[name].dtype == array.dtype, name
        assert got[name].shape == array.shape, name
        assert got[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("fixture", FIXTURES)
def test_reads_what_torch_wrote(fixture):
    checkpoint = read_torch_file(TESTDATA / fixture)
    assert list(checkpoint) == ["meta", "state_dict", "optimizer"]
    assert_same(checkpoint["state_dict"], expected_state())
    assert type(checkpoint["state_dict"]) is dict
    assert checkpoint["meta"] == {
        "epoch": 3,
        "iter": 200_000,
        "mmcv_version": "1.7.2",
        "time": "Fri Dec  3 10:11:12 2021",
        "seed": None,
        "best": 23.5,
        "shape": (2, 3),
        "precision": "torch.float16",
        "large": 2**70,
        "CLASSES": ("alpha", "é"),
        "hook_msgs": {"scores": [1.5, 2, True]},
    }
    assert type(checkpoint["meta"]["best"]) is float
    momentum = checkpoint["optimizer"]["state"][0]["momentum_buffer"]
    np.testing.assert_array_equal(momentum, ramp(2, 3))
    assert checkpoint["optimizer"]["param_groups"][0]["lr"] == 0.5


@pytest.mark.parametrize("fixture", FIXTURES)
def test_arrays_are_aligned_read_only_views(fixture):
    state = read_torch_file(TESTDATA / fixture)["state_dict"]
    assert np.shares_memory(state["tied.a"], state["tied.b"])
    for name, array in state.items():
        assert array.flags.aligned, name
        assert array.size == 0 or not array.flags.writeable, name
        assert array.size == 0 or array.base is not None, name


# Writing.


def test_written_files_read_back_bit_for_bit(tmp_path):
    tensors = {
        name: array
        for name, array in expected_state().items()
        if array.dtype not in (np.uint16, np.uint32, np.uint64)
    }
    tensors |= {
        "nan": np.array([np.nan, -0.0, np.inf], np.float16),
        "step": np.array(2**40, np.int64),
    }
    path = tmp_path / "weights.pth"
    write_torch_file(path, {**tensors, "swapped": ramp(4).astype(">f4")})
    checkpoint = read_torch_file(path)
    assert checkpoint["meta"] == {}
    assert_same(checkpoint["state_dict"], {**tensors, "swapped": ramp(4)})
    assert [p.name for p in tmp_path.iterdir()] == ["weights.pth"]
    first = path.read_bytes()
    write_torch_file(path, {**tensors, "swapped": ramp(4)})
    assert path.read_bytes() == first
    write_torch_file(path, {"a": ramp(3)}, wrap=None)
    assert_same(read_torch_file(path), {"a": ramp(3)})


def test_written_storages_are_aligned(tmp_path):
    path = tmp_path / "weights.pth"
    write_torch_file(path, {name: ramp(5) + 0.25 for name in ("a", "b", "long.name")})
    content, stored = path.read_bytes(), (ramp(5) + 0.25).tobytes()
    starts = [
        at for at in range(0, len(content), 64) if content[at:].startswith(stored)
    ]
    assert len(starts) == 3


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "weights.pth"
    write_torch_file(path, {"a": ramp(3)})
    before = path.read_bytes()
    with pytest.raises(InputError, match="'b' is complex64, expected .* float32"):
        write_torch_file(path, {"a": ramp(4), "b": np.zeros(2, np.complex64)})
    with pytest.raises(InputError, match="tensor 3 is float32, expected a text name"):
        write_torch_file(path, {3: ramp(4)})
    assert path.read_bytes() == before
    for place in (tmp_path / "missing" / "a.pth", path / "a.pth", tmp_path):
        with pytest.raises(
            InputError, match="cannot be written .* nothing was changed"
        ):
            write_torch_file(place, {"a": ramp(4)})
    assert [p.name for p in tmp_path.iterdir()] == ["weights.pth"]


def test_torch_reads_what_we_write(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {
        "count": np.array(2**40, np.int64),
        "single": ramp(2, 3, 1, 4) / 7,
        "half": (ramp(3, 5).T / 3).astype(np.float16),
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 3), np.float32),
        "brain": ramp(3).astype(ml_dtypes.bfloat16),
    }
    write_torch_file(tmp_path / "a.pth", tensors)
    for mmap in (False, True):
        loaded = torch.load(tmp_path / "a.pth", weights_only=True, mmap=mmap)
        assert loaded["meta"] == {}
        assert list(loaded["state_dict"]) == list(tensors)
        for name, tensor in loaded["state_dict"].items():
            assert tensor.dtype == getattr(torch, tensors[name].dtype.name)
            assert tuple(tensor.shape) == tensors[name].shape
            if name == "brain":
                tensor = tensor.view(torch.uint16)
            assert tensor.numpy().tobytes() == tensors[name].tobytes(), name


# Pickles that must not be believed.


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def tensor(size, stride, *, offset=0, count=4, kind="FloatStorage", key="0") -> bytes:
    storage = text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + number(count) + b"tQ"
        + number(offset) + numbers(*size) + numbers(*stride)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def in_dict(value: bytes) -> bytes:
    return b"\x80\x02}" + text("a") + value + b"s."


def zip_file(
    path: Path, pickled: bytes, storage: bytes | None = None, **members: bytes
) -> Path:
    """Write a zip-format file around a pickle and the bytes of storage 0."""
    with zipfile.ZipFile(path / "file.pth", "w") as archive:
        archive.writestr("x/data.pkl", pickled)
        if storage is not None:
            archive.writestr("x/data/0", storage)
        for name, data in members.items():
            archive.writestr(f"x/{name}", data)
    return path / "file.pth"


def refusal(path: Path) -> str:
    """Return why a file is refused: always InputError, one line, naming the file."""
    with pytest.raises(InputError) as caught:
        read_torch_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.isprintable()
    assert len(message) < 400 + len(str(path))
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("attack", "named"),
    {
        "reduce": (b"cposix\nsystem\n" + text("TOUCH") + b"\x85R", "posix.system"),
        "stack global": (text("builtins") + text("eval") + b"\x93", "builtins.eval"),
        "inst": (b"(" + text("TOUCH") + b"ios\nsystem\n", "INST for os system"),
        "obj": (b"(c__builtin__\nexec\n" + text("TOUCH") + b"o", "__builtin__.exec"),
        "newobj": (b"ccollections\nOrderedDict\n)\x81", "NEWOBJ"),
        "extension": (b"\x82\x01", "EXT1"),
        "text id": (b"PTOUCH\n", "PERSID for TOUCH"),
        "class": (b"cdatetime\ndatetime\n", "datetime.datetime"),
        "torch": (b"ctorch.hub\nload\n", "torch.hub.load"),
        "attribute": (text("torch") + text("Size.__class__") + b"\x93", "Size.__class"),
        "terminal": (b"c\x1b[2J\nx\n", r"\\x1b\[2J.x"),
        "dtype call": (b"cnumpy\ndtype\n" + text("O8") + b"\x85R", "calls numpy.dtype"),
        "codec": (
            b"c_codecs\nencode\n" + text("a") + text("rot13") + b"\x86R",
            "calls _codecs.encode",
        ),
        "call a number": (b"K\x01)R", "calls int"),
        "state": (b"]}b", "sets the state of a list"),
        "bare class": (b"ctorch\nSize\n", "bare Global"),
        "outside data": (b"K\x01Q", "outside data"),
        "tuple as key": (b"})K\x01s", "tuple as a dict key"),
    }.values(),
)
def test_asking_for_anything_but_data_is_refused(tmp_path, attack, named):
    witness = tmp_path / "ran"
    touch = f"touch {witness}"
    attack = attack.replace(text("TOUCH"), text(touch))
    path = zip_file(tmp_path, in_dict(attack))
    message = refusal(path)
    assert message.startswith("refused: the file "), message
    assert pytest.raises(InputError, read_torch_file, path).match(named)
    legacy = tmp_path / "legacy.pth"
    legacy.write_bytes(LEGACY_HEAD + in_dict(attack) + pickle.dumps([], 2))
    assert refusal(legacy) == message
    assert not witness.exists()


LEGACY_HEAD = b"".join(
    pickle.dumps(value, protocol=2)
    for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
)
HUGE = 2**62


@pytest.mark.parametrize(
    "tensor_pickle",
    {
        "past the end": tensor([4], [1], offset=1),
        "by stride": tensor([2, 2], [3, 1]),
        "terabytes": tensor([2**40], [1]),
        "repeated": tensor([2**40], [0]),
        "multiplied": tensor([HUGE, HUGE], [0, 0]),
        "overflow": tensor([5], [HUGE]),
        "negative offset": tensor([1], [1], offset=-1),
        "negative size": tensor([-1, -1], [1, 1]),
        "negative stride": tensor([2], [-1], offset=3),
        "ranks differ": tensor([2, 2], [1]),
        "rank": tensor([1] * 40, [1] * 40),
        "empty but huge": tensor([0, HUGE, HUGE], [1, 1, 1]),
        "claimed storage": tensor([4], [1], count=HUGE),
        "short storage": tensor([4], [1], count=5),
        "long storage": tensor([2], [1], count=3),
        "negative storage": tensor([4], [1], count=-4),
        "wider type": tensor([4], [1], kind="DoubleStorage"),
        "two types": tensor([4], [1]) + b"0" + tensor([8], [1], kind="HalfStorage"),
        "absent": tensor([4], [1], key="1"),
        "elsewhere": tensor([4], [1], key="../data.pkl"),
    }.values(),
)
def test_tensors_beyond_their_bytes_are_refused(tmp_path, tensor_pickle):
    good = zip_file(tmp_path, in_dict(tensor([2, 2], [1, 2])), ramp(4).tobytes())
    np.testing.assert_array_equal(read_torch_file(good)["a"], [[0, 2], [1, 3]])
    bad = zip_file(tmp_path, in_dict(tensor_pickle), ramp(4).tobytes())
    assert refusal(bad).startswith(("is damaged: ", "refused: "))


def laughs() -> bytes:
    """Ten references to ten references to ...: 50 lists stand for 10^50 values."""
    level = b"](" + b"h\x00" * 10 + b"eq\x00"
    return b"](]q\x00" + level * 50 + b"e"


@pytest.mark.parametrize(
    ("value", "reason"),
    {
        "cycle": (b"]q\x00h\x00a", "nests deeper"),
        "depth": (b"]" * 100_000 + b"a" * 99_999, "nests deeper"),
        "deep tuple": (b")" + b"\x85" * 100_000, "nests deeper"),
        "deep key": (b"})" + b"\x85" * 100_000 + b"K\x01s", "tuple as a dict key"),
        "deep name": (b")" + b"\x85" * 100_000 + text("a") + b"\x93", "without a name"),
        "laughs": (laughs(), "nests deeper than 64 or has over 1000000 values"),
        "memo bomb": (b"K\x01r\xff\xff\xff\xffj\xfe\xff\xff\xff", "memo 4294967294"),
        "key twice": (b"}(K\x01K\x02K\x01K\x03u", "key 1 twice"),
        "odd items": (b"}(K\x01u", "damaged"),
        "colliding keys": (b"}" + number(2**61 - 1) + b"Ns", "int as a dict key"),
        "underflow": (b"\x87", "takes more than it put down"),
        "no mark": (b"t", "damaged"),
        "claimed text": (b"X\xff\xff\xff\x7fabc", "damaged"),
        "claimed number": (b"\x8b\xff\xff\xff\x7fabc", "damaged"),
        "no container": (b"NNs", "adds items to a str"),
        "two objects": (b"}N.", "4 objects in a pickle"),
    }.values(),
)
def test_hostile_pickles_are_refused(tmp_path, value, reason):
    path = zip_file(tmp_path, in_dict(value))
    assert reason in refusal(path)


def test_large_pickle_is_refused(tmp_path):
    path = zip_file(tmp_path, in_dict(text("a" * (9 << 20))))
    assert "expected 8388608 at most" in refusal(path)
    path.write_bytes(LEGACY_HEAD + in_dict(text("a" * (9 << 20))))
    assert "pickle of over 8388608 bytes" in refusal(path)


# Containers that must not be believed.


def test_compressed_members_within_reason(tmp_path):
    path = tmp_path / "file.pth"
    for storage, reads in ((ramp(1000), True), (np.zeros(1000, np.float32), False)):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x/data.pkl", in_dict(tensor([1000], [1], count=1000)))
            archive.writestr("x/data/0", storage.tobytes())
        if reads:
            np.testing.assert_array_equal(read_torch_file(path)["a"], storage)
        else:
            assert "x/data/0 would unpack" in refusal(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x/data.pkl", in_dict(b"N"))
    assert "x/data.pkl encrypted or oddly packed" in refusal(path)


def test_byte_order(tmp_path):
    pickled, swapped = in_dict(tensor([4], [1])), ramp(4).astype(">f4").tobytes()
    path = zip_file(tmp_path, pickled, swapped, byteorder=b"big")
    got = read_torch_file(path)["a"]
    assert got.dtype == np.float32 and got.dtype.isnative
    np.testing.assert_array_equal(got, ramp(4))
    path = zip_file(tmp_path, pickled, swapped, byteorder=b"middle")
    assert "unknown byte order b'middle'" in refusal(path)


def test_checksums_are_checked_unless_absent(tmp_path):
    path = zip_file(tmp_path, in_dict(tensor([4], [1])), ramp(4).tobytes())
    content = bytearray(path.read_bytes())
    content[content.index(ramp(4).tobytes()) + 7] ^= 1
    path.write_bytes(content)
    assert "x/data/0 fails its checksum" in refusal(path)
    at = content.rindex(b"x/data/0") - 46 + 16
    content[at : at + 4] = bytes(4)
    path.write_bytes(content)
    assert read_torch_file(path)["a"].shape == (4,)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_colliding_members_are_refused(tmp_path):
    path = zip_file(tmp_path, in_dict(tensor([4], [1])), ramp(4).tobytes())
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x/data/0", ramp(4)[::-1].tobytes())
    assert "member x/data/0 is there twice" in refusal(path)
    # The directory's second entry pointed at the first one's bytes.
    at = content.rindex(b"x/data/0") - 46 + 42
    content[at : at + 4] = bytes(4)
    path.write_bytes(content)
    assert "members overlap" in refusal(path)
    content[at : at + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)
    assert "no data for member x/data/0" in refusal(path)
    path = zip_file(tmp_path, in_dict(b"N"), **{"y/data.pkl": in_dict(b"N")})
    assert "zip archive with 2 data.pkl" in refusal(path)


def test_legacy_storage_list_must_match(tmp_path):
    path = tmp_path / "legacy.pth"
    count, data = struct.pack("<q", 4), ramp(4).tobytes()
    body = LEGACY_HEAD + in_dict(tensor([4], [1]))
    path.write_bytes(body + pickle.dumps(["0"], 2) + count + data)
    np.testing.assert_array_equal(read_torch_file(path)["a"], ramp(4))
    for keys in ([], ["1"], ["0", "0"], [0], "0", [["0"]]):
        path.write_bytes(body + pickle.dumps(keys, 2) + count + data)
        assert "lists other storages" in refusal(path)
    for tail in (b"", count, count + data[:-1], struct.pack("<q", -1) + data):
        path.write_bytes(body + pickle.dumps(["0"], 2) + tail)
        assert "storage 0 has" in refusal(path)


def test_what_is_no_checkpoint_is_named(tmp_path):
    npz = io.BytesIO()
    np.savez(npz, weights=ramp(3))
    for content, reason in {
        b"": "is empty",
        b"\x40\0\0\0\0\0\0\0{}": "a safetensors file",
        b"\n<!DOCTYPE html>": "a web page",
        b"\x89PNG\r\n\x1a\n": "a PNG image",
        b"version https://git-lfs.github.com/spec/v1\n": "a Git LFS pointer",
        b"\x1b[31m": "a file starting with b'\\x1b[31m'",
        npz.getvalue(): "a zip archive with 0 data.pkl (it holds weights.npy)",
        b"PK\x03\x04": "is damaged",
        pickle.dumps({"a": 1}): "a pickle but not a PyTorch checkpoint",
        b"\x80": "is damaged",
    }.items():
        path = tmp_path / "file.pth"
        path.write_bytes(content)
        assert reason in refusal(path)
    assert "is not a regular file" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "missing.pth")
    path = zip_file(tmp_path, b"\x80\x02].")
    assert "holds a list, not a dict" in refusal(path)
    path = zip_file(tmp_path, in_dict(b"N"), **{"constants.pkl": b""})
    assert "TorchScript" in refusal(path)


def test_damaged_fixtures_give_one_line_or_a_checkpoint(tmp_path):
    rng = np.random.default_rng(0)
    path, refused, began = tmp_path / "file.pth", 0, time.monotonic()
    for case in range(210):
        content = bytearray((TESTDATA / FIXTURES[case % 3]).read_bytes())
        if case % 5 == 0:
            del content[rng.integers(len(content)) :]
        for at in rng.integers(0, max(len(content), 1), case % 4 + 1):
            content[at : at + 1] = rng.bytes(1)
        path.write_bytes(content)
        try:
            assert isinstance(read_torch_file(path), dict)
        except InputError as error:
            refused += 1
            assert str(error).isprintable()
    assert 100 < refused < 210
    assert time.monotonic() - began < 5
