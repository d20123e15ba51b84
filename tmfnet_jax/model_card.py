"""The model card of exported weights: what they are, come from, give and are for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tmfnet_jax.errors import InputError, printable
from tmfnet_jax.evaluation_records import HEADINGS, METRICS
from tmfnet_jax.files import atomic_write
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.parameters import parameter_count

NOT_STATED = "not stated"
NOT_MEASURED = "not measured"
LIMITS = (  # of every such network, whatever it was trained on
    "Without a trimap, or a mask to make one from (`tmfnet trimap`), there is no "
    "matte: the network does not choose a subject.",
    "Alpha is exactly 0 or 1 where the trimap knows; the trimap's mistakes stay.",
    "Every image is matted by itself: nothing makes the frames of a film agree.",
    "The network gives alpha. The colours of a cut-out are estimated from it "
    "afterwards.",
    "The results are those of the images they name; others may give other results.",
    "The terms of the training data may bind the use of the weights.",
)
NOTE = "tmfnet_jax."  # what the notes in a weights file begin with

_HEADINGS = dict(zip(METRICS, HEADINGS, strict=True))
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&$#!])")


@dataclasses.dataclass(frozen=True)
class Validation:
    """What the weights of some step gave on a set.

    Attributes:
      weights: which these are, such as "last" or "best by SAD".
      measured_on: the set and how many of its images.
      metrics: name to value; those of `evaluation_records.METRICS` are scaled as
        there, None or NaN was not measured.
      step: completed steps, where known.
    """

    weights: str
    measured_on: str
    metrics: Mapping[str, float | None]
    step: int | None = None


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """What is known about a network's weights beside their file.

    Text is taken as it was typed. In mappings, inner ones are allowed, and what is
    None is left out.

    Attributes:
      network: the network; its `dtype` is not the weights'.
      license: terms of the weights; None where nobody said.
      data_license: terms of the training data; None where nobody said.
      data: the training data as the config names them.
      foregrounds: their number, where it is known.
      backgrounds: their number, where it is known.
      started_from: the weights before the first step; None where nobody said.
      recipe: optimiser, steps, batch, crop, seed and the like.
      commit: of the code, as `environment.commit` gives it.
      versions: of the packages, as `environment.versions` gives them.
      hardware: number and names of the devices.
      hours: that the training took.
      validations: the last and the best one, say.
      limits: of these weights, beside those that all have.
    """

    network: TMFNetConfig
    license: str | None = None
    data_license: str | None = None
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    foregrounds: int | None = None
    backgrounds: int | None = None
    started_from: str | None = None
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    commit: str | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hardware: str | None = None
    hours: float | None = None
    validations: Sequence[Validation] = ()
    limits: Sequence[str] = ()

    def to_json(self) -> str:
        """Return it as JSON, for `from_json`; what JSON lacks becomes text."""
        values = {**dataclasses.asdict(self), "network": self.network.to_dict()}
        return json.dumps(values, indent=1, default=str)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read what `to_json` wrote.

        Raises:
          InputError: anything else.
        """
        try:
            values = json.loads(text)
            network = TMFNetConfig.from_dict(values.pop("network"))
            validations = [Validation(**v) for v in values.pop("validations")]
            return cls(network=network, validations=validations, **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"not a model card: {error}") from None


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """A file of weights: its name without folders, size and SHA-256."""

    name: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> WeightsFile:
        """Measure a file; InputError if it cannot be read."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return cls(path.name, file.tell(), digest)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); expected a weights file"
            ) from None


def write_model_card(
    path: str | os.PathLike[str],
    card: ModelCard,
    *,
    weights: str | os.PathLike[str],
) -> None:
    """Write the card of a weights file, whole or not at all.

    Args:
      path: the Markdown file; replaced if it exists.
      card: what is known.
      weights: the file; size and SHA-256 are taken from it.
    Raises:
      InputError: the weights cannot be read or the card cannot be written.
    """
    text = render_model_card(card, WeightsFile.of(weights))
    with atomic_write(path) as file:
        file.write(text.encode())


def weights_notes(card: ModelCard) -> dict[str, str]:
    """Return what a weights file says without its card, for `write_weights`.

    Licences, data as JSON, and a SHA-256 of the recipe, which tells trainings apart.
    """
    recipe = json.dumps(card.recipe, sort_keys=True, default=str)
    notes = {
        "license": printable(card.license or NOT_STATED),
        "data_license": printable(card.data_license or NOT_STATED),
        "data": json.dumps(card.data, sort_keys=True, default=str),
        "recipe_sha256": hashlib.sha256(recipe.encode()).hexdigest(),
    }
    return {f"{NOTE}{name}": text for name, text in notes.items()}


def render_model_card(card: ModelCard, file: WeightsFile) -> str:
    """Return the card as Markdown; no value can break out of its place."""
    network = card.network.to_dict()
    del network["dtype"]
    name = printable(file.name)
    parts = [
        f"# {_escaped(name)}",
        "Weights for image matting: from a photo and its trimap to the alpha matte. "
        'The network is of the family of Jiang et al., "Trimap-guided Feature Mining '
        'and Fusion Network for Natural Image Matting", CVIU 230, 2023; tmfnet_jax '
        "runs it.",
        _table(
            ("licence", "terms"),
            [
                ("of the weights", card.license),
                ("of the training data", card.data_license),
            ],
        ),
        "## Network",
        _table(
            ("network", "value"),
            [
                *_flat(network),
                ("parameters", f"{parameter_count(card.network):,}"),
                ("size on disk", f"{file.size_bytes / 1e6:.1f} MB"),
                ("SHA-256 of the file", file.sha256),
            ],
        ),
        "## Training",
        _table(
            ("data", "value"),
            [
                *_flat(card.data),
                ("number of foregrounds", card.foregrounds),
                ("number of backgrounds", card.backgrounds),
            ],
        ),
        _table(
            ("recipe", "value"),
            [
                ("started from", card.started_from),
                *_flat(card.recipe),
                ("hardware", card.hardware),
                ("hours", None if card.hours is None else f"{card.hours:.3g}"),
                ("commit of the code", card.commit),
                *_flat(card.versions, prefix="version of "),
            ],
        ),
        "## Results",
        _results(card.validations),
        "## Use",
        "Still photos in which a person or a program marks the subject with a trimap:",
        # Indented code, which nothing within a line can end.
        f"    tmfnet matte photo.jpg trimap.png -o alpha.png --weights "
        f"{shlex.quote(name)}",
        "or in Python, with the result [H, W] float32 in [0, 1]:",
        f"    from tmfnet_jax import Matting\n"
        f"    alpha = Matting.load({name!r}).alpha(image, trimap)",
        "## Limits",
        "\n".join(f"- {limit}" for limit in (*LIMITS, *map(_escaped, card.limits))),
    ]
    return "\n\n".join(parts) + "\n"


def _results(validations: Sequence[Validation]) -> str:
    if not validations:
        return NOT_MEASURED.capitalize() + "."
    names = list(dict.fromkeys(name for v in validations for name in v.metrics))
    header = ["weights", "steps", "measured on"]
    header += [_HEADINGS.get(name, name) for name in names]
    rows = [
        (v.weights, v.step, v.measured_on, *(_measured(v.metrics, n) for n in names))
        for v in validations
    ]
    return _table(header, rows)


def _measured(metrics: Mapping[str, float | None], name: str) -> str:
    value = metrics.get(name)
    return NOT_MEASURED if value is None or math.isnan(value) else f"{value:.4g}"


def _flat(values: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values, without those that are None."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, prefix=f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = [[_escaped(_text(value)) for value in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _text(value: Any) -> str:
    if value is None or value == "":
        return NOT_STATED
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _escaped(text: str) -> str:
    """Return one line that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", printable(text))
