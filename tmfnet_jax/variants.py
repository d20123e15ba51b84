"""The networks of the paper's Tables 3 and 5 by name, and `lite`."""

from __future__ import annotations

import dataclasses
from typing import cast

from tmfnet_jax.errors import InputError
from tmfnet_jax.model import Context, Fusion, TMFNetConfig


@dataclasses.dataclass(frozen=True)
class Variant:
    """A named network.

    Attributes:
      config: its configuration.
      paper_row: where the paper has it, or what it is.
      paper_params: published parameter count (rounded there to 0.1 M), or None.
      paper_macs: published multiply-adds at 2048x2048 (Table 6), or None.
    """

    config: TMFNetConfig
    paper_row: str
    paper_params: int | None = None
    paper_macs: int | None = None


def _row(
    row: str,
    context: Context,
    fusion: str,
    params_m: float,
    macs_g: int | None = None,
) -> Variant:
    kinds = fusion.split()
    stages = cast(tuple[Fusion, Fusion, Fusion], tuple(kinds * (3 // len(kinds))))
    config = TMFNetConfig(context=context, fusion=stages)
    macs = None if macs_g is None else macs_g * 10**9
    return Variant(config, row, round(params_m * 1e6), macs)


VARIANTS: dict[str, Variant] = {
    "tmfnet": _row("Tables 1, 2, 3, 5, 6: +TMP+GLF", "tmp", "glf", 33.9, 1121),
    "lite": Variant(TMFNetConfig(width=0.25), "TMFNet at a quarter of the width"),
    "basic": _row("Tables 1, 2, 3, 6: baseline", "ppm", "static", 34.8, 1410),
    "tp": _row("Table 3: +TP", "tp", "static", 34.8),
    "mp": _row("Table 3: +MP", "mp", "static", 34.8),
    "tmp": _row("Tables 2, 3: +TMP", "tmp", "static", 34.8),
    "tmp_lf": _row("Tables 3, 5: +TMP+LF", "tmp", "lf", 33.8),
    "tmp_glf_b": _row("Table 3: +TMP+GLF(B)", "tmp", "glf_b", 33.9),
    "tmp_glf_c": _row("Table 3: +TMP+GLF(C)", "tmp", "glf_c", 34.1),
    "aspp": _row("Table 3: +ASPP", "aspp", "static", 41.2),
    "tmp_carafe": _row("Table 3: +TMP+CARAFE", "tmp", "carafe", 35.6),
    "tmp_lf_f1": _row("Table 5: LF at F1", "tmp", "lf static static", 33.9),
    "tmp_lf_f1f2": _row("Table 5: LF at F1, F2", "tmp", "lf lf static", 33.8),
    "tmp_g_f1": _row("Table 5: LF, context at F1", "tmp", "glf lf lf", 33.8),
    "tmp_g_f1f2": _row("Table 5: LF, context at F1, F2", "tmp", "glf glf lf", 33.9),
}


def named_config(name: str) -> TMFNetConfig:
    """Return a variant's configuration; InputError lists the names there are."""
    if name not in VARIANTS:
        raise InputError(
            f"unknown variant {name!r}; expected one of {', '.join(VARIANTS)}"
        )
    return VARIANTS[name].config
