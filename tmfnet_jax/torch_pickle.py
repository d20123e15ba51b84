"""The pickle inside a PyTorch file, read as data.

Loading a pickle runs whatever the file says. Here its opcodes are read, not run:
a small interpreter builds containers, numbers, text and descriptions of tensors,
and refuses everything else by name.
"""

from __future__ import annotations

import itertools
import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from tmfnet_jax.errors import InputError

MAX_PICKLE_BYTES = 8 << 20  # real files stay far below

STORAGE_DTYPES = {
    f"torch.{name}Storage": np.dtype(dtype)
    for name, dtype in {
        "Float": np.float32,
        "Half": np.float16,
        "BFloat16": ml_dtypes.bfloat16,
        "Double": np.float64,
        "Long": np.int64,
        "Int": np.int32,
        "Short": np.int16,
        "Char": np.int8,
        "Byte": np.uint8,
        "Bool": np.bool_,
    }.items()
}
# The tensors of an untyped storage name their dtype themselves.
_STORAGE_KINDS = {**STORAGE_DTYPES, "torch.storage.UntypedStorage": None}
DTYPE_MARKERS = {f"torch.{dtype.name}": dtype for dtype in STORAGE_DTYPES.values()}
DTYPE_MARKERS |= {f"torch.uint{n}": np.dtype(f"uint{n}") for n in (16, 32, 64)}
_CALLABLE = {
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    # NumPy scalars, as training loops leave them among the meta data.
    "_codecs.encode",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
}
_KNOWN_GLOBALS = {*_CALLABLE, *_STORAGE_KINDS, *DTYPE_MARKERS}
_NUMPY_SCALARS = {np.dtype(code).str[1:] for code in "?bhiqBHIQefd"}

_ADVICE = (
    "a weights file needs only tensors, numbers and text; do not load this one "
    "unless you trust its source, and then re-save its state_dict alone"
)
NEW_COPY = "download or copy the file again and compare its size"


def refused(what: str) -> InputError:
    """Return the error for a file that asks for more than data."""
    return InputError(f"refused: the file {what}; {_ADVICE}")


def damaged(what: str) -> InputError:
    """Return the error for a file that contradicts itself."""
    return InputError(f"is damaged: {what}; {NEW_COPY}")


def quote(text: str) -> str:
    """Return a file's own words made short, printable and one line."""
    return ascii(text[:80])[1:-1]


