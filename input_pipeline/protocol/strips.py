"""Images by strips of rows, so that what a step leaves stays in the cache."""

from __future__ import annotations

STRIP_PIXELS = 2**15


def strips(shape: tuple[int, ...]) -> list[slice]:
    """Return the rows of each strip of an image of this shape, from the top."""
    rows = max(1, STRIP_PIXELS // shape[1])
    return [slice(top, top + rows) for top in range(0, shape[0], rows)]
