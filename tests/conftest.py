"""Test settings: four CPU devices, exact float32, a compile cache on disk."""

from __future__ import annotations

import os
from pathlib import Path

FLAGS = "--xla_force_host_platform_device_count=4"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import goldens  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

from tmfnet_jax.model import TMFNet, TMFNetConfig  # noqa: E402
from tmfnet_jax.parameters import network_from_arrays  # noqa: E402
from tmfnet_jax.torch_weights import from_torch  # noqa: E402

CACHE = Path(__file__).parents[1] / ".cache" / "xla"
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="session")
def published() -> TMFNet:
    """The full network with the reference weights."""
    config = TMFNetConfig()
    arrays = from_torch(goldens.state_dict(), config, origin="goldens")
    return network_from_arrays(config, arrays, origin="goldens")
