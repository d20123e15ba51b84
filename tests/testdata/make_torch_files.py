"""Write torch_zip.pth, torch_protocol4.pth and torch_legacy.pth with PyTorch.

Usage: python make_torch_files.py  (made with torch 2.13.0, numpy 2.4.6)

Every value follows from a recipe that `test_torch_file.py` repeats in NumPy; no
random numbers. The legacy file names its storages by memory address, so that
one differs in bytes from run to run.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

INTEGERS = ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["float32", "float16", "bfloat16", "float64", *INTEGERS, "bool"]


def checkpoint() -> dict:
    """Return what an MMCV training run saves, with every kind of tensor in it."""
    shared = torch.arange(10, dtype=torch.float32)
    tied = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    block = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = OrderedDict(
        {
            "conv.weight": torch.arange(24).reshape(2, 3, 2, 2) / 8,
            "bn.num_batches_tracked": torch.tensor(7),
            "transposed": torch.arange(12, dtype=torch.float32).reshape(3, 4).t(),
            "permuted": block.permute(2, 0, 1)[1:, :, ::2],
            "head": shared[:5],
            "tail": shared[5:],
            "tied.a": tied,
            "tied.b": tied,
            "expanded": torch.full((1,), 2.5).expand(3),
            "empty": torch.zeros(0, 3),
            "parameter": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
        }
    )
    for name in DTYPES:
        ramp = torch.arange(6) % 2 if name == "bool" else torch.arange(6)
        state[f"dtype.{name}"] = ramp.to(getattr(torch, name))
    state._metadata = OrderedDict({"": {"version": 1}, "bn": {"version": 2}})

    weight = torch.nn.Parameter(torch.zeros(2, 3))
    optimizer = torch.optim.SGD([weight], lr=0.5, momentum=0.9)
    weight.grad = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    optimizer.step()
    meta = {
        "epoch": 3,
        "iter": 200_000,
        "mmcv_version": "1.7.2",
        "time": "Fri Dec  3 10:11:12 2021",
        "seed": None,
        "best": np.float64(23.5),
        "shape": torch.Size([2, 3]),
        "precision": torch.float16,
        "large": 2**70,
        "CLASSES": ("alpha", "é"),
        "hook_msgs": {"scores": [1.5, 2, True]},
    }
    return {"meta": meta, "state_dict": state, "optimizer": optimizer.state_dict()}


if __name__ == "__main__":
    here = Path(__file__).parent
    torch.save(checkpoint(), here / "torch_zip.pth")
    torch.save(checkpoint(), here / "torch_protocol4.pth", pickle_protocol=4)
    torch.save(
        checkpoint(), here / "torch_legacy.pth", _use_new_zipfile_serialization=False
    )
