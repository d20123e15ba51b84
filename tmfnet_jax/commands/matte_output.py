"""What `tmfnet matte` makes of a prediction, and where it puts that."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tmfnet_jax.commands.common import check_writable
from tmfnet_jax.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from tmfnet_jax.inference import Matting

STREAM = "-"  # standard input or output in place of a file

_CHANNELS = {"alpha": 1, "cut-out": 4, "composite": 3}


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options of which `MatteOutput.from_options` reads most."""
    result = parser.add_argument_group("what to write instead of the alpha")
    add = result.add_mutually_exclusive_group().add_argument
    add(
        "--cutout",
        action="store_true",
        help="the subject in its own colours, without the background's: straight RGBA",
    )
    add(
        "--premultiplied",
        action="store_true",
        help="the same with colours multiplied by alpha, as compositors expect in .exr",
    )
    add(
        "--background",
        metavar="COLOUR|IMAGE",
        help="the subject before a colour (white, '#00ff00') or another picture",
    )
    add = result.add_argument
    add(
        "--bits",
        type=int,
        choices=(8, 16),
        default=8,
        help="depth of .png and .tif, default 8; .exr holds floats, colours as linear "
        "light",
    )
    add(
        "--format",
        choices=("png", "tif", "exr"),
        help="for folders and standard output; default: png",
    )


@dataclass(frozen=True)
class MatteOutput:
    """The kind of picture to make, and its format.

    Attributes:
      kind: "alpha", "cut-out" or "composite".
      suffix: of the format, in lower case, with its dot.
      bits: of a channel, 8 or 16; .exr holds floats, colours as linear light.
      premultiplied: whether the colours of a cut-out are multiplied by its alpha.
      background: of a composite, a colour or an image; see `load_background`.
    """

    kind: str
    suffix: str
    bits: int
    premultiplied: bool
    background: str | None

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> MatteOutput:
        """Read the options of `add_output`, and of the command its target's."""
        kind, suffix = "alpha", f".{options.format or 'png'}"
        if options.background is not None:
            kind = "composite"
        elif options.cutout or options.premultiplied:
            kind = "cut-out"
        if options.trimaps is None and options.output != STREAM:
            suffix = Path(options.output).suffix.lower()
        return cls(
            kind=kind,
            suffix=suffix,
            bits=options.bits,
            premultiplied=options.premultiplied,
            background=options.background,
        )

    @property
    def is_float(self) -> bool:
        """Whether the format holds floating-point values."""
        return self.suffix == ".exr"

    @property
    def depth(self) -> str:
        """Say in words what a channel holds."""
        return "float" if self.is_float else f"{self.bits} bit"

    def check_target(self, target: str) -> None:
        """Refuse before long work a target that cannot take the picture."""
        from tmfnet_jax.images import check_output

        if target == STREAM:
            if sys.stdout.isatty():
                raise InputError(
                    "standard output is a terminal; redirect it: > alpha.png"
                )
            return
        dtype = "float32" if self.is_float else f"uint{self.bits}"
        check_output(target, channels=_CHANNELS[self.kind], dtype=dtype)
        check_writable(Path(target).parent)
        check_writable(Path(target))

    def predictor(self, matting: Matting) -> Callable[..., np.ndarray]:
        """Return the method of a network whose result `picture` takes."""
        return matting.alpha if self.kind == "alpha" else matting.cutout

    def picture(self, prediction: np.ndarray) -> np.ndarray:
        """Bring a prediction into the form that was asked for.

        Args:
          prediction: [H, W] alpha, else [H, W, 4] straight RGBA; float32 in [0, 1].
        Returns:
          [H, W], [H, W, 3] or [H, W, 4]; float32, uint8 or uint16.
        """
        import numpy as np

        from tmfnet_jax import cutout

        values = prediction
        if self.background is not None:
            size = prediction.shape[:2]
            # Before linear light: alpha mixes the values that the photo holds.
            behind = cutout.load_background(self.background, *size)
            values = cutout.over(prediction, behind)
            if self.is_float:
                values = cutout.linear_light(values)
        elif self.kind == "cut-out":
            if self.is_float:
                linear = cutout.linear_light(prediction[..., :3])
                values = np.dstack([linear, prediction[..., 3]])
            if self.premultiplied:
                values = cutout.premultiply(values)
        return values if self.is_float else cutout.quantise(values, self.bits)

    def write(
        self, target: str, prediction: np.ndarray, *, profile: bytes | None
    ) -> None:
        """Write the picture to a file, whole or not at all, or to standard output.

        Args:
          target: path or STREAM.
          prediction: as for `picture`.
          profile: ICC profile of the photo, or None.
        Raises:
          InputError: it cannot be written.
        """
        from tmfnet_jax.images import encode_image, write_image

        values = self.picture(prediction)
        premultiplied = self.premultiplied
        if target != STREAM:
            write_image(target, values, profile=profile, premultiplied=premultiplied)
            return
        data = encode_image(
            values, self.suffix, profile=profile, premultiplied=premultiplied
        )
        try:
            # Not through sys.stdout, which tries again at exit what it could not
            # write.
            with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
                stream.write(data)
        except OSError as error:
            raise InputError(
                f"standard output: cannot be written ({error.strerror})"
            ) from None
