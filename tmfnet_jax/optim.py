"""The paper's optimiser, Adam with warm-up and cosine decay, and what may differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

import jax
import jax.numpy as jnp
import optax

from tmfnet_jax.confidence import CONFIDENCE
from tmfnet_jax.errors import InputError

NAMED_PARTS = 12  # of a network, that a message lists


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Optimiser settings; defaults are the paper's.

    Parameters are named by their dotted path in the network; a part of it is named
    by the beginning of that path: "encoder", "encoder.layer1", "fusion.2".

    Attributes:
      learning_rate: peak of the cosine.
      steps: length of the run.
      warmup_steps: length of the linear warm-up.
      warmup_ratio: share of the cosine's value that the warm-up starts from.
      multipliers: factors of the learning rate for parts of the network, the longest
        matching name counts: "encoder=0.1,encoder.stem=0.5".
      freeze: parts that are not trained, with commas between; their BatchNorm layers
        use their stored statistics and keep them.
      weight_decay: decoupled (AdamW), of convolution kernels only.
      clip_norm: largest norm of the whole gradient; 0: any. A confidence head's is
        clipped by itself: alpha trains as it does without one.
      average_decay: of the running average of the weights that is validated and
        exported, for example 0.999; 0: there is none.
    """

    learning_rate: float = 0.01
    steps: int = 200_000
    warmup_steps: int = 5_000
    warmup_ratio: float = 0.001
    multipliers: str = ""
    freeze: str = ""
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    average_decay: float = 0.0

    def __post_init__(self):
        expected = {
            "learning_rate": (self.learning_rate > 0, "above 0"),
            "steps": (self.steps >= 1, "at least 1"),
            "warmup_steps": (self.warmup_steps >= 0, "at least 0"),
            "warmup_ratio": (0 <= self.warmup_ratio <= 1, "from 0 to 1"),
            "weight_decay": (self.weight_decay >= 0, "at least 0"),
            "clip_norm": (self.clip_norm >= 0, "at least 0"),
            "average_decay": (0 <= self.average_decay < 1, "from 0 to below 1"),
        }
        for name, (right, range_text) in expected.items():
            if not right:
                value = getattr(self, name)
                raise InputError(f"optimizer.{name} is {value}; give {range_text}")
        self.factors()  # raises if they cannot be read

    def factors(self) -> dict[str, float]:
        """Return the multipliers by part."""
        factors = {}
        for entry in _entries(self.multipliers):
            part, _, number = entry.partition("=")
            try:
                factors[part.strip()] = float(number)
            except ValueError:
                raise InputError(
                    f"optimizer.multipliers has {entry!r}; give PART=FACTOR, for "
                    "example encoder=0.1"
                ) from None
        return factors

    def frozen(self, names: Collection[str]) -> frozenset[str]:
        """Return the names of the parameters that are not trained.

        Args:
          names: of all parameters of the network.
        Raises:
          InputError: a part of `freeze` or `multipliers` that the network lacks, or
            nothing left to train. A misspelt part must not go unnoticed.
        """
        for field, parts in (
            ("freeze", _entries(self.freeze)),
            ("multipliers", [*self.factors()]),
        ):
            for part in parts:
                if not any(_within(name, part) for name in names):
                    known = sorted({name.partition(".")[0] for name in names})
                    raise InputError(
                        f"optimizer.{field}: the network has no part {part!r}; its "
                        f"parts are {', '.join(known[:NAMED_PARTS])} and those in them"
                    )
        parts = _entries(self.freeze)
        frozen = {n for n in names if any(_within(n, part) for part in parts)}
        if len(frozen) == len(names):
            raise InputError("optimizer.freeze leaves nothing to train")
        return frozenset(frozen)


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
    """Return Adam (0.9, 0.999, 1e-8) over parameters by name, as configured.

    In order: clipping, Adam, weight decay, learning rate, multipliers.
    """
    stages = []
    if config.clip_norm:
        stages.append(_clipping(config.clip_norm))
    stages.append(optax.scale_by_adam())
    if config.weight_decay:
        stages.append(optax.add_decayed_weights(config.weight_decay, mask=_kernels))
    stages.append(optax.scale_by_learning_rate(learning_rate_schedule(config)))
    if factors := config.factors():
        stages.append(optax.stateless(lambda updates, _: _scaled(updates, factors)))
    return optax.chain(*stages)


def _clipping(largest: float) -> optax.GradientTransformation:
    clip = optax.clip_by_global_norm(largest)

    def clipped(updates, _):
        head = {n: g for n, g in updates.items() if _within(n, CONFIDENCE)}
        others = {n: g for n, g in updates.items() if n not in head}
        parts = (clip.update(part, clip.init(part))[0] for part in (head, others))
        return {name: g for part in parts for name, g in part.items()}

    return optax.stateless(clipped)


def running_average(
    average: Mapping[str, jax.Array],
    new: Mapping[str, jax.Array],
    *,
    decay: float,
    step: jax.Array,
) -> dict[str, jax.Array]:
    """Move an exponential average of named arrays towards new values.

    The decay rises with the steps, min(decay, (1 + step) / (10 + step)), so that the
    first weights do not stay in it for long.
    """
    kept = jnp.minimum(decay, (1 + step) / (10 + step))
    return {n: kept * average[n] + (1 - kept) * value for n, value in new.items()}


def global_norm(arrays: Mapping[str, jax.Array]) -> jax.Array:
    """Return the root of the sum of all squares, [] float32.

    The squares of arrays of one shape are added before they are summed: a network
    has hundreds of arrays, mostly small, and a sum of each is hundreds of operations.
    """
    squares: dict[tuple[int, ...], jax.Array] = {}
    for array in arrays.values():
        square = jnp.square(array.astype(jnp.float32))
        others = squares.get(array.shape)
        squares[array.shape] = square if others is None else others + square
    return jnp.sqrt(sum((total.sum() for total in squares.values()), jnp.float32(0)))


def _scaled(updates: Mapping[str, jax.Array], factors: Mapping[str, float]):
    def factor(name: str) -> float:
        parts = [part for part in factors if _within(name, part)]
        return factors[max(parts, key=len)] if parts else 1.0

    return {name: factor(name) * update for name, update in updates.items()}


def _kernels(params: Iterable[str]) -> dict[str, bool]:
    return {name: name.endswith(".kernel") for name in params}


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]
