"""Where two nested settings differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tmfnet_jax.model import TMFNetConfig

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


def differing_networks(theirs: TMFNetConfig, ours: TMFNetConfig) -> list[str]:
    """Say where two networks differ, except in the type of their computation."""
    fields = (dataclasses.asdict(config) for config in (theirs, ours))
    return [
        f"{name} is {there!r} there and {here!r} here"
        for name, there, here in differing_fields(*fields)
        if name != "dtype"
    ]