@dataclass(frozen=True, slots=True)
class Global:
    """A name the pickle mentions; it is never imported."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of elements that tensors share, as the pickle names it."""

    key: str
    dtype: np.dtype | None  # None: untyped, counted in bytes
    count: int

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return 1 if self.dtype is None else self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the pickle describes it; nothing here is checked yet."""

    storage: Storage
    offset: int
    size: tuple
    stride: tuple
    dtype: np.dtype


# Opcodes that take values off the stack: how many, or None for all since MARK.
_TAKES = {
    "TUPLE": None,
    "TUPLE1": 1,
    "TUPLE2": 2,
    "TUPLE3": 3,
    "APPEND": 1,
    "APPENDS": None,
    "SETITEM": 2,
    "SETITEMS": None,
    "STACK_GLOBAL": 2,
    "REDUCE": 2,
    "BUILD": 1,
    "BINPERSID": 1,
}


def interpret(stream: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """Read one pickle, of protocol 2 or later, as data.

    Args:
      stream: the file, standing at the pickle; it is left just behind it.

    Returns:
      The object, with `Tensor` and `Global` inside it, and the storages that its
      tensors name, by key.

    Raises:
      InputError: if the pickle is damaged or asks for anything but data.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    wanted: dict[str, Storage] = {}
    begin = stream.tell()
    arg: Any  # the opcode says of what type, if any
    for opcode, arg, _ in pickletools.genops(stream):
        if stream.tell() - begin > MAX_PICKLE_BYTES:
            raise refused(f"has a pickle of over {MAX_PICKLE_BYTES} bytes")
        name, items = opcode.name, []
        if name in _TAKES:
            count = _TAKES[name]
            at = marks.pop() if count is None else len(stack) - count
            if not 0 <= at <= len(stack):
                raise damaged("its pickle takes more than it put down")
            items, stack[at:] = stack[at:], []
        match name:
            case "BINPUT" | "LONG_BINPUT":
                memo[arg] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                if arg not in memo:
                    raise damaged(f"its pickle reads memo {arg} before writing it")
                stack.append(memo[arg])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT":
                stack.append(arg)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING":
                stack.append(arg)
            case "BINBYTES" | "SHORT_BINBYTES":
                stack.append(arg)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "MARK":
                marks.append(len(stack))
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE" | "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(items))
            case "APPEND" | "APPENDS" if isinstance(stack[-1], list):
                stack[-1].extend(items)
            case "SETITEM" | "SETITEMS" if isinstance(stack[-1], dict):
                _set_items(stack[-1], items)
            case "APPEND" | "APPENDS" | "SETITEM" | "SETITEMS":
                raise damaged(f"its pickle adds items to a {type(stack[-1]).__name__}")
            case "GLOBAL":
                stack.append(_global(arg.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                if not all(isinstance(item, str) for item in items):
                    raise damaged("a global without a name")
                stack.append(_global(".".join(items)))
            case "REDUCE":
                stack.append(_call(*items))
            case "BUILD":
                _build(stack[-1], items[0])
            case "BINPERSID":
                storage = _storage(items[0])
                if wanted.setdefault(storage.key, storage) != storage:
                    raise refused(
                        f"gives storage {quote(storage.key)} two types or sizes"
                    )
                stack.append(storage)
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _:
                asks = f" for {quote(arg)}" if isinstance(arg, str) else ""
                raise refused(f"uses the pickle opcode {name}{asks}")
    if len(stack) != 1:
        raise damaged(f"{len(stack)} objects in a pickle")
    return stack[0], wanted


def _global(name: str) -> Global:
    if name not in _KNOWN_GLOBALS:
        raise refused(f"asks for {quote(name)}")
    return Global(name)


def _set_items(target: dict, items: list) -> None:
    """Add alternating keys and values; keys are plain and come once each."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Larger integers can be chosen so that all of them collide.
        short = isinstance(key, int) and abs(key) < 1 << 60
        if not short and not isinstance(key, str | bytes | None):
            raise refused(f"has a {type(key).__name__} as a dict key")
        if key in target:
            raise damaged(f"a dict has the key {quote(str(key))} twice")
        target[key] = value


def _call(function: Any, args: Any) -> Any:
    """Return what one of the few permitted calls would; anything else is refused."""
    name = function.name if isinstance(function, Global) else type(function).__name__
    match name, args:
        case "collections.OrderedDict", ():
            return {}
        case "collections.OrderedDict", (list() as pairs,) if all(
            isinstance(pair, list | tuple) for pair in pairs
        ):
            result: dict = {}
            _set_items(result, list(itertools.chain(*pairs)))
            return result
        case (
            "torch._utils._rebuild_tensor_v2",
            (Storage(dtype=np.dtype() as dtype) as storage, offset, size, stride, *_),
        ):
            return Tensor(storage, offset, size, stride, dtype)
        case (
            "torch._utils._rebuild_tensor_v3",
            (Storage() as storage, offset, size, stride, _, _, Global(marker), *_),
        ) if marker in DTYPE_MARKERS:
            return Tensor(storage, offset, size, stride, DTYPE_MARKERS[marker])
        case "torch._utils._rebuild_parameter", (Tensor() as tensor, *_):
            return tensor
        case "torch.Size", ((list() | tuple()) as size,):
            return tuple(size)
        case "_codecs.encode", (str() as text, "latin1"):
            return text.encode("latin1")
        case "numpy.dtype", (str() as code, *_) if code in _NUMPY_SCALARS:
            return np.dtype(f"<{code}")
        case (
            "numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar",
            (np.dtype() as dtype, bytes() as raw),
        ) if len(raw) == dtype.itemsize:
            return np.frombuffer(raw, dtype)[0].item()
    raise refused(f"calls {name} in an unknown way")


def _build(target: Any, state: Any) -> None:
    """Accept the attributes of an OrderedDict, unused, and of a NumPy dtype."""
    match target, state:
        case dict(), dict():
            return
        case np.dtype(), (_, "<" | "|" | "=", *_):
            return
    raise refused(f"sets the state of a {type(target).__name__}")


def _storage(persistent_id: Any) -> Storage:
    match persistent_id:
        case ("storage", Global(kind), str(key), _, int(count), *rest):
            if kind in _STORAGE_KINDS and rest in ([], [None]):
                return Storage(key, _STORAGE_KINDS[kind], count)
    raise refused("has outside data that is no storage")
