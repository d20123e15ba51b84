"""Test settings: four CPU devices, exact float32, a compile cache on disk."""

from __future__ import annotations

import os
from pathlib import Path

# Four devices, and programs that take half the time to compile: they are tiny.
FLAGS = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}"
CACHE = Path(__file__).parents[1] / ".cache" / "xla"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)  # subprocesses use it too
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import goldens  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

from tmfnet_jax.model import TMFNet, TMFNetConfig  # noqa: E402
from tmfnet_jax.parameters import network_from_arrays  # noqa: E402
from tmfnet_jax.torch_weights import from_torch  # noqa: E402

jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="session")
def published() -> TMFNet:
    """The full network with the reference weights."""
    config = TMFNetConfig()
    arrays = from_torch(goldens.state_dict(), config, origin="goldens")
    return network_from_arrays(config, arrays, origin="goldens")
