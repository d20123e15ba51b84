"""Where two nested settings differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ABSENT = "absent"


def differing_fields(
    first: Mapping[str, Any], second: Mapping[str, Any], *, prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """Compare two mappings of JSON values, inner mappings field by field.

    Returns:
      The dotted name of each field that differs, with both values; ABSENT stands
      for a field that one of them lacks. Sorted by name.
    """
    found = []
    for key in sorted({*first, *second}):
        one, other = first.get(key, ABSENT), second.get(key, ABSENT)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differing_fields(one, other, prefix=f"{prefix}{key}.")
        elif one != other:
            found.append((f"{prefix}{key}", one, other))
    return found
