"""The source of a training's samples, by the `data` fields of its config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from input_pipeline.procedural.synthetic import SyntheticSource
from input_pipeline.training_data.image_files import collect_photos
from input_pipeline.training_data.prepared import PreparedSource
from input_pipeline.training_data.sources import (
    FolderSource,
    MixedSource,
    PooledSource,
    Source,
)
from input_pipeline.training_data.training_sets import (
    TRAINING_SETS,
    check_whole,
    set_folders,
)
from tmfnet_jax.errors import InputError


def open_source(data: Mapping[str, Any], *, seed: int) -> Source:
    """Open the configured source of foregrounds and backgrounds.

    Args:
      data: the fields of `config.data` in `experiments/configs/common.py`; those
        that the kind does not use are not looked at.
      seed: of generated images.
    Returns:
      A source that can be pickled.
    Raises:
      InputError: unknown kind, a field that is not set, or what the source itself
        refuses: folders that are absent, empty, incomplete.
    """
    kind = data["kind"]
    if kind not in _OPENERS:
        *most, last = map(repr, _OPENERS)
        raise InputError(
            f"config.data.kind is {kind!r}; expected {', '.join(most)} or {last}"
        )
    return _OPENERS[kind](data, seed)


def split_folders(text: str) -> list[Path]:
    """Read folders that commas separate; "~" is the home folder.

    An existing folder whose own name has a comma is taken as it is.
    """
    parts = [text] if Path(text).is_dir() else text.split(",")
    return [Path(part.strip()).expanduser() for part in parts]


def foreground_folders(
    kind: str, place: str, *, alphas: str | None
) -> list[tuple[Path, Path | None]]:
    """Return folders of foregrounds, each with that of its alphas.

    Args:
      kind: "folders", or the name of a published set.
      place: folders as of `split_folders`, or that of the set.
      alphas: for "folders", one for each of them in the same form, empty where it
        holds cut-outs; None: all do.
    Raises:
      InputError: another number of folders of alphas, or no such set there.
    """
    if kind in TRAINING_SETS:
        return [*set_folders(kind, Path(place).expanduser())]
    folders = split_folders(place)
    if alphas is None:
        return [(folder, None) for folder in folders]
    # Path("") is the current folder as well: an empty part stands for none.
    opacities = [None if part == Path() else part for part in split_folders(alphas)]
    if len(opacities) != len(folders):
        raise InputError(
            f"{len(folders)} folders of foregrounds and {len(opacities)} of alphas; "
            "give one of alphas for each of foregrounds"
        )
    return [*zip(folders, opacities, strict=True)]


def _synthetic(data: Mapping[str, Any], seed: int) -> Source:
    size = (data["size_px"], data["size_px"])
    problems: list[str] = []
    photos, cutouts = (
        collect_photos(split_folders(data[name]), problems) if data[name] else ()
        for name in ("backgrounds", "foregrounds")
    )
    if problems:
        raise InputError("; ".join(problems))
    source = SyntheticSource(seed=seed, size=size, photos=photos, cutouts=cutouts)
    return PooledSource(source, size=data["pool"]) if data["pool"] else source


def _in_folders(data: Mapping[str, Any], seed: int) -> Source:
    del seed
    kind = data["kind"]
    field = "folder" if kind in TRAINING_SETS else "foregrounds"
    place = _field(data, field)
    pairs = foreground_folders(kind, place, alphas=data["alphas"])
    foregrounds, alphas = zip(*pairs, strict=True)
    backgrounds = split_folders(_field(data, "backgrounds"))
    source = FolderSource(foregrounds, backgrounds=backgrounds, alphas=alphas)
    if kind in TRAINING_SETS:
        check_whole(kind, source.foregrounds, place)
    return source


def _prepared(data: Mapping[str, Any], seed: int) -> Source:
    del seed
    backgrounds = data["backgrounds"]
    if backgrounds is not None:
        backgrounds = split_folders(backgrounds)
    sources = [
        PreparedSource(folder, backgrounds=backgrounds)
        for folder in split_folders(_field(data, "folder"))
    ]
    if len(sources) == 1:
        return sources[0]
    return MixedSource(sources, _numbers(_field(data, "shares")))


def _numbers(text: str) -> list[float]:
    """Read the shares of several folders."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"config.data.shares is {text!r}; give numbers with commas between, such "
            "as 0.7,0.3"
        ) from None


def _tfds(data: Mapping[str, Any], seed: int) -> Source:
    del seed
    from input_pipeline.tfds_builders.source import TfdsSource  # TFDS is an extra

    folder = Path(_field(data, "folder")).expanduser()
    backgrounds = Path(_field(data, "backgrounds")).expanduser()
    return TfdsSource(folder, backgrounds=backgrounds)


def _field(data: Mapping[str, Any], name: str) -> str:
    if not data[name]:
        what, example = _MISSING.get(name, ("a folder", "DIR"))
        raise InputError(
            f"config.data.{name} is not set; give {what}: "
            f"--config.data.{name}={example}"
        )
    return data[name]


_MISSING = {"shares": ("one for each of the folders", "0.7,0.3")}


_OPENERS: dict[str, Callable[[Mapping[str, Any], int], Source]] = {
    "synthetic": _synthetic,
    "folders": _in_folders,
    **dict.fromkeys(TRAINING_SETS, _in_folders),
    "prepared": _prepared,
    "tfds": _tfds,
}
