"""The paper's optimiser: Adam, linear warm-up times cosine decay."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import optax

from tmfnet_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Optimiser settings; defaults are the paper's.

    Attributes:
      learning_rate: peak of the cosine.
      steps: length of the run.
      warmup_steps: length of the linear warm-up.
      warmup_ratio: share of the cosine's value that the warm-up starts from.
    """

    learning_rate: float = 0.01
    steps: int = 200_000
    warmup_steps: int = 5_000
    warmup_ratio: float = 0.001

    def __post_init__(self):
        expected = {
            "learning_rate": (self.learning_rate > 0, "above 0"),
            "steps": (self.steps >= 1, "at least 1"),
            "warmup_steps": (self.warmup_steps >= 0, "at least 0"),
            "warmup_ratio": (0 <= self.warmup_ratio <= 1, "from 0 to 1"),
        }
        for name, (right, range_text) in expected.items():
            if not right:
                value = getattr(self, name)
                raise InputError(f"optimizer.{name} is {value}; give {range_text}")


def learning_rate_schedule(config: OptimizerConfig) -> optax.Schedule:
    """Return step -> learning rate.

    cos(i) = peak / 2 (1 + cos(pi i / steps)), times
    1 - (1 - i / warmup_steps) (1 - warmup_ratio) while i < warmup_steps.
    """
    cosine = optax.cosine_decay_schedule(config.learning_rate, config.steps)

    if not config.warmup_steps:
        return cosine

    def schedule(step):
        left = 1 - jnp.asarray(step, jnp.float32) / config.warmup_steps
        return cosine(step) * (1 - left.clip(0) * (1 - config.warmup_ratio))

    return schedule


def make_optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    """Return Adam (0.9, 0.999, 1e-8): no weight decay, no clipping."""
    return optax.adam(learning_rate_schedule(config))
