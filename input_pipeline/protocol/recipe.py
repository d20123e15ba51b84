"""How a training sample is made: the settings, with the paper's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from input_pipeline.protocol.capture import Capture
from input_pipeline.protocol.trimap_synthesis import PAPER_MAX_KERNEL_PX
from tmfnet_jax.errors import InputError

PAPER_CROP_PX = 512
PAPER_ROTATION_MIN_SIDE_PX = 1024


@dataclass(frozen=True)
class Recipe:
    """How a sample is made; the defaults are the paper's.

    Raises:
      InputError: naming the field that is out of range.
    """

    crop_px: int = PAPER_CROP_PX  # side of the square sample
    second_foreground_probability: float = 0.5  # of merging two foregrounds
    jitter: bool = True  # of hue, saturation and value
    affine: bool = True  # rotation, scale, shear and flips together
    rotation_degrees: float = 30.0  # largest, to either side
    rotation_min_side_px: int = PAPER_ROTATION_MIN_SIDE_PX  # longer side to rotate at
    scale_range: tuple[float, float] = (0.8, 1.25)  # factor, drawn for each axis
    shear_degrees: float = 10.0  # largest, to either side
    flip_probability: float = 0.5  # of each of left-right and top-bottom
    trimap_max_kernel_px: int = PAPER_MAX_KERNEL_PX  # largest erosion and dilation
    min_known: float = 0.0  # share of the crop, of known foreground and background each
    capture: Capture = Capture()  # what follows the composition; nothing in the paper

    def __post_init__(self):
        low, high = self.scale_range
        expected = {
            "crop_px": (self.crop_px >= 1, "at least 1"),
            "trimap_max_kernel_px": (self.trimap_max_kernel_px >= 1, "at least 1"),
            "second_foreground_probability": (
                0 <= self.second_foreground_probability <= 1,
                "from 0 to 1",
            ),
            "min_known": (0 <= self.min_known < 0.5, "from 0 to below 0.5"),
            "flip_probability": (0 <= self.flip_probability <= 1, "from 0 to 1"),
            "scale_range": (0 < low <= high, "lowest and highest, above 0"),
            "rotation_degrees": (0 <= self.rotation_degrees <= 180, "from 0 to 180"),
            "shear_degrees": (0 <= self.shear_degrees < 90, "from 0 to below 90"),
        }
        for name, (right, range_text) in expected.items():
            if not right:
                value = getattr(self, name)
                raise InputError(f"recipe.{name} is {value}; give {range_text}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Read a recipe, and its capture, from the fields of a config."""
        capture = Capture(**values.get("capture", {}))
        return cls(**{**values, "capture": capture})

    @classmethod
    def for_crop(cls, crop_px: int, **changes) -> Recipe:
        """Scale the paper's recipe to a smaller crop of smaller images.

        Args:
          crop_px: side of the sample.
          **changes: fields to set otherwise.
        Returns:
          A recipe whose lengths in pixels keep their proportion to the crop.
        """
        scale = crop_px / PAPER_CROP_PX
        lengths = {
            "rotation_min_side_px": round(PAPER_ROTATION_MIN_SIDE_PX * scale),
            "trimap_max_kernel_px": max(3, round(PAPER_MAX_KERNEL_PX * scale)),
        }
        return cls(crop_px=crop_px, **lengths | changes)
