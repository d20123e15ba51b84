"""What an evaluation asks of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class Example(Protocol):
    """One image of a set; arrays are uint8.

    Attributes:
      name: within the set.
      image: [H, W, 3] RGB.
      trimap: [H, W] with values 0, 128, 255.
      alpha: [H, W], the truth, or None where it is not public.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def image(self) -> np.ndarray: ...  # noqa: D102
    @property
    def trimap(self) -> np.ndarray: ...  # noqa: D102
    @property
    def alpha(self) -> np.ndarray | None: ...  # noqa: D102


class ExampleSet(Protocol):
    """Examples by name.

    Attributes:
      name: of the set.
      settings: JSON values that define it beside its files.
      names: of the examples, unique; a "/" puts its prediction into a folder.
      load: reads or makes an example; pure, called from another thread.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def settings(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def names(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def load(self) -> Callable[[str], Example]: ...  # noqa: D102
