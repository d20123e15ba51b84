"""Model cards: what they state, what nobody stated, and hostile text in them."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

from tmfnet_jax.environment import versions
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig
from tmfnet_jax.model_card import (
    ModelCard,
    Validation,
    WeightsFile,
    render_model_card,
    weights_notes,
    write_model_card,
)
from tmfnet_jax.parameters import initial_network, named_arrays, parameter_count
from tmfnet_jax.weights import read_notes, read_weights, write_weights

TINY = TMFNetConfig(width=0.05, dtype="bfloat16")
FILE = WeightsFile("hair.safetensors", 135_600_000, "0a" * 32)
FULL_CARD = ModelCard(
    network=TINY,
    license="CC BY 4.0",
    data_license="CC0-1.0",
    data={"kind": "folders", "foregrounds": "fg,more", "alphas": None},
    foregrounds=431,
    backgrounds=82_783,
    started_from="resnet50s.pth",
    recipe={"optimizer": {"learning_rate": 0.01, "steps": 200_000}, "batch_size": 32},
    commit="abc123+",
    versions={"jax": "0.10.2"},
    hardware="8 x TPU v4",
    hours=31.26,
    validations=[
        Validation(
            "last", "a set, 50 images", {"sad": 24.04, "mse": 4.1}, step=200_000
        ),
        Validation("best", "a set, 50 images", {"sad": 23.5, "mse": np.nan, "f1": 1.0}),
    ],
)
HOSTILE = "a|b\n\n# c\r```\n<script>[x](y) **z** \\| \x1b[2J\u202e\u2028&lt;"


def cells(line: str) -> list[str]:
    """Between the bars that no backslash escapes."""
    return [cell.strip() for cell in re.findall(r"(?:\\.|[^|\\])+", line)]


def rows(text: str) -> dict[str, list[str]]:
    """First cell of each row of each table, and the other cells."""
    found = [cells(line) for line in text.splitlines() if line.startswith("|")]
    return {first: others for first, *others in found}


def test_everything_is_stated():
    text = render_model_card(FULL_CARD, FILE)
    assert text.startswith("# hair.safetensors\n\n")
    table = rows(text)
    assert table["of the weights"] == ["CC BY 4.0"]
    assert table["of the training data"] == ["CC0-1.0"]
    assert table["fusion"] == ["glf, glf, glf"]
    assert table["width"] == ["0.05"]
    assert table["parameters"] == [f"{parameter_count(TINY):,}"]
    assert table["size on disk"] == ["135.6 MB"]
    assert table["SHA-256 of the file"] == ["0a" * 32]
    assert table["kind"] == ["folders"]
    assert table["foregrounds"] == ["fg,more"]
    assert table["number of foregrounds"] == ["431"]
    assert table["number of backgrounds"] == ["82783"]
    assert table["started from"] == ["resnet50s.pth"]
    assert table[r"optimizer.learning\_rate"] == ["0.01"]
    assert table[r"batch\_size"] == ["32"]
    assert table["hardware"] == ["8 x TPU v4"]
    assert table["hours"] == ["31.3"]
    assert table["commit of the code"] == ["abc123+"]
    assert table["version of jax"] == ["0.10.2"]
    assert table["weights"] == ["steps", "measured on", "SAD/1000", "MSE x1000", "f1"]
    assert table["last"] == [
        "200000",
        "a set, 50 images",
        "24.04",
        "4.1",
        "not measured",
    ]
    assert table["best"][0] == "not stated"
    assert table["best"][2:] == ["23.5", "not measured", "1"]
    assert "alphas" not in table
    assert "dtype" not in table
    assert "--weights hair.safetensors\n" in text
    assert "Matting.load('hair.safetensors')" in text


def test_what_nobody_stated_is_said_to_be_so():
    text = render_model_card(ModelCard(TINY), FILE)
    table = rows(text)
    for name in (
        *("of the weights", "of the training data", "number of foregrounds"),
        *("number of backgrounds", "started from", "hardware", "hours"),
        "commit of the code",
    ):
        assert table[name] == ["not stated"], name
    assert "## Results\n\nNot measured.\n" in text


def test_text_stays_in_its_place():
    def card(text: str) -> str:
        return render_model_card(
            ModelCard(
                TINY,
                license=text,
                data_license=text,
                data={f"d{text}": text},
                started_from=text,
                recipe={f"r{text}": {f"s{text}": [text, 1]}},
                commit=text,
                versions={text: text},
                hardware=text,
                validations=[Validation(text, text, {f"m{text}": 1.5})],
            ),
            WeightsFile(f"{text}.safetensors", 1, "00"),
        )

    plain, hostile = card("plain").split("\n"), card(HOSTILE).split("\n")
    assert len(hostile) == len(plain)
    for one, other in zip(plain, hostile, strict=True):
        assert one[:4] == other[:4] or one[:2] == other[:2] in ("| ", "# ")
        assert other.isprintable()
        if one.startswith("| "):
            assert len(cells(one)) == len(cells(other))
    assert rows("\n".join(hostile))["hardware"] == [
        r"a\|b \# c \`\`\` \<script\>\[x\](y) \*\*z\*\* \\\| "
        r"\\x1b\[2J\\u202e \&lt;"
    ]


def test_card_beside_its_weights(tmp_path):
    weights = tmp_path / "mine w.safetensors"
    weights.write_bytes(b"12345")
    path = tmp_path / "card.md"
    path.write_text("before")
    write_model_card(path, ModelCard(TINY, versions=versions()), weights=weights)
    text = path.read_text()
    assert rows(text)["SHA-256 of the file"] == [hashlib.sha256(b"12345").hexdigest()]
    assert "--weights 'mine w.safetensors'\n" in text
    assert "version of numpy" in rows(text)
    with pytest.raises(InputError, match=r"none: cannot be read"):
        write_model_card(path, ModelCard(TINY), weights=tmp_path / "none")
    assert path.read_text() == text


def test_a_lone_file_says_its_licence(tmp_path):
    path = tmp_path / "w.safetensors"
    arrays = named_arrays(initial_network(TINY, seed=0))
    notes = weights_notes(FULL_CARD)
    write_weights(path, TINY, arrays, notes=notes)
    assert read_notes(path) == notes
    assert notes["tmfnet_jax.license"] == "CC BY 4.0"
    assert notes["tmfnet_jax.data_license"] == "CC0-1.0"
    assert '"kind": "folders"' in notes["tmfnet_jax.data"]
    config, got = read_weights(path)
    assert config.width == TINY.width
    np.testing.assert_array_equal(got["head.1.kernel"], arrays["head.1.kernel"])


def test_notes_tell_recipes_apart_and_silence_from_terms():
    silent = weights_notes(ModelCard(TINY, recipe={"b": 1, "a": 2}))
    assert silent["tmfnet_jax.license"] == "not stated"
    assert silent["tmfnet_jax.data_license"] == "not stated"
    digest = "tmfnet_jax.recipe_sha256"
    same = weights_notes(ModelCard(TINY, recipe={"a": 2, "b": 1}))
    other = weights_notes(ModelCard(TINY, recipe={"a": 2, "b": 2}))
    assert silent[digest] == same[digest] != other[digest]
    odd = weights_notes(ModelCard(TINY, license=HOSTILE + "\udcff"))
    assert odd["tmfnet_jax.license"].isprintable()
