"""TMFNet: its configuration and the wiring of its parts."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx

from tmfnet_jax.confidence import ConfidenceHead
from tmfnet_jax.context import make_context
from tmfnet_jax.errors import InputError
from tmfnet_jax.fusion import LocalFusion, StaticFusion, upsample_double
from tmfnet_jax.layers import Conv, leaky_relu, spatial_mean
from tmfnet_jax.local_filter import GROUP_CHANNELS
from tmfnet_jax.resnet import ResNet
from tmfnet_jax.trimap import TRIMAP_BACKGROUND, TRIMAP_FOREGROUND, TRIMAP_UNKNOWN

Context = Literal["tmp", "mp", "ppm", "tp", "aspp"]
Fusion = Literal["static", "lf", "glf", "glf_b", "glf_c", "carafe"]

INPUT_CHANNELS = 6
STRIDE = 16  # height and width of the network's input are multiples of it
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class TMFNetConfig:
    """A network of the paper; the default is the published one.

    Attributes:
      context: module behind the encoder (Table 3): TMP, its unmasked form MP,
        pyramid pooling PPM, its masked form TP, or ASPP.
      fusion: kind of stages F1, F2, F3 (Tables 3 and 5): "static" is bilinear
        upsampling and a 3x3 convolution, "lf" predicts local kernels, "glf" adds
        the global vector G of the context module, "glf_b" one of X_h, "glf_c"
        one of C5; "carafe" is static with learned upsampling.
      width: multiplies all channel counts; 0.25 makes the `lite` network.
      dtype: computation type, "float32" or "bfloat16"; parameters, batch
        statistics and pooling ratios stay float32.
      confidence: whether the network also estimates its own error, in a head beside
        the one for alpha; the published network does not.
    """

    context: Context = "tmp"
    fusion: tuple[Fusion, Fusion, Fusion] = ("glf", "glf", "glf")
    width: float = 1.0
    dtype: Literal["float32", "bfloat16"] = "float32"
    confidence: bool = False

    def __post_init__(self):
        object.__setattr__(self, "fusion", tuple(self.fusion))
        _check_choice("context", self.context, get_args(Context))
        for kind in self.fusion:
            _check_choice("fusion", kind, get_args(Fusion))
        if len(self.fusion) != 3:
            raise InputError(
                f"fusion has {len(self.fusion)} entries; "
                "expected one each for F1, F2, F3"
            )
        _check_choice("dtype", self.dtype, ("float32", "bfloat16"))
        if not (isinstance(self.width, int | float) and 0.05 <= self.width <= 4):
            raise InputError(f"width is {self.width!r}; expected 0.05 to 4")
        if not isinstance(self.confidence, bool):
            raise InputError(
                f"confidence is {self.confidence!r}; expected true or false"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TMFNetConfig:
        """Build from a mapping, as found in a weights file or a run's config.

        Raises:
          InputError: for an unknown name (suggests the nearest) or value.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            _check_choice("network setting", name, names)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, for `from_dict`, as files have them.

        `confidence` is among them only where it is on: what is written of a network
        without it stays what it was before there was such a field.
        """
        values = dataclasses.asdict(self)
        if not self.confidence:
            del values["confidence"]
        return values

    def channels(self, published: int) -> int:
        """Scale a channel count of the published network; a multiple of 16."""
        groups = round(published * self.width / GROUP_CHANNELS)
        return GROUP_CHANNELS * max(1, groups)


def _check_choice(what: str, got: Any, allowed) -> None:
    if got in allowed:
        return
    near = difflib.get_close_matches(str(got), allowed, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(
        f"unknown {what} {got!r}{hint}; expected one of {', '.join(allowed)}"
    )


def network_input(image: jax.Array, trimap: jax.Array) -> jax.Array:
    """Assemble the six input channels.

    Args:
      image: [B, H, W, 3] RGB, uint8 or floating point in [0, 1].
      trimap: [B, H, W, 1] uint8 with values 0, 128, 255.
    Returns:
      [B, H, W, 6] float32: normalised RGB, then background, unknown and
      foreground planes.
    """
    if image.dtype == jnp.uint8:
        image = image.astype(jnp.float32) / 255
    image = (image - jnp.array(IMAGE_MEAN)) / jnp.array(IMAGE_STD)
    labels = jnp.array(
        [TRIMAP_BACKGROUND, TRIMAP_UNKNOWN, TRIMAP_FOREGROUND], trimap.dtype
    )
    return jnp.concatenate([image, (trimap == labels).astype(jnp.float32)], -1)


class TMFNet(nnx.Module):
    """Trimap-guided Feature Mining and Fusion Network.

    Jiang et al., "Trimap-guided Feature Mining and Fusion Network for Natural
    Image Matting", CVIU 230, 2023.
    """

    def __init__(self, config: TMFNetConfig | None = None, *, rngs: nnx.Rngs):
        config = TMFNetConfig() if config is None else config
        width = config.channels
        dtype = jnp.dtype(config.dtype)
        self.config = config
        self.encoder = ResNet(INPUT_CHANNELS, width=width, dtype=dtype, rngs=rngs)
        c1, c2, c5 = self.encoder.channels
        context = width(256)
        self.context = make_context(config.context, c5, context, dtype=dtype, rngs=rngs)

        # X_h, X_l, C3 and output channels of F1, F2, F3.
        stages = (
            (context, c2, width(256), width(256)),
            (width(256), c1, width(256), width(64)),
            (width(64), INPUT_CHANNELS, width(32), width(32)),
        )
        self.fusion = nnx.List(
            [
                self._stage(index, kind, *channels, context, c5, dtype=dtype, rngs=rngs)
                for index, (kind, channels) in enumerate(
                    zip(config.fusion, stages, strict=True)
                )
            ]
        )
        conv = partial(Conv, dtype=dtype, rngs=rngs)
        self.head = nnx.List([conv(width(32), width(16), 3), conv(width(16), 1, 1)])
        outputs = [stage[-1] for stage in stages]
        self.confidence: ConfidenceHead | None = nnx.data(
            ConfidenceHead(INPUT_CHANNELS, outputs, width(32), dtype=dtype, rngs=rngs)
            if config.confidence
            else None
        )

    @staticmethod
    def _stage(index, kind, high, low, middle, outputs, context, c5, **options):
        if kind in ("static", "carafe"):
            return StaticFusion(
                high,
                low,
                outputs,
                normalise=index < 2,
                carafe=kind == "carafe",
                **options,
            )
        vector = {"lf": None, "glf": context, "glf_b": high, "glf_c": c5}[kind]
        return LocalFusion(high, low, middle, outputs, context=vector, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Predict alpha.

        Args:
          x: [B, H, W, 6] from `network_input`; H and W divisible by 16.
        Returns:
          [B, H, W, 1] float32, not clipped: values may leave [0, 1].
        """
        alpha, _ = self._predict(x)
        return alpha

    def with_error(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Predict alpha and estimate how far off it is.

        Args:
          x: as `__call__` takes it.
        Returns:
          Alpha, the same as `__call__` gives, and the expected |alpha - truth|,
          [B, H, W, 1] float32 in [0, 1], with alpha clipped to [0, 1]. It is trained
          on unknown pixels; elsewhere it means nothing.
        Raises:
          ValueError: the network's config has no `confidence`.
        """
        alpha, logit = self.with_error_logit(x)
        return alpha, nnx.sigmoid(logit)

    def with_error_logit(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Do as `with_error` but leave the estimate as its logit, for the loss."""
        if self.confidence is None:
            raise ValueError("this network has no confidence head; see TMFNetConfig")
        alpha, stages = self._predict(x)
        return alpha, self.confidence(x, alpha, stages)

    def _predict(self, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        """Return alpha and what the fusion stages give."""
        h, w = x.shape[1:3]
        if h % STRIDE or w % STRIDE:
            raise ValueError(f"input is {h}x{w}; pad it to multiples of {STRIDE}")
        x = x.astype(self.config.dtype)
        features = self.encoder(x)
        non_background = x[..., 4:5] + x[..., 5:6]
        mined = self.context(features.c5, non_background)
        return self.decode(x, features, mined)

    def decode(
        self, x: jax.Array, features, mined: jax.Array
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Run fusion stages and head on encoder and context features.

        Returns:
          Alpha, [B, H, W, 1] float32, and what F1, F2 and F3 give.
        """
        high = upsample_double(mined)
        lows = (features.c2, features.c1, x)
        outputs = []
        for kind, stage, low in zip(self.config.fusion, self.fusion, lows, strict=True):
            source = {"glf": mined, "glf_b": high, "glf_c": features.c5}.get(kind)
            vector = None if source is None else spatial_mean(source)
            high = stage(high, low, vector)
            outputs.append(high)
        hidden, output = self.head
        return output(leaky_relu(hidden(high))).astype(jnp.float32), outputs
